// Small compiler vocabulary of the public headers.
//
// The headers below <zircon/> are read by C99 to C23 and C++17, in the kernel, in user mode and on
// the host, so they may use nothing that one of these lacks; what only compilers have (static
// assertions in C99, members without a name, arrays without a length in C++) stands behind
// __extension__, so that -Wpedantic has nothing to say (dialects_test.py). ZX_ABI_SIZE and
// ZX_ABI_OFFSET pin the binary layout of every structure that crosses the system call boundary: a
// change of layout does not compile.
#pragma once

#ifdef __cplusplus
#define __BEGIN_CDECLS               extern "C" {
#define __END_CDECLS                 }
#define ZX_STATIC_ASSERT(cond, text) static_assert(cond, text)
#else
#define __BEGIN_CDECLS
#define __END_CDECLS
#define ZX_STATIC_ASSERT(cond, text) __extension__ _Static_assert(cond, text)
#endif

#define ZX_ABI_SIZE(type, bytes) ZX_STATIC_ASSERT(sizeof(type) == (bytes), "size of " #type)
#define ZX_ABI_OFFSET(type, member, bytes) \
    ZX_STATIC_ASSERT(__builtin_offsetof(type, member) == (bytes), "offset of " #type "." #member)

#ifndef __NO_RETURN
#define __NO_RETURN __attribute__((noreturn))
#endif
#ifndef __CONST
#define __CONST __attribute__((const))
#endif
#ifndef __LEAF_FN
#define __LEAF_FN __attribute__((leaf))
#endif
#ifndef __ALIGNED
#define __ALIGNED(n) __attribute__((aligned(n)))
#endif
#ifndef __PACKED
#define __PACKED __attribute__((packed))
#endif
#ifndef __WEAK
#define __WEAK __attribute__((weak))
#endif
#ifndef __UNUSED
#define __UNUSED __attribute__((unused))
#endif
#ifndef __EXPORT
#define __EXPORT __attribute__((visibility("default")))
#endif
