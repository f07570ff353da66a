// From the first instruction to main(): relocations, the bootstrap message, thread-local storage,
// main, exit.
//
// Until set_thread_pointer() has run, %fs is 0: this file is compiled without stack protector and
// uses no thread-local variable.
//
// A start-up failure is named on the debug console if zx_debug_write can be found, and ends the
// process with STARTUP_FAILED.

#include <jacinth/startup.h>

#include <zircon/syscalls.h>
#include <zircon/tls.h>

#include <crt0/crt0.h>
#include <crt0/message.h>

constexpr int64_t STARTUP_FAILED = -126;
constexpr uint32_t STRINGS_MAX = 4096; // arguments, likewise environment
constexpr size_t TLS_STATIC =
    4096; // thread block and thread-local variables that need no memory of their own

// The thread control block that %fs points to; thread-local variables lie directly below it.
struct thread_block {
    struct thread_block* self;
    void* dtv;
    uintptr_t canary;
    void* unsafe_stack;
    void* reserved;
    uintptr_t canary_copy; // where the builtins archive and the linux-gnu target look
};
static_assert(offsetof(struct thread_block, canary) == ZX_TLS_STACK_GUARD_OFFSET);
static_assert(offsetof(struct thread_block, unsafe_stack) == ZX_TLS_UNSAFE_SP_OFFSET);
static_assert(offsetof(struct thread_block, canary_copy) == 0x28);

static struct {
    const struct processargs* args;
    const char* argv[STRINGS_MAX + 1];
    const char* envp[STRINGS_MAX + 1];
    alignas(64) char tls[TLS_STATIC];
} startup;

// ---- failing ----

static size_t length_of(const char* s) {
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n;
}

// Works before relocation: everything is looked up by name.
[[noreturn]] static void fail(const void* vdso, const char* what, const char* name) {
    zx_status_t (*write)(const char*, size_t) =
        (zx_status_t(*)(const char*, size_t))crt0_vdso_symbol(vdso, "zx_debug_write");
    void (*leave)(int64_t) = (void (*)(int64_t))crt0_vdso_symbol(vdso, "zx_process_exit");
    char line[256];
    size_t at = 0;
    const char* parts[] = {"start-up failed: ", what, name, "\n"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (size_t c = 0; c < length_of(parts[i]) && at < sizeof(line) - 1; c++) {
            line[at++] = parts[i][c];
        }
    }
    if (write != nullptr) {
        (void)write(line, at);
    }
    if (leave != nullptr) {
        leave(STARTUP_FAILED);
    }
    __builtin_trap();
}

// ---- the bootstrap message ----

static const char* read_message(zx_handle_t bootstrap) {
    const char* problem = nullptr;
    startup.args = crt0_message_read(bootstrap, &problem);
    if (startup.args == nullptr) {
        return problem;
    }
    if (startup.args->args.count > STRINGS_MAX || startup.args->environ.count > STRINGS_MAX) {
        return "too many arguments";
    }
    processargs_string_pointers(&startup.args->args, startup.argv);
    processargs_string_pointers(&startup.args->environ, startup.envp);
    return nullptr;
}

// ---- thread-local storage ----

static uintptr_t align_down(uintptr_t value, size_t alignment) {
    return value & ~(alignment - 1);
}

// Memory for the thread-local variables and the thread block, when the static area is too small.
static const char* map_tls(size_t size, char** out) {
    zx_handle_t vmo;
    zx_vaddr_t address = 0;
    if (zx_vmo_create(size, 0, &vmo) != ZX_OK) {
        return "no memory for thread-local storage";
    }
    zx_status_t status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0,
                                     vmo, 0, size, &address);
    (void)zx_handle_close(vmo);
    *out = (char*)address;
    return status == ZX_OK ? nullptr : "no memory for thread-local storage";
}

static const char* set_thread_pointer(void) {
    struct crt0_tls tls = crt0_find_tls();
    size_t align = tls.align < 64 ? 64 : tls.align;
    char* area = startup.tls;
    size_t size = tls.len + align + sizeof(struct thread_block);
    if (size > sizeof(startup.tls)) {
        const char* problem = map_tls(size, &area);
        if (problem != nullptr) {
            return problem;
        }
    } else {
        size = sizeof(startup.tls);
    }
    // Variant II: the block of variables ends at the thread pointer, which has the block's
    // alignment.
    uintptr_t pointer = align_down((uintptr_t)area + size - sizeof(struct thread_block), align);
    char* variables = (char*)(pointer - ((tls.len + tls.align - 1) & ~(tls.align - 1)));
    for (size_t i = 0; i < tls.image_len; i++) {
        variables[i] = ((const char*)tls.image)[i];
    }
    uintptr_t canary;
    zx_cprng_draw(&canary, sizeof(canary));
    struct thread_block* block = (struct thread_block*)pointer;
    *block = (struct thread_block){.self = block, .canary = canary, .canary_copy = canary};
    zx_status_t status =
        zx_object_set_property(zx_thread_self(), ZX_PROP_REGISTER_FS, &pointer, sizeof(pointer));
    return status == ZX_OK ? nullptr : "cannot set the thread pointer";
}

// ---- the way in ----

// Not inlined into crt0_start: everything here may rely on applied relocations.
[[noreturn, gnu::noinline]] static void run(zx_handle_t bootstrap, const void* vdso) {
    const char* problem = read_message(bootstrap);
    if (problem == nullptr) {
        problem = set_thread_pointer();
    }
    if (problem != nullptr) {
        fail(vdso, problem, "");
    }
    int code = main((int)startup.args->args.count, (char**)startup.argv, (char**)startup.envp);
    if (exit != nullptr) {
        exit(code);
    }
    zx_process_exit(code);
    __builtin_trap();
}

void crt0_start(zx_handle_t bootstrap, const void* vdso) {
    const char* unresolved = crt0_relocate(vdso);
    if (unresolved != nullptr) {
        fail(vdso, "unresolved symbol ", unresolved);
    }
    run(bootstrap, vdso);
}
