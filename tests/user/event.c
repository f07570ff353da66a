// Events and event pairs: creation, and the signals that they alone carry.
#include <utest/utest.h>

GROUP("event");

CASE(create) {
    zx_handle_t event = utest_event();
    zx_info_handle_basic_t info = utest_basic(event);
    EXPECT_EQ(info.type, ZX_OBJ_TYPE_EVENT);
    EXPECT_EQ(info.rights, ZX_DEFAULT_EVENT_RIGHTS);
    EXPECT_EQ(info.related_koid, 0);
    EXPECT(info.koid >= ZX_KOID_FIRST);
    EXPECT_EQ(event & ZX_HANDLE_FIXED_BITS_MASK, ZX_HANDLE_FIXED_BITS_MASK);
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), 0);
    EXPECT_CLOSE(event);
}

CASE(create_options) {
    zx_handle_t event;
    for (uint32_t bit = 0; bit < 32; bit++) {
        EXPECT_STATUS(zx_event_create(1u << bit, &event), ZX_ERR_INVALID_ARGS);
    }
}

CASE(create_bad_pointer) {
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_event_create(0, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(koids_differ) {
    zx_handle_t first = utest_event();
    zx_handle_t second = utest_event();
    EXPECT(utest_koid(first) != utest_koid(second));
    EXPECT(first != second);
    EXPECT_CLOSE(first);
    EXPECT_CLOSE(second);
}

CASE(signal) {
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), ZX_EVENT_SIGNALED);
    // Set once is set: a wait does not clear it.
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), ZX_EVENT_SIGNALED);
    EXPECT_OK(zx_object_signal(event, ZX_EVENT_SIGNALED, ZX_USER_SIGNAL_3));
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), ZX_USER_SIGNAL_3);
    // Cleared first, then set.
    EXPECT_OK(zx_object_signal(event, ZX_USER_SIGNAL_ALL, ZX_USER_SIGNAL_3));
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), ZX_USER_SIGNAL_3);
    EXPECT_CLOSE(event);
}

CASE(signal_masks) {
    zx_handle_t event = utest_event();
    for (uint32_t bit = 0; bit < 24; bit++) {
        if (1u << bit == ZX_EVENT_SIGNALED) {
            continue;
        }
        EXPECT_STATUS(zx_object_signal(event, 0, 1u << bit), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_object_signal(event, 1u << bit, 0), ZX_ERR_INVALID_ARGS);
        // One bad bit spoils the call: nothing is set.
        EXPECT_STATUS(zx_object_signal(event, 0, 1u << bit | ZX_USER_SIGNAL_0),
                      ZX_ERR_INVALID_ARGS);
    }
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), 0);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNAL_MASK));
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), ZX_EVENT_SIGNAL_MASK);
    EXPECT_CLOSE(event);
}

CASE(signal_rights) {
    zx_handle_t event = utest_event();
    zx_handle_t weak = utest_without(event, ZX_RIGHT_SIGNAL);
    EXPECT_STATUS(zx_object_signal(weak, 0, ZX_EVENT_SIGNALED), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_object_signal(weak, 0, 1), ZX_ERR_ACCESS_DENIED); // before the mask
    EXPECT_STATUS(zx_object_signal(ZX_HANDLE_INVALID, 0, 1), ZX_ERR_BAD_HANDLE);
    EXPECT_EQ(utest_signals(event, ZX_EVENT_SIGNAL_MASK), 0);
    EXPECT_CLOSE(weak);
    EXPECT_CLOSE(event);
}

CASE(event_has_no_peer) {
    zx_handle_t event = utest_event();
    // An event has not even the right.
    EXPECT_STATUS(zx_object_signal_peer(event, 0, ZX_EVENT_SIGNALED), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(event);
}

CASE(pair_create) {
    struct utest_pair pair = utest_eventpair();
    zx_info_handle_basic_t a = utest_basic(pair.a);
    zx_info_handle_basic_t b = utest_basic(pair.b);
    EXPECT_EQ(a.type, ZX_OBJ_TYPE_EVENTPAIR);
    EXPECT_EQ(a.rights, ZX_DEFAULT_EVENTPAIR_RIGHTS);
    EXPECT_EQ(b.rights, ZX_DEFAULT_EVENTPAIR_RIGHTS);
    EXPECT_EQ(a.related_koid, b.koid);
    EXPECT_EQ(b.related_koid, a.koid);
    utest_close_pair(pair);
}

CASE(pair_create_options) {
    struct utest_pair pair;
    EXPECT_STATUS(zx_eventpair_create(1, &pair.a, &pair.b), ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_eventpair_create(1u << 31, &pair.a, &pair.b), ZX_ERR_NOT_SUPPORTED);
}

CASE(pair_create_bad_pointer) {
    zx_handle_t other;
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_eventpair_create(0, p, &other), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_eventpair_create(0, &other, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(pair_signal_peer) {
    struct utest_pair pair = utest_eventpair();
    EXPECT_OK(zx_object_signal_peer(pair.a, 0, ZX_EVENTPAIR_SIGNALED | ZX_USER_SIGNAL_7));
    EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_SIGNAL_MASK), 0);
    EXPECT_EQ(utest_signals(pair.b, ZX_EVENTPAIR_SIGNAL_MASK),
              ZX_EVENTPAIR_SIGNALED | ZX_USER_SIGNAL_7);
    EXPECT_OK(zx_object_signal_peer(pair.a, ZX_USER_SIGNAL_7, 0));
    EXPECT_EQ(utest_signals(pair.b, ZX_EVENTPAIR_SIGNAL_MASK), ZX_EVENTPAIR_SIGNALED);
    utest_close_pair(pair);
}

CASE(pair_masks) {
    struct utest_pair pair = utest_eventpair();
    EXPECT_STATUS(zx_object_signal(pair.a, 0, ZX_EVENTPAIR_PEER_CLOSED), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_object_signal_peer(pair.a, 0, ZX_EVENTPAIR_PEER_CLOSED), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_object_signal_peer(pair.a, 1, 0), ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(pair.a, ZX_RIGHT_SIGNAL_PEER);
    EXPECT_STATUS(zx_object_signal_peer(weak, 0, ZX_USER_SIGNAL_0), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_object_signal(weak, 0, ZX_USER_SIGNAL_0));
    EXPECT_CLOSE(weak);
    weak = utest_without(pair.a, ZX_RIGHT_SIGNAL);
    EXPECT_STATUS(zx_object_signal(weak, 0, ZX_USER_SIGNAL_0), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_object_signal_peer(weak, 0, ZX_USER_SIGNAL_0));
    EXPECT_CLOSE(weak);
    utest_close_pair(pair);
}

CASE(pair_peer_closed) {
    struct utest_pair pair = utest_eventpair();
    zx_handle_t second = utest_without(pair.b, 0);
    EXPECT_CLOSE(pair.b);
    // Another handle keeps the end open.
    EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_PEER_CLOSED), 0);
    EXPECT_CLOSE(second);
    EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
    EXPECT_STATUS(zx_object_signal_peer(pair.a, 0, ZX_USER_SIGNAL_0), ZX_ERR_PEER_CLOSED);
    EXPECT_STATUS(zx_object_signal_peer(pair.a, 0, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_object_signal(pair.a, 0, ZX_USER_SIGNAL_0));
    EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_SIGNAL_MASK),
              ZX_EVENTPAIR_PEER_CLOSED | ZX_USER_SIGNAL_0);
    // The peer's koid is remembered.
    EXPECT(utest_basic(pair.a).related_koid != 0);
    EXPECT_CLOSE(pair.a);
}

struct pairs {
    zx_handle_t mine;
};

static void close_peer(void* arg) {
    struct pairs* p = arg;
    EXPECT_CLOSE(p->mine);
}

// Whichever comes first, the other end sees PEER_CLOSED, and signalling it ends with one of two
// results.
CASE(pair_racing_close) {
    for (uint32_t i = 0; i < 200; i++) {
        struct utest_pair pair = utest_eventpair();
        struct pairs arg = {.mine = pair.b};
        struct utest_thread t;
        utest_thread_start(&t, close_peer, &arg);
        zx_status_t status = zx_object_signal_peer(pair.a, 0, ZX_USER_SIGNAL_1);
        EXPECT(status == ZX_OK || status == ZX_ERR_PEER_CLOSED);
        utest_thread_join(&t);
        EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
        EXPECT_CLOSE(pair.a);
    }
}
