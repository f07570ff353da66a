// From the first instruction of a static program to musl's __libc_start_main.
//
// _start (rcrt1.S) brings the bootstrap channel and the vDSO's address. Here the program relocates
// itself (sdk/lib/crt0), reads its message, gets a first thread control block, and lays out
// arguments, environment and auxiliary vector as musl expects them. musl then makes the real
// thread control block, which takes over what is in the first, and calls libc_start_modules().
//
// Compiled without stack protector: %fs is 0 until set_thread_pointer().
#include "start.h"

#include <stddef.h>
#include <stdint.h>

#include <zircon/syscalls.h>

#include <jacinth/startup.h>
#include <libc/abi.h>
#include <libc/thread_block.h>

#include <libc/thread_main.h>

#include <crt0/crt0.h>
#include <crt0/elf64.h>
#include <crt0/message.h>
#include <libc/process_view_start.h>

constexpr int64_t STARTUP_FAILED = -126; // as crt0's
constexpr uint32_t STRINGS_MAX = 4096;   // arguments, likewise environment
constexpr uint32_t AUX_MAX = 16;

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static struct {
    struct thread_block block; // until musl has made the real one
    struct process_view view;
    alignas(16) unsigned char random[16];
    // argv, null, environ, null, auxiliary vector: one after the other.
    uintptr_t words[STRINGS_MAX + 1 + STRINGS_MAX + 1 + 2 * AUX_MAX];
} startup;

// ---- failing ----

// Nothing is bound yet: the two calls are looked up by name.
[[noreturn]] static void fail(const void* vdso, const char* what, const char* name) {
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

static uintptr_t* put_strings(uintptr_t* at, const struct processargs_strings* strings) {
    processargs_string_pointers(strings, (const char**)at);
    return at + strings->count + 1;
}

static uintptr_t* put_aux(uintptr_t* at, enum abi_aux_type type, uintptr_t value) {
    *at++ = type;
    *at++ = value;
    return at;
}

static void lay_out(const struct processargs* message, const void* vdso) {
    uintptr_t base = (uintptr_t)&__ehdr_start;
    uintptr_t* at = put_strings(startup.words, &message->args);
    at = put_strings(at, &message->environ);
    zx_cprng_draw(startup.random, sizeof(startup.random));
    at = put_aux(at, ABI_AUX_PHDR, base + __ehdr_start.e_phoff);
    at = put_aux(at, ABI_AUX_PHENT, __ehdr_start.e_phentsize);
    at = put_aux(at, ABI_AUX_PHNUM, __ehdr_start.e_phnum);
    at = put_aux(at, ABI_AUX_ENTRY, base + __ehdr_start.e_entry);
    at = put_aux(at, ABI_AUX_PAGESZ, zx_system_get_page_size());
    at = put_aux(at, ABI_AUX_CLKTCK, ABI_CLOCK_TICKS);
    at = put_aux(at, ABI_AUX_RANDOM, (uintptr_t)startup.random);
    at = put_aux(at, ABI_AUX_EXECFN, startup.words[0]);
    at = put_aux(at, ABI_AUX_SYSINFO_EHDR, (uintptr_t)vdso);
    (void)put_aux(at, ABI_AUX_NULL, 0);
}

// ---- the first thread control block ----

// The byte of it that comes first in memory is 0, so that no string function copies past it or
// reads it out.
static uintptr_t draw_canary(void) {
    uintptr_t canary;
    zx_cprng_draw(&canary, sizeof(canary));
    return canary & ~(uintptr_t)0xff;
}

static const char* set_thread_pointer(void) {
    startup.view.refs = 1;
    startup.view.umask = 022;
    struct thread_record* record = thread_main_record(zx_thread_self());
    uintptr_t canary = draw_canary();
    startup.block = (struct thread_block){.self = &startup.block,
                                          .canary = canary,
                                          .canary_copy = canary,
                                          .view = &startup.view,
                                          .record = record};
    uintptr_t pointer = (uintptr_t)&startup.block;
    zx_status_t status =
        zx_object_set_property(record->handle, ZX_PROP_REGISTER_FS, &pointer, sizeof(pointer));
    return status == ZX_OK ? nullptr : "cannot set the thread pointer";
}

int thread_block_adopt(struct thread_block* next) {
    const struct thread_block* old = thread_block_self();
    next->canary = old->canary;
    next->canary_copy = old->canary_copy;
    next->view = old->view;
    next->record = old->record;
    uintptr_t pointer = (uintptr_t)next;
    zx_status_t status =
        zx_object_set_property(old->record->handle, ZX_PROP_REGISTER_FS, &pointer, sizeof(pointer));
    return status == ZX_OK ? 0 : -ABI_EIO;
}

// ---- the way in ----

void libc_start_modules(void) {
    process_view_start(process_view());
}

// Not inlined into __jx_start: everything here may rely on applied relocations.
[[noreturn, gnu::noinline]] static void run(zx_handle_t bootstrap, const void* vdso,
                                            libc_main_t* main_function) {
    const char* problem = nullptr;
    const struct processargs* message = crt0_message_read(bootstrap, &problem);
    if (message != nullptr &&
        (message->args.count > STRINGS_MAX || message->environ.count > STRINGS_MAX)) {
        problem = "too many arguments";
    }
    if (problem == nullptr) {
        lay_out(message, vdso);
        problem = set_thread_pointer();
    }
    if (problem != nullptr) {
        fail(vdso, problem, "");
    }
    (void)__libc_start_main(main_function, (int)message->args.count, (char**)startup.words, nullptr,
                            nullptr, nullptr);
    __builtin_trap();
}

void __jx_start(zx_handle_t bootstrap, const void* vdso, libc_main_t* main_function) {
    const char* unresolved = crt0_relocate(vdso);
    if (unresolved != nullptr) {
        fail(vdso, "unresolved symbol ", unresolved);
    }
    run(bootstrap, vdso, main_function);
}
