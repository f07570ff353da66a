// What both ways in do first: the first thread control block, and the words that musl reads.
//
// Compiled without stack protector: %fs is 0 until start_set_thread_pointer().
#include <libc/start.h>

#include <zircon/syscalls.h>

#include <crt0/crt0.h>
#include <crt0/elf64.h>
#include <jacinth/startup.h>
#include <libc/abi.h>
#include <libc/process_view_start.h>
#include <libc/thread_block.h>
#include <libc/thread_main.h>
#include <processargs/processargs.h>

constexpr int64_t STARTUP_FAILED = -126; // as crt0's
constexpr uint32_t STRINGS_MAX = 4096;   // arguments, likewise environment
constexpr uint32_t AUX_MAX = 16;

static struct {
    struct thread_block block; // until musl has made the real one
    struct process_view view;
    alignas(16) unsigned char random[16];
    // argc, argv, null, environ, null, auxiliary vector: one after the other.
    size_t words[1 + STRINGS_MAX + 1 + STRINGS_MAX + 1 + 2 * AUX_MAX];
} startup;

const char* libc_start_name(void) {
    return (const char*)startup.words[1];
}

// ---- failing ----

// The calls are looked up by name.
void start_fail(const void* vdso, const char* what, const char* name) {
    zx_status_t (*write)(const char*, size_t) =
        (zx_status_t(*)(const char*, size_t))crt0_vdso_symbol(vdso, "zx_debug_write");
    void (*leave)(int64_t) = (void (*)(int64_t))crt0_vdso_symbol(vdso, "zx_process_exit");
    char line[256];
    size_t at = 0;
    // Written out: a table of the three would need relocations.
    for (const char* c = "start-up failed: "; *c != '\0'; c++) {
        line[at++] = *c;
    }
    for (const char* c = what; *c != '\0' && at < sizeof(line) - 1; c++) {
        line[at++] = *c;
    }
    for (const char* c = name; *c != '\0' && at < sizeof(line) - 1; c++) {
        line[at++] = *c;
    }
    line[at++] = '\n';
    if (write != nullptr) {
        (void)write(line, at);
    }
    if (leave != nullptr) {
        leave(STARTUP_FAILED);
    }
    __builtin_trap();
}

// ---- what musl wants to find ----

static size_t* put_strings(size_t* at, const struct processargs_strings* strings) {
    processargs_string_pointers(strings, (const char**)at);
    return at + strings->count + 1;
}

static size_t* put_aux(size_t* at, enum abi_aux_type type, size_t value) {
    *at++ = type;
    *at++ = value;
    return at;
}

size_t* start_lay_out(const struct processargs* message, const struct start_program* program,
                      const void* vdso, const char** problem) {
    if (message->args.count > STRINGS_MAX || message->environ.count > STRINGS_MAX) {
        *problem = "too many arguments";
        return nullptr;
    }
    size_t* argv = startup.words + 1;
    startup.words[0] = message->args.count;
    size_t* at = put_strings(argv, &message->args);
    at = put_strings(at, &message->environ);
    zx_cprng_draw(startup.random, sizeof(startup.random));
    at = put_aux(at, ABI_AUX_PHDR, program->headers);
    at = put_aux(at, ABI_AUX_PHENT, sizeof(Elf64_Phdr));
    at = put_aux(at, ABI_AUX_PHNUM, program->header_count);
    at = put_aux(at, ABI_AUX_ENTRY, program->entry);
    if (program->linker != 0) {
        at = put_aux(at, ABI_AUX_BASE, program->linker);
    }
    at = put_aux(at, ABI_AUX_PAGESZ, zx_system_get_page_size());
    at = put_aux(at, ABI_AUX_CLKTCK, ABI_CLOCK_TICKS);
    // musl takes a program whose ids are not told for one that must not trust its environment.
    at = put_aux(at, ABI_AUX_UID, 0);
    at = put_aux(at, ABI_AUX_EUID, 0);
    at = put_aux(at, ABI_AUX_GID, 0);
    at = put_aux(at, ABI_AUX_EGID, 0);
    at = put_aux(at, ABI_AUX_RANDOM, (uintptr_t)startup.random);
    at = put_aux(at, ABI_AUX_EXECFN, argv[0]);
    at = put_aux(at, ABI_AUX_SYSINFO_EHDR, (uintptr_t)vdso);
    (void)put_aux(at, ABI_AUX_NULL, 0);
    return startup.words;
}

// ---- the first thread control block ----

// The byte of it that comes first in memory is 0, so that no string function copies past it or
// reads it out.
static uintptr_t draw_canary(void) {
    uintptr_t canary;
    zx_cprng_draw(&canary, sizeof(canary));
    return canary & ~(uintptr_t)0xff;
}

static zx_status_t set_fs(zx_handle_t thread, const struct thread_block* block) {
    uintptr_t pointer = (uintptr_t)block;
    return zx_object_set_property(thread, ZX_PROP_REGISTER_FS, &pointer, sizeof(pointer));
}

const char* start_set_thread_pointer(void) {
    startup.view.refs = 1;
    startup.view.umask = 022;
    struct thread_record* record =
        thread_main_record(zx_thread_self(), (uintptr_t)__builtin_frame_address(0));
    uintptr_t canary = draw_canary();
    startup.block = (struct thread_block){.self = &startup.block,
                                          .canary = canary,
                                          .canary_copy = canary,
                                          .view = &startup.view,
                                          .record = record};
    zx_status_t status = set_fs(record->handle, &startup.block);
    return status == ZX_OK ? nullptr : "cannot set the thread pointer";
}

int thread_block_adopt(struct thread_block* next) {
    const struct thread_block* old = thread_block_self();
    next->canary = old->canary;
    next->canary_copy = old->canary_copy;
    next->view = old->view;
    next->record = old->record;
    next->record->block = next;
    return set_fs(old->record->handle, next) == ZX_OK ? 0 : -(int)ABI_EIO;
}

void libc_start_modules(void) {
    static bool are_started; // by the dynamic linker, which opens libraries
    if (!are_started) {
        are_started = true;
        process_view_start(process_view());
    }
}
