// Takes the place of musl's file: there are no other user's programs, whose standard descriptors
// must be open whatever the caller did; and the modules of the system layer start between the
// thread control block and the constructors.
#include <elf.h>
#include <unistd.h>
#include "libc.h"
#include "pthread_impl.h"

hidden void libc_start_modules(void);

static void nothing(void) {}
weak_alias(nothing, _init);

extern weak hidden void (*const __init_array_start)(void), (*const __init_array_end)(void);

#define AUX_COUNT 38

// Not inlined: its frame is no part of the program's stack afterwards.
__attribute__((noinline)) void __init_libc(char** envp, char* name) {
    size_t aux[AUX_COUNT] = {0};
    char** p = envp;
    while (*p) {
        p++;
    }
    __environ = envp;
    libc.auxv = (size_t*)(p + 1);
    for (size_t* pair = libc.auxv; pair[0]; pair += 2) {
        if (pair[0] < AUX_COUNT) {
            aux[pair[0]] = pair[1];
        }
    }
    __hwcap = aux[AT_HWCAP];
    libc.page_size = aux[AT_PAGESZ];

    if (!name) {
        name = aux[AT_EXECFN] ? (char*)aux[AT_EXECFN] : "";
    }
    __progname = __progname_full = name;
    for (char* c = name; *c; c++) {
        if (*c == '/') {
            __progname = c + 1;
        }
    }

    __init_tls(aux);
    libc_start_modules();
}

static void run_constructors(void) {
    _init();
    uintptr_t end = (uintptr_t)&__init_array_end;
    for (uintptr_t at = (uintptr_t)&__init_array_start; at < end; at += sizeof(void (*)(void))) {
        (*(void (**)(void))at)();
    }
}
weak_alias(run_constructors, __libc_start_init);

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void)) {
    (void)init, (void)fini, (void)rtld_fini;
    char** envp = argv + argc + 1;
    __init_libc(envp, argv[0]);
    __libc_start_init();
    exit(main(argc, argv, envp));
}
