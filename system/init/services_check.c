// What the words of the services file mean to each other: names that must exist, orders that must
// be possible, and the rules about who may never be given what.

#include <stdio.h>
#include <string.h>

#include <zircon/syscalls/resource.h>

#include "services_priv.h"

// What init itself serves, or userboot.
static const char* const own_protocols[] = {"jacinth.system.Services", "jacinth.system.Power"};
static const char* const own_prefixes[] = {"/boot", "/bin", "/dev", "/svc"};
static const char* const own_devices[] = {"null", "zero", "random", "urandom", "full", "tty"};

static bool is_among(const char* const* list, size_t count, const char* word) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], word) == 0) {
            return true;
        }
    }
    return false;
}
#define IS_AMONG(list, word) is_among(list, sizeof(list) / sizeof((list)[0]), word)

static bool is_own(services_key_t key, const char* word) {
    switch (key) {
    case SERVICES_OFFERS:
        return IS_AMONG(own_protocols, word);
    case SERVICES_MOUNTS:
        return IS_AMONG(own_prefixes, word);
    default:
        return IS_AMONG(own_devices, word);
    }
}

// ---- asking ----

const char* services_entry_of(const char* prefix) {
    return prefix[1] != '\0' ? prefix + 1 : "@root";
}

uint32_t services_find(const struct services* s, const char* name) {
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        if (s->paragraphs[i].is_service && strcmp(s->paragraphs[i].name, name) == 0) {
            return i;
        }
    }
    return SERVICES_NONE;
}

bool services_has(const struct services_paragraph* p, services_key_t key, const char* word) {
    for (const struct services_word* w = p->words[key]; w != nullptr; w = w->next) {
        if (strcmp(w->text, word) == 0) {
            return true;
        }
    }
    return false;
}

uint32_t services_server(const struct services* s, services_key_t key, const char* name) {
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        if (services_has(&s->paragraphs[i], key, name)) {
            return i;
        }
    }
    return SERVICES_NONE;
}

bool services_fits(const char* pattern, const char* text) {
    const char* star = nullptr; // the last one, and where the text went on after it
    const char* resume = nullptr;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != nullptr) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

uint32_t services_for_program(const struct services* s, const char* path) {
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        if (!s->paragraphs[i].is_service && services_fits(s->paragraphs[i].name, path)) {
            return i;
        }
    }
    return SERVICES_NONE;
}

bool services_starts_at_boot(const struct services_paragraph* p) {
    return services_has(p, SERVICES_START, "at-boot");
}

bool services_is_prompt(const struct services_paragraph* p) {
    return p->words[SERVICES_FALLBACK] != nullptr || p->words[SERVICES_AT_END] != nullptr ||
           services_has(p, SERVICES_PROGRAM, SERVICES_OWN_PROMPT);
}

services_restart_t services_restart(const struct services_paragraph* p) {
    return services_has(p, SERVICES_RESTART, "never")        ? SERVICES_RESTART_NEVER
           : services_has(p, SERVICES_RESTART, "on-failure") ? SERVICES_RESTART_ON_FAILURE
                                                             : SERVICES_RESTART_ALWAYS;
}

// ---- resources ----

static bool parse_number(const char** at, uint64_t* out) {
    bool hex = (*at)[0] == '0' && (*at)[1] == 'x';
    uint64_t value = 0;
    const char* begin = *at += hex ? 2 : 0;
    for (;; (*at)++) {
        char c = **at;
        uint32_t digit = c >= '0' && c <= '9'          ? (uint32_t)(c - '0')
                         : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                                                       : 99;
        if (digit == 99) {
            break;
        }
        if (value > (UINT64_MAX - digit) / (hex ? 16 : 10)) {
            return false;
        }
        value = value * (hex ? 16 : 10) + digit;
    }
    *out = value;
    return *at != begin;
}

static bool parse_system(const char* name, struct services_resource* out) {
    static const struct {
        const char* name;
        uint64_t base;
    } parts[] = {
        {"debug", ZX_RSRC_SYSTEM_DEBUG_BASE},     {"info", ZX_RSRC_SYSTEM_INFO_BASE},
        {"cpu", ZX_RSRC_SYSTEM_CPU_BASE},         {"power", ZX_RSRC_SYSTEM_POWER_BASE},
        {"profile", ZX_RSRC_SYSTEM_PROFILE_BASE}, {"debuglog", ZX_RSRC_SYSTEM_DEBUGLOG_BASE},
        {"msi", ZX_RSRC_SYSTEM_MSI_BASE},         {"iommu", ZX_RSRC_SYSTEM_IOMMU_BASE},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(parts[i].name, name) == 0) {
            out->base = parts[i].base;
            out->size = 1;
            return true;
        }
    }
    return false;
}

static bool parse_range(const char* at, struct services_resource* out) {
    if (!parse_number(&at, &out->base)) {
        return false;
    }
    out->size = 1;
    if (*at == '+') {
        at++;
        if (!parse_number(&at, &out->size)) {
            return false;
        }
    }
    return *at == '\0' && out->size > 0 && out->size - 1 <= UINT64_MAX - out->base;
}

bool services_parse_resource(const char* word, struct services_resource* out) {
    static const struct {
        const char* name;
        uint32_t kind;
    } kinds[] = {{"mmio", ZX_RSRC_KIND_MMIO},
                 {"irq", ZX_RSRC_KIND_IRQ},
                 {"ioport", ZX_RSRC_KIND_IOPORT},
                 {"system", ZX_RSRC_KIND_SYSTEM}};
    if (strcmp(word, "framebuffer") == 0) {
        *out = (struct services_resource){.kind = ZX_RSRC_KIND_MMIO, .screen = true};
        return true;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].name);
        if (strncmp(word, kinds[i].name, len) != 0 || (word[len] != '\0' && word[len] != '/')) {
            continue;
        }
        *out = (struct services_resource){.kind = kinds[i].kind, .whole = word[len] == '\0'};
        if (out->whole) {
            return true;
        }
        const char* part = word + len + 1;
        return out->kind == ZX_RSRC_KIND_SYSTEM ? parse_system(part, out) : parse_range(part, out);
    }
    return false;
}

// ---- who can reach whom ----

// Which key of a service serves what the key of a user names; KEY_COUNT: nobody has to.
static services_key_t served_by(services_key_t key) {
    switch (key) {
    case SERVICES_USES:
        return SERVICES_OFFERS;
    case SERVICES_SEES:
        return SERVICES_MOUNTS;
    case SERVICES_REACHES:
    case SERVICES_TERMINAL:
        return SERVICES_DEVICES;
    default:
        return SERVICES_KEY_COUNT;
    }
}

bool services_grants(const struct services* s, uint32_t paragraph, services_grant_fn each,
                     void* ctx) {
    static const struct {
        services_key_t key;
        const char* kind;
    } kinds[] = {{SERVICES_USES, "service"},         {SERVICES_SEES, "namespace"},
                 {SERVICES_REACHES, "device"},       {SERVICES_TERMINAL, "device"},
                 {SERVICES_RESOURCE, "resource"},    {SERVICES_TASKS, "tasks"},
                 {SERVICES_EXCEPTIONS, "exceptions"}};
    const struct services_paragraph* p = &s->paragraphs[paragraph];
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        services_key_t server_key = served_by(kinds[i].key);
        for (const struct services_word* w = p->words[kinds[i].key]; w != nullptr; w = w->next) {
            struct services_grant grant = {
                .kind = kinds[i].kind, .name = w->text, .server = SERVICES_NONE, .line = w->line};
            if (server_key != SERVICES_KEY_COUNT) {
                grant.server = services_server(s, server_key, w->text);
            }
            if (!each(ctx, &grant)) {
                return false;
            }
        }
    }
    return true;
}

// ---- rules ----

struct rule_check {
    const struct services* s;
    const struct services_rule* rule;
    struct services_error* error;
    uint32_t who;     // whom the rule is about
    uint32_t through; // whose grants are looked at
    bool reached[SERVICES_PARAGRAPHS_MAX];
};

static bool rule_allows(void* ctx, const struct services_grant* grant) {
    struct rule_check* c = ctx;
    char text[128];
    (void)snprintf(text, sizeof(text), "%s:%s", grant->kind, grant->name);
    if (grant->server != SERVICES_NONE) {
        c->reached[grant->server] = true;
    }
    if (!services_fits(c->rule->what, text)) {
        return true;
    }
    const char* who = c->s->paragraphs[c->who].name;
    if (c->through == c->who) {
        return services_fail(c->error, c->rule->line,
                             "'never %.40s %.40s', but line %u gives '%.40s' to %.40s",
                             c->rule->who, c->rule->what, grant->line, text, who);
    }
    return services_fail(c->error, c->rule->line,
                         "'never-through %.40s %.40s', but %.40s reaches '%.40s' by %.40s",
                         c->rule->who, c->rule->what, who, text, c->s->paragraphs[c->through].name);
}

static bool check_rule_for(struct rule_check* c) {
    bool looked_at[SERVICES_PARAGRAPHS_MAX] = {};
    memset(c->reached, 0, sizeof(c->reached));
    c->reached[c->who] = true;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < c->s->paragraph_count; i++) {
            if (!c->reached[i] || looked_at[i] || (i != c->who && !c->rule->through)) {
                continue;
            }
            looked_at[i] = more = true;
            c->through = i;
            if (!services_grants(c->s, i, rule_allows, c)) {
                return false;
            }
        }
    }
    return true;
}

// A rule about nobody would hold whatever the file says: it is a mistake.
static bool check_rule(const struct services* s, const struct services_rule* rule,
                       struct services_error* error) {
    struct rule_check c = {.s = s, .rule = rule, .error = error};
    // Paths of programs have a slash, names of services have none.
    bool is_path = strchr(rule->who, '/') != nullptr && strchr(rule->who, '*') == nullptr;
    uint32_t program = is_path ? services_for_program(s, rule->who) : SERVICES_NONE;
    bool anybody = false;
    for (c.who = 0; c.who < s->paragraph_count; c.who++) {
        if (c.who == program || services_fits(rule->who, s->paragraphs[c.who].name)) {
            anybody = true;
            if (!check_rule_for(&c)) {
                return false;
            }
        }
    }
    return anybody || services_fail(error, rule->line,
                                    "a rule about '%.40s': there is no such "
                                    "service, and no such programs",
                                    rule->who);
}

// ---- names ----

static bool check_form(services_key_t key, const struct services_word* w,
                       struct services_error* error) {
    struct services_resource resource;
    const char* text = w->text;
    size_t len = strlen(text);
    switch (key) {
    case SERVICES_ENVIRONMENT:
        return (strchr(text, '=') != nullptr && text[0] != '=') ||
               services_fail(error, w->line, "'%.40s' is not NAME=VALUE", text);
    case SERVICES_MOUNTS:
    case SERVICES_SEES:
        return strcmp(text, "/") == 0 || (len > 1 && text[0] == '/' && text[len - 1] != '/') ||
               services_fail(error, w->line, "'%.40s' is no prefix: /NAME is", text);
    case SERVICES_RESOURCE:
        return services_parse_resource(text, &resource) ||
               services_fail(
                   error, w->line,
                   "'%.40s' is no resource: mmio, irq, ioport, framebuffer, system/debug, "
                   "ioport/0x60+5 are",
                   text);
    case SERVICES_OFFERS:
    case SERVICES_DEVICES:
        return (len > 0 && strchr(text, '/') == nullptr) ||
               services_fail(error, w->line, "'%.40s' is no name", text);
    default:
        return true;
    }
}

static const char* verb_of(services_key_t key) {
    return key == SERVICES_OFFERS ? "offers" : key == SERVICES_MOUNTS ? "mounts" : "serves";
}

static bool check_served(const struct services* s, services_key_t key,
                         const struct services_word* w, struct services_error* error) {
    services_key_t by = served_by(key);
    if (by == SERVICES_KEY_COUNT || is_own(by, w->text) ||
        services_server(s, by, w->text) != SERVICES_NONE) {
        return true;
    }
    return services_fail(error, w->line, "'%s %.60s': no service %s it",
                         services_keywords[key].name, w->text, verb_of(by));
}

// Of what a service serves, it must be the only one.
static bool check_sole(const struct services* s, uint32_t paragraph, services_key_t key,
                       const struct services_word* w, struct services_error* error) {
    if (key != SERVICES_OFFERS && key != SERVICES_MOUNTS && key != SERVICES_DEVICES) {
        return true;
    }
    if (is_own(key, w->text)) {
        return services_fail(error, w->line, "'%.60s' is init's own", w->text);
    }
    uint32_t first = services_server(s, key, w->text);
    return first == paragraph || services_fail(error, w->line, "'%.60s': '%s' %s it already",
                                               w->text, s->paragraphs[first].name, verb_of(key));
}

static bool check_words(const struct services* s, uint32_t paragraph,
                        struct services_error* error) {
    for (uint32_t key = 0; key < SERVICES_KEY_COUNT; key++) {
        const struct services_word* w = s->paragraphs[paragraph].words[key];
        for (; w != nullptr; w = w->next) {
            services_key_t k = (services_key_t)key;
            if (!check_form(k, w, error) || !check_served(s, k, w, error) ||
                !check_sole(s, paragraph, k, w, error)) {
                return false;
            }
            if (key == SERVICES_NEEDS && services_find(s, w->text) == SERVICES_NONE) {
                return services_fail(error, w->line, "'needs %.40s': there is no such service",
                                     w->text);
            }
        }
    }
    return true;
}

static bool check_paragraph(const struct services* s, uint32_t index,
                            struct services_error* error) {
    const struct services_paragraph* p = &s->paragraphs[index];
    if (p->is_service && p->words[SERVICES_PROGRAM] == nullptr) {
        return services_fail(error, p->line, "service '%.40s' has no program", p->name);
    }
    for (uint32_t i = 0; i < index; i++) {
        if (s->paragraphs[i].is_service == p->is_service &&
            strcmp(s->paragraphs[i].name, p->name) == 0) {
            return services_fail(error, p->line, "a second '%.40s' (the first is in line %u)",
                                 p->name, s->paragraphs[i].line);
        }
    }
    return check_words(s, index, error);
}

// ---- order ----

// Whether all that a service needs is placed.
static bool is_ready(const struct services* s, uint32_t index, const bool* placed) {
    const struct services_word* w = s->paragraphs[index].words[SERVICES_NEEDS];
    for (; w != nullptr; w = w->next) {
        uint32_t needed = services_find(s, w->text);
        if (needed == SERVICES_NONE || !placed[needed]) {
            return false;
        }
    }
    return true;
}

uint32_t services_order(const struct services* s, uint32_t order[SERVICES_PARAGRAPHS_MAX]) {
    bool placed[SERVICES_PARAGRAPHS_MAX] = {};
    uint32_t count = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < s->paragraph_count; i++) {
            if (s->paragraphs[i].is_service && !placed[i] && is_ready(s, i, placed)) {
                placed[i] = more = true;
                order[count++] = i;
            }
        }
    }
    return count;
}

static bool check_order(const struct services* s, struct services_error* error) {
    uint32_t order[SERVICES_PARAGRAPHS_MAX];
    uint32_t count = services_order(s, order);
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        bool found = !s->paragraphs[i].is_service;
        for (uint32_t k = 0; k < count && !found; k++) {
            found = order[k] == i;
        }
        if (!found) {
            const struct services_word* w = s->paragraphs[i].words[SERVICES_NEEDS];
            return services_fail(error, w->line, "'%.40s' needs '%.40s', which needs it in turn",
                                 s->paragraphs[i].name, w->text);
        }
    }
    return true;
}

bool services_check(const struct services* s, struct services_error* error) {
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        if (!check_paragraph(s, i, error)) {
            return false;
        }
    }
    if (!check_order(s, error)) {
        return false;
    }
    for (uint32_t i = 0; i < s->rule_count; i++) {
        if (!check_rule(s, &s->rules[i], error)) {
            return false;
        }
    }
    return true;
}
