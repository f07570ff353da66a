// Lines of clocks: exactness, rounding, the ends of time, ratios.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock_line.h"

static void exact_against_wide_arithmetic(void**) {
    static const int64_t distances[] = {0,
                                        1,
                                        -1,
                                        999'999,
                                        -999'999,
                                        1'000'000,
                                        -1'000'000,
                                        123'456'789'012'345,
                                        -98'765'432'109'876};
    for (int32_t ppm = -1000; ppm <= 1000; ppm += 37) {
        for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
            struct clock_line l = {.reference = 77, .value = -5, .ppm = ppm};
            __int128 scaled = (__int128)distances[i] * (1'000'000 + ppm);
            __int128 down = scaled / 1'000'000 - (scaled % 1'000'000 < 0);
            assert_int_equal(clock_line_at(&l, 77 + distances[i]), (int64_t)(down - 5));
        }
    }
}

static void stays_within_the_ends_of_time(void**) {
    struct clock_line l = {.reference = -10, .value = INT64_MAX - 5, .ppm = 1000};
    assert_true(clock_line_at(&l, INT64_MAX) == INT64_MAX);
    assert_true(clock_line_at(&l, 100) == INT64_MAX);
    l = (struct clock_line){.reference = INT64_MAX, .value = INT64_MIN + 5, .ppm = -1000};
    assert_true(clock_line_at(&l, INT64_MIN) == INT64_MIN);
    assert_true(clock_line_at(&l, INT64_MAX) == INT64_MIN + 5);
}

static void ratios_in_lowest_terms(void**) {
    struct clock_line l = {.ppm = 0};
    zx_clock_rate_t r = clock_line_rate(&l);
    assert_int_equal(r.synthetic_ticks, 1);
    assert_int_equal(r.reference_ticks, 1);
    l.ppm = -1000;
    r = clock_line_rate(&l);
    assert_int_equal(r.synthetic_ticks, 999);
    assert_int_equal(r.reference_ticks, 1000);
    l.ppm = 0;
    r = clock_line_tick_rate(&l, 2'000'000'000);
    assert_int_equal(r.synthetic_ticks, 1);
    assert_int_equal(r.reference_ticks, 2);
    // No ratio of 32-bit numbers: within 1 in 10^8 of the truth.
    l.ppm = 7;
    r = clock_line_tick_rate(&l, 2'999'999'977);
    double truth = 1.000007e9 / 2'999'999'977.0;
    double got = (double)r.synthetic_ticks / (double)r.reference_ticks;
    assert_true(got / truth > 1 - 1e-8 && got / truth < 1 + 1e-8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_against_wide_arithmetic),
        cmocka_unit_test(stays_within_the_ends_of_time),
        cmocka_unit_test(ratios_in_lowest_terms),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
