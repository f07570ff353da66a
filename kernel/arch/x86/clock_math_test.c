// Host test of the tick clock's arithmetic, against 128-bit and long double arithmetic.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock_math.h"

static const uint64_t frequencies[] = {1,
                                       32'768,
                                       1'193'182,
                                       3'579'545,
                                       100'000'000,
                                       999'999'999,
                                       1'000'000'000,
                                       1'000'000'001,
                                       2'100'000'000,
                                       2'999'999'999,
                                       5'700'123'457};

static uint64_t random64(void) {
    return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

static void ratio_is_precise(void** state) {
    (void)state;
    for (size_t i = 0; i < sizeof(frequencies) / sizeof(frequencies[0]); i++) {
        const uint64_t hz = frequencies[i];
        const struct clock_ratio r = clock_ratio_from_hz(hz);
        if (hz >= 1'000'000) {
            assert_true(r.mult >= 1u << 29); // at least 29 significant bits
            const uint64_t hour = hz * 3600;
            const uint64_t ns = clock_ticks_to_ns(hour, r);
            const uint64_t exact = UINT64_C(3'600'000'000'000);
            const uint64_t error = ns > exact ? ns - exact : exact - ns;
            assert_true(error <= exact >> 29);
        }
    }
}

static void there_and_back(void** state) {
    (void)state;
    srandom(1);
    for (size_t i = 0; i < sizeof(frequencies) / sizeof(frequencies[0]); i++) {
        const struct clock_ratio r = clock_ratio_from_hz(frequencies[i]);
        for (int n = 0; n < 10'000; n++) {
            const uint64_t ns = random64() >> (random() % 63);
            const uint64_t ticks = clock_ticks_from_ns(ns, r);
            if (ticks == UINT64_MAX) {
                // Only when the product really does not fit.
                assert_true(((unsigned __int128)UINT64_MAX * r.mult >> r.shift) <= ns);
                continue;
            }
            assert_true((unsigned __int128)ticks * r.mult >> r.shift >= ns);
            assert_true(ticks == 0 ||
                        (unsigned __int128)(ticks - 1) * r.mult < (unsigned __int128)ns << r.shift);
        }
    }
}

static void measured(void** state) {
    (void)state;
    assert_int_equal(clock_hz_measured(1'500'000, 500, 1'000'000), 3'000'000'000);
    assert_int_equal(clock_hz_measured(0, 500, 1'000'000), 0);
    assert_int_equal(clock_hz_measured(1'500'000, 0, 1'000'000), 0);
    assert_int_equal(clock_hz_measured(UINT64_MAX, 500, 1'000'000), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratio_is_precise),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(measured),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
