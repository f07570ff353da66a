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

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

// Not inlined into __jx_start: everything here may rely on applied relocations.
[[noreturn, gnu::noinline]] static void run(zx_handle_t bootstrap, const void* vdso,
                                            libc_main_t* main_function) {
    uintptr_t base = (uintptr_t)&__ehdr_start;
    struct start_program program = {.headers = base + __ehdr_start.e_phoff,
                                    .header_count = __ehdr_start.e_phnum,
                                    .entry = base + __ehdr_start.e_entry};
    const char* problem = nullptr;
    const struct processargs* message = crt0_message_read(bootstrap, &problem);
    size_t* words = nullptr;
    if (message != nullptr) {
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
