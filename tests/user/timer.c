// Timers.
#include <utest/utest.h>

GROUP("timer");

static zx_handle_t make(void) {
    zx_handle_t timer;
    EXPECT_OK(zx_timer_create(ZX_TIMER_SLACK_CENTER, ZX_CLOCK_MONOTONIC, &timer));
    return timer;
}

static zx_info_timer_t info_of(zx_handle_t timer) {
    zx_info_timer_t info;
    EXPECT_OK(zx_object_get_info(timer, ZX_INFO_TIMER, &info, sizeof(info), nullptr, nullptr));
    return info;
}

CASE(create) {
    for (uint32_t slack = ZX_TIMER_SLACK_CENTER; slack <= ZX_TIMER_SLACK_LATE; slack++) {
        for (zx_clock_t clock = ZX_CLOCK_MONOTONIC; clock <= ZX_CLOCK_BOOT; clock++) {
            zx_handle_t timer;
            EXPECT_OK(zx_timer_create(slack, clock, &timer));
            EXPECT_EQ(utest_basic(timer).type, ZX_OBJ_TYPE_TIMER);
            EXPECT_EQ(utest_basic(timer).rights, ZX_DEFAULT_TIMER_RIGHTS);
            EXPECT_EQ(info_of(timer).options, slack);
            EXPECT_EQ(info_of(timer).clock_id, clock);
            EXPECT_EQ(info_of(timer).deadline, 0);
            EXPECT_CLOSE(timer);
        }
    }
}

CASE(create_errors) {
    zx_handle_t timer;
    EXPECT_STATUS(zx_timer_create(ZX_TIMER_SLACK_LATE + 1, ZX_CLOCK_MONOTONIC, &timer),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_timer_create(0, 2, &timer), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_timer_create(0, UINT32_MAX, &timer), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(timer)) {
        EXPECT_STATUS(zx_timer_create(0, ZX_CLOCK_MONOTONIC, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(fires) {
    zx_handle_t timer = make();
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), 0);
    zx_time_t deadline = utest_after_ms(20);
    EXPECT_OK(zx_timer_set(timer, deadline, 0));
    EXPECT_EQ(info_of(timer).deadline, deadline);
    EXPECT_OK(zx_object_wait_one(timer, ZX_TIMER_SIGNALED, utest_after_ms(5000), nullptr));
    EXPECT(zx_clock_get_monotonic() >= deadline);
    // It stays signalled, and does not come again.
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), ZX_TIMER_SIGNALED);
    EXPECT_CLOSE(timer);
}

CASE(past_deadline) {
    static const zx_time_t past[] = {0, 1, -1, ZX_TIME_INFINITE_PAST};
    zx_handle_t timer = make();
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_OK(zx_timer_set(timer, past[i], 0));
        EXPECT_OK(zx_object_wait_one(timer, ZX_TIMER_SIGNALED, utest_after_ms(1000), nullptr));
    }
    EXPECT_CLOSE(timer);
}

CASE(set_again) {
    zx_handle_t timer = make();
    EXPECT_OK(zx_timer_set(timer, 0, 0));
    EXPECT_OK(zx_object_wait_one(timer, ZX_TIMER_SIGNALED, utest_after_ms(1000), nullptr));
    EXPECT_OK(zx_timer_set(timer, ZX_TIME_INFINITE, 0));
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), 0);
    EXPECT_OK(zx_timer_set(timer, utest_after_ms(5), 0));
    EXPECT_OK(zx_timer_set(timer, utest_after_ms(100000), 0));
    utest_sleep_ms(20);
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), 0);
    EXPECT_CLOSE(timer);
}

CASE(cancel) {
    zx_handle_t timer = make();
    EXPECT_OK(zx_timer_cancel(timer));
    EXPECT_OK(zx_timer_set(timer, utest_after_ms(5), 0));
    EXPECT_OK(zx_timer_cancel(timer));
    utest_sleep_ms(20);
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), 0);
    EXPECT_EQ(info_of(timer).deadline, 0);
    EXPECT_OK(zx_timer_set(timer, 0, 0));
    EXPECT_OK(zx_object_wait_one(timer, ZX_TIMER_SIGNALED, utest_after_ms(1000), nullptr));
    EXPECT_OK(zx_timer_cancel(timer));
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), 0);
    EXPECT_CLOSE(timer);
}

CASE(slack) {
    zx_handle_t timer;
    for (uint32_t mode = ZX_TIMER_SLACK_CENTER; mode <= ZX_TIMER_SLACK_LATE; mode++) {
        EXPECT_OK(zx_timer_create(mode, ZX_CLOCK_MONOTONIC, &timer));
        zx_time_t deadline = utest_after_ms(30);
        zx_duration_t slack = 10000000;
        EXPECT_OK(zx_timer_set(timer, deadline, slack));
        EXPECT_EQ(info_of(timer).slack, slack);
        EXPECT_OK(zx_object_wait_one(timer, ZX_TIMER_SIGNALED, utest_after_ms(5000), nullptr));
        zx_time_t earliest = mode == ZX_TIMER_SLACK_LATE ? deadline : deadline - slack;
        EXPECT(zx_clock_get_monotonic() >= earliest);
        EXPECT_CLOSE(timer);
    }
    timer = make();
    EXPECT_OK(zx_timer_set(timer, utest_after_ms(1), ZX_TIME_INFINITE));
    EXPECT_OK(zx_timer_set(timer, ZX_TIME_INFINITE, ZX_TIME_INFINITE));
    EXPECT_CLOSE(timer);
}

CASE(set_errors) {
    zx_handle_t timer = make();
    EXPECT_STATUS(zx_timer_set(timer, 0, -1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_timer_set(timer, 0, ZX_TIME_INFINITE_PAST), ZX_ERR_OUT_OF_RANGE);
    EXPECT_EQ(utest_signals(timer, ZX_TIMER_SIGNALED), 0);
    zx_handle_t weak = utest_without(timer, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_timer_set(weak, 0, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_timer_cancel(weak), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_STATUS(zx_timer_set(ZX_HANDLE_INVALID, 0, 0), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_timer_set(event, 0, 0), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_timer_cancel(event), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(timer);
}

CASE_WITHIN(closed_while_it_fires, 60) {
    for (uint32_t i = 0; i < 300; i++) {
        zx_handle_t timer = make();
        EXPECT_OK(zx_timer_set(timer, zx_deadline_after(i * 1000), 0));
        if (i % 3 == 0) {
            EXPECT_OK(zx_timer_cancel(timer));
        }
        EXPECT_CLOSE(timer);
    }
}

// ---- sleeping ----

CASE(nanosleep) {
    zx_time_t deadline = utest_after_ms(20);
    EXPECT_OK(zx_nanosleep(deadline));
    EXPECT(zx_clock_get_monotonic() >= deadline);
    EXPECT_OK(zx_nanosleep(0));
    EXPECT_OK(zx_nanosleep(ZX_TIME_INFINITE_PAST));
    EXPECT_OK(zx_nanosleep(1));
}

CASE(yield) {
    EXPECT_OK(zx_thread_legacy_yield(0));
    EXPECT_STATUS(zx_thread_legacy_yield(1), ZX_ERR_INVALID_ARGS);
}

CASE(clocks) {
    zx_time_t last = zx_clock_get_monotonic();
    zx_ticks_t last_ticks = zx_ticks_get();
    EXPECT(zx_ticks_per_second() > 0);
    for (uint32_t i = 0; i < 10000; i++) {
        zx_time_t now = zx_clock_get_monotonic();
        EXPECT(now >= last);
        last = now;
        zx_ticks_t ticks = zx_ticks_get();
        EXPECT(ticks >= last_ticks);
        last_ticks = ticks;
    }
    EXPECT(zx_clock_get_boot() >= last);
    EXPECT_EQ(zx_deadline_after(ZX_TIME_INFINITE), ZX_TIME_INFINITE);
    EXPECT(zx_deadline_after(-1) <= zx_clock_get_monotonic());
}
