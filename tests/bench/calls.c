// Rows of one thread: calls, handles, small objects, channels and ports without a switch.

#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/port.h>

#include "bench.h"

// Row 1: no handle is looked up; the value is refused at once.
static void cheapest(void*) {
    (void)zx_thread_legacy_yield(1);
}

static void basic_info(void* arg) {
    zx_info_handle_basic_t info;
    (void)zx_object_get_info(*(zx_handle_t*)arg, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                             nullptr);
}

static void duplicate_close(void* arg) {
    zx_handle_t copy;
    (void)zx_handle_duplicate(*(zx_handle_t*)arg, ZX_RIGHT_SAME_RIGHTS, &copy);
    (void)zx_handle_close(copy);
}

static void clock_read(void*) {
    (void)zx_clock_get_monotonic();
}

struct pair {
    zx_handle_t a, b;
    uint32_t size;
};

static char buffer[4096];

static void write_read(void* arg) {
    const struct pair* p = arg;
    uint32_t bytes;
    (void)zx_channel_write(p->a, 0, buffer, p->size, nullptr, 0);
    (void)zx_channel_read(p->b, 0, buffer, nullptr, p->size, 0, &bytes, nullptr);
}

static void write_read_handle(void* arg) {
    const struct pair* p = arg;
    static zx_handle_t moved;
    if (moved == ZX_HANDLE_INVALID) {
        bench_check(zx_event_create(0, &moved), "event");
    }
    uint32_t bytes;
    uint32_t handles;
    (void)zx_channel_write(p->a, 0, buffer, p->size, &moved, 1);
    (void)zx_channel_read(p->b, 0, buffer, &moved, p->size, 1, &bytes, &handles);
}

static void queue_wait(void* arg) {
    zx_port_packet_t packet = {};
    (void)zx_port_queue(*(zx_handle_t*)arg, &packet);
    (void)zx_port_wait(*(zx_handle_t*)arg, 0, &packet);
}

static void event(void*) {
    zx_handle_t h;
    (void)zx_event_create(0, &h);
    (void)zx_handle_close(h);
}

static void channel(void*) {
    zx_handle_t a;
    zx_handle_t b;
    (void)zx_channel_create(0, &a, &b);
    (void)zx_handle_close(a);
    (void)zx_handle_close(b);
}

static void vmo(void*) {
    zx_handle_t h;
    (void)zx_vmo_create(4096, 0, &h);
    (void)zx_handle_close(h);
}

void bench_calls(void) {
    zx_handle_t e;
    zx_handle_t port;
    struct pair p;
    bench_check(zx_event_create(0, &e), "event");
    bench_check(zx_port_create(0, &port), "port");
    bench_check(zx_channel_create(0, &p.a, &p.b), "channel");
    bench_row("1", cheapest, nullptr);
    bench_row("2", basic_info, &e);
    bench_row("3", duplicate_close, &e);
    bench_row("4", clock_read, nullptr);
    p.size = 64;
    bench_row("5", write_read, &p);
    p.size = 1024;
    bench_row("6", write_read, &p);
    p.size = 4096;
    bench_row("6b", write_read, &p);
    p.size = 64;
    bench_row("7", write_read_handle, &p);
    bench_row("11", queue_wait, &port);
    bench_row("16", event, nullptr);
    bench_row("17", channel, nullptr);
    bench_row("18", vmo, nullptr);
}
