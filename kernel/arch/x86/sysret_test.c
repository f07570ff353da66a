// Host test of the SYSRET predicate: an ordinary frame passes; each single deviation that would be
// a hazard does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sysret.h"

static struct arch_user_frame good(void) {
    return (struct arch_user_frame){.r11 = 0x202,
                                    .rcx = 0x201000,
                                    .rip = 0x201000,
                                    .cs = X86_USER_CS,
                                    .rflags = 0x202,
                                    .rsp = 0x7000,
                                    .ss = X86_USER_DS};
}

static void ordinary_frame(void** state) {
    (void)state;
    struct arch_user_frame f = good();
    assert_true(x86_sysret_ok(&f));
    f.rflags = f.r11 =
        0x202 | 0xcd5 | 1u << 14 | 1u << 18 | 1u << 21; // arithmetic flags, DF, NT, AC, ID
    assert_true(x86_sysret_ok(&f));
    f.rsp = UINT64_C(0x8000000000000000); // the stack pointer is the user's business
    assert_true(x86_sysret_ok(&f));
}

static void addresses(void** state) {
    (void)state;
    static const uint64_t bad[] = {
        USER_HALF_END,    USER_HALF_END + 1,    UINT64_C(0x8000000000000000),
        KERNEL_HALF_BASE, KERNEL_HALF_BASE - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arch_user_frame f = good();
        f.rip = f.rcx = bad[i];
        assert_false(x86_sysret_ok(&f));
    }
    struct arch_user_frame f = good();
    f.rip = f.rcx = USER_HALF_END - 1;
    assert_true(x86_sysret_ok(&f));
    // Every single bit from 47 up makes the address unusable.
    for (unsigned b = 0; b < 64; b++) {
        f = good();
        f.rip = f.rcx = UINT64_C(1) << b;
        assert_int_equal(x86_sysret_ok(&f), b < 47);
    }
}

static void registers_must_agree(void** state) {
    (void)state;
    struct arch_user_frame f = good();
    f.rcx++;
    assert_false(x86_sysret_ok(&f));
    f = good();
    f.r11 ^= 1;
    assert_false(x86_sysret_ok(&f));
    f = good();
    f.cs = X86_KERNEL_CS;
    assert_false(x86_sysret_ok(&f));
    f = good();
    f.ss = 0;
    assert_false(x86_sysret_ok(&f));
}

static void flags(void** state) {
    (void)state;
    // TF, IOPL (2 bits), RF, VM, VIF, VIP, and everything reserved above ID; IF and bit 1 must be
    // set.
    for (unsigned b = 0; b < 64; b++) {
        const uint64_t one = UINT64_C(1) << b;
        const bool harmless = (one & 0xcd5) != 0 || b == 14 || b == 18 || b == 21;
        struct arch_user_frame f = good();
        f.rflags ^= one;
        f.r11 = f.rflags;
        assert_int_equal(x86_sysret_ok(&f), harmless);
    }
}

static void canonical(void** state) {
    (void)state;
    assert_true(x86_canonical(0));
    assert_true(x86_canonical(USER_HALF_END - 1));
    assert_false(x86_canonical(USER_HALF_END));
    assert_false(x86_canonical(KERNEL_HALF_BASE - 1));
    assert_true(x86_canonical(KERNEL_HALF_BASE));
    assert_true(x86_canonical(UINT64_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_frame),
        cmocka_unit_test(addresses),
        cmocka_unit_test(registers_must_agree),
        cmocka_unit_test(flags),
        cmocka_unit_test(canonical),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
