// Takes the place of musl's file of this name: where the C library asks the system for something.
//
// musl was written for a kernel that takes a number and up to six words by one instruction. Here
// that instruction is legal only in the vDSO, and there are other calls; so the number is no system
// call any more but the name of an operation of the system layer (docs/design/libc.md), which is
// called like any function. It answers as musl expects: a result, or an errno negated.
//
// One function with a number, not one per operation: this file is read by nearly every source of
// musl, and `(__syscall_cp)` and `syscall()` pass numbers that no compiler knows.
//
// The compiler must see that memory may change; an external function says as much. Names and
// signatures are musl's (src/internal/syscall.h puts casts around them).
#pragma once

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

// The layout of System V IPC structures, which musl asks for; there are no such objects here.
#define IPC_64 0

// Always: whoever reads the compiled code finds the numbers where the calls are.
#define JX_INLINE static inline __attribute__((always_inline))

__attribute__((visibility("hidden"))) long __jx_syscall(long number, long a, long b, long c, long d,
                                                        long e, long f);

JX_INLINE long __syscall0(long number) {
    return __jx_syscall(number, 0, 0, 0, 0, 0, 0);
}

JX_INLINE long __syscall1(long number, long a) {
    return __jx_syscall(number, a, 0, 0, 0, 0, 0);
}

JX_INLINE long __syscall2(long number, long a, long b) {
    return __jx_syscall(number, a, b, 0, 0, 0, 0);
}

JX_INLINE long __syscall3(long number, long a, long b, long c) {
    return __jx_syscall(number, a, b, c, 0, 0, 0);
}

JX_INLINE long __syscall4(long number, long a, long b, long c, long d) {
    return __jx_syscall(number, a, b, c, d, 0, 0);
}

JX_INLINE long __syscall5(long number, long a, long b, long c, long d, long e) {
    return __jx_syscall(number, a, b, c, d, e, 0);
}

JX_INLINE long __syscall6(long number, long a, long b, long c, long d, long e, long f) {
    return __jx_syscall(number, a, b, c, d, e, f);
}
