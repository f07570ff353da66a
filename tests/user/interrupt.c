// Interrupts: virtual ones, by port and by wait; lines (of the clock chip that any PC has); blocks
// of messages.
#include <utest/utest.h>

#include <stdatomic.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/port.h>
#include <zircon/syscalls/resource.h>

GROUP("interrupt");

constexpr uint64_t KEY = 0x1234;
constexpr uint64_t PAGE = 4096;

static zx_handle_t virtual_interrupt(void) {
    zx_handle_t i;
    EXPECT_OK(zx_interrupt_create(ZX_HANDLE_INVALID, 0, ZX_INTERRUPT_VIRTUAL, &i));
    return i;
}

static zx_handle_t interrupt_port(void) {
    zx_handle_t port;
    EXPECT_OK(zx_port_create(ZX_PORT_BIND_TO_INTERRUPT, &port));
    return port;
}

static void bind(zx_handle_t interrupt, zx_handle_t port) {
    EXPECT_OK(zx_interrupt_bind(interrupt, port, KEY, ZX_INTERRUPT_BIND));
}

static void trigger(zx_handle_t interrupt, zx_time_t when) {
    EXPECT_OK(zx_interrupt_trigger(interrupt, 0, when));
}

static void expect_packet(zx_handle_t port, zx_time_t when) {
    zx_port_packet_t packet;
    EXPECT_OK(zx_port_wait(port, 0, &packet));
    EXPECT_EQ(packet.type, ZX_PKT_TYPE_INTERRUPT);
    EXPECT_EQ(packet.key, KEY);
    EXPECT_EQ(packet.status, ZX_OK);
    EXPECT_EQ(packet.interrupt.timestamp, when);
}

static void expect_none(zx_handle_t port) {
    zx_port_packet_t packet;
    EXPECT_STATUS(zx_port_wait(port, 0, &packet), ZX_ERR_TIMED_OUT);
}

static bool is_untriggered(zx_handle_t interrupt) {
    return utest_signals(interrupt, ZX_VIRTUAL_INTERRUPT_UNTRIGGERED) != 0;
}

// ---- virtual ----

CASE(create) {
    zx_handle_t i = virtual_interrupt();
    EXPECT_EQ(utest_basic(i).type, ZX_OBJ_TYPE_INTERRUPT);
    EXPECT_EQ(utest_basic(i).rights, ZX_DEFAULT_INTERRUPT_RIGHTS);
    zx_info_interrupt_t info;
    EXPECT_OK(zx_object_get_info(i, ZX_INFO_INTERRUPT, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.options, ZX_INTERRUPT_VIRTUAL);
    EXPECT_CLOSE(i);
    static const uint32_t wrong[] = {ZX_INTERRUPT_VIRTUAL | ZX_INTERRUPT_REMAP_IRQ,
                                     ZX_INTERRUPT_VIRTUAL | ZX_INTERRUPT_MODE_EDGE_LOW,
                                     ZX_INTERRUPT_VIRTUAL | 1u << 20};
    for (uint32_t n = 0; n < 3; n++) {
        EXPECT_STATUS(zx_interrupt_create(ZX_HANDLE_INVALID, 0, wrong[n], &i), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_STATUS(zx_interrupt_create(ZX_HANDLE_INVALID, 4, 0, &i), ZX_ERR_BAD_HANDLE);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(i)) {
        EXPECT_STATUS(zx_interrupt_create(ZX_HANDLE_INVALID, 0, ZX_INTERRUPT_VIRTUAL, p),
                      ZX_ERR_INVALID_ARGS);
    }
}

CASE(bind_errors) {
    zx_handle_t i = virtual_interrupt();
    zx_handle_t plain = utest_port();
    zx_handle_t port = interrupt_port();
    zx_handle_t other = interrupt_port();
    EXPECT_STATUS(zx_interrupt_bind(i, plain, KEY, ZX_INTERRUPT_BIND), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_interrupt_bind(i, port, KEY, 2), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_interrupt_bind(i, port, KEY, ZX_INTERRUPT_UNBIND), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_interrupt_ack(i), ZX_ERR_BAD_STATE);
    bind(i, port);
    EXPECT_STATUS(zx_interrupt_bind(i, port, KEY, ZX_INTERRUPT_BIND), ZX_ERR_ALREADY_BOUND);
    EXPECT_STATUS(zx_interrupt_bind(i, other, KEY, ZX_INTERRUPT_BIND), ZX_ERR_ALREADY_BOUND);
    EXPECT_STATUS(zx_interrupt_bind(i, other, KEY, ZX_INTERRUPT_UNBIND), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_interrupt_wait(i, nullptr), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_interrupt_trigger(i, 1, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_interrupt_ack(i));
    EXPECT_CLOSE(i);
    EXPECT_CLOSE(other);
    EXPECT_CLOSE(port);
    EXPECT_CLOSE(plain);
}

// One packet until the acknowledgement, then one for all that came in between, with the time of the
// first of them.
CASE(packets) {
    zx_handle_t i = virtual_interrupt();
    zx_handle_t port = interrupt_port();
    bind(i, port);
    EXPECT(is_untriggered(i));
    trigger(i, 100);
    EXPECT(!is_untriggered(i));
    trigger(i, 200);
    trigger(i, 300);
    expect_packet(port, 100);
    expect_none(port);
    EXPECT_OK(zx_interrupt_ack(i));
    expect_packet(port, 200);
    expect_none(port);
    EXPECT(!is_untriggered(i));
    EXPECT_OK(zx_interrupt_ack(i));
    EXPECT(is_untriggered(i));
    expect_none(port);
    // Acknowledged before the packet was taken: it is not sent twice.
    trigger(i, 400);
    EXPECT_OK(zx_interrupt_ack(i));
    trigger(i, 500);
    expect_packet(port, 400);
    expect_packet(port, 500);
    EXPECT_OK(zx_interrupt_ack(i));
    // A time of 0 is one, too.
    trigger(i, 0);
    expect_packet(port, 0);
    EXPECT_CLOSE(i);
    EXPECT_CLOSE(port);
}

CASE(packets_come_first) {
    zx_handle_t i = virtual_interrupt();
    zx_handle_t port = interrupt_port();
    zx_port_packet_t packet = {.key = 1};
    EXPECT_OK(zx_port_queue(port, &packet));
    bind(i, port);
    trigger(i, 7);
    expect_packet(port, 7);
    EXPECT_OK(zx_port_wait(port, 0, &packet));
    EXPECT_EQ(packet.type, ZX_PKT_TYPE_USER);
    EXPECT_CLOSE(i);
    EXPECT_CLOSE(port);
}

// What fired before is delivered when there is somebody to deliver to.
CASE(fired_before) {
    zx_handle_t i = virtual_interrupt();
    zx_handle_t port = interrupt_port();
    trigger(i, 1);
    bind(i, port);
    expect_packet(port, 1);
    EXPECT_OK(zx_interrupt_ack(i));
    // A packet that nobody took goes with the port, and the interrupt stays pending.
    trigger(i, 2);
    EXPECT_OK(zx_interrupt_bind(i, port, 0, ZX_INTERRUPT_UNBIND));
    expect_none(port);
    zx_time_t when;
    EXPECT_OK(zx_interrupt_wait(i, &when));
    EXPECT_EQ(when, 2);
    trigger(i, 3);
    EXPECT_OK(zx_interrupt_wait(i, &when));
    EXPECT_EQ(when, 3);
    // A port that is closed keeps nothing either.
    bind(i, port);
    EXPECT_OK(zx_interrupt_ack(i));
    trigger(i, 4);
    EXPECT_CLOSE(port);
    EXPECT_CLOSE(i);
}

struct waiting {
    zx_handle_t interrupt;
    zx_time_t when;
    zx_status_t status;
};

static void wait_once(void* arg) {
    struct waiting* w = arg;
    w->status = zx_interrupt_wait(w->interrupt, &w->when);
}

CASE(wait) {
    struct waiting w = {.interrupt = virtual_interrupt()};
    zx_handle_t port = interrupt_port();
    struct utest_thread thread;
    utest_thread_start(&thread, wait_once, &w);
    utest_thread_reach(thread.handle, ZX_THREAD_STATE_BLOCKED_INTERRUPT);
    EXPECT_STATUS(zx_interrupt_wait(w.interrupt, nullptr), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_interrupt_bind(w.interrupt, port, KEY, ZX_INTERRUPT_BIND), ZX_ERR_BAD_STATE);
    trigger(w.interrupt, 5);
    utest_thread_join(&thread);
    EXPECT_EQ(w.status, ZX_OK);
    EXPECT_EQ(w.when, 5);
    // The next wait acknowledges.
    EXPECT(!is_untriggered(w.interrupt));
    utest_thread_start(&thread, wait_once, &w);
    utest_thread_reach(thread.handle, ZX_THREAD_STATE_BLOCKED_INTERRUPT);
    EXPECT(is_untriggered(w.interrupt));
    EXPECT_OK(zx_interrupt_destroy(w.interrupt));
    utest_thread_join(&thread);
    EXPECT_EQ(w.status, ZX_ERR_CANCELED);
    EXPECT_CLOSE(port);
    EXPECT_CLOSE(w.interrupt);
}

// A wait that was interrupted goes on, and finds what came meanwhile.
CASE(a_waiting_thread_is_suspended) {
    struct waiting w = {.interrupt = virtual_interrupt()};
    struct utest_thread thread;
    utest_thread_start(&thread, wait_once, &w);
    utest_thread_reach(thread.handle, ZX_THREAD_STATE_BLOCKED_INTERRUPT);
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend_token(thread.handle, &token));
    EXPECT_OK(zx_object_wait_one(thread.handle, ZX_THREAD_SUSPENDED, ZX_TIME_INFINITE, nullptr));
    trigger(w.interrupt, 9);
    EXPECT_CLOSE(token);
    utest_thread_join(&thread);
    EXPECT_EQ(w.status, ZX_OK);
    EXPECT_EQ(w.when, 9);
    EXPECT_CLOSE(w.interrupt);
}

struct taking {
    zx_handle_t port;
    zx_port_packet_t packet;
    zx_status_t status;
};

static void take_once(void* arg) {
    struct taking* t = arg;
    t->status = zx_port_wait(t->port, ZX_TIME_INFINITE, &t->packet);
}

// The packet has gone to a thread that may not have run yet: the interrupt can go to another port
// all the same, from where the next comes, with that port's key.
CASE(bound_anew_while_a_packet_is_taken) {
    zx_handle_t other = interrupt_port();
    zx_handle_t i = virtual_interrupt();
    for (uint32_t round = 0; round < 50; round++) {
        struct taking t = {.port = interrupt_port()};
        struct utest_thread thread;
        utest_thread_start(&thread, take_once, &t);
        utest_thread_reach(thread.handle, ZX_THREAD_STATE_BLOCKED_PORT);
        EXPECT_OK(zx_interrupt_bind(i, t.port, KEY + 1, ZX_INTERRUPT_BIND));
        trigger(i, 1);
        EXPECT_OK(zx_interrupt_bind(i, t.port, 0, ZX_INTERRUPT_UNBIND));
        bind(i, other);
        trigger(i, 2);
        if (round % 2 == 0) {
            EXPECT_CLOSE(t.port); // it has the packet in hand: nothing is taken from it
        }
        utest_thread_join(&thread);
        EXPECT_STATUS(t.status, ZX_OK);
        EXPECT_EQ(t.packet.key, KEY + 1);
        EXPECT_EQ(t.packet.interrupt.timestamp, 1);
        expect_none(other);
        EXPECT_OK(zx_interrupt_ack(i));
        expect_packet(other, 2);
        EXPECT_OK(zx_interrupt_ack(i));
        EXPECT_OK(zx_interrupt_bind(i, other, 0, ZX_INTERRUPT_UNBIND));
        if (round % 2 != 0) {
            EXPECT_CLOSE(t.port);
        }
    }
    EXPECT_CLOSE(i);
    EXPECT_CLOSE(other);
}

CASE(destroy) {
    zx_handle_t port = interrupt_port();
    zx_handle_t i = virtual_interrupt();
    bind(i, port);
    EXPECT_OK(zx_interrupt_destroy(i));
    EXPECT_STATUS(zx_interrupt_wait(i, nullptr), ZX_ERR_CANCELED);
    EXPECT_STATUS(zx_interrupt_ack(i), ZX_ERR_CANCELED);
    EXPECT_STATUS(zx_interrupt_trigger(i, 0, 0), ZX_ERR_CANCELED);
    EXPECT_STATUS(zx_interrupt_bind(i, port, KEY, ZX_INTERRUPT_BIND), ZX_ERR_CANCELED);
    EXPECT_STATUS(zx_interrupt_bind(i, port, KEY, ZX_INTERRUPT_UNBIND), ZX_ERR_CANCELED);
    EXPECT_OK(zx_interrupt_destroy(i));
    EXPECT_CLOSE(i);
    // The packet goes with it, unless somebody has it.
    i = virtual_interrupt();
    bind(i, port);
    trigger(i, 1);
    EXPECT_OK(zx_interrupt_destroy(i));
    expect_none(port);
    EXPECT_CLOSE(i);
    i = virtual_interrupt();
    bind(i, port);
    trigger(i, 1);
    expect_packet(port, 1);
    EXPECT_STATUS(zx_interrupt_destroy(i), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(i);
    i = virtual_interrupt();
    bind(i, port);
    trigger(i, 1);
    EXPECT_CLOSE(i);
    expect_none(port);
    EXPECT_CLOSE(port);
}

// ---- races ----

struct race {
    _Atomic(zx_handle_t) interrupt;
    zx_handle_t port;
    _Atomic(uint32_t) packets;
    _Atomic(bool) done;
};

static void trigger_always(void* arg) {
    struct race* r = arg;
    while (!atomic_load(&r->done)) {
        (void)zx_interrupt_trigger(atomic_load(&r->interrupt), 0, 1);
        (void)zx_thread_legacy_yield(0);
    }
}

static void take_always(void* arg) {
    struct race* r = arg;
    zx_port_packet_t packet;
    while (!atomic_load(&r->done)) {
        if (zx_port_wait(r->port, utest_after_ms(1), &packet) == ZX_OK) {
            atomic_fetch_add(&r->packets, 1);
        }
        (void)zx_interrupt_ack(atomic_load(&r->interrupt));
    }
}

static void wait_always(void* arg) {
    struct race* r = arg;
    while (!atomic_load(&r->done)) {
        (void)zx_interrupt_wait(atomic_load(&r->interrupt), nullptr);
    }
}

// Everything that may be done to an interrupt at once, while it is made and ended.
CASE_WITHIN(races, 60) {
    struct race r = {.port = interrupt_port()};
    static void (*const loops[])(void*) = {trigger_always, trigger_always, take_always,
                                           wait_always};
    struct utest_thread threads[4];
    for (uint32_t n = 0; n < 4; n++) {
        utest_thread_start(&threads[n], loops[n], &r);
    }
    for (uint32_t round = 0; round < 600; round++) {
        zx_handle_t i = virtual_interrupt();
        if (round % 2 == 0) {
            bind(i, r.port);
        }
        atomic_store(&r.interrupt, i);
        for (uint32_t step = 0; step < 5; step++) {
            (void)zx_thread_legacy_yield(0);
            (void)zx_interrupt_trigger(i, 0, 2);
        }
        if (round % 3 == 0) {
            (void)zx_interrupt_bind(i, r.port, KEY, ZX_INTERRUPT_UNBIND);
        } else if (round % 3 == 1) {
            (void)zx_interrupt_destroy(i);
        }
        EXPECT_CLOSE(i);
    }
    // After all that the next one is delivered as ever: it may have been the first that was not
    // taken back in time.
    zx_handle_t last = virtual_interrupt();
    const uint32_t before = atomic_load(&r.packets);
    bind(last, r.port);
    atomic_store(&r.interrupt, last);
    trigger(last, 3);
    while (atomic_load(&r.packets) == before) {
        (void)zx_thread_legacy_yield(0);
    }
    atomic_store(&r.done, true);
    for (uint32_t n = 0; n < 4; n++) {
        utest_thread_join(&threads[n]);
    }
    EXPECT_CLOSE(last);
    EXPECT_CLOSE(r.port);
}

// ---- lines: the periodic interrupt of the clock chip ----

constexpr uint16_t CMOS = 0x70; // index, then data
constexpr uint32_t CLOCK_IRQ = 8;
constexpr uint8_t REGISTER_A = 0x0a; // the rate
constexpr uint8_t REGISTER_B = 0x0b; // what may interrupt
constexpr uint8_t REGISTER_C = 0x0c; // what does; reading clears it
constexpr uint8_t PERIODIC = 0x40;

static uint8_t cmos_read(uint8_t index) {
    uint8_t value;
    __asm__ volatile("outb %0, %1" ::"a"(index), "Nd"(CMOS) : "memory");
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)(CMOS + 1)) : "memory");
    return value;
}

static void cmos_write(uint8_t index, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(index), "Nd"(CMOS) : "memory");
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"((uint16_t)(CMOS + 1)) : "memory");
}

static zx_handle_t kind(uint32_t type) {
    zx_handle_t h = utest_startup_peek(PA_HND(type, 0));
    if (h == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    return h;
}

static void clock_stop(void) {
    cmos_write(REGISTER_B, cmos_read(REGISTER_B) & (uint8_t)~PERIODIC);
    (void)cmos_read(REGISTER_C);
}

// The ports, and a clock that does not interrupt. Its periodic flag is set before long, and from
// then on enabling the interrupt raises the line at once, and disabling it lowers the line.
static void clock_get(void) {
    EXPECT_OK(zx_ioports_request(kind(PA_IOPORT_RESOURCE), CMOS, 2));
    if ((cmos_read(0x0d) & 0x80) == 0 || cmos_read(REGISTER_B) == 0xff) {
        EXPECT_OK(zx_ioports_release(kind(PA_IOPORT_RESOURCE), CMOS, 2));
        utest_skip("this machine has no clock chip");
    }
    clock_stop();
    cmos_write(REGISTER_A, (cmos_read(REGISTER_A) & 0xf0) | 6); // 1,024 times in a second
}

static void clock_release(void) {
    clock_stop();
    EXPECT_OK(zx_ioports_release(kind(PA_IOPORT_RESOURCE), CMOS, 2));
}

static void clock_enable(bool on) {
    const uint8_t b = cmos_read(REGISTER_B);
    cmos_write(REGISTER_B, on ? b | PERIODIC : b & (uint8_t)~PERIODIC);
}

static zx_handle_t clock_interrupt(uint32_t mode) {
    zx_handle_t i;
    EXPECT_OK(
        zx_interrupt_create(kind(PA_IRQ_RESOURCE), CLOCK_IRQ, ZX_INTERRUPT_REMAP_IRQ | mode, &i));
    return i;
}

CASE(line_errors) {
    clock_get();
    zx_handle_t irq = kind(PA_IRQ_RESOURCE);
    zx_handle_t i;
    zx_handle_t part;
    EXPECT_OK(zx_resource_create(irq, ZX_RSRC_KIND_IRQ, 9, 1, "part", 4, &part));
    EXPECT_STATUS(zx_interrupt_create(part, CLOCK_IRQ, ZX_INTERRUPT_REMAP_IRQ, &i),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_CLOSE(part);
    EXPECT_STATUS(zx_interrupt_create(irq, CLOCK_IRQ, ZX_INTERRUPT_MODE_EDGE_BOTH, &i),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_interrupt_create(irq, CLOCK_IRQ, 6u << 1, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_interrupt_create(irq, CLOCK_IRQ, 1u << 20, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_interrupt_create(irq, 1000, 0, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_interrupt_create(irq, 200, 0, &i), ZX_ERR_INVALID_ARGS);
    zx_handle_t own = clock_interrupt(0);
    EXPECT_STATUS(zx_interrupt_create(irq, CLOCK_IRQ, ZX_INTERRUPT_REMAP_IRQ, &i),
                  ZX_ERR_ALREADY_BOUND);
    EXPECT_STATUS(zx_interrupt_trigger(own, 0, 1), ZX_ERR_BAD_STATE);
    // Destroyed, it is no longer taken.
    EXPECT_OK(zx_interrupt_destroy(own));
    i = clock_interrupt(0);
    EXPECT_CLOSE(i);
    EXPECT_CLOSE(own);
    clock_release();
}

CASE(edges) {
    clock_get();
    zx_handle_t i = clock_interrupt(0);
    zx_time_t before = 0;
    clock_enable(true);
    for (uint32_t n = 0; n < 5; n++) {
        zx_time_t when;
        EXPECT_OK(zx_interrupt_wait(i, &when));
        EXPECT(when > before && when <= zx_clock_get_monotonic());
        before = when;
        (void)cmos_read(REGISTER_C);
    }
    EXPECT_CLOSE(i);
    clock_release();
}

static void expect_clock(zx_handle_t port) {
    zx_port_packet_t packet;
    EXPECT_OK(zx_port_wait(port, utest_after_ms(10'000), &packet));
    EXPECT_EQ(packet.type, ZX_PKT_TYPE_INTERRUPT);
}

// As long as the line is high there is one interrupt for each acknowledgement, and no more.
CASE(levels) {
    clock_get();
    zx_handle_t port = interrupt_port();
    zx_handle_t i = clock_interrupt(ZX_INTERRUPT_MODE_LEVEL_HIGH);
    bind(i, port);
    clock_enable(true);
    for (uint32_t n = 0; n < 5; n++) {
        expect_clock(port);
        expect_none(port);
        EXPECT_OK(zx_interrupt_ack(i));
    }
    expect_clock(port);
    clock_enable(false);
    EXPECT_OK(zx_interrupt_ack(i));
    expect_none(port);
    clock_enable(true);
    expect_clock(port);
    EXPECT_CLOSE(i);
    EXPECT_CLOSE(port);
    clock_release();
}

// The channel brings the resource, and takes the message that the line is held.
CHILD(dies_with_the_line) {
    zx_handle_t irq;
    zx_handle_t i;
    uint32_t count;
    zx_signals_t seen;
    (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, &seen);
    if (zx_channel_read(channel, 0, nullptr, &irq, 0, 1, nullptr, &count) != ZX_OK ||
        zx_interrupt_create(irq, CLOCK_IRQ, ZX_INTERRUPT_REMAP_IRQ | ZX_INTERRUPT_MODE_LEVEL_HIGH,
                            &i) != ZX_OK) {
        return 1;
    }
    (void)zx_channel_write(channel, 0, "", 1, nullptr, 0);
    return zx_interrupt_wait(i, nullptr) == ZX_OK ? 7 : 2;
}

// It dies with its interrupt in hand and the line high: masked, and free for the next one.
CASE(a_driver_dies) {
    clock_get();
    struct utest_child child;
    utest_child_start(&child, "dies_with_the_line", ZX_HANDLE_INVALID);
    zx_handle_t irq;
    EXPECT_OK(
        zx_resource_create(kind(PA_IRQ_RESOURCE), ZX_RSRC_KIND_IRQ, CLOCK_IRQ, 1, "one", 3, &irq));
    EXPECT_OK(zx_channel_write(child.channel, 0, nullptr, 0, &irq, 1));
    clock_enable(true);
    EXPECT_EQ(utest_child_join(&child), 7);
    zx_handle_t i = clock_interrupt(ZX_INTERRUPT_MODE_LEVEL_HIGH);
    EXPECT_OK(zx_interrupt_wait(i, nullptr));
    EXPECT_CLOSE(i);
    clock_release();
}

// Killed while it waits: the line is free afterwards.
CASE(a_driver_is_killed) {
    clock_get();
    struct utest_child child;
    utest_child_start(&child, "dies_with_the_line", ZX_HANDLE_INVALID);
    zx_handle_t irq;
    zx_handle_t i;
    EXPECT_OK(
        zx_resource_create(kind(PA_IRQ_RESOURCE), ZX_RSRC_KIND_IRQ, CLOCK_IRQ, 1, "one", 3, &irq));
    EXPECT_OK(zx_channel_write(child.channel, 0, nullptr, 0, &irq, 1));
    EXPECT_OK(zx_object_wait_one(child.channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr));
    EXPECT_STATUS(zx_interrupt_create(kind(PA_IRQ_RESOURCE), CLOCK_IRQ, ZX_INTERRUPT_REMAP_IRQ, &i),
                  ZX_ERR_ALREADY_BOUND);
    EXPECT_OK(zx_task_kill(child.process));
    EXPECT_EQ(utest_child_join(&child), ZX_TASK_RETCODE_SYSCALL_KILL);
    i = clock_interrupt(0);
    EXPECT_CLOSE(i);
    clock_release();
}

// The line stays high, so it fires as soon as it is opened, whatever is being done to it then.
CASE_WITHIN(lines_come_and_go, 30) {
    clock_get();
    clock_enable(true);
    for (uint32_t round = 0; round < 200; round++) {
        zx_handle_t i = clock_interrupt(ZX_INTERRUPT_MODE_LEVEL_HIGH);
        for (uint32_t n = 0; n < round % 3; n++) {
            EXPECT_OK(zx_interrupt_wait(i, nullptr));
        }
        if (round % 2 == 0) {
            EXPECT_OK(zx_interrupt_destroy(i));
        }
        EXPECT_CLOSE(i);
    }
    clock_release();
}

// ---- blocks of messages ----

static zx_handle_t system_part(zx_rsrc_system_base_t base) {
    zx_handle_t part;
    EXPECT_OK(zx_resource_create(kind(PA_SYSTEM_RESOURCE), ZX_RSRC_KIND_SYSTEM, base, 1, "part", 4,
                                 &part));
    return part;
}

static zx_info_msi_t msi_info(zx_handle_t msi) {
    zx_info_msi_t info;
    EXPECT_OK(zx_object_get_info(msi, ZX_INFO_MSI, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static zx_handle_t allocate(uint32_t count) {
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_MSI_BASE);
    zx_handle_t msi;
    EXPECT_OK(zx_msi_allocate(resource, count, &msi));
    EXPECT_CLOSE(resource);
    return msi;
}

// Memory that stands for a device's registers: not cached, in one piece.
static zx_handle_t registers(volatile uint32_t** out) {
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_IOMMU_BASE);
    uint8_t desc = 0;
    zx_handle_t iommu;
    zx_handle_t bti;
    zx_handle_t vmo;
    zx_vaddr_t at;
    EXPECT_OK(zx_iommu_create(resource, 0, &desc, 1, &iommu));
    EXPECT_OK(zx_bti_create(iommu, 0, UINT64_MAX - 1, &bti));
    EXPECT_OK(zx_vmo_create_contiguous(bti, PAGE, 0, &vmo));
    EXPECT_OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED_DEVICE));
    EXPECT_OK(
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, PAGE, &at));
    EXPECT_CLOSE(bti);
    EXPECT_CLOSE(iommu);
    EXPECT_CLOSE(resource);
    *out = (volatile uint32_t*)at;
    return vmo;
}

static void drop_registers(zx_handle_t vmo, volatile uint32_t* at) {
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), (uintptr_t)at, PAGE));
    EXPECT_CLOSE(vmo);
}

CASE(msi_allocate) {
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_MSI_BASE);
    zx_handle_t msi;
    static const uint32_t wrong[] = {0, 3, 6, 33, 64, UINT32_MAX};
    for (uint32_t n = 0; n < 6; n++) {
        EXPECT_STATUS(zx_msi_allocate(resource, wrong[n], &msi), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(resource);
    resource = system_part(ZX_RSRC_SYSTEM_INFO_BASE);
    EXPECT_STATUS(zx_msi_allocate(resource, 1, &msi), ZX_ERR_OUT_OF_RANGE);
    EXPECT_CLOSE(resource);
    for (uint32_t count = 1; count <= 32; count *= 2) {
        msi = allocate(count);
        EXPECT_EQ(utest_basic(msi).type, ZX_OBJ_TYPE_MSI);
        EXPECT_EQ(utest_basic(msi).rights, ZX_DEFAULT_MSI_RIGHTS);
        zx_info_msi_t info = msi_info(msi);
        EXPECT_EQ(info.num_irq, count);
        EXPECT_EQ(info.interrupt_count, 0);
        EXPECT_EQ(info.target_data % count, 0);
        EXPECT(info.target_addr != 0);
        EXPECT_CLOSE(msi);
    }
}

// Vectors end, and come back.
CASE(msi_all) {
    static zx_handle_t all[200];
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_MSI_BASE);
    uint32_t count = 0;
    zx_status_t status = ZX_OK;
    while (status == ZX_OK && count < 200) {
        status = zx_msi_allocate(resource, 32, &all[count]);
        count += status == ZX_OK;
    }
    EXPECT_EQ(status, ZX_ERR_NO_RESOURCES);
    EXPECT(count >= 2);
    EXPECT_OK(zx_handle_close_many(all, count));
    EXPECT_OK(zx_msi_allocate(resource, 32, &all[0]));
    EXPECT_CLOSE(all[0]);
    EXPECT_CLOSE(resource);
}

CASE(msi_x_table) {
    volatile uint32_t* at;
    zx_handle_t vmo = registers(&at);
    zx_handle_t msi = allocate(4);
    zx_info_msi_t info = msi_info(msi);
    constexpr size_t TABLE = 0x100;
    zx_handle_t i[4];
    zx_handle_t again;
    for (uint32_t id = 0; id < 4; id++) {
        volatile uint32_t* entry = at + TABLE / 4 + id * 4;
        entry[3] = 1;
        EXPECT_OK(zx_msi_create(msi, ZX_MSI_MODE_MSI_X, id, vmo, TABLE, &i[id]));
        EXPECT_EQ(entry[0], (uint32_t)info.target_addr);
        EXPECT_EQ(entry[1], (uint32_t)(info.target_addr >> 32));
        EXPECT_EQ(entry[2], info.target_data + id);
        EXPECT_EQ(entry[3], 0);
        EXPECT_EQ(msi_info(msi).interrupt_count, id + 1);
        EXPECT_STATUS(zx_msi_create(msi, ZX_MSI_MODE_MSI_X, id, vmo, TABLE, &again),
                      ZX_ERR_ALREADY_BOUND);
    }
    EXPECT_EQ(utest_basic(i[0]).rights, ZX_DEFAULT_INTERRUPT_RIGHTS);
    EXPECT_OK(zx_interrupt_destroy(i[1]));
    EXPECT_EQ(at[TABLE / 4 + 7], 1);
    EXPECT_OK(zx_msi_create(msi, ZX_MSI_MODE_MSI_X, 1, vmo, TABLE, &again));
    EXPECT_EQ(at[TABLE / 4 + 7], 0);
    // The interrupts keep the block, and the registers, and mask at their end.
    EXPECT_CLOSE(msi);
    EXPECT_CLOSE(again);
    for (uint32_t id = 0; id < 4; id++) {
        EXPECT_CLOSE(i[id]);
        EXPECT_EQ(at[TABLE / 4 + id * 4 + 3], 1);
    }
    drop_registers(vmo, at);
}

// The kernel writes to registers uncached, so they stay what they are until its mapping is gone.
CASE(msi_keeps_the_cache_policy) {
    constexpr uint32_t CAPABILITY_MSI = 0x05;
    volatile uint32_t* at;
    zx_handle_t vmo = registers(&at);
    zx_handle_t msi = allocate(1);
    zx_handle_t i;
    at[0] = CAPABILITY_MSI;
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), (uintptr_t)at, PAGE));
    static const uint32_t modes[] = {ZX_MSI_MODE_MSI_X, 0};
    for (uint32_t n = 2; n-- > 0;) {
        EXPECT_OK(zx_msi_create(msi, modes[n], 0, vmo, 0, &i));
        EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED), ZX_ERR_BAD_STATE);
        EXPECT_CLOSE(i);
        EXPECT_OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED));
        EXPECT_STATUS(zx_msi_create(msi, modes[n], 0, vmo, 0, &i), ZX_ERR_INVALID_ARGS);
        EXPECT_OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED_DEVICE));
    }
    EXPECT_EQ(msi_info(msi).interrupt_count, 0);
    EXPECT_CLOSE(msi);
    EXPECT_CLOSE(vmo);
}

CASE(msi_capability) {
    volatile uint32_t* at;
    zx_handle_t vmo = registers(&at);
    zx_handle_t msi = allocate(2);
    zx_handle_t i[2];
    // 64-bit addresses, with mask bits: those are in the fifth word.
    at[4] = 0x0180'0005;
    at[8] = 3;
    EXPECT_OK(zx_msi_create(msi, 0, 0, vmo, 16, &i[0]));
    EXPECT_EQ(at[8], 2);
    EXPECT_OK(zx_msi_create(msi, 0, 1, vmo, 16, &i[1]));
    EXPECT_EQ(at[8], 0);
    EXPECT_CLOSE(i[0]);
    EXPECT_EQ(at[8], 1);
    EXPECT_CLOSE(i[1]);
    EXPECT_EQ(at[8], 3);
    // 32-bit addresses: in the fourth.
    at[4] = 0x0100'0005;
    at[7] = 1;
    EXPECT_OK(zx_msi_create(msi, 0, 0, vmo, 16, &i[0]));
    EXPECT_EQ(at[7], 0);
    EXPECT_CLOSE(i[0]);
    EXPECT_EQ(at[7], 1);
    // None: nothing is written.
    at[4] = 0x0000'0005;
    EXPECT_OK(zx_msi_create(msi, 0, 0, vmo, 16, &i[0]));
    EXPECT_CLOSE(i[0]);
    EXPECT_EQ(at[7], 1);
    EXPECT_EQ(at[8], 3);
    at[4] = 0x0180'0011; // MSI-X
    EXPECT_STATUS(zx_msi_create(msi, 0, 0, vmo, 16, &i[0]), ZX_ERR_INVALID_ARGS);
    EXPECT_EQ(msi_info(msi).interrupt_count, 0);
    EXPECT_CLOSE(msi);
    drop_registers(vmo, at);
}

CASE(msi_errors) {
    volatile uint32_t* at;
    zx_handle_t vmo = registers(&at);
    zx_handle_t plain = utest_vmo(PAGE);
    zx_handle_t msi = allocate(2);
    zx_handle_t i;
    EXPECT_STATUS(zx_msi_create(msi, 2, 0, vmo, 0, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 1, 2, vmo, 0, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 1, 0, plain, 0, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 1, 0, vmo, 2, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 1, 0, vmo, PAGE, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 1, 1, vmo, PAGE - 16, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 1, 0, vmo, SIZE_MAX - 7, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_msi_create(msi, 0, 0, vmo, PAGE - 16, &i), ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_msi_create(msi, 1, 0, vmo, PAGE - 16, &i));
    EXPECT_CLOSE(i);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(i)) {
        EXPECT_STATUS(zx_msi_create(msi, 1, 0, vmo, 0, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_EQ(msi_info(msi).interrupt_count, 0);
    EXPECT_CLOSE(msi);
    EXPECT_CLOSE(plain);
    drop_registers(vmo, at);
}
