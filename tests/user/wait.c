// Waiting: object_wait_one, object_wait_many, and signals that come, are there, or never come.
#include <utest/utest.h>

GROUP("wait");

CASE(asserted_already) {
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_2));
    zx_signals_t observed = 0;
    EXPECT_OK(zx_object_wait_one(event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, &observed));
    EXPECT_EQ(observed, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_2);
    // A deadline in the past is no obstacle.
    EXPECT_OK(zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, &observed));
    EXPECT_OK(zx_object_wait_one(event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE_PAST, nullptr));
    EXPECT_CLOSE(event);
}

CASE(deadline) {
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_2));
    zx_signals_t observed = 0;
    EXPECT_STATUS(zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, &observed), ZX_ERR_TIMED_OUT);
    EXPECT_EQ(observed, ZX_USER_SIGNAL_2);
    zx_time_t deadline = utest_after_ms(20);
    observed = 0;
    EXPECT_STATUS(zx_object_wait_one(event, ZX_EVENT_SIGNALED, deadline, &observed),
                  ZX_ERR_TIMED_OUT);
    EXPECT(zx_clock_get_monotonic() >= deadline);
    EXPECT_EQ(observed, ZX_USER_SIGNAL_2);
    // Nothing to wait for never happens.
    EXPECT_STATUS(zx_object_wait_one(event, 0, utest_after_ms(5), nullptr), ZX_ERR_TIMED_OUT);
    EXPECT_CLOSE(event);
}

CASE(wait_one_errors) {
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_object_wait_one(ZX_HANDLE_INVALID, 1, 0, nullptr), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_object_wait_one(utest_stale_handle(), 1, 0, nullptr), ZX_ERR_BAD_HANDLE);
    zx_handle_t weak = utest_without(event, ZX_RIGHT_WAIT);
    EXPECT_STATUS(zx_object_wait_one(weak, 1, 0, nullptr), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    FOR_BAD_POINTERS(p, UTEST_WRITE | UTEST_OR_NULL, sizeof(zx_signals_t)) {
        EXPECT_STATUS(zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(event);
}

struct signaller {
    zx_handle_t handle;
    zx_signals_t set;
    int64_t after_ms;
};

static void signal_later(void* arg) {
    struct signaller* s = arg;
    utest_sleep_ms(s->after_ms);
    EXPECT_OK(zx_object_signal(s->handle, 0, s->set));
}

CASE(woken_by_signal) {
    struct signaller s = {.handle = utest_event(), .set = ZX_EVENT_SIGNALED, .after_ms = 10};
    struct utest_thread t;
    utest_thread_start(&t, signal_later, &s);
    zx_signals_t observed = 0;
    EXPECT_OK(zx_object_wait_one(s.handle, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, &observed));
    EXPECT_EQ(observed, ZX_EVENT_SIGNALED);
    utest_thread_join(&t);
    EXPECT_CLOSE(s.handle);
}

// A signal that is not asked for does not wake.
CASE(other_signal) {
    struct signaller s = {.handle = utest_event(), .set = ZX_USER_SIGNAL_1, .after_ms = 5};
    struct utest_thread t;
    utest_thread_start(&t, signal_later, &s);
    zx_signals_t observed = 0;
    EXPECT_STATUS(zx_object_wait_one(s.handle, ZX_EVENT_SIGNALED, utest_after_ms(60), &observed),
                  ZX_ERR_TIMED_OUT);
    EXPECT_EQ(observed, ZX_USER_SIGNAL_1);
    utest_thread_join(&t);
    EXPECT_CLOSE(s.handle);
}

struct waiter {
    zx_handle_t handle;
    zx_signals_t signals, observed;
    zx_status_t status;
};

static void wait_forever(void* arg) {
    struct waiter* w = arg;
    w->status = zx_object_wait_one(w->handle, w->signals, ZX_TIME_INFINITE, &w->observed);
}

CASE(handle_closed) {
    zx_handle_t event = utest_event();
    struct waiter w = {.handle = utest_without(event, 0), .signals = ZX_EVENT_SIGNALED};
    struct utest_thread t;
    utest_thread_start(&t, wait_forever, &w);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    EXPECT_CLOSE(w.handle);
    utest_thread_join(&t);
    EXPECT_STATUS(w.status, ZX_ERR_CANCELED);
    EXPECT((w.observed & ZX_SIGNAL_HANDLE_CLOSED) != 0);
    // Another handle to the object is another matter.
    w.handle = utest_without(event, 0);
    utest_thread_start(&t, wait_forever, &w);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t third = utest_without(event, 0);
    EXPECT_CLOSE(third);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    utest_thread_join(&t);
    EXPECT_STATUS(w.status, ZX_OK);
    EXPECT_CLOSE(w.handle);
    EXPECT_CLOSE(event);
}

// Replacing or sending a handle away ends waits on it as closing does.
CASE(handle_replaced) {
    struct waiter w = {.handle = utest_event(), .signals = ZX_EVENT_SIGNALED};
    struct utest_thread t;
    utest_thread_start(&t, wait_forever, &w);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t out;
    EXPECT_OK(zx_handle_replace(w.handle, ZX_RIGHT_SAME_RIGHTS, &out));
    utest_thread_join(&t);
    EXPECT_STATUS(w.status, ZX_ERR_CANCELED);
    w.handle = out;
    utest_thread_start(&t, wait_forever, &w);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    struct utest_pair pair = utest_channel();
    EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, &w.handle, 1));
    utest_thread_join(&t);
    EXPECT_STATUS(w.status, ZX_ERR_CANCELED);
    utest_close_pair(pair);
}

CASE(many_waiters_of_one_object) {
    zx_handle_t event = utest_event();
    struct waiter w[8];
    struct utest_thread t[8];
    for (uint32_t i = 0; i < 8; i++) {
        w[i] = (struct waiter){.handle = event,
                               .signals = i % 2 == 0 ? ZX_EVENT_SIGNALED : ZX_USER_SIGNAL_0};
        utest_thread_start(&t[i], wait_forever, &w[i]);
    }
    for (uint32_t i = 0; i < 8; i++) {
        utest_thread_reach(t[i].handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    }
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    for (uint32_t i = 0; i < 8; i += 2) {
        utest_thread_join(&t[i]);
        EXPECT_STATUS(w[i].status, ZX_OK);
        EXPECT_EQ(w[i].observed, ZX_EVENT_SIGNALED);
    }
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0));
    for (uint32_t i = 1; i < 8; i += 2) {
        utest_thread_join(&t[i]);
        EXPECT_STATUS(w[i].status, ZX_OK);
    }
    EXPECT_CLOSE(event);
}

// ---- several objects ----

static zx_wait_item_t item(zx_handle_t handle, zx_signals_t waitfor) {
    return (zx_wait_item_t){.handle = handle, .waitfor = waitfor, .pending = 0xdead};
}

CASE(many_asserted_already) {
    zx_handle_t a = utest_event();
    zx_handle_t b = utest_event();
    EXPECT_OK(zx_object_signal(b, 0, ZX_EVENT_SIGNALED));
    EXPECT_OK(zx_object_signal(a, 0, ZX_USER_SIGNAL_5));
    zx_wait_item_t items[] = {item(a, ZX_EVENT_SIGNALED), item(b, ZX_EVENT_SIGNALED)};
    EXPECT_OK(zx_object_wait_many(items, 2, 0));
    EXPECT_EQ(items[0].pending, ZX_USER_SIGNAL_5);
    EXPECT_EQ(items[1].pending, ZX_EVENT_SIGNALED);
    EXPECT_EQ(items[1].handle, b);
    EXPECT_EQ(items[1].waitfor, ZX_EVENT_SIGNALED);
    EXPECT_CLOSE(a);
    EXPECT_CLOSE(b);
}

CASE(many_time_out) {
    zx_handle_t a = utest_event();
    EXPECT_OK(zx_object_signal(a, 0, ZX_USER_SIGNAL_5));
    zx_wait_item_t items[] = {item(a, ZX_EVENT_SIGNALED), item(a, ZX_USER_SIGNAL_6)};
    EXPECT_STATUS(zx_object_wait_many(items, 2, utest_after_ms(5)), ZX_ERR_TIMED_OUT);
    EXPECT_EQ(items[0].pending, ZX_USER_SIGNAL_5);
    EXPECT_EQ(items[1].pending, ZX_USER_SIGNAL_5);
    EXPECT_STATUS(zx_object_wait_many(items, 2, ZX_TIME_INFINITE_PAST), ZX_ERR_TIMED_OUT);
    EXPECT_CLOSE(a);
}

CASE(many_none_sleeps) {
    zx_time_t deadline = utest_after_ms(20);
    EXPECT_STATUS(zx_object_wait_many(nullptr, 0, deadline), ZX_ERR_TIMED_OUT);
    EXPECT(zx_clock_get_monotonic() >= deadline);
    EXPECT_STATUS(zx_object_wait_many(nullptr, 0, 0), ZX_ERR_TIMED_OUT);
}

CASE(many_limits) {
    static zx_wait_item_t items[ZX_WAIT_MANY_MAX_ITEMS + 1];
    zx_handle_t event = utest_event();
    for (size_t i = 0; i <= ZX_WAIT_MANY_MAX_ITEMS; i++) {
        items[i] = item(event, ZX_EVENT_SIGNALED);
    }
    EXPECT_STATUS(zx_object_wait_many(items, ZX_WAIT_MANY_MAX_ITEMS + 1, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_object_wait_many(items, SIZE_MAX, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_object_wait_many(items, ZX_WAIT_MANY_MAX_ITEMS, utest_after_ms(5)),
                  ZX_ERR_TIMED_OUT);
    struct signaller s = {.handle = event, .set = ZX_EVENT_SIGNALED, .after_ms = 10};
    struct utest_thread t;
    utest_thread_start(&t, signal_later, &s);
    EXPECT_OK(zx_object_wait_many(items, ZX_WAIT_MANY_MAX_ITEMS, ZX_TIME_INFINITE));
    for (size_t i = 0; i < ZX_WAIT_MANY_MAX_ITEMS; i++) {
        EXPECT_EQ(items[i].pending, ZX_EVENT_SIGNALED);
    }
    utest_thread_join(&t);
    EXPECT_CLOSE(event);
}

CASE(many_errors) {
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    zx_wait_item_t items[] = {item(event, ZX_EVENT_SIGNALED), item(utest_stale_handle(), 1)};
    // One bad item spoils the call, whatever the others are.
    EXPECT_STATUS(zx_object_wait_many(items, 2, 0), ZX_ERR_BAD_HANDLE);
    items[1].handle = utest_without(event, ZX_RIGHT_WAIT);
    EXPECT_STATUS(zx_object_wait_many(items, 2, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(items[1].handle);
    zx_handle_t port = utest_port();
    items[1].handle = port;
    // A port's handles do not even have the right.
    EXPECT_STATUS(zx_object_wait_many(items, 2, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(port);
    FOR_BAD_POINTERS(p, UTEST_READ, 2 * sizeof(zx_wait_item_t)) {
        EXPECT_STATUS(zx_object_wait_many(p, 2, 0), ZX_ERR_INVALID_ARGS);
    }
    // Where it can be read and not written, the wait happens and its result is lost.
    zx_wait_item_t* fixed = utest_guarded_pages(1, ZX_VM_PERM_READ);
    EXPECT_STATUS(zx_object_wait_many(fixed, 1, 0), ZX_ERR_BAD_HANDLE);
    EXPECT_CLOSE(event);
}

struct many_waiter {
    zx_wait_item_t items[6];
    size_t count;
    zx_status_t status;
};

static void wait_many_forever(void* arg) {
    struct many_waiter* w = arg;
    w->status = zx_object_wait_many(w->items, w->count, ZX_TIME_INFINITE);
}

CASE(many_handle_closed) {
    for (size_t count = 2; count <= 6; count += 4) { // both ways of keeping the items
        struct many_waiter w = {.count = count};
        for (size_t i = 0; i < count; i++) {
            w.items[i] = item(utest_event(), ZX_EVENT_SIGNALED);
        }
        struct utest_thread t;
        utest_thread_start(&t, wait_many_forever, &w);
        utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_MANY);
        EXPECT_CLOSE(w.items[1].handle);
        utest_thread_join(&t);
        EXPECT_STATUS(w.status, ZX_ERR_CANCELED);
        EXPECT((w.items[1].pending & ZX_SIGNAL_HANDLE_CLOSED) != 0);
        EXPECT_EQ(w.items[0].pending, 0);
        w.items[1].handle = ZX_HANDLE_INVALID;
        for (size_t i = 0; i < count; i++) {
            EXPECT_CLOSE(w.items[i].handle);
        }
    }
}

// ---- races: no wake-up is lost ----

CASE_WITHIN(ping_pong, 60) {
    struct utest_pair pair = utest_eventpair();
    struct waiter w = {.handle = pair.b, .signals = ZX_USER_SIGNAL_0};
    for (uint32_t i = 0; i < 100; i++) {
        struct utest_thread t;
        utest_thread_start(&t, wait_forever, &w);
        EXPECT_OK(zx_object_signal_peer(pair.a, 0, ZX_USER_SIGNAL_0));
        utest_thread_join(&t);
        EXPECT_STATUS(w.status, ZX_OK);
        EXPECT_OK(zx_object_signal(pair.b, ZX_USER_SIGNAL_0, 0));
    }
    utest_close_pair(pair);
}

static void echo(void* arg) {
    struct utest_pair* pair = arg;
    for (uint32_t i = 0; i < 2000; i++) {
        EXPECT_OK(zx_object_wait_one(pair->b, ZX_USER_SIGNAL_0, ZX_TIME_INFINITE, nullptr));
        EXPECT_OK(zx_object_signal(pair->b, ZX_USER_SIGNAL_0, 0));
        EXPECT_OK(zx_object_signal_peer(pair->b, 0, ZX_USER_SIGNAL_1));
    }
}

CASE_WITHIN(thousands_of_turns, 60) {
    struct utest_pair pair = utest_eventpair();
    struct utest_thread t;
    utest_thread_start(&t, echo, &pair);
    for (uint32_t i = 0; i < 2000; i++) {
        EXPECT_OK(zx_object_signal_peer(pair.a, 0, ZX_USER_SIGNAL_0));
        EXPECT_OK(zx_object_wait_one(pair.a, ZX_USER_SIGNAL_1, utest_after_ms(10000), nullptr));
        EXPECT_OK(zx_object_signal(pair.a, ZX_USER_SIGNAL_1, 0));
    }
    utest_thread_join(&t);
    utest_close_pair(pair);
}

static void close_soon(void* arg) {
    EXPECT_CLOSE(*(zx_handle_t*)arg);
}

// Whenever the close comes: before the look-up, between it and the wait, or during it.
CASE_WITHIN(racing_close, 60) {
    for (uint32_t i = 0; i < 150; i++) {
        zx_handle_t event = utest_event();
        struct utest_thread t;
        utest_thread_start(&t, close_soon, &event);
        zx_status_t status =
            zx_object_wait_one(event, ZX_EVENT_SIGNALED, utest_after_ms(5000), nullptr);
        EXPECT(status == ZX_ERR_CANCELED || status == ZX_ERR_BAD_HANDLE);
        utest_thread_join(&t);
    }
}
