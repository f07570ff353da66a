// One port, several sources: a timer, a channel, and a packet that the program queues itself.
// Whatever happens first is served first; `key` says whose packet it is.
#include <stdint.h>
#include <stdio.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

enum { KEY_TIMER = 1, KEY_CHANNEL, KEY_USER };
enum { TICKS = 3 };

struct loop {
    zx_handle_t port, timer, near, far;
    int ticks;
};

// A wait is for once: it is asked for again after each packet.
static zx_status_t watch(const struct loop* l, zx_handle_t what, uint64_t key,
                         zx_signals_t signals) {
    return zx_object_wait_async(what, l->port, key, signals, 0);
}

static zx_status_t start_timer(const struct loop* l) {
    zx_status_t status = zx_timer_set(l->timer, zx_deadline_after(ZX_MSEC(10)), 0);
    return status == ZX_OK ? watch(l, l->timer, KEY_TIMER, ZX_TIMER_SIGNALED) : status;
}

static zx_status_t on_timer(struct loop* l) {
    char text[32];
    int len = snprintf(text, sizeof(text), "tick %d", ++l->ticks);
    zx_status_t status = zx_channel_write(l->near, 0, text, (uint32_t)len, NULL, 0);
    return status == ZX_OK && l->ticks < TICKS ? start_timer(l) : status;
}

static zx_status_t on_channel(struct loop* l) {
    char text[32];
    uint32_t len;
    zx_status_t status = zx_channel_read(l->far, 0, text, NULL, sizeof(text), 0, &len, NULL);
    if (status != ZX_OK) {
        return status;
    }
    printf("channel: %.*s\n", (int)len, text);
    if (l->ticks == TICKS) {
        zx_port_packet_t packet = {.key = KEY_USER, .type = ZX_PKT_TYPE_USER};
        return zx_port_queue(l->port, &packet);
    }
    return watch(l, l->far, KEY_CHANNEL, ZX_CHANNEL_READABLE);
}

static zx_status_t run(struct loop* l) {
    for (;;) {
        zx_port_packet_t packet;
        zx_status_t status = zx_port_wait(l->port, ZX_TIME_INFINITE, &packet);
        if (status == ZX_OK && packet.key == KEY_USER) {
            printf("done after %d ticks\n", l->ticks);
            return ZX_OK;
        }
        if (status == ZX_OK) {
            status = packet.key == KEY_TIMER ? on_timer(l) : on_channel(l);
        }
        if (status != ZX_OK) {
            return status;
        }
    }
}

int main(void) {
    struct loop l = {0};
    zx_status_t status = zx_port_create(0, &l.port);
    if (status == ZX_OK) {
        status = zx_timer_create(0, ZX_CLOCK_MONOTONIC, &l.timer);
    }
    if (status == ZX_OK) {
        status = zx_channel_create(0, &l.near, &l.far);
    }
    if (status == ZX_OK) {
        status = watch(&l, l.far, KEY_CHANNEL, ZX_CHANNEL_READABLE);
    }
    if (status == ZX_OK) {
        status = start_timer(&l);
    }
    if (status == ZX_OK) {
        status = run(&l);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "event_loop: status %d\n", status);
    }
    return status == ZX_OK ? 0 : 1;
}
