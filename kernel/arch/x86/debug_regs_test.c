// Host test of what user mode may have in its debug registers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "debug_regs.h"

static uint64_t armed(uint32_t i, enum debug_condition on, uint32_t length) {
    return 1ull << (2 * i) | (uint64_t)on << (16 + 4 * i) | (uint64_t)length << (18 + 4 * i);
}

static void addresses(void**) {
    static const uint64_t bad[] = {USER_HALF_END, KERNEL_HALF_BASE, UINT64_MAX,
                                   UINT64_C(0x8000000000000000)};
    for (uint32_t i = 0; i < DEBUG_REGS; i++) {
        uint64_t dr[DEBUG_REGS] = {0, 0x201000, USER_HALF_END - 1, 7};
        assert_true(x86_debug_regs_ok(dr, 0));
        for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
            dr[i] = bad[b];
            assert_false(x86_debug_regs_ok(dr, 0)); // armed later, by a smaller write, say
            assert_false(x86_debug_regs_ok(dr, armed(i, DEBUG_WRITE, 3)));
        }
    }
}

static void conditions(void**) {
    const uint64_t dr[DEBUG_REGS] = {0x201000, 0x201000, 0x201000, 0x201000};
    for (uint32_t i = 0; i < DEBUG_REGS; i++) {
        for (uint32_t length = 0; length < 4; length++) {
            assert_true(x86_debug_regs_ok(dr, armed(i, DEBUG_WRITE, length)));
            assert_true(x86_debug_regs_ok(dr, armed(i, DEBUG_ACCESS, length)));
            assert_false(x86_debug_regs_ok(dr, armed(i, DEBUG_IO, length)));
            assert_int_equal(x86_debug_regs_ok(dr, armed(i, DEBUG_EXECUTE, length)), length == 0);
            // One that is not armed may say what it likes.
            assert_true(x86_debug_regs_ok(dr, armed(i, DEBUG_IO, length) & ~(3ull << (2 * i))));
        }
    }
}

static void execution(void**) {
    const uint64_t dr7 = armed(0, DEBUG_EXECUTE, 0) | armed(1, DEBUG_WRITE, 0);
    assert_true(x86_debug_hit_execution(dr7, 1));
    assert_true(x86_debug_hit_execution(dr7, 3));
    assert_false(x86_debug_hit_execution(dr7, 2));
    assert_false(x86_debug_hit_execution(dr7, 0x4000)); // a single step
    assert_false(x86_debug_hit_execution(dr7, 4));      // not armed
}

static void masks(void**) {
    assert_int_equal(DR7_USER & 1u << 13, 0); // general detect
    assert_int_equal(DR7_USER & DR7_FIXED, 0);
    assert_int_equal(DR6_USER & DR6_FIXED, 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(conditions),
        cmocka_unit_test(execution),
        cmocka_unit_test(masks),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
