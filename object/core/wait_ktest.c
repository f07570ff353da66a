// Signals, observers, waits on one and many objects, ports.
#include <object/wait.h>

#include <stdatomic.h>

#include <zircon/syscalls/object.h>

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <lib/random.h>
#include <object/event.h>
#include <object/handle_table.h>
#include <object/port.h>
#include <sched/thread.h>
#include <vm/heap.h>

#include "../testing/ktest_user.h"

constexpr int64_t MS = 1'000'000;

struct fixture {
    struct handle_table* table;
    struct object* event;
    zx_handle_t value;
    struct port* port;
    struct handle port_handle;
};

static zx_handle_t insert(struct handle_table* table, struct object* o) {
    struct handle_slot slot;
    if (handle_reserve(table, &slot) != STATUS_OK) {
        return ZX_HANDLE_INVALID;
    }
    zx_handle_t value = slot.value;
    struct handle h = test_handle(object_ref(o));
    handle_publish(table, &slot, &h);
    return value;
}

static bool fixture_open(struct fixture* f) {
    *f = (struct fixture){.table = handle_table_create(5)};
    if (f->table == nullptr || event_create(&f->event) != STATUS_OK ||
        port_create(0, &f->port) != STATUS_OK) {
        return false;
    }
    f->port_handle = test_handle(port_object(f->port));
    f->value = insert(f->table, f->event);
    return f->value != ZX_HANDLE_INVALID;
}

static void fixture_close(struct fixture* f) {
    handle_cleanup(&f->port_handle);
    handle_table_close_all(f->table);
    handle_table_destroy(f->table);
    object_unref(f->event);
}

static bool target(struct fixture* f, zx_handle_t value, zx_signals_t signals,
                   struct wait_target* out) {
    return wait_target_get(f->table, value, signals, out) == STATUS_OK;
}

static status_t wait_async(struct fixture* f, zx_signals_t signals, uint64_t key,
                           uint32_t options) {
    struct wait_target w;
    if (!target(f, f->value, signals, &w)) {
        return STATUS_BAD_HANDLE;
    }
    status_t status = port_wait_async(f->port, &w, key, options);
    object_unref(w.object);
    return status;
}

static status_t next_packet(struct fixture* f, zx_port_packet_t* out) {
    return port_wait(f->port, 0, out);
}

// ---- waits ----

struct wait_thread {
    struct fixture* f;
    zx_signals_t signals;
    int64_t deadline_ns;
    _Atomic(int32_t) result;
    zx_signals_t observed;
    struct thread* thread;
};

static int wait_main(void* arg) {
    struct wait_thread* w = arg;
    struct wait_target one;
    status_t status = STATUS_BAD_HANDLE;
    if (target(w->f, w->f->value, w->signals, &one)) {
        status = wait_one(&one, w->deadline_ns);
        w->observed = one.observed;
        object_unref(one.object);
    }
    atomic_store(&w->result, (int32_t)status);
    return 0;
}

static bool start_wait(struct wait_thread* w, struct fixture* f, zx_signals_t signals,
                       int64_t deadline_ns) {
    *w = (struct wait_thread){.f = f, .signals = signals, .deadline_ns = deadline_ns};
    atomic_store(&w->result, 1);
    w->thread = kthread_create("wait", wait_main, w, PRIORITY_DEFAULT);
    if (w->thread == nullptr) {
        return false;
    }
    thread_start(w->thread);
    while (atomic_load(&w->thread->state) != THREAD_BLOCKED && atomic_load(&w->result) == 1) {
        thread_yield();
    }
    return true;
}

static void wait_ends_by_signal_close_or_deadline(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    struct wait_thread w;
    KASSERT(t, start_wait(&w, &f, ZX_USER_SIGNAL_3, TIME_INFINITE));
    object_signal(f.event, 0, ZX_USER_SIGNAL_1); // not what it waits for
    object_signal(f.event, 0, ZX_USER_SIGNAL_3);
    kthread_join(w.thread);
    KEXPECT_EQ(t, atomic_load(&w.result), STATUS_OK);
    KEXPECT_EQ(t, w.observed, ZX_USER_SIGNAL_1 | ZX_USER_SIGNAL_3);
    KASSERT(t, start_wait(&w, &f, ZX_USER_SIGNAL_4, clock_monotonic_ns() + 3 * MS));
    kthread_join(w.thread);
    KEXPECT_EQ(t, atomic_load(&w.result), STATUS_TIMED_OUT);
    KEXPECT_EQ(t, w.observed, ZX_USER_SIGNAL_1 | ZX_USER_SIGNAL_3);
    KASSERT(t, start_wait(&w, &f, ZX_USER_SIGNAL_4, TIME_INFINITE));
    KEXPECT_EQ(t, handle_close(f.table, f.value), STATUS_OK);
    kthread_join(w.thread);
    KEXPECT_EQ(t, atomic_load(&w.result), STATUS_CANCELED);
    KEXPECT((t), (w.observed & ZX_SIGNAL_HANDLE_CLOSED) != 0);
    fixture_close(&f);
}
KTEST(waits, wait_ends_by_signal_close_or_deadline);

static void past_deadlines_still_report_signals(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    struct wait_target w;
    KASSERT(t, target(&f, f.value, ZX_USER_SIGNAL_0, &w));
    KEXPECT_EQ(t, wait_one(&w, INT64_MIN), STATUS_TIMED_OUT);
    object_signal(f.event, 0, ZX_USER_SIGNAL_0);
    KEXPECT_EQ(t, wait_one(&w, INT64_MIN), STATUS_OK);
    KEXPECT_EQ(t, wait_many(&w, 1, 0), STATUS_OK);
    KEXPECT_EQ(t, wait_many(nullptr, 0, 0), STATUS_TIMED_OUT);
    object_unref(w.object);
    struct wait_target p;
    zx_handle_t port = insert(f.table, port_object(f.port));
    KEXPECT_EQ(t, handle_get(f.table, port, OBJECT_ANY, 0, &p.object), STATUS_OK);
    object_unref(p.object);
    // A port's handle lacks the right; with it, there is still nothing to wait for.
    KEXPECT(t, wait_target_get(f.table, port, 1, &p) != STATUS_OK);
    fixture_close(&f);
}
KTEST(waits, past_deadlines_still_report_signals);

static void wait_many_counts_every_object(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    struct wait_target* w = heap_alloc(WAIT_MANY_MAX * sizeof(*w));
    KASSERT(t, w != nullptr);
    for (size_t i = 0; i < WAIT_MANY_MAX; i++) {
        struct object* event;
        KASSERT(t, event_create(&event) == STATUS_OK);
        KASSERT(t, target(&f, insert(f.table, event), ZX_EVENT_SIGNALED, &w[i]));
        object_unref(event); // the table's handle keeps it
    }
    int64_t deadline = clock_monotonic_ns() + 2 * MS;
    KEXPECT_EQ(t, wait_many(w, WAIT_MANY_MAX, deadline), STATUS_TIMED_OUT);
    object_signal(w[3].object, 0, ZX_EVENT_SIGNALED);
    object_signal(w[63].object, 0, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_2);
    KEXPECT_EQ(t, wait_many(w, WAIT_MANY_MAX, TIME_INFINITE), STATUS_OK);
    for (size_t i = 0; i < WAIT_MANY_MAX; i++) {
        zx_signals_t expected = i == 3    ? ZX_EVENT_SIGNALED
                                : i == 63 ? ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_2
                                          : 0;
        KEXPECT_EQ(t, w[i].observed, expected);
        object_unref(w[i].object);
    }
    heap_free(w);
    fixture_close(&f);
}
KTEST(waits, wait_many_counts_every_object);

struct closer {
    struct fixture* f;
    _Atomic(zx_handle_t)* value;
    _Atomic(bool)* stop;
};

static int close_main(void* arg) {
    struct closer* c = arg;
    while (!atomic_load(c->stop)) {
        zx_handle_t value = atomic_exchange(c->value, ZX_HANDLE_INVALID);
        if (value != ZX_HANDLE_INVALID) {
            (void)!handle_close(c->f->table, value);
        }
        thread_yield();
    }
    return 0;
}

// The wait begins while another CPU closes the handle: it must end all the same.
static void close_races_with_wait(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    _Atomic(zx_handle_t) value = ZX_HANDLE_INVALID;
    _Atomic(bool) stop = false;
    struct closer c = {.f = &f, .value = &value, .stop = &stop};
    struct thread* th = kthread_create("close", close_main, &c, PRIORITY_DEFAULT);
    KASSERT(t, th != nullptr);
    thread_start(th);
    for (int i = 0; i < 2000; i++) {
        zx_handle_t fresh = insert(f.table, f.event);
        struct wait_target w;
        KASSERT(t, target(&f, fresh, ZX_EVENT_SIGNALED, &w));
        atomic_store(&value, fresh);
        status_t status =
            i % 2 == 0 ? wait_one(&w, TIME_INFINITE) : wait_many(&w, 1, TIME_INFINITE);
        KEXPECT_EQ(t, status, STATUS_CANCELED);
        object_unref(w.object);
    }
    atomic_store(&stop, true);
    kthread_join(th);
    fixture_close(&f);
}
KTEST_WITH(waits, close_races_with_wait, 0, 30'000);

// ---- ports ----

static void port_keeps_order_and_cancels(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    zx_port_packet_t p = {};
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    for (uint64_t i = 0; i < 10; i++) {
        p = (zx_port_packet_t){.key = i, .type = 0xdead, .status = (int32_t)i - 5};
        KEXPECT_EQ(t, port_queue_user(f.port, &p), STATUS_OK);
        if (i == 4) {
            KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_0, 77, 0), STATUS_OK);
            object_signal(f.event, 0, ZX_USER_SIGNAL_0 | ZX_USER_SIGNAL_1);
        }
    }
    for (uint64_t i = 0; i < 11; i++) {
        KEXPECT_EQ(t, next_packet(&f, &p), STATUS_OK);
        KEXPECT_EQ(t, p.key, i < 5 ? i : i == 5 ? 77 : i - 1);
        KEXPECT_EQ(t, p.type, i == 5 ? ZX_PKT_TYPE_SIGNAL_ONE : ZX_PKT_TYPE_USER);
        if (i == 5) {
            KEXPECT_EQ(t, p.signal.trigger, ZX_USER_SIGNAL_0);
            KEXPECT_EQ(t, p.signal.observed, ZX_USER_SIGNAL_0 | ZX_USER_SIGNAL_1);
            KEXPECT_EQ(t, p.signal.count, 1u);
        }
    }
    // Pending, queued already, and of another key.
    struct wait_target w;
    KASSERT(t, target(&f, f.value, 0, &w));
    KEXPECT_EQ(t, port_cancel(f.port, f.event, w.identity, 1), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_5, 1, 0), STATUS_OK);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_0, 1, 0), STATUS_OK); // matches at once
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_0, 2, 0), STATUS_OK);
    KEXPECT_EQ(t, port_cancel(f.port, f.event, w.identity, 1), STATUS_OK);
    object_signal(f.event, 0, ZX_USER_SIGNAL_5);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_OK);
    KEXPECT_EQ(t, p.key, 2u);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_0, 3, 0), STATUS_OK);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_6, 3, 0), STATUS_OK);
    KEXPECT_EQ(t, port_cancel_key(f.port, 3), STATUS_OK);
    KEXPECT_EQ(t, port_cancel_key(f.port, 3), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    object_unref(w.object);
    fixture_close(&f);
}
KTEST(port, port_keeps_order_and_cancels);

static void edge_waits_want_a_change(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    zx_port_packet_t p;
    object_signal(f.event, 0, ZX_USER_SIGNAL_0);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_0, 1, ZX_WAIT_ASYNC_EDGE), STATUS_OK);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    object_signal(f.event, 0, ZX_USER_SIGNAL_0); // is already
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    object_signal(f.event, ZX_USER_SIGNAL_0, 0);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    int64_t before = clock_monotonic_ns();
    object_signal(f.event, 0, ZX_USER_SIGNAL_0);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_OK);
    KEXPECT_EQ(t, p.signal.timestamp, 0);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_0, 1, ZX_WAIT_ASYNC_TIMESTAMP), STATUS_OK);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_OK);
    KEXPECT(t, p.signal.timestamp >= before && p.signal.timestamp <= clock_monotonic_ns());
    fixture_close(&f);
}
KTEST(port, edge_waits_want_a_change);

static void closing_ends_pending_waits(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    zx_port_packet_t p;
    for (uint64_t i = 0; i < 100; i++) {
        KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_1, i, 0), STATUS_OK);
    }
    // The handle they were made through: no packet comes for them.
    KEXPECT_EQ(t, handle_close(f.table, f.value), STATUS_OK);
    object_signal(f.event, 0, ZX_USER_SIGNAL_1);
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    object_signal(f.event, ZX_USER_SIGNAL_1, 0);
    // The port: pending, and queued in all ways.
    f.value = insert(f.table, f.event);
    for (uint64_t i = 0; i < 100; i++) {
        KEXPECT_EQ(t, wait_async(&f, i % 2 == 0 ? ZX_USER_SIGNAL_1 : ZX_USER_SIGNAL_2, i, 0),
                   STATUS_OK);
        KEXPECT_EQ(t, port_queue_user(f.port, &(zx_port_packet_t){}), STATUS_OK);
    }
    object_signal(f.event, 0, ZX_USER_SIGNAL_1);
    handle_discard(&f.port_handle);
    object_signal(f.event, 0, ZX_USER_SIGNAL_2);
    fixture_close(&f);
}
KTEST(port, closing_ends_pending_waits);

static void user_packets_are_limited(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    zx_port_packet_t p = {};
    for (uint32_t i = 0; i < PORT_USER_PACKETS_MAX; i++) {
        KASSERT(t, port_queue_user(f.port, &p) == STATUS_OK);
    }
    KEXPECT_EQ(t, port_queue_user(f.port, &p), STATUS_NO_RESOURCES);
    KEXPECT_EQ(t, wait_async(&f, ZX_USER_SIGNAL_1, 9, 0), STATUS_OK);
    object_signal(f.event, 0, ZX_USER_SIGNAL_1); // the kernel's own are not refused
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_OK);
    KEXPECT_EQ(t, port_queue_user(f.port, &p), STATUS_OK);
    fixture_close(&f);
}
KTEST(port, user_packets_are_limited);

// ---- one waiter per packet; signalling against cancelling and closing ----

struct drain {
    struct fixture* f;
    uint32_t count;
    _Atomic(uint32_t)* total;
};

static int drain_main(void* arg) {
    struct drain* d = arg;
    zx_port_packet_t p;
    while (port_wait(d->f->port, TIME_INFINITE, &p) == STATUS_OK && p.key != UINT64_MAX) {
        d->count++;
        atomic_fetch_add(d->total, 1);
    }
    return 0;
}

static void each_packet_wakes_one(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    _Atomic(uint32_t) total = 0;
    struct drain d[4];
    struct thread* threads[4];
    for (int i = 0; i < 4; i++) {
        d[i] = (struct drain){.f = &f, .total = &total};
        threads[i] = kthread_create("drain", drain_main, &d[i], PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    constexpr uint32_t PACKETS = 4000;
    for (uint32_t i = 0; i < PACKETS; i++) {
        zx_port_packet_t p = {.key = i};
        while (port_queue_user(f.port, &p) == STATUS_NO_RESOURCES) {
            thread_yield();
        }
    }
    for (int i = 0; i < 4; i++) {
        while (port_queue_user(f.port, &(zx_port_packet_t){.key = UINT64_MAX}) != STATUS_OK) {
            thread_yield();
        }
    }
    for (int i = 0; i < 4; i++) {
        kthread_join(threads[i]);
    }
    KEXPECT_EQ(t, atomic_load(&total), PACKETS);
    zx_port_packet_t p;
    KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
    fixture_close(&f);
}
KTEST(port, each_packet_wakes_one);

struct flicker {
    struct object* event;
    _Atomic(bool)* stop;
};

static int flicker_main(void* arg) {
    struct flicker* s = arg;
    while (!atomic_load(s->stop)) {
        object_signal(s->event, 0, ZX_USER_SIGNAL_0);
        object_signal(s->event, ZX_USER_SIGNAL_0, 0);
        thread_yield();
    }
    return 0;
}

// A wait is delivered or cancelled, never both and never neither.
static void cancel_races_with_signal(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f));
    _Atomic(bool) stop = false;
    struct flicker s = {.event = f.event, .stop = &stop};
    struct thread* th = kthread_create("flicker", flicker_main, &s, PRIORITY_DEFAULT);
    KASSERT(t, th != nullptr);
    thread_start(th);
    struct random rng = random_init(11);
    zx_port_packet_t p;
    for (int i = 0; i < 3000; i++) {
        struct wait_target w;
        KASSERT(t, target(&f, f.value, ZX_USER_SIGNAL_0, &w));
        KASSERT(t, port_wait_async(f.port, &w, 1, random_below(&rng, 2) * ZX_WAIT_ASYNC_EDGE) ==
                       STATUS_OK);
        bool taken = random_below(&rng, 2) == 0 && next_packet(&f, &p) == STATUS_OK;
        status_t status = random_below(&rng, 2) == 0 ? port_cancel(f.port, f.event, w.identity, 1)
                                                     : port_cancel_key(f.port, 1);
        KEXPECT_EQ(t, status, taken ? STATUS_NOT_FOUND : STATUS_OK);
        KEXPECT_EQ(t, next_packet(&f, &p), STATUS_TIMED_OUT);
        object_unref(w.object);
    }
    atomic_store(&stop, true);
    kthread_join(th);
    fixture_close(&f);
}
KTEST_WITH(port, cancel_races_with_signal, 0, 30'000);
