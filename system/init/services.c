// From text to paragraphs. What the words mean to each other is checked in services_check.c.

#include <init/services.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "services_priv.h"

const struct services_keyword services_keywords[SERVICES_KEY_COUNT] = {
    [SERVICES_PROGRAM] = {.name = "program", .services_only = true, .once = true},
    [SERVICES_ENVIRONMENT] = {.name = "environment"},
    [SERVICES_OFFERS] = {.name = "offers", .services_only = true},
    [SERVICES_MOUNTS] = {.name = "mounts", .services_only = true},
    [SERVICES_DEVICES] = {.name = "devices", .services_only = true},
    [SERVICES_NEEDS] = {.name = "needs", .services_only = true},
    [SERVICES_USES] = {.name = "uses"},
    [SERVICES_SEES] = {.name = "sees"},
    [SERVICES_REACHES] = {.name = "reaches"},
    [SERVICES_RESOURCE] = {.name = "resource"},
    [SERVICES_TASKS] = {.name = "tasks", .choices = "root programs", .once = true},
    [SERVICES_EXCEPTIONS] = {.name = "exceptions",
                             .choices = "programs",
                             .services_only = true,
                             .once = true},
    [SERVICES_START] = {.name = "start",
                        .choices = "at-boot on-demand",
                        .services_only = true,
                        .once = true},
    [SERVICES_RESTART] = {.name = "restart",
                          .choices = "always on-failure never",
                          .services_only = true,
                          .once = true},
    [SERVICES_JOB] = {.name = "job", .choices = "no-processes no-executable-memory memory-reserve"},
    [SERVICES_TERMINAL] = {.name = "terminal", .choices = "console", .once = true},
    [SERVICES_AT_END] = {.name = "at-end",
                         .choices = "power-off",
                         .services_only = true,
                         .once = true},
    [SERVICES_FALLBACK] = {.name = "fallback",
                           .choices = "init:prompt",
                           .services_only = true,
                           .once = true},
};

bool services_fail(struct services_error* error, uint32_t line, const char* format, ...) {
    error->line = line;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return false;
}

// ---- words ----

struct reader {
    struct services* s;
    struct services_error* error;
    char* at; // in the rest of the line, which is terminated
    uint32_t line;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// The next word of the line, terminated in place; null: there is none. False: an error.
static bool next_word(struct reader* r, char** word) {
    *word = nullptr;
    while (is_blank(*r->at)) {
        r->at++;
    }
    if (*r->at == '\0' || *r->at == '#') {
        return true;
    }
    bool quoted = *r->at == '"';
    r->at += quoted;
    *word = r->at;
    while (*r->at != '\0' && (quoted ? *r->at != '"' : !is_blank(*r->at))) {
        r->at++;
    }
    if (quoted && *r->at == '\0') {
        return services_fail(r->error, r->line, "a quotation mark is not closed");
    }
    if (*r->at != '\0') {
        *r->at++ = '\0';
    }
    if (quoted && *r->at != '\0' && !is_blank(*r->at)) {
        return services_fail(r->error, r->line, "no blank after \"%s\"", *word);
    }
    return true;
}

static bool add_word(struct reader* r, struct services_word** list, const char* text) {
    if (r->s->word_count == SERVICES_WORDS_MAX) {
        return services_fail(r->error, r->line, "more than %u words", SERVICES_WORDS_MAX);
    }
    while (*list != nullptr) {
        list = &(*list)->next;
    }
    struct services_word* word = &r->s->words[r->s->word_count++];
    *word = (struct services_word){.text = text, .line = r->line};
    *list = word;
    return true;
}

// ---- suggestions ----

// How many letters one must change, add or take away, as far as 2; words are short.
static uint32_t distance(const char* a, const char* b, uint32_t limit) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    if (*a == *b) {
        return 0;
    }
    if (limit == 0) {
        return 1;
    }
    uint32_t best = limit;
    uint32_t changed = *a != '\0' && *b != '\0' ? distance(a + 1, b + 1, limit - 1) : limit;
    uint32_t without_a = *a != '\0' ? distance(a + 1, b, limit - 1) : limit;
    uint32_t without_b = *b != '\0' ? distance(a, b + 1, limit - 1) : limit;
    best = changed < best ? changed : best;
    best = without_a < best ? without_a : best;
    best = without_b < best ? without_b : best;
    return best + 1;
}

static const char* nearest_keyword(const char* word) {
    static const char* const heads[] = {"service", "programs", "never", "never-through"};
    for (uint32_t limit = 1; limit <= 2; limit++) {
        for (uint32_t i = 0; i < SERVICES_KEY_COUNT; i++) {
            if (distance(word, services_keywords[i].name, limit) <= limit) {
                return services_keywords[i].name;
            }
        }
        for (uint32_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
            if (distance(word, heads[i], limit) <= limit) {
                return heads[i];
            }
        }
    }
    return nullptr;
}

static bool unknown_word(struct reader* r, const char* word) {
    const char* near = nearest_keyword(word);
    return near != nullptr ? services_fail(r->error, r->line,
                                           "unknown word '%.40s' (did you mean '%s'?)", word, near)
                           : services_fail(r->error, r->line, "unknown word '%.40s'", word);
}

// ---- lines ----

static bool is_name(const char* name) {
    size_t len = 0;
    while (name[len] > ' ' && name[len] <= '~') {
        len++;
    }
    return name[len] == '\0' && len > 0 && len <= SERVICES_NAME_MAX;
}

static bool begin_paragraph(struct reader* r, const char* head, bool is_service) {
    char* name;
    char* more;
    if (!next_word(r, &name) || (name != nullptr && !next_word(r, &more))) {
        return false;
    }
    if (name == nullptr || more != nullptr) {
        return services_fail(r->error, r->line, "'%s' wants one name", head);
    }
    if (!is_name(name)) {
        return services_fail(r->error, r->line, "a name is 1 to %u letters, digits and signs",
                             (uint32_t)SERVICES_NAME_MAX);
    }
    if (r->s->paragraph_count == SERVICES_PARAGRAPHS_MAX) {
        return services_fail(r->error, r->line, "more than %u paragraphs", SERVICES_PARAGRAPHS_MAX);
    }
    r->s->paragraphs[r->s->paragraph_count++] =
        (struct services_paragraph){.name = name, .line = r->line, .is_service = is_service};
    return true;
}

static bool read_rule(struct reader* r, const char* head, bool through) {
    char* who;
    char* what = nullptr;
    char* more = nullptr;
    if (!next_word(r, &who) || (who != nullptr && !next_word(r, &what)) ||
        (what != nullptr && !next_word(r, &more))) {
        return false;
    }
    if (what == nullptr || more != nullptr) {
        return services_fail(r->error, r->line, "'%s' wants two words: who, and what", head);
    }
    if (r->s->rule_count == SERVICES_RULES_MAX) {
        return services_fail(r->error, r->line, "more than %u rules", SERVICES_RULES_MAX);
    }
    r->s->rules[r->s->rule_count++] =
        (struct services_rule){.who = who, .what = what, .line = r->line, .through = through};
    return true;
}

static bool is_choice(const char* choices, const char* word) {
    size_t len = strlen(word);
    for (const char* at = choices; len > 0 && at != nullptr; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, word, len) == 0 && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool read_values(struct reader* r, struct services_paragraph* p, services_key_t key) {
    const struct services_keyword* keyword = &services_keywords[key];
    if (keyword->once && p->words[key] != nullptr) {
        return services_fail(r->error, r->line, "a second '%s' (the first is in line %u)",
                             keyword->name, p->words[key]->line);
    }
    uint32_t count = 0;
    for (;; count++) {
        char* word;
        if (!next_word(r, &word)) {
            return false;
        }
        if (word == nullptr) {
            break;
        }
        if (keyword->choices != nullptr && !is_choice(keyword->choices, word)) {
            return services_fail(r->error, r->line, "'%s' is no '%.40s'; there is: %s",
                                 keyword->name, word, keyword->choices);
        }
        if (!add_word(r, &p->words[key], word)) {
            return false;
        }
    }
    if (count == 0) {
        return services_fail(r->error, r->line, "'%s' of what?", keyword->name);
    }
    if (count > 1 && keyword->once && keyword->choices != nullptr) {
        return services_fail(r->error, r->line, "'%s' wants one word of: %s", keyword->name,
                             keyword->choices);
    }
    return true;
}

static bool read_key(struct reader* r, const char* word) {
    for (uint32_t i = 0; i < SERVICES_KEY_COUNT; i++) {
        if (strcmp(word, services_keywords[i].name) != 0) {
            continue;
        }
        if (r->s->paragraph_count == 0) {
            return services_fail(r->error, r->line, "'%s' stands before the first paragraph", word);
        }
        struct services_paragraph* p = &r->s->paragraphs[r->s->paragraph_count - 1];
        if (services_keywords[i].services_only && !p->is_service) {
            return services_fail(r->error, r->line, "'%s' is for services, not for programs", word);
        }
        return read_values(r, p, (services_key_t)i);
    }
    return unknown_word(r, word);
}

static bool read_line(struct reader* r) {
    char* word;
    if (!next_word(r, &word)) {
        return false;
    }
    if (word == nullptr) {
        return true;
    }
    if (strcmp(word, "service") == 0 || strcmp(word, "programs") == 0) {
        return begin_paragraph(r, word, word[0] == 's');
    }
    if (strcmp(word, "never") == 0 || strcmp(word, "never-through") == 0) {
        return read_rule(r, word, word[5] != '\0');
    }
    return read_key(r, word);
}

bool services_read(struct services* s, char* text, size_t len, struct services_error* error) {
    memset(s, 0, sizeof(*s));
    if (len > SERVICES_TEXT_MAX) {
        return services_fail(error, 0, "longer than %u bytes", (uint32_t)SERVICES_TEXT_MAX);
    }
    text[len] = '\0';
    struct reader r = {.s = s, .error = error};
    for (size_t at = 0; at < len;) {
        char* newline = memchr(text + at, '\n', len - at);
        size_t end = newline != nullptr ? (size_t)(newline - text) : len;
        r.line++;
        r.at = text + at;
        if (memchr(text + at, '\0', end - at) != nullptr) {
            return services_fail(error, r.line, "not text: it contains a zero byte");
        }
        text[end] = '\0';
        if (!read_line(&r)) {
            return false;
        }
        at = end + 1;
    }
    return services_check(s, error);
}
