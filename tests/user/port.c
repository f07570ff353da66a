// Ports: packets of programs, packets of asynchronous waits, and cancelling both.
#include <utest/utest.h>

#include <string.h>

#include <zircon/syscalls/port.h>

GROUP("port");

static zx_port_packet_t packet(uint64_t key, uint64_t value) {
    zx_port_packet_t p = {.key = key, .type = 99, .status = -7};
    p.user.u64[0] = value;
    p.user.u64[3] = ~value;
    return p;
}

static void expect_none(zx_handle_t port) {
    zx_port_packet_t p;
    EXPECT_STATUS(zx_port_wait(port, 0, &p), ZX_ERR_TIMED_OUT);
}

CASE(create) {
    zx_handle_t port = utest_port();
    zx_info_handle_basic_t info = utest_basic(port);
    EXPECT_EQ(info.type, ZX_OBJ_TYPE_PORT);
    EXPECT_EQ(info.rights, ZX_DEFAULT_PORT_RIGHTS);
    EXPECT_CLOSE(port);
    EXPECT_OK(zx_port_create(ZX_PORT_BIND_TO_INTERRUPT, &port));
    EXPECT_CLOSE(port);
    EXPECT_STATUS(zx_port_create(2, &port), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_port_create(0, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(not_waitable) {
    zx_handle_t port = utest_port();
    EXPECT_STATUS(zx_object_wait_one(port, 1, 0, nullptr), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(port);
}

CASE(queue_and_wait) {
    zx_handle_t port = utest_port();
    for (uint64_t i = 0; i < 100; i++) {
        zx_port_packet_t p = packet(i, i * i);
        EXPECT_OK(zx_port_queue(port, &p));
    }
    for (uint64_t i = 0; i < 100; i++) {
        zx_port_packet_t p = {};
        EXPECT_OK(zx_port_wait(port, i % 2 == 0 ? 0 : ZX_TIME_INFINITE, &p));
        EXPECT_EQ(p.key, i);
        EXPECT_EQ(p.type, ZX_PKT_TYPE_USER); // whatever the program wrote there
        EXPECT_STATUS(p.status, -7);
        EXPECT_EQ(p.user.u64[0], i * i);
        EXPECT_EQ(p.user.u64[3], ~(i * i));
    }
    expect_none(port);
    EXPECT_CLOSE(port);
}

CASE(queue_errors) {
    zx_handle_t port = utest_port();
    zx_port_packet_t p = packet(1, 1);
    EXPECT_STATUS(zx_port_queue(ZX_HANDLE_INVALID, &p), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_port_queue(event, &p), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    zx_handle_t weak = utest_without(port, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_port_queue(weak, &p), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(bad, UTEST_READ, sizeof(p)) {
        EXPECT_STATUS(zx_port_queue(port, bad), ZX_ERR_INVALID_ARGS);
    }
    expect_none(port);
    EXPECT_CLOSE(port);
}

CASE(wait_errors) {
    zx_handle_t port = utest_port();
    zx_port_packet_t p = packet(1, 1);
    EXPECT_STATUS(zx_port_wait(ZX_HANDLE_INVALID, 0, &p), ZX_ERR_BAD_HANDLE);
    zx_handle_t weak = utest_without(port, ZX_RIGHT_READ);
    EXPECT_STATUS(zx_port_wait(weak, 0, &p), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    zx_time_t deadline = utest_after_ms(10);
    EXPECT_STATUS(zx_port_wait(port, deadline, &p), ZX_ERR_TIMED_OUT);
    EXPECT(zx_clock_get_monotonic() >= deadline);
    // The packet is taken even if nobody wants to know it.
    EXPECT_OK(zx_port_queue(port, &p));
    EXPECT_OK(zx_port_wait(port, 0, nullptr));
    expect_none(port);
    FOR_BAD_POINTERS(bad, UTEST_WRITE | UTEST_OR_NULL, sizeof(p)) {
        EXPECT_OK(zx_port_queue(port, &p));
        EXPECT_STATUS(zx_port_wait(port, 0, bad), ZX_ERR_INVALID_ARGS);
        (void)zx_port_wait(port, 0, nullptr); // whether it was lost is not said
    }
    EXPECT_CLOSE(port);
}

struct waiter {
    zx_handle_t port;
    zx_status_t status;
    zx_port_packet_t packet;
};

static void wait_forever(void* arg) {
    struct waiter* w = arg;
    w->status = zx_port_wait(w->port, ZX_TIME_INFINITE, &w->packet);
}

// A packet wakes one of several waiters.
CASE(one_waiter_per_packet) {
    zx_handle_t port = utest_port();
    struct waiter w[4];
    struct utest_thread t[4];
    for (uint32_t i = 0; i < 4; i++) {
        w[i] = (struct waiter){.port = port};
        utest_thread_start(&t[i], wait_forever, &w[i]);
        utest_thread_reach(t[i].handle, ZX_THREAD_STATE_BLOCKED_PORT);
    }
    uint64_t seen = 0;
    for (uint64_t i = 0; i < 4; i++) {
        zx_port_packet_t p = packet(i, 0);
        EXPECT_OK(zx_port_queue(port, &p));
    }
    for (uint32_t i = 0; i < 4; i++) {
        utest_thread_join(&t[i]);
        EXPECT_STATUS(w[i].status, ZX_OK);
        seen |= 1ull << w[i].packet.key;
    }
    EXPECT_EQ(seen, 0xf);
    expect_none(port);
    EXPECT_CLOSE(port);
}

CASE(closed_meanwhile) {
    struct waiter w = {.port = utest_port()};
    struct utest_thread t;
    utest_thread_start(&t, wait_forever, &w);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_PORT);
    EXPECT_CLOSE(w.port);
    utest_thread_join(&t);
    EXPECT_STATUS(w.status, ZX_ERR_CANCELED);
}

CHILD(flood) {
    zx_handle_t port = utest_port();
    zx_port_packet_t p = packet(0, 0);
    for (uint32_t i = 0; i < 5000; i++) {
        if (zx_port_queue(port, &p) != ZX_OK) {
            return 1;
        }
    }
    return 2;
}

CASE(full) {
    EXPECT_EQ(utest_child_run("flood"), ZX_TASK_RETCODE_EXCEPTION_KILL);
}

// ---- asynchronous waits ----

CASE(async) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_wait_async(event, port, 7, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_0, 0));
    expect_none(port);
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_1));
    expect_none(port);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(port, 0, &p));
    EXPECT_EQ(p.key, 7);
    EXPECT_EQ(p.type, ZX_PKT_TYPE_SIGNAL_ONE);
    EXPECT_STATUS(p.status, ZX_OK);
    EXPECT_EQ(p.signal.trigger, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_0);
    EXPECT_EQ(p.signal.observed, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_1);
    EXPECT_EQ(p.signal.count, 1);
    EXPECT_EQ(p.signal.timestamp, 0);
    // Once.
    EXPECT_OK(zx_object_signal(event, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    expect_none(port);
    // Asserted already.
    EXPECT_OK(zx_object_wait_async(event, port, 8, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_port_wait(port, 0, &p));
    EXPECT_EQ(p.key, 8);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(port);
}

CASE(async_edge) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_EVENT_SIGNALED, ZX_WAIT_ASYNC_EDGE));
    expect_none(port);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED)); // no edge
    expect_none(port);
    EXPECT_OK(zx_object_signal(event, ZX_EVENT_SIGNALED, 0));
    expect_none(port);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    EXPECT_OK(zx_port_wait(port, 0, nullptr));
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(port);
}

CASE(async_timestamps) {
    static const uint32_t options[] = {ZX_WAIT_ASYNC_TIMESTAMP, ZX_WAIT_ASYNC_BOOT_TIMESTAMP};
    zx_handle_t port = utest_port();
    for (uint32_t i = 0; i < 2; i++) {
        zx_handle_t event = utest_event();
        EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_EVENT_SIGNALED, options[i]));
        zx_time_t before = zx_clock_get_monotonic();
        EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
        zx_port_packet_t p;
        EXPECT_OK(zx_port_wait(port, 0, &p));
        EXPECT(p.signal.timestamp >= before);
        EXPECT(p.signal.timestamp <= zx_clock_get_monotonic());
        EXPECT_CLOSE(event);
    }
    EXPECT_CLOSE(port);
}

CASE(async_errors) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_object_wait_async(ZX_HANDLE_INVALID, port, 0, 1, 0), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_object_wait_async(event, ZX_HANDLE_INVALID, 0, 1, 0), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_object_wait_async(event, event, 0, 1, 0), ZX_ERR_WRONG_TYPE);
    zx_handle_t weak = utest_without(event, ZX_RIGHT_WAIT);
    EXPECT_STATUS(zx_object_wait_async(weak, port, 0, 1, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    weak = utest_without(port, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_object_wait_async(event, weak, 0, 1, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_STATUS(zx_object_wait_async(event, port, 0, 1, 8), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_object_wait_async(event, port, 0, 1,
                                       ZX_WAIT_ASYNC_TIMESTAMP | ZX_WAIT_ASYNC_BOOT_TIMESTAMP),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(port);
}

CHILD(observe_for_ever) {
    zx_handle_t port = utest_port();
    zx_handle_t event = ZX_HANDLE_INVALID;
    for (uint32_t i = 0; i < 200000; i++) {
        if (i % 1000 == 0) {
            event = utest_event();
        }
        if (zx_object_wait_async(event, port, i, ZX_EVENT_SIGNALED, 0) != ZX_OK) {
            return 1;
        }
    }
    return 2;
}

// Packets that nobody takes count as well.
CHILD(observe_what_is_there) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    for (uint32_t i = 0; i < 200000; i++) {
        if (zx_object_wait_async(event, port, i, ZX_EVENT_SIGNALED, 0) != ZX_OK) {
            return 1;
        }
    }
    return 2;
}

CASE_WITHIN(too_many_observers, 60) {
    EXPECT_EQ(utest_child_run("observe_for_ever"), ZX_TASK_RETCODE_EXCEPTION_KILL);
    EXPECT_EQ(utest_child_run("observe_what_is_there"), ZX_TASK_RETCODE_EXCEPTION_KILL);
}

// Waits and packets that are gone leave room for others.
CASE(waits_come_and_go) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    for (uint32_t i = 0; i < 20000; i++) {
        EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_EVENT_SIGNALED, 0));
        if (i % 2 == 0) {
            EXPECT_OK(zx_port_cancel(port, event, 1));
            continue;
        }
        EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
        if (i % 3 == 0) {
            EXPECT_OK(zx_port_cancel_key(port, 0, 1));
        } else {
            EXPECT_OK(zx_port_wait(port, 0, nullptr));
        }
        EXPECT_OK(zx_object_signal(event, ZX_EVENT_SIGNALED, 0));
    }
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(port);
}

// A signal walks all waits of its object: there is a limit, whatever ports they came through. It
// does not keep threads from waiting, and what is closed or signalled gives its place back.
CASE(too_many_on_one_object) {
    zx_handle_t port[2] = {utest_port(), utest_port()};
    zx_handle_t event = utest_event();
    zx_handle_t copy;
    EXPECT_OK(zx_handle_duplicate(event, ZX_RIGHT_SAME_RIGHTS, &copy));
    uint32_t count = 0;
    zx_status_t status;
    while ((status = zx_object_wait_async(count == 0 ? copy : event, port[count % 2], count,
                                          ZX_EVENT_SIGNALED, 0)) == ZX_OK) {
        EXPECT(++count <= 10000);
    }
    EXPECT_STATUS(status, ZX_ERR_UNAVAILABLE);
    EXPECT(count >= 1000);
    EXPECT_STATUS(zx_object_wait_one(event, ZX_EVENT_SIGNALED, utest_after_ms(1), nullptr),
                  ZX_ERR_TIMED_OUT);
    EXPECT_CLOSE(copy);
    EXPECT_OK(zx_object_wait_async(event, port[0], 0, ZX_EVENT_SIGNALED, 0));
    EXPECT_STATUS(zx_object_wait_async(event, port[0], 0, ZX_EVENT_SIGNALED, 0),
                  ZX_ERR_UNAVAILABLE);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    EXPECT_OK(zx_object_signal(event, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_wait_async(event, port[1], 0, ZX_EVENT_SIGNALED, 0));
    EXPECT_CLOSE(port[0]);
    EXPECT_CLOSE(port[1]);
    EXPECT_CLOSE(event);
}

// Registrations are independent of each other, equal ones too.
CASE(async_many) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    for (uint32_t i = 0; i < 50; i++) {
        EXPECT_OK(zx_object_wait_async(event, port, 3, ZX_EVENT_SIGNALED, 0));
    }
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    for (uint32_t i = 0; i < 50; i++) {
        EXPECT_OK(zx_port_wait(port, 0, nullptr));
    }
    expect_none(port);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(port);
}

// A closed handle takes its waits along, not those of other handles.
CASE(async_handle_closed) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    zx_handle_t second = utest_without(event, 0);
    EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_wait_async(second, port, 2, ZX_EVENT_SIGNALED, 0));
    EXPECT_CLOSE(event);
    expect_none(port);
    EXPECT_OK(zx_object_signal(second, 0, ZX_EVENT_SIGNALED));
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(port, 0, &p));
    EXPECT_EQ(p.key, 2);
    expect_none(port);
    EXPECT_CLOSE(second);
    EXPECT_CLOSE(port);
}

CASE(async_port_closed) {
    zx_handle_t event = utest_event();
    for (uint32_t i = 0; i < 10; i++) {
        zx_handle_t port = utest_port();
        EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_EVENT_SIGNALED, 0));
        EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_USER_SIGNAL_0, 0));
        EXPECT_OK(zx_object_signal(event, ZX_USER_SIGNAL_0, 0));
        EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0));
        EXPECT_CLOSE(port);
    }
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    EXPECT_CLOSE(event);
}

// ---- cancelling ----

CASE(cancel) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    zx_handle_t other = utest_event();
    EXPECT_STATUS(zx_port_cancel(port, event, 1), ZX_ERR_NOT_FOUND);
    EXPECT_OK(zx_object_wait_async(event, port, 1, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_wait_async(event, port, 2, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_wait_async(other, port, 1, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_port_cancel(port, event, 1));
    EXPECT_STATUS(zx_port_cancel(port, event, 1), ZX_ERR_NOT_FOUND);
    EXPECT_OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    EXPECT_OK(zx_object_signal(other, 0, ZX_EVENT_SIGNALED));
    // Queued packets as well.
    EXPECT_OK(zx_port_cancel(port, event, 2));
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(port, 0, &p));
    EXPECT_EQ(p.key, 1);
    expect_none(port);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(other);
    EXPECT_CLOSE(port);
}

CASE(cancel_errors) {
    zx_handle_t port = utest_port();
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_port_cancel(ZX_HANDLE_INVALID, event, 1), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_port_cancel(port, ZX_HANDLE_INVALID, 1), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_port_cancel(event, event, 1), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_port_cancel(port, port, 1), ZX_ERR_NOT_SUPPORTED);
    zx_handle_t weak = utest_without(port, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_port_cancel(weak, event, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_port_cancel_key(weak, 0, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_port_cancel_key(port, 1, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(weak);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(port);
}

CASE(cancel_key) {
    zx_handle_t port = utest_port();
    zx_handle_t a = utest_event();
    zx_handle_t b = utest_event();
    EXPECT_STATUS(zx_port_cancel_key(port, 0, 5), ZX_ERR_NOT_FOUND);
    EXPECT_OK(zx_object_wait_async(a, port, 5, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_wait_async(b, port, 5, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_wait_async(b, port, 6, ZX_EVENT_SIGNALED, 0));
    EXPECT_OK(zx_object_signal(a, 0, ZX_EVENT_SIGNALED));
    zx_port_packet_t user = packet(5, 0);
    EXPECT_OK(zx_port_queue(port, &user));
    EXPECT_OK(zx_port_cancel_key(port, 0, 5));
    EXPECT_OK(zx_object_signal(b, 0, ZX_EVENT_SIGNALED));
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(port, 0, &p));
    EXPECT_EQ(p.key, 6);
    expect_none(port);
    EXPECT_CLOSE(a);
    EXPECT_CLOSE(b);
    EXPECT_CLOSE(port);
}

// ---- races ----

struct race {
    zx_handle_t event;
    atomic_bool stop;
};

static void toggle(void* arg) {
    struct race* r = arg;
    while (!atomic_load(&r->stop)) {
        EXPECT_OK(zx_object_signal(r->event, 0, ZX_EVENT_SIGNALED));
        EXPECT_OK(zx_object_signal(r->event, ZX_EVENT_SIGNALED, 0));
    }
}

// Each registration gives one packet or is cancelled: never both, never neither.
CASE_WITHIN(racing_cancel, 60) {
    zx_handle_t port = utest_port();
    struct race r = {.event = utest_event()};
    struct utest_thread t;
    utest_thread_start(&t, toggle, &r);
    for (uint64_t i = 0; i < 2000; i++) {
        EXPECT_OK(zx_object_wait_async(r.event, port, i, ZX_EVENT_SIGNALED, 0));
        if (i % 3 == 0) {
            EXPECT_OK(zx_port_wait(port, utest_after_ms(5000), nullptr));
        } else {
            EXPECT_OK(zx_port_cancel(port, r.event, i));
        }
        expect_none(port);
    }
    atomic_store(&r.stop, true);
    utest_thread_join(&t);
    EXPECT_CLOSE(r.event);
    EXPECT_CLOSE(port);
}

static void close_it(void* arg) {
    EXPECT_CLOSE(*(zx_handle_t*)arg);
}

CASE_WITHIN(racing_close, 60) {
    for (uint32_t i = 0; i < 100; i++) {
        zx_handle_t port = utest_port();
        zx_handle_t event = utest_event();
        struct utest_thread t;
        utest_thread_start(&t, close_it, i % 2 == 0 ? &port : &event);
        zx_status_t status = ZX_OK;
        for (uint32_t n = 0; n < 1000 && status == ZX_OK; n++) {
            status = zx_object_wait_async(event, port, n, ZX_EVENT_SIGNALED, 0);
        }
        EXPECT(status == ZX_OK || status == ZX_ERR_BAD_HANDLE);
        utest_thread_join(&t);
        EXPECT_CLOSE(i % 2 == 0 ? event : port);
    }
}
