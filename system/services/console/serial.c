#include "serial.h"

#include <string.h>

#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>
#include <zircon/time.h>

// A packet's 32 bytes: a count, and what was typed.
constexpr size_t CHUNK = 31;
constexpr zx_duration_t FULL_PORT_PAUSE = ZX_MSEC(10);
// A port that is full ends who posts to it.
constexpr uint32_t IN_PORT_MAX = 64;

void serial_write(const uint8_t* bytes, size_t count) {
    char out[1024];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        bool doubled = bytes[i] == '\r' && i + 1 < count && bytes[i + 1] == '\n';
        if (!doubled) {
            out[len++] = (char)bytes[i];
        }
        if (len == sizeof(out)) {
            (void)zx_debug_write(out, len);
            len = 0;
        }
    }
    (void)zx_debug_write(out, len);
}

// ---- reading ----

// If the loop does not come to what was typed, the typist waits.
static void post(struct serial* s, const uint8_t* bytes, size_t count) {
    zx_port_packet_t packet = {.key = async_receiver_key(&s->receiver), .type = ZX_PKT_TYPE_USER};
    packet.user.c8[0] = (uint8_t)count;
    memcpy(&packet.user.c8[1], bytes, count);
    while (__atomic_load_n(&s->in_port, __ATOMIC_RELAXED) >= IN_PORT_MAX) {
        (void)zx_nanosleep(zx_deadline_after(FULL_PORT_PAUSE));
    }
    (void)__atomic_add_fetch(&s->in_port, 1, __ATOMIC_RELAXED);
    if (zx_port_queue(s->loop->port, &packet) != ZX_OK) {
        (void)__atomic_sub_fetch(&s->in_port, 1, __ATOMIC_RELAXED);
    }
}

static void read_forever(uintptr_t arg, uintptr_t) {
    struct serial* s = (struct serial*)arg;
    uint8_t chunk[CHUNK];
    size_t got;
    // Ends when there is no console: the machine has none, or it is going down.
    while (zx_debug_read(s->debug, (char*)chunk, sizeof(chunk), &got) == ZX_OK) {
        post(s, chunk, got);
    }
    zx_thread_exit();
}

static void receive(struct async_receiver* receiver, const zx_port_packet_t* packet) {
    struct serial* s = container_of(receiver, struct serial, receiver);
    (void)__atomic_sub_fetch(&s->in_port, 1, __ATOMIC_RELAXED);
    size_t count = packet->user.c8[0] <= CHUNK ? packet->user.c8[0] : CHUNK;
    s->typed(s->ctx, &packet->user.c8[1], count);
}

void serial_start_reading(struct serial* s) {
    zx_handle_t thread;
    if (s->reading || zx_thread_create(zx_process_self(), "serial", 6, 0, &thread) != ZX_OK) {
        return; // tried again with the next request
    }
    s->receiver.handler = receive;
    async_receiver_begin(s->loop, &s->receiver);
    // As after a call: a multiple of 16, less the return address.
    uintptr_t top = (uintptr_t)s->stack + sizeof(s->stack) - 8;
    s->reading = zx_thread_start(thread, (zx_vaddr_t)read_forever, top, (uintptr_t)s, 0) == ZX_OK;
    (void)zx_handle_close(thread);
}
