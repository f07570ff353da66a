// The services file (/boot/etc/services): which services there are, what each is given and what it
// offers, what programs are given, and what nobody may ever be given. The notation is described in
// system/init/README.md.
//
// Pure: works on the text alone, allocates nothing and keeps pointers into the text, which it cuts
// into words. No locks: one thread at a time while it is read; after that nothing changes.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t SERVICES_PARAGRAPHS_MAX = 256;
constexpr uint32_t SERVICES_WORDS_MAX = 1024;
constexpr uint32_t SERVICES_RULES_MAX = 64;
constexpr size_t SERVICES_TEXT_MAX = 1 << 16;
constexpr size_t SERVICES_NAME_MAX = 63; // of a paragraph
constexpr uint32_t SERVICES_NONE = UINT32_MAX;
constexpr char SERVICES_OWN_PROMPT[] = "init:prompt"; // a program that is a part of init

typedef enum services_key : uint8_t {
    SERVICES_PROGRAM,     // path and arguments
    SERVICES_ENVIRONMENT, // NAME=VALUE
    SERVICES_OFFERS,      // protocols
    SERVICES_MOUNTS,      // prefixes of the namespace
    SERVICES_DEVICES,     // names below /dev
    SERVICES_NEEDS,       // services that are started before
    SERVICES_USES,        // protocols
    SERVICES_SEES,        // prefixes
    SERVICES_REACHES,     // names below /dev
    SERVICES_RESOURCE,    // KIND, KIND/BASE, KIND/BASE+SIZE, framebuffer
    SERVICES_TASKS,       // a job whose tasks it may handle
    SERVICES_EXCEPTIONS,  // a job whose exceptions it handles
    SERVICES_START,       // at-boot, on-demand
    SERVICES_RESTART,     // always, on-failure, never
    SERVICES_JOB,         // what its job's processes may do
    SERVICES_TERMINAL,    // descriptors 0 to 2
    SERVICES_AT_END,      // power-off
    SERVICES_FALLBACK,    // init:prompt
    SERVICES_KEY_COUNT,
} services_key_t;

struct services_word {
    const char* text;
    uint32_t line;
    struct services_word* next;
};

typedef enum services_restart : uint8_t {
    SERVICES_RESTART_ALWAYS,
    SERVICES_RESTART_ON_FAILURE,
    SERVICES_RESTART_NEVER,
} services_restart_t;

struct services_paragraph {
    const char* name; // of a service; of programs, the pattern of their paths (bin/*)
    uint32_t line;
    bool is_service;
    struct services_word* words[SERVICES_KEY_COUNT];
};

// never WHO WHAT; never-through: not by way of the services it uses either.
struct services_rule {
    const char* who;
    const char* what;
    uint32_t line;
    bool through;
};

struct services {
    struct services_paragraph paragraphs[SERVICES_PARAGRAPHS_MAX];
    uint32_t paragraph_count;
    struct services_rule rules[SERVICES_RULES_MAX];
    uint32_t rule_count;
    struct services_word words[SERVICES_WORDS_MAX];
    uint32_t word_count;
};

struct services_error {
    uint32_t line;
    char text[200];
};

// Reads `text` (its terminator included in none of `len`; text[len] is writable) and checks
// everything that can be wrong with it, the rules as well. False: *error says where and what.
bool services_read(struct services* s, char* text, size_t len, struct services_error* error);

// ---- asking ----

uint32_t services_find(const struct services* s, const char* name); // a service; SERVICES_NONE
// The entry of an outgoing directory that a prefix of the namespace is.
const char* services_entry_of(const char* prefix);
// Who serves a protocol (OFFERS), a prefix (MOUNTS) or a device (DEVICES). SERVICES_NONE: nobody,
// or init.
uint32_t services_server(const struct services* s, services_key_t key, const char* name);
// The paragraph for a program's path: the first whose pattern fits. SERVICES_NONE: it gets nothing.
uint32_t services_for_program(const struct services* s, const char* path);
bool services_has(const struct services_paragraph* p, services_key_t key, const char* word);
bool services_starts_at_boot(const struct services_paragraph* p);
// What the operator types at: a run list takes its place.
bool services_is_prompt(const struct services_paragraph* p);
services_restart_t services_restart(const struct services_paragraph* p);

// Every service, each behind those that it needs. The result: how many.
uint32_t services_order(const struct services* s, uint32_t order[SERVICES_PARAGRAPHS_MAX]);

// `pattern` may contain *, which fits any text.
bool services_fits(const char* pattern, const char* text);

// ---- resources ----

struct services_resource {
    uint32_t kind; // ZX_RSRC_KIND_*
    bool whole;    // all of the kind
    bool screen;   // MMIO: the frame buffer, wherever it is
    uint64_t base;
    uint64_t size;
};
bool services_parse_resource(const char* word, struct services_resource* out);

// ---- who can reach whom ----

// One thing that a paragraph is given: "resource:system/debug", "service:jacinth.io.Terminal",
// "namespace:/tmp", "device:console", "tasks:root", "exceptions:programs".
struct services_grant {
    const char* kind; // "resource"
    const char* name; // "system/debug"
    uint32_t server;  // the paragraph that serves it, or SERVICES_NONE
    uint32_t line;
};
typedef bool (*services_grant_fn)(void* ctx, const struct services_grant* grant);
// False: the function has stopped it.
bool services_grants(const struct services* s, uint32_t paragraph, services_grant_fn each,
                     void* ctx);

// The graph as text for dot, and as a picture.
typedef void (*services_emit_fn)(void* ctx, const char* text);
void services_write_dot(const struct services* s, services_emit_fn emit, void* ctx);
void services_write_svg(const struct services* s, services_emit_fn emit, void* ctx);
