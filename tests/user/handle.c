// Handles: duplicate, replace, close, check; what a value may and may not resolve to.
#include <utest/utest.h>

GROUP("handle");

CASE(values) {
    // Two fixed low bits, and no value is handed out twice in a row.
    zx_handle_t last = ZX_HANDLE_INVALID;
    for (uint32_t i = 0; i < 100; i++) {
        zx_handle_t h = utest_event();
        EXPECT_EQ(h & ZX_HANDLE_FIXED_BITS_MASK, ZX_HANDLE_FIXED_BITS_MASK);
        EXPECT(h != last);
        EXPECT_CLOSE(h);
        last = h;
    }
}

CASE(close) {
    zx_handle_t h = utest_event();
    EXPECT_OK(zx_handle_close(h));
    EXPECT_STATUS(zx_handle_close(h), ZX_ERR_BAD_HANDLE);
    EXPECT_OK(zx_handle_close(ZX_HANDLE_INVALID));
}

CASE(check_valid) {
    zx_handle_t h = utest_event();
    EXPECT_OK(zx_handle_check_valid(h));
    EXPECT_CLOSE(h);
    EXPECT_STATUS(zx_handle_check_valid(h), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(ZX_HANDLE_INVALID), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(UINT32_MAX), ZX_ERR_BAD_HANDLE);
}

// With one bit changed, a value is not a handle (the chance that it hits another one is nil with
// this few).
CASE(corrupt_values) {
    zx_handle_t h = utest_event();
    for (uint32_t bit = 0; bit < 32; bit++) {
        EXPECT_STATUS(zx_handle_check_valid(h ^ 1u << bit), ZX_ERR_BAD_HANDLE);
        EXPECT_STATUS(zx_object_signal(h ^ 1u << bit, 0, 0), ZX_ERR_BAD_HANDLE);
    }
    EXPECT_OK(zx_object_signal(h, 0, 0));
    EXPECT_CLOSE(h);
}

CASE(stale_value_stays_stale) {
    zx_handle_t stale = utest_stale_handle();
    for (uint32_t i = 0; i < 20000; i++) {
        zx_handle_t h = utest_event();
        EXPECT(h != stale);
        EXPECT_CLOSE(h);
    }
    EXPECT_STATUS(zx_handle_check_valid(stale), ZX_ERR_BAD_HANDLE);
}

CASE(duplicate) {
    zx_handle_t event = utest_event();
    zx_handle_t same;
    EXPECT_OK(zx_handle_duplicate(event, ZX_RIGHT_SAME_RIGHTS, &same));
    EXPECT(same != event);
    EXPECT_EQ(utest_koid(same), utest_koid(event));
    EXPECT_EQ(utest_basic(same).rights, ZX_DEFAULT_EVENT_RIGHTS);
    zx_handle_t few;
    EXPECT_OK(zx_handle_duplicate(event, ZX_RIGHT_WAIT, &few));
    EXPECT_EQ(utest_basic(few).rights, ZX_RIGHT_WAIT);
    zx_handle_t none;
    EXPECT_OK(zx_handle_duplicate(event, ZX_RIGHT_NONE, &none));
    EXPECT_EQ(utest_basic(none).rights, ZX_RIGHT_NONE);
    // They are one object.
    EXPECT_OK(zx_object_signal(same, 0, ZX_EVENT_SIGNALED));
    EXPECT_EQ(utest_signals(few, ZX_EVENT_SIGNALED), ZX_EVENT_SIGNALED);
    zx_info_handle_count_t count;
    EXPECT_OK(
        zx_object_get_info(event, ZX_INFO_HANDLE_COUNT, &count, sizeof(count), nullptr, nullptr));
    EXPECT_EQ(count.handle_count, 4);
    EXPECT_CLOSE(none);
    EXPECT_CLOSE(few);
    EXPECT_CLOSE(same);
    EXPECT_OK(
        zx_object_get_info(event, ZX_INFO_HANDLE_COUNT, &count, sizeof(count), nullptr, nullptr));
    EXPECT_EQ(count.handle_count, 1);
    EXPECT_CLOSE(event);
}

CASE(duplicate_errors) {
    zx_handle_t event = utest_event();
    zx_handle_t out;
    EXPECT_STATUS(zx_handle_duplicate(ZX_HANDLE_INVALID, ZX_RIGHT_SAME_RIGHTS, &out),
                  ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_duplicate(utest_stale_handle(), ZX_RIGHT_SAME_RIGHTS, &out),
                  ZX_ERR_BAD_HANDLE);
    // More rights than it has.
    EXPECT_STATUS(zx_handle_duplicate(event, ZX_DEFAULT_EVENT_RIGHTS | ZX_RIGHT_READ, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_handle_duplicate(event, ZX_RIGHT_SAME_RIGHTS | ZX_RIGHT_WAIT, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_handle_duplicate(event, 1u << 30, &out), ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(event, ZX_RIGHT_DUPLICATE);
    EXPECT_STATUS(zx_handle_duplicate(weak, ZX_RIGHT_SAME_RIGHTS, &out), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_handle_duplicate(weak, UINT32_MAX, &out), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_handle_duplicate(event, ZX_RIGHT_SAME_RIGHTS, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(event);
}

CASE(channel_is_not_duplicable) {
    struct utest_pair pair = utest_channel();
    zx_handle_t out;
    EXPECT_STATUS(zx_handle_duplicate(pair.a, ZX_RIGHT_SAME_RIGHTS, &out), ZX_ERR_ACCESS_DENIED);
    utest_close_pair(pair);
}

CASE(replace) {
    zx_handle_t event = utest_event();
    zx_koid_t koid = utest_koid(event);
    zx_handle_t out;
    EXPECT_OK(zx_handle_replace(event, ZX_RIGHT_WAIT | ZX_RIGHT_SIGNAL, &out));
    EXPECT(out != event);
    EXPECT_STATUS(zx_handle_check_valid(event), ZX_ERR_BAD_HANDLE);
    EXPECT_EQ(utest_koid(out), koid);
    EXPECT_EQ(utest_basic(out).rights, ZX_RIGHT_WAIT | ZX_RIGHT_SIGNAL);
    // Without DUPLICATE, too.
    zx_handle_t again;
    EXPECT_OK(zx_handle_replace(out, ZX_RIGHT_SAME_RIGHTS, &again));
    EXPECT_EQ(utest_basic(again).rights, ZX_RIGHT_WAIT | ZX_RIGHT_SIGNAL);
    EXPECT_CLOSE(again);
}

CASE(replace_consumes_on_failure) {
    zx_handle_t out;
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_handle_replace(event, ZX_RIGHT_READ, &out), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_handle_check_valid(event), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_replace(ZX_HANDLE_INVALID, ZX_RIGHT_SAME_RIGHTS, &out),
                  ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_replace(event, ZX_RIGHT_SAME_RIGHTS, &out), ZX_ERR_BAD_HANDLE);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_handle_t)) {
        event = utest_event();
        EXPECT_STATUS(zx_handle_replace(event, ZX_RIGHT_SAME_RIGHTS, p), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_handle_check_valid(event), ZX_ERR_BAD_HANDLE);
    }
}

CASE(close_many) {
    zx_handle_t h[100];
    for (uint32_t i = 0; i < 100; i++) {
        h[i] = i % 10 == 9 ? ZX_HANDLE_INVALID : utest_event();
    }
    EXPECT_OK(zx_handle_close_many(h, 100));
    for (uint32_t i = 0; i < 100; i++) {
        EXPECT_STATUS(zx_handle_check_valid(h[i]), ZX_ERR_BAD_HANDLE);
    }
    EXPECT_OK(zx_handle_close_many(h, 0));
    EXPECT_OK(zx_handle_close_many(nullptr, 0));
}

CASE(close_many_with_bad_ones) {
    zx_handle_t a = utest_event();
    zx_handle_t b = utest_event();
    zx_handle_t twice[] = {a, a, utest_stale_handle(), b};
    EXPECT_STATUS(zx_handle_close_many(twice, 4), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(a), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(b), ZX_ERR_BAD_HANDLE);
    FOR_BAD_POINTERS(p, UTEST_READ, 2 * sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_handle_close_many(p, 2), ZX_ERR_INVALID_ARGS);
    }
    // A count that no array has: it ends where memory does.
    EXPECT_STATUS(zx_handle_close_many(nullptr, SIZE_MAX), ZX_ERR_INVALID_ARGS);
}

// ---- racing ----

static atomic_bool go;

struct racer {
    zx_handle_t handle;
    zx_status_t status;
};

static void close_it(void* arg) {
    struct racer* r = arg;
    while (!atomic_load(&go)) {
    }
    r->status = zx_handle_close(r->handle);
}

// Of several threads that close one handle, one succeeds.
CASE(racing_close) {
    for (uint32_t round = 0; round < 50; round++) {
        struct racer racers[3];
        struct utest_thread threads[3];
        zx_handle_t event = utest_event();
        atomic_store(&go, false);
        for (uint32_t i = 0; i < 3; i++) {
            racers[i] = (struct racer){.handle = event};
            utest_thread_start(&threads[i], close_it, &racers[i]);
        }
        atomic_store(&go, true);
        uint32_t closed = 0;
        for (uint32_t i = 0; i < 3; i++) {
            utest_thread_join(&threads[i]);
            closed += racers[i].status == ZX_OK;
            EXPECT(racers[i].status == ZX_OK || racers[i].status == ZX_ERR_BAD_HANDLE);
        }
        EXPECT_EQ(closed, 1);
    }
}

static void use_it(void* arg) {
    struct racer* r = arg;
    while (!atomic_load(&go)) {
    }
    for (uint32_t i = 0; i < 500 && r->status == ZX_OK; i++) {
        r->status = zx_object_signal(r->handle, 0, ZX_EVENT_SIGNALED);
    }
}

CASE(racing_close_and_use) {
    for (uint32_t round = 0; round < 50; round++) {
        struct racer user = {.handle = utest_event()};
        struct utest_thread t;
        atomic_store(&go, false);
        utest_thread_start(&t, use_it, &user);
        atomic_store(&go, true);
        EXPECT_CLOSE(user.handle);
        utest_thread_join(&t);
        EXPECT(user.status == ZX_OK || user.status == ZX_ERR_BAD_HANDLE);
    }
}

// ---- between processes ----

// Answers what the parent's handle value is here, then waits for the end.
CHILD(check_foreign) {
    zx_handle_t foreign;
    uint32_t bytes;
    if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr) != ZX_OK ||
        zx_channel_read(channel, 0, &foreign, nullptr, sizeof(foreign), 0, &bytes, nullptr) !=
            ZX_OK) {
        return 1;
    }
    return zx_handle_check_valid(foreign) == ZX_ERR_BAD_HANDLE ? 42 : 2;
}

CASE(other_process) {
    zx_handle_t event = utest_event();
    for (uint32_t i = 0; i < 4; i++) {
        struct utest_child c;
        utest_child_start(&c, "check_foreign", ZX_HANDLE_INVALID);
        EXPECT_OK(zx_channel_write(c.channel, 0, &event, sizeof(event), nullptr, 0));
        EXPECT_EQ(utest_child_join(&c), 42);
    }
    EXPECT_CLOSE(event);
}
