// The assembly that returns twice: registers, the frame, the return address, nesting. Child and
// parent are the same thread with another word in a variable: what vfork() does besides is not
// here.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vfork_context.h"

int vfork(void) __attribute__((returns_twice));
[[noreturn]] void vfork_return(const struct vfork_context* context, long result);
long vfork_enter(const struct vfork_context* context);
long __syscall_ret(unsigned long result);

static struct vfork_context stack[8];
static int depth;

long vfork_enter(const struct vfork_context* context) {
    assert_true(depth < 8);
    assert_int_equal((uintptr_t)context % 8, 0);
    assert_int_equal(context->rsp % 16, 0); // as in any function before a call
    stack[depth++] = *context;
    return 0;
}

long __syscall_ret(unsigned long result) {
    return (long)result;
}

// As exec() and _exit() do, from any depth.
[[noreturn]] static void leave(int result) {
    struct vfork_context context = stack[--depth];
    vfork_return(&context, result);
}

// Writes over everything below the caller's frame, and over the registers.
[[gnu::noinline]] static int wreck(int levels) {
    volatile char junk[512];
    for (size_t i = 0; i < sizeof(junk); i++) {
        junk[i] = (char)(i ^ 0xa5);
    }
    __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15", "memory");
    return levels == 0 ? junk[7] : wreck(levels - 1) + junk[9];
}

[[noreturn]] static void leave_from_below(int levels, int result) {
    volatile int sum = wreck(8);
    (void)sum;
    if (levels > 0) {
        leave_from_below(levels - 1, result);
    }
    __asm__ volatile("xor %%ebx, %%ebx; xor %%r12d, %%r12d; xor %%r13d, %%r13d;"
                     "xor %%r14d, %%r14d; xor %%r15d, %%r15d" ::
                         : "rbx", "r12", "r13", "r14", "r15");
    leave(result);
}

static void returns_twice(void**) {
    volatile int rounds = 0;
    volatile int child_wrote = 0;
    int pid = vfork();
    rounds = rounds + 1;
    if (pid == 0) {
        assert_int_equal(rounds, 1);
        child_wrote = 77;
        leave_from_below(5, 4711);
    }
    assert_int_equal(pid, 4711);
    assert_int_equal(rounds, 2);
    assert_int_equal(child_wrote, 77); // one memory
    assert_int_equal(depth, 0);
}

// Six values that live in callee-saved registers and in the frame across both returns.
[[gnu::noinline]] static uint64_t keep(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                                       uint64_t f, int result) {
    uint64_t x = a * 3, y = b * 5, z = c * 7;
    int pid = vfork();
    if (pid == 0) {
        (void)wreck(3);
        leave_from_below(2, result);
    }
    return x + y * 2 + z * 3 + d * 4 + e * 5 + f * 6 + (uint64_t)pid;
}

static void registers_and_frame_are_kept(void**) {
    for (uint64_t i = 1; i < 2000; i++) {
        uint64_t expected =
            i * 3 + (i + 1) * 5 * 2 + (i + 2) * 7 * 3 + (i + 3) * 4 + (i + 4) * 5 + (i + 5) * 6 + i;
        assert_int_equal(keep(i, i + 1, i + 2, i + 3, i + 4, i + 5, (int)i), expected);
    }
}

static void nested(void**) {
    volatile int order[4] = {};
    volatile int at = 0;
    int outer = vfork();
    if (outer == 0) {
        int inner = vfork();
        if (inner == 0) {
            order[at] = 1;
            at = at + 1;
            leave_from_below(3, 100);
        }
        assert_int_equal(inner, 100);
        assert_int_equal(depth, 1);
        order[at] = 2;
        at = at + 1;
        leave_from_below(1, 200);
    }
    assert_int_equal(outer, 200);
    assert_int_equal(at, 2);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
}

static void control_words_come_back(void**) {
    uint32_t mxcsr = __builtin_ia32_stmxcsr();
    uint16_t fcw;
    __asm__ volatile("fnstcw %0" : "=m"(fcw));
    if (vfork() == 0) {
        __builtin_ia32_ldmxcsr(mxcsr ^ 0x6000); // another rounding
        uint16_t other = fcw ^ 0x0c00;
        __asm__ volatile("fldcw %0" ::"m"(other));
        leave(1);
    }
    uint16_t now;
    __asm__ volatile("fnstcw %0" : "=m"(now));
    assert_int_equal(__builtin_ia32_stmxcsr(), mxcsr);
    assert_int_equal(now, fcw);
}

static void in_a_loop(void**) {
    volatile uint64_t sum = 0;
    for (int i = 1; i <= 10'000; i++) {
        int pid = vfork();
        if (pid == 0) {
            leave_from_below(i % 4, i);
        }
        sum = sum + (uint64_t)pid;
    }
    assert_int_equal(sum, (uint64_t)10'000 * 10'001 / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returns_twice), cmocka_unit_test(registers_and_frame_are_kept),
        cmocka_unit_test(nested),        cmocka_unit_test(control_words_come_back),
        cmocka_unit_test(in_a_loop),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
