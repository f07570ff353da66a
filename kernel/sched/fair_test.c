// Host test of the fairness arithmetic: shares by weight, wrapping, placement, preemption.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fair.h"

static void weights_are_steps_of_a_quarter(void** state) {
    (void)state;
    assert_int_equal(fair_weight(16), 1024);
    for (uint32_t p = 1; p < FAIR_PRIORITY_COUNT; p++) {
        uint32_t ratio = fair_weight(p) * 1000 / fair_weight(p - 1);
        assert_in_range(ratio, 1220, 1280);
    }
    assert_int_equal(fair_weight(31), fair_weight(FAIR_PRIORITY_COUNT - 1));
}

static void virtual_time_is_scaled_and_bounded(void** state) {
    (void)state;
    assert_int_equal(fair_virtual(1'000'000, fair_inverse_weight(16)), 1'000'000);
    assert_true(fair_virtual(1'000'000, fair_inverse_weight(20)) < 1'000'000);
    assert_true(fair_virtual(1'000'000, fair_inverse_weight(10)) > 1'000'000);
    assert_int_equal(fair_virtual(1'000'000, fair_inverse_weight(24)), 0);
    // A week on one CPU does not overflow, whatever the weight.
    assert_int_equal(fair_virtual(604'800'000'000'000, fair_inverse_weight(0)),
                     fair_virtual((uint64_t)1 << 36, fair_inverse_weight(0)));
}

static void order_survives_wrapping(void** state) {
    (void)state;
    assert_true(fair_before(UINT64_MAX - 5, 5));
    assert_false(fair_before(5, UINT64_MAX - 5));
    assert_int_equal(fair_later(UINT64_MAX - 5, 5), 5);
}

static void sleepers_get_bounded_credit(void** state) {
    (void)state;
    uint64_t min = 1'000'000'000;
    assert_int_equal(fair_place(0, min, FAIR_CREDIT_NS), min - FAIR_CREDIT_NS);
    assert_int_equal(fair_place(min + 7, min, FAIR_CREDIT_NS), min + 7);
    assert_int_equal(fair_place(min - 1, min, FAIR_CREDIT_NS), min - 1);
    // Also across the wrap.
    assert_int_equal(fair_place(UINT64_MAX / 2 + 100, 50, FAIR_CREDIT_NS), 50 - FAIR_CREDIT_NS);
}

static void preemption_needs_a_margin(void** state) {
    (void)state;
    assert_false(fair_preempts(1'000'000, 1'000'000, FAIR_GRANULARITY_NS));
    assert_false(fair_preempts(1'000'000, 1'000'000 + FAIR_GRANULARITY_NS, FAIR_GRANULARITY_NS));
    assert_true(fair_preempts(1'000'000, 1'000'001 + FAIR_GRANULARITY_NS, FAIR_GRANULARITY_NS));
}

// Simulates one CPU: whoever has the least virtual time runs one slice. Shares must follow the
// weights.
static void shares_follow_weights(void** state) {
    (void)state;
    const uint32_t priorities[] = {16, 16, 19, 12, 23, 0};
    enum { COUNT = sizeof(priorities) / sizeof(priorities[0]) };
    uint64_t v[COUNT] = {}, ran[COUNT] = {}, total_weight = 0;
    for (int i = 0; i < COUNT; i++) {
        v[i] = UINT64_MAX - 10'000'000; // wraps early on
        total_weight += fair_weight(priorities[i]);
    }
    const uint64_t slices = 200'000;
    for (uint64_t s = 0; s < slices; s++) {
        int best = 0;
        for (int i = 1; i < COUNT; i++) {
            if (fair_before(v[i], v[best])) {
                best = i;
            }
        }
        v[best] += fair_virtual(FAIR_SLICE_NS, fair_inverse_weight(priorities[best]));
        ran[best]++;
    }
    for (int i = 0; i < COUNT; i++) {
        double share = (double)ran[i] / (double)slices;
        double want = (double)fair_weight(priorities[i]) / (double)total_weight;
        assert_true(share > want * 0.98 && share < want * 1.02);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_steps_of_a_quarter),
        cmocka_unit_test(virtual_time_is_scaled_and_bounded),
        cmocka_unit_test(order_survives_wrapping),
        cmocka_unit_test(sleepers_get_bounded_credit),
        cmocka_unit_test(preemption_needs_a_margin),
        cmocka_unit_test(shares_follow_weights),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
