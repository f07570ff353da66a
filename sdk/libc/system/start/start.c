// From the first instruction of a static program to musl's __libc_start_main.
//
// _start (rcrt1.S) brings the bootstrap channel and the vDSO's address. Here the program relocates
// itself (sdk/lib/crt0), reads its message, gets a first thread control block, and lays out
// arguments, environment and auxiliary vector as musl expects them. musl then makes the real
// thread control block, which takes over what is in the first, and calls libc_start_modules().
//
// Compiled without stack protector: %fs is 0 until start_set_thread_pointer().
#include <libc/start.h>

#include <crt0/crt0.h>
#include <crt0/elf64.h>
#include <crt0/message.h>
#include <zircon/limits.h>
#include <zircon/syscalls.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

// What a program (of the SDK) is linked for: a page that nobody has to write any more once it is
// relocated cannot be.
static const char* protect_relocated(uintptr_t base, const struct start_program* program) {
    const Elf64_Phdr* headers = (const Elf64_Phdr*)program->headers;
    for (size_t i = 0; i < program->header_count; i++) {
        const Elf64_Phdr* h = &headers[i];
        if (h->p_type == PT_GNU_RELRO) {
            constexpr uint64_t whole_pages = ~(uint64_t)(ZX_MIN_PAGE_SIZE - 1);
            uint64_t from = h->p_vaddr & whole_pages;
            uint64_t to = (h->p_vaddr + h->p_memsz) & whole_pages;
            zx_status_t status = from < to ? zx_vmar_protect(crt0_vmar_loaded(), ZX_VM_PERM_READ,
                                                             base + from, (size_t)(to - from))
                                           : ZX_OK;
            return status == ZX_OK ? nullptr : "cannot protect what is relocated";
        }
    }
    return nullptr;
}

// Not inlined into __jx_start: everything here may rely on applied relocations.
[[noreturn, gnu::noinline]] static void run(zx_handle_t bootstrap, const void* vdso,
                                            libc_main_t* main_function) {
    uintptr_t base = (uintptr_t)&__ehdr_start;
    struct start_program program = {.headers = base + __ehdr_start.e_phoff,
                                    .header_count = __ehdr_start.e_phnum,
                                    .entry = base + __ehdr_start.e_entry};
    const char* problem = nullptr;
    const struct processargs* message = crt0_message_read(bootstrap, &problem);
    if (message != nullptr) {
        problem = protect_relocated(base, &program);
    }
    size_t* words = nullptr;
    if (problem == nullptr) {
        words = start_lay_out(message, &program, vdso, &problem);
    }
    if (words != nullptr) {
        problem = start_set_thread_pointer();
    }
    if (problem != nullptr) {
        start_fail(vdso, problem, "");
    }
    (void)__libc_start_main(main_function, (int)words[0], (char**)(words + 1), nullptr, nullptr,
                            nullptr);
    __builtin_trap();
}

void __jx_start(zx_handle_t bootstrap, const void* vdso, libc_main_t* main_function) {
    const char* unresolved = crt0_relocate(vdso);
    if (unresolved != nullptr) {
        start_fail(vdso, "unresolved symbol ", unresolved);
    }
    run(bootstrap, vdso, main_function);
}
