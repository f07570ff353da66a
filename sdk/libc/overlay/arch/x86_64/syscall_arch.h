// Takes the place of musl's file of this name: where the C library asks the system for something.
//
// musl was written for a kernel that takes a number and up to six words by one instruction. Here
// that instruction is legal only in the vDSO, and there are other calls; so the number is no system
// call any more but the name of an operation of the system layer (sdk/libc/README.md), and the
// operation is a function. It answers as musl expects: a result, or an errno negated.
//
// All callers but syscall() pass a number that the compiler knows after inlining: the switch folds
// away and a call of one function is left. What has no line in operations.def folds to -ENOSYS.
//
// Names and signatures are musl's. src/internal/syscall.h includes this, after the numbers and
// <errno.h>, and puts casts around them.
#pragma once

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

// The layout of System V IPC structures, which musl asks for; there are no such objects here.
#define IPC_64 0

#define JX_HIDDEN __attribute__((visibility("hidden")))
#define JX_INLINE static inline __attribute__((always_inline))

#define JX_PARAMETERS0 void
#define JX_PARAMETERS1 long
#define JX_PARAMETERS2 long, long
#define JX_PARAMETERS3 long, long, long
#define JX_PARAMETERS4 long, long, long, long
#define JX_PARAMETERS5 long, long, long, long, long
#define JX_PARAMETERS6 long, long, long, long, long, long
#define JX_WORDS0
#define JX_WORDS1 a
#define JX_WORDS2 a, b
#define JX_WORDS3 a, b, c
#define JX_WORDS4 a, b, c, d
#define JX_WORDS5 a, b, c, d, e
#define JX_WORDS6 a, b, c, d, e, f

#define OPERATION(name, words, ...) JX_HIDDEN long sys_##name(JX_PARAMETERS##words);
#include <libc/operations.def>
#undef OPERATION

// The thread is inside of the system layer from here to there: nothing interrupts it by changing
// its registers (signal/inject.c). The count is the first word of the thread's record, whose
// address is at %fs:0x30 (<libc/thread_block.h>).
JX_INLINE void jx_go_inside(void) {
    long record;
    __asm__ volatile("mov %%fs:0x30, %0\n\tincl (%0)" : "=&r"(record) : : "memory", "cc");
}

JX_INLINE void jx_go_outside(void) {
    long record;
    __asm__ volatile("mov %%fs:0x30, %0\n\tdecl (%0)" : "=&r"(record) : : "memory", "cc");
}

// The same by a table, for numbers that only syscall() knows.
JX_HIDDEN long __jx_syscall(long number, long a, long b, long c, long d, long e, long f);

JX_INLINE long __syscall6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    if (!__builtin_constant_p(number)) {
        jx_go_inside();
        result = __jx_syscall(number, a, b, c, d, e, f);
        jx_go_outside();
        return result;
    }
    switch (number) {
#define OPERATION(name, words, ...)           \
    case SYS_##name:                          \
        jx_go_inside();                       \
        result = sys_##name(JX_WORDS##words); \
        jx_go_outside();                      \
        return result;
#include <libc/operations.def>
#undef OPERATION
    default:
        return -ENOSYS;
    }
}

JX_INLINE long __syscall0(long number) {
    return __syscall6(number, 0, 0, 0, 0, 0, 0);
}

JX_INLINE long __syscall1(long number, long a) {
    return __syscall6(number, a, 0, 0, 0, 0, 0);
}

JX_INLINE long __syscall2(long number, long a, long b) {
    return __syscall6(number, a, b, 0, 0, 0, 0);
}

JX_INLINE long __syscall3(long number, long a, long b, long c) {
    return __syscall6(number, a, b, c, 0, 0, 0);
}

JX_INLINE long __syscall4(long number, long a, long b, long c, long d) {
    return __syscall6(number, a, b, c, d, 0, 0);
}

JX_INLINE long __syscall5(long number, long a, long b, long c, long d, long e) {
    return __syscall6(number, a, b, c, d, e, 0);
}
