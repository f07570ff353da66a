// Clocks, counters, debug logs, timers, eventpairs.
#include <stdatomic.h>

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <lib/string.h>
#include <object/clock_object.h>
#include <object/counter_object.h>
#include <object/debuglog.h>
#include <object/event.h>
#include <object/timer_object.h>
#include <object/wait.h>
#include <sched/thread.h>

#include "../testing/ktest_user.h"

constexpr int64_t MS = 1'000'000;

// Waits until the signal is there. False: not in time.
static bool wait_for(struct object* o, zx_signals_t signals, int64_t limit_ns) {
    int64_t end = clock_monotonic_ns() + limit_ns;
    while ((object_signals(o) & signals) == 0) {
        if (clock_monotonic_ns() > end) {
            return false;
        }
        (void)!thread_sleep_until(clock_monotonic_ns() + MS / 4, WAIT_UNINTERRUPTIBLE);
    }
    return true;
}

// ---- clocks ----

static void clock_starts_and_obeys_its_options(struct ktest* t) {
    struct clock_object* c;
    KEXPECT_EQ(t, clock_object_create(ZX_CLOCK_OPT_CONTINUOUS, 0, &c), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, clock_object_create(0, -1, &c), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, clock_object_create(ZX_CLOCK_OPT_AUTO_START, INT64_MAX, &c), STATUS_INVALID_ARGS);
    KASSERT(t, clock_object_create(ZX_CLOCK_OPT_MONOTONIC, 1000, &c) == STATUS_OK);
    HANDLE h = test_handle(clock_object_base(c));
    KEXPECT_EQ(t, clock_object_read(c), 1000);
    struct clock_update u = {.valid = ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID};
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_BAD_STATE);
    u = (struct clock_update){.valid = ZX_CLOCK_UPDATE_OPTION_VALUE_VALID, .value = 999};
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, object_signals(clock_object_base(c)), 0u);
    u.value = 1'000'000'000'000;
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_OK);
    KEXPECT_EQ(t, object_signals(clock_object_base(c)), ZX_CLOCK_STARTED | ZX_CLOCK_UPDATED);
    int64_t first = clock_object_read(c);
    KEXPECT(t, first >= u.value && first < u.value + 1'000 * MS);
    u.value -= 1;
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_INVALID_ARGS); // backwards
    u = (struct clock_update){.valid = ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID, .rate_ppm = 1001};
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_INVALID_ARGS);
    u.rate_ppm = -1000;
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_OK);
    KEXPECT(t, clock_object_read(c) >= first);
    zx_clock_details_v1_t d;
    clock_object_get_details(c, &d);
    KEXPECT_EQ(t, d.generation_counter, 2u);
    KEXPECT_EQ(t, d.reference_to_synthetic.rate.synthetic_ticks, 999u);
    KEXPECT_EQ(t, d.reference_to_synthetic.rate.reference_ticks, 1000u);
    KEXPECT_EQ(t, d.error_bound, ZX_CLOCK_UNKNOWN_ERROR);
    KEXPECT(t, d.last_rate_adjust_update_ticks >= d.last_value_update_ticks);
}
KTEST(clock, clock_starts_and_obeys_its_options);

static void continuous_clock_never_steps(struct ktest* t) {
    struct clock_object* c;
    KASSERT(t, clock_object_create(ZX_CLOCK_OPT_MONOTONIC | ZX_CLOCK_OPT_CONTINUOUS |
                                       ZX_CLOCK_OPT_AUTO_START,
                                   0, &c) == STATUS_OK);
    HANDLE h = test_handle(clock_object_base(c));
    KEXPECT_EQ(t, object_signals(clock_object_base(c)), ZX_CLOCK_STARTED);
    int64_t before = clock_monotonic_ns();
    int64_t shown = clock_object_read(c);
    KEXPECT(t, shown >= before && shown <= clock_monotonic_ns());
    struct clock_update u = {.valid = ZX_CLOCK_UPDATE_OPTION_VALUE_VALID, .value = INT64_MAX / 2};
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_INVALID_ARGS);
    u = (struct clock_update){.valid = ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID, .rate_ppm = 500};
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_OK);
    // Retroactively another rate would be a step.
    u.valid |= ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID;
    u.reference = 0;
    u.rate_ppm = -500;
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_INVALID_ARGS);
    u = (struct clock_update){.valid = ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID};
    KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_INVALID_ARGS);
}
KTEST(clock, continuous_clock_never_steps);

struct clock_watch {
    struct clock_object* clock;
    _Atomic(bool)* stop;
    uint64_t reads, backwards;
};

static int clock_reader(void* arg) {
    struct clock_watch* w = arg;
    int64_t last = INT64_MIN;
    while (!atomic_load(w->stop)) {
        int64_t now = clock_object_read(w->clock);
        w->backwards += now < last;
        last = now;
        w->reads++;
        if (w->reads % 64 == 0) {
            thread_yield();
        }
    }
    return 0;
}

static void monotonic_clock_does_not_go_back_under_updates(struct ktest* t) {
    struct clock_object* c;
    KASSERT(t, clock_object_create(ZX_CLOCK_OPT_MONOTONIC | ZX_CLOCK_OPT_AUTO_START, 0, &c) ==
                   STATUS_OK);
    HANDLE h = test_handle(clock_object_base(c));
    _Atomic(bool) stop = false;
    struct clock_watch w[3];
    struct thread* threads[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (struct clock_watch){.clock = c, .stop = &stop};
        threads[i] = kthread_create("clock", clock_reader, &w[i], PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (int i = 0; i < 2000; i++) {
        struct clock_update u = {.valid = ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID,
                                 .rate_ppm = i % 2 == 0 ? 1000 : -1000};
        KEXPECT_EQ(t, clock_object_update(c, &u), STATUS_OK);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        kthread_join(threads[i]);
        KEXPECT_EQ(t, w[i].backwards, 0u);
    }
}
KTEST(clock, monotonic_clock_does_not_go_back_under_updates);

// ---- counters ----

static void counter_signals_its_sign(struct ktest* t) {
    struct counter* c;
    KASSERT(t, counter_object_create(&c) == STATUS_OK);
    struct object* o = counter_object_base(c);
    HANDLE h = test_handle(o);
    KEXPECT_EQ(t, object_signals(o), ZX_COUNTER_NON_POSITIVE);
    KEXPECT_EQ(t, counter_object_add(c, 1), STATUS_OK);
    KEXPECT_EQ(t, object_signals(o), ZX_COUNTER_POSITIVE);
    KEXPECT_EQ(t, counter_object_add(c, INT64_MAX), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, counter_object_read(c), 1);
    counter_object_write(c, INT64_MIN);
    KEXPECT_EQ(t, object_signals(o), ZX_COUNTER_NON_POSITIVE);
    KEXPECT_EQ(t, counter_object_add(c, -1), STATUS_OUT_OF_RANGE);
    counter_object_write(c, 0);
    KEXPECT_EQ(t, object_signals(o), ZX_COUNTER_NON_POSITIVE);
}
KTEST(counter, counter_signals_its_sign);

// ---- debug logs ----

static void log_reader_sees_every_record_once(struct ktest* t) {
    struct debuglog* d;
    KASSERT(t, debuglog_create(true, &d) == STATUS_OK);
    struct object* o = debuglog_object(d);
    HANDLE h = test_handle(o);
    struct log_record r;
    while (debuglog_read(d, LOG_DATA_MAX, &r) == STATUS_OK) {
    }
    uint64_t next = log_next_sequence();
    KEXPECT_EQ(t, object_signals(o), ZX_LOG_WRITABLE);
    log_write(LOG_DEBUG, 0, 1, 2, "ktest", 5);
    KEXPECT(t, wait_for(o, ZX_LOG_READABLE, 1000 * MS));
    KEXPECT_EQ(t, debuglog_read(d, 4, &r), STATUS_BUFFER_TOO_SMALL);
    KEXPECT_EQ(t, debuglog_read(d, 5, &r), STATUS_OK);
    KEXPECT(t, r.sequence >= next && r.length == 5 && memcmp(r.data, "ktest", 5) == 0);
    KEXPECT(t, r.process_koid == 1 && r.thread_koid == 2);
    KEXPECT_EQ(t, debuglog_read(d, LOG_DATA_MAX, &r), STATUS_SHOULD_WAIT);
    debuglog_unread(d, next);
    KEXPECT_EQ(t, debuglog_read(d, LOG_DATA_MAX, &r), STATUS_OK);
}
KTEST(debuglog, log_reader_sees_every_record_once);

// ---- timers ----

static void timer_fires_on_time_and_not_after_a_cancel(struct ktest* t) {
    struct timer_object* timer;
    KASSERT(t, timer_object_create(TIMER_SLACK_LATE, ZX_CLOCK_MONOTONIC, &timer) == STATUS_OK);
    struct object* o = timer_object_base(timer);
    HANDLE h = test_handle(o);
    timer_object_set(timer, 0, 0); // long past
    KEXPECT_EQ(t, object_signals(o), ZX_TIMER_SIGNALED);
    int64_t deadline = clock_monotonic_ns() + 3 * MS;
    timer_object_set(timer, deadline, 0);
    KEXPECT_EQ(t, object_signals(o), 0u); // setting takes the signal back
    zx_info_timer_t info;
    timer_object_info(timer, &info);
    KEXPECT_EQ(t, info.deadline, deadline);
    KEXPECT(t, wait_for(o, ZX_TIMER_SIGNALED, 1000 * MS) && clock_monotonic_ns() >= deadline);
    timer_object_info(timer, &info);
    KEXPECT_EQ(t, info.deadline, 0);
    timer_object_set(timer, clock_monotonic_ns() + 2 * MS, 0);
    timer_object_cancel(timer);
    (void)!thread_sleep_until(clock_monotonic_ns() + 4 * MS, WAIT_UNINTERRUPTIBLE);
    KEXPECT_EQ(t, object_signals(o), 0u);
}
KTEST(timer_object, timer_fires_on_time_and_not_after_a_cancel);

struct setter {
    struct timer_object* timer;
    bool far;
};

static int set_many_times(void* arg) {
    struct setter* s = arg;
    for (int i = 0; i < 400; i++) {
        timer_object_set(s->timer, clock_monotonic_ns() + (s->far ? 100'000 * MS : 100 * MS), 0);
    }
    return 0;
}

// Whichever came last, the timer fires for the deadline that it says it has.
static void racing_sets_leave_the_last_deadline_armed(struct ktest* t) {
    struct timer_object* timer;
    KASSERT(t, timer_object_create(TIMER_SLACK_LATE, ZX_CLOCK_MONOTONIC, &timer) == STATUS_OK);
    struct object* o = timer_object_base(timer);
    HANDLE h = test_handle(o);
    for (int round = 0; round < 10; round++) {
        struct setter s[2] = {{timer, false}, {timer, true}};
        struct thread* threads[2];
        for (int i = 0; i < 2; i++) {
            threads[i] = kthread_create("setter", set_many_times, &s[i], PRIORITY_DEFAULT);
            KASSERT(t, threads[i] != nullptr);
            thread_start(threads[i]);
        }
        kthread_join(threads[0]);
        kthread_join(threads[1]);
        zx_info_timer_t info;
        timer_object_info(timer, &info);
        if (info.deadline != 0 && info.deadline < clock_monotonic_ns() + 1000 * MS) {
            KEXPECT(t, wait_for(o, ZX_TIMER_SIGNALED, 2000 * MS));
        }
        timer_object_cancel(timer);
        KEXPECT_EQ(t, object_signals(o), 0u);
    }
}
KTEST(timer_object, racing_sets_leave_the_last_deadline_armed);

// ---- eventpairs ----

static void eventpair_ends_know_of_each_other(struct ktest* t) {
    struct object* a;
    struct object* b;
    KASSERT(t, eventpair_create(&a, &b) == STATUS_OK);
    HANDLE ha = test_handle(a);
    HANDLE hb = test_handle(b);
    KEXPECT_EQ(t, a->ops->related_koid(a), b->koid);
    OBJECT_REF peer = a->ops->peer_ref(a);
    KEXPECT(t, peer == b);
    object_signal(a, 0, ZX_EVENTPAIR_SIGNALED);
    KEXPECT_EQ(t, object_signals(b), 0u);
    handle_discard(&hb);
    KEXPECT_EQ(t, object_signals(a), ZX_EVENTPAIR_SIGNALED | ZX_EVENTPAIR_PEER_CLOSED);
    // The memory of the other end is still there (peer), but the end is closed.
    KEXPECT(t, a->ops->peer_ref(a) == nullptr);
}
KTEST(eventpair, eventpair_ends_know_of_each_other);
