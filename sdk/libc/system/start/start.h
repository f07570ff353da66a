// Between the start object, the start code and musl's.
#pragma once

#include <zircon/types.h>

struct thread_block;

typedef int libc_main_t(int argc, char** argv, char** envp);

// What _start calls.
[[noreturn]] void __jx_start(zx_handle_t bootstrap, const void* vdso, libc_main_t* main_function);

// musl's; calls main() and exit().
int __libc_start_main(libc_main_t* main_function, int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void));

// musl calls these (sdk/libc/overlay/src/env, src/thread). The first makes `next` the calling
// thread's control block, with all that the system layer keeps in the old one; 0, or an errno
// negated. The second runs when that is done, before constructors.
int thread_block_adopt(struct thread_block* next);
void libc_start_modules(void);
