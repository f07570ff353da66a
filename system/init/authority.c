#include "authority.h"

#include <stdlib.h>
#include <string.h>

#include <io/client.h>
#include <launchsvc/client.h>
#include <system/grants.h>
#include <zircon/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/policy.h>
#include <zircon/syscalls/resource.h>

#include "root.h"
#include "supervisor.h"

bool authority_has_word(const struct authority* a, const char* word) {
    for (uint32_t i = 0; i < a->environ_count; i++) {
        if (strcmp(a->environ[i], word) == 0) {
            return true;
        }
    }
    return false;
}

// ---- jobs ----

static const struct {
    const char* word;
    uint32_t condition;
} denials[] = {{"no-processes", ZX_POL_NEW_PROCESS},
               {"no-executable-memory", ZX_POL_AMBIENT_MARK_VMO_EXEC}};

static zx_status_t set_policy(const struct services_paragraph* p, zx_handle_t job) {
    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
        zx_policy_basic_v2_t policy = {.condition = denials[i].condition,
                                       .action = ZX_POL_ACTION_DENY,
                                       .flags = ZX_POL_OVERRIDE_DENY};
        if (!services_has(p, SERVICES_JOB, denials[i].word)) {
            continue;
        }
        zx_status_t status =
            zx_job_set_policy(job, ZX_JOB_POL_ABSOLUTE, ZX_JOB_POL_BASIC_V2, &policy, 1);
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static zx_status_t allow_reserve(const struct authority* a, zx_handle_t job) {
    zx_handle_t profiles = authority_system_part(a, ZX_RSRC_SYSTEM_PROFILE_BASE, "memory-reserve");
    zx_status_t status = zx_job_allow_reserve(job, profiles);
    (void)zx_handle_close(profiles);
    return status;
}

zx_status_t authority_make_job(const struct authority* a, uint32_t paragraph, zx_handle_t parent,
                               const char* name, zx_handle_t* job) {
    zx_status_t status = zx_job_create(parent, 0, job);
    if (status != ZX_OK) {
        return status;
    }
    (void)zx_object_set_property(*job, ZX_PROP_NAME, name, strlen(name));
    if (paragraph != SERVICES_NONE) {
        status = set_policy(&a->services.paragraphs[paragraph], *job);
    }
    if (status == ZX_OK && paragraph != SERVICES_NONE &&
        services_has(&a->services.paragraphs[paragraph], SERVICES_JOB, "memory-reserve")) {
        status = allow_reserve(a, *job);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(*job);
        *job = ZX_HANDLE_INVALID;
    }
    return status;
}

// ---- handles ----

void given_add(struct given* g, uint32_t info, zx_handle_t handle) {
    if (handle == ZX_HANDLE_INVALID) {
        return;
    }
    if (g->handle_count == GIVEN_HANDLES_MAX) {
        (void)zx_handle_close(handle);
        return;
    }
    g->handles[g->handle_count++] = (struct launch_handle){info, handle};
}

static void give_copy(struct given* g, uint32_t info, zx_handle_t from) {
    zx_handle_t copy;
    if (from != ZX_HANDLE_INVALID &&
        zx_handle_duplicate(from, ZX_RIGHT_SAME_RIGHTS, &copy) == ZX_OK) {
        given_add(g, info, copy);
    }
}

void given_add_terminal(struct given* g, zx_handle_t connection, zx_handle_t events) {
    for (uint32_t n = 0; n < 3; n++) {
        zx_handle_t copy;
        if (io_clone(connection, &copy) == ZX_OK) {
            given_add(g, PA_HND(PA_FD, n), copy);
            give_copy(g, PA_HND(PA_FD, n), events);
        }
    }
}

// ---- resources ----

static const struct {
    uint32_t kind, info;
} resource_words[] = {{ZX_RSRC_KIND_MMIO, PA_MMIO_RESOURCE},
                      {ZX_RSRC_KIND_IRQ, PA_IRQ_RESOURCE},
                      {ZX_RSRC_KIND_IOPORT, PA_IOPORT_RESOURCE},
                      {ZX_RSRC_KIND_SYSTEM, PA_SYSTEM_RESOURCE}};
constexpr uint32_t RESOURCE_KINDS = sizeof(resource_words) / sizeof(resource_words[0]);

static zx_handle_t whole_resource(const struct authority* a, uint32_t kind) {
    return kind == ZX_RSRC_KIND_MMIO     ? a->mmio
           : kind == ZX_RSRC_KIND_IRQ    ? a->irq
           : kind == ZX_RSRC_KIND_IOPORT ? a->ioport
                                         : a->system;
}

zx_handle_t authority_system_part(const struct authority* a, zx_rsrc_system_base_t base,
                                  const char* name) {
    zx_handle_t part = ZX_HANDLE_INVALID;
    (void)zx_resource_create(a->system, ZX_RSRC_KIND_SYSTEM, base, 1, name, strlen(name), &part);
    return part;
}

// framebuffer=BASE,LENGTH,... of the kernel: the range that holds it. False: there is no screen.
static bool find_screen(const struct authority* a, struct services_resource* r) {
    static constexpr char word[] = "framebuffer=";
    for (uint32_t i = 0; i < a->environ_count; i++) {
        if (strncmp(a->environ[i], word, sizeof(word) - 1) == 0) {
            char* at;
            r->base = strtoull(a->environ[i] + sizeof(word) - 1, &at, 0);
            r->size = *at == ',' ? strtoull(at + 1, nullptr, 0) : 0;
            r->size = (r->size + 0xfff) & ~0xfffull;
            return r->size > 0;
        }
    }
    return false;
}

// Parts of the system resource come under their base, those of other kinds numbered from 0 in the
// order of the file.
static void give_resources(const struct authority* a, const struct services_paragraph* p,
                           struct given* g) {
    uint32_t count[RESOURCE_KINDS] = {};
    for (const struct services_word* w = p->words[SERVICES_RESOURCE]; w != nullptr; w = w->next) {
        struct services_resource r;
        if (!services_parse_resource(w->text, &r)) {
            continue; // the file was checked
        }
        if (r.screen && !find_screen(a, &r)) {
            continue;
        }
        uint32_t i = 0;
        while (i + 1 < RESOURCE_KINDS && resource_words[i].kind != r.kind) {
            i++;
        }
        zx_handle_t whole = whole_resource(a, r.kind);
        bool is_part = r.kind == ZX_RSRC_KIND_SYSTEM && !r.whole;
        uint32_t number = is_part ? (uint32_t)r.base : count[i]++;
        uint32_t info = PA_HND(resource_words[i].info, number);
        zx_handle_t part = ZX_HANDLE_INVALID;
        if (r.whole) {
            give_copy(g, info, whole);
        } else if (zx_resource_create(whole, r.kind, r.base, r.size, w->text, strlen(w->text),
                                      &part) == ZX_OK) {
            given_add(g, info, part);
        }
    }
}

// ---- the namespace ----

// What the loop serves, or brings to a service.
static zx_handle_t attached(supervisor_attach_t what, uint32_t paragraph, const char* name) {
    zx_handle_t near, far;
    if (zx_channel_create(0, &near, &far) != ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    supervisor_attach(what, paragraph, name, far);
    return near;
}

static void give_directory(const struct authority* a, uint32_t paragraph, const char* prefix,
                           struct given* g) {
    zx_handle_t directory = ZX_HANDLE_INVALID;
    if (g->name_count == GIVEN_NAMES_MAX) {
        return;
    }
    if (strcmp(prefix, "/boot") == 0) {
        (void)io_clone(a->boot_files, &directory);
    } else if (strcmp(prefix, "/bin") == 0) {
        (void)io_clone(a->bin, &directory);
    } else {
        directory = attached(SUPERVISOR_PREFIX, paragraph, prefix);
    }
    if (directory != ZX_HANDLE_INVALID) {
        given_add(g, PA_HND(PA_NS_DIR, g->name_count), directory);
        g->names[g->name_count++] = prefix;
    }
}

static void give_by_paragraph(const struct authority* a, uint32_t paragraph, struct given* g) {
    static constexpr char launcher[] = "fuchsia.process.Launcher";
    const struct services_paragraph* p = &a->services.paragraphs[paragraph];
    for (const struct services_word* w = p->words[SERVICES_SEES]; w != nullptr; w = w->next) {
        give_directory(a, paragraph, w->text, g);
    }
    if (services_has(p, SERVICES_USES, launcher)) {
        given_add(g, LAUNCHSVC_STARTUP, attached(SUPERVISOR_SERVICE, paragraph, launcher));
    }
    if (services_has(p, SERVICES_TASKS, "root")) {
        give_copy(g, GRANTED_ROOT_JOB, a->root_job);
    } else if (services_has(p, SERVICES_TASKS, "programs")) {
        give_copy(g, GRANTED_ROOT_JOB, a->programs);
    }
    give_resources(a, p, g);
    if (p->words[SERVICES_ENVIRONMENT] != nullptr) {
        g->environ_count = 0; // in the place of the kernel's options
    }
    for (const struct services_word* w = p->words[SERVICES_ENVIRONMENT];
         w != nullptr && g->environ_count < ENVIRON_MAX; w = w->next) {
        g->environ[g->environ_count++] = root_environment(w->text);
    }
}

void authority_give(const struct authority* a, uint32_t paragraph, zx_handle_t job,
                    struct given* out) {
    out->handle_count = 0;
    out->name_count = 0;
    out->environ_count = a->environ_count < ENVIRON_MAX ? a->environ_count : ENVIRON_MAX;
    memcpy(out->environ, a->environ, out->environ_count * sizeof(out->environ[0]));
    give_copy(out, PA_HND(PA_JOB_DEFAULT, 0), job);
    zx_handle_t utc;
    if (zx_handle_duplicate(a->utc, ZX_RIGHTS_BASIC | ZX_RIGHT_READ, &utc) == ZX_OK) {
        given_add(out, PA_HND(PA_CLOCK_UTC, 0), utc);
    }
    if (paragraph != SERVICES_NONE) {
        give_by_paragraph(a, paragraph, out);
    }
}
