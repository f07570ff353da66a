// Between the parts of crt0.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// Applies the program's own relocations and binds its undefined symbols to the vDSO at `vdso`.
// Null: done; else the name of a symbol that the vDSO does not have, or of what else was wrong.
const char* crt0_relocate(const void* vdso);
// The address of a vDSO function by name, before anything is bound. Null: none.
void* crt0_vdso_symbol(const void* vdso, const char* name);

// The initial thread-local image of the program (PT_TLS); len 0: none.
struct crt0_tls {
    const void* image;
    size_t image_len, len, align;
};
struct crt0_tls crt0_find_tls(void);

[[noreturn]] void crt0_start(zx_handle_t bootstrap, const void* vdso);

// The C library's end of a program, if there is a C library.
[[noreturn, gnu::weak]] void exit(int code);

int main(int argc, char** argv, char** envp);
