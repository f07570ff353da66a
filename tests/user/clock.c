// Clock objects and counters.
#include <utest/utest.h>

#include <zircon/syscalls/clock.h>

GROUP("clock");

static zx_time_t now_of(zx_handle_t clock) {
    zx_time_t now;
    EXPECT_OK(zx_clock_read(clock, &now));
    return now;
}

CASE(create_and_start) {
    zx_handle_t clock;
    zx_clock_create_args_v1_t args = {.backstop_time = 5000};
    EXPECT_OK(zx_clock_create(ZX_CLOCK_ARGS_VERSION(1), &args, &clock));
    EXPECT_EQ(utest_basic(clock).rights, ZX_DEFAULT_CLOCK_RIGHTS);
    EXPECT_EQ(now_of(clock), 5000);
    EXPECT_EQ(utest_signals(clock, ZX_CLOCK_STARTED), 0);
    zx_clock_update_args_v1_t update = {.value = 1000000};
    uint64_t options = ZX_CLOCK_ARGS_VERSION(1) | ZX_CLOCK_UPDATE_OPTION_VALUE_VALID;
    EXPECT_OK(zx_clock_update(clock, options, &update));
    EXPECT_EQ(utest_signals(clock, ZX_CLOCK_STARTED), ZX_CLOCK_STARTED);
    zx_time_t first = now_of(clock);
    EXPECT(first >= 1000000);
    utest_sleep_ms(2);
    EXPECT(now_of(clock) >= first + 2000000);
    zx_clock_details_v1_t details;
    EXPECT_OK(zx_clock_get_details(clock, ZX_CLOCK_ARGS_VERSION(1), &details));
    EXPECT_EQ(details.backstop_time, 5000);
    EXPECT_EQ(details.reference_to_synthetic.synthetic_offset, 1000000);
    update.value = 4999; // before the backstop
    EXPECT_STATUS(zx_clock_update(clock, options, &update), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(clock);
}

CASE(auto_start) {
    zx_handle_t clock;
    EXPECT_OK(zx_clock_create(ZX_CLOCK_OPT_AUTO_START, nullptr, &clock));
    zx_time_t before = zx_clock_get_monotonic();
    zx_time_t now = now_of(clock);
    EXPECT(now >= before && now <= zx_clock_get_monotonic());
    EXPECT_CLOSE(clock);
}

CASE(limits) {
    zx_handle_t clock;
    EXPECT_OK(zx_clock_create(ZX_CLOCK_OPT_MONOTONIC | ZX_CLOCK_OPT_AUTO_START, nullptr, &clock));
    uint64_t version = ZX_CLOCK_ARGS_VERSION(1);
    zx_clock_update_args_v1_t update = {.value = 1, .rate_adjust = 1001};
    // A monotonic clock does not step back; rates have limits; something must be updated.
    EXPECT_STATUS(zx_clock_update(clock, version | ZX_CLOCK_UPDATE_OPTION_VALUE_VALID, &update),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(
        zx_clock_update(clock, version | ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID, &update),
        ZX_ERR_INVALID_ARGS);
    update.rate_adjust = 1000;
    EXPECT_OK(zx_clock_update(clock, version | ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID, &update));
    EXPECT_STATUS(zx_clock_update(clock, version, &update), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_clock_update(clock, ZX_CLOCK_ARGS_VERSION(3) | 1, &update),
                  ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, sizeof(update)) {
        EXPECT_STATUS(zx_clock_update(clock, version | ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID, p),
                      ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_time_t)) {
        EXPECT_STATUS(zx_clock_read(clock, p), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_clock_details_v1_t)) {
        EXPECT_STATUS(zx_clock_get_details(clock, version, p), ZX_ERR_INVALID_ARGS);
    }
    zx_clock_details_v1_t details;
    EXPECT_STATUS(zx_clock_get_details(clock, 0, &details), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(clock);
    EXPECT_STATUS(zx_clock_create(1ul << 30, nullptr, &clock), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_clock_create(version, nullptr, &clock), ZX_ERR_INVALID_ARGS);
}

CASE(counter) {
    zx_handle_t counter;
    EXPECT_OK(zx_counter_create(0, &counter));
    zx_signals_t both = ZX_COUNTER_POSITIVE | ZX_COUNTER_NON_POSITIVE;
    EXPECT_EQ(utest_signals(counter, both), ZX_COUNTER_NON_POSITIVE);
    EXPECT_OK(zx_counter_add(counter, 5));
    EXPECT_EQ(utest_signals(counter, both), ZX_COUNTER_POSITIVE);
    int64_t value = 0;
    EXPECT_OK(zx_counter_read(counter, &value));
    EXPECT_EQ(value, 5);
    EXPECT_OK(zx_counter_write(counter, INT64_MAX));
    EXPECT_STATUS(zx_counter_add(counter, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_counter_read(counter, &value));
    EXPECT_EQ(value, INT64_MAX);
    EXPECT_OK(zx_counter_write(counter, INT64_MIN));
    EXPECT_EQ(utest_signals(counter, both), ZX_COUNTER_NON_POSITIVE);
    EXPECT_STATUS(zx_counter_add(counter, -1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_counter_add(counter, INT64_MAX));
    EXPECT_STATUS(zx_counter_create(1, &counter), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(value)) {
        EXPECT_STATUS(zx_counter_read(counter, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(counter);
}
