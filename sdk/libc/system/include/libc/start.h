// Between the two ways in (a static program, the dynamic linker), the code that they share, and
// musl's.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

struct processargs;
struct thread_block;

typedef int libc_main_t(int argc, char** argv, char** envp);

// What _start of a static program calls.
[[noreturn]] void __jx_start(zx_handle_t bootstrap, const void* vdso, libc_main_t* main_function);

// musl's; calls main() and exit().
int __libc_start_main(libc_main_t* main_function, int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void));

// musl calls these (sdk/libc/overlay/src/env, src/thread; dynlink.patch). The first makes `next`
// the calling thread's control block, with all that the system layer keeps in the old one; 0, or an
// errno negated. The second runs when that is done, before constructors; only once.
int thread_block_adopt(struct thread_block* next);
void libc_start_modules(void);

// ---- shared by the ways in ----

// Ends the process. Nothing need be bound yet, and there need be no thread control block.
[[noreturn]] void start_fail(const void* vdso, const char* what, const char* name);

// Gives the first thread a control block; musl makes the real one. Null, or what went wrong.
const char* start_set_thread_pointer(void);

struct start_program {
    uintptr_t headers; // address of its program headers
    size_t header_count;
    uintptr_t entry;
    uintptr_t linker; // where the dynamic linker lies; 0: there is none
};
// Lays out argc, argv, null, environ, null, auxiliary vector, one word each, as musl expects them.
// Null: *problem says why not.
size_t* start_lay_out(const struct processargs* message, const struct start_program* program,
                      const void* vdso, const char** problem);
