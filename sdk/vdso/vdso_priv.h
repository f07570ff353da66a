// Private to the vDSO's code. Rules that the build checks (tools/syscallgen/vdso_image.py): no
// relocations, no writable data, no calls to anything outside; and that nobody can check: no stack
// protector, no TLS, because %fs may be anything when these functions run.
#pragma once

#include <vdso/constants.h>

#pragma GCC visibility push(default)
#include <zircon/syscalls.h>
#pragma GCC visibility pop

#include <internal.h> // generated: the syscall_* stubs that have no public name

extern const struct vdso_constants vdso_constants __attribute__((visibility("hidden")));

// The second public name of a call, after _zx_NAME: zx_NAME, which a program may define itself.
#define VDSO_FUNCTION(name) \
    extern __typeof(_zx_##name) zx_##name __attribute__((weak, alias("_zx_" #name)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
