#include "keyboard.h"

#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

constexpr uint16_t DATA_PORT = 0x60;
constexpr uint16_t STATUS_PORT = 0x64;
constexpr uint8_t STATUS_FULL = 1 << 0;
constexpr uint8_t STATUS_MOUSE = 1 << 5; // what is there is the mouse's
constexpr zx_duration_t INTERVAL = ZX_MSEC(10);
constexpr uint32_t CODES_AT_ONCE = 32; // more than a keyboard has in its queue

static uint8_t in(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void take(struct keyboard* k, uint8_t code) {
    uint8_t bytes[KEYS_BYTES_MAX];
    uint32_t count;
    switch (keys_take(&k->keys, code, bytes, &count)) {
    case KEYS_BYTES:
        k->typed(k->ctx, bytes, count);
        break;
    case KEYS_SCROLL_UP:
    case KEYS_SCROLL_DOWN:
        k->scroll(k->ctx, code == 0x49);
        break;
    case KEYS_NONE:
        break;
    }
}

static void look(struct async_task* task) {
    struct keyboard* k = container_of(task, struct keyboard, poll);
    for (uint32_t i = 0; i < CODES_AT_ONCE; i++) {
        uint8_t status = in(STATUS_PORT);
        if ((status & STATUS_FULL) == 0) {
            break;
        }
        uint8_t code = in(DATA_PORT);
        if ((status & STATUS_MOUSE) == 0) {
            take(k, code);
        }
    }
    async_task_post(k->loop, task, zx_clock_get_monotonic() + INTERVAL);
}

zx_status_t keyboard_start(struct keyboard* k, zx_handle_t ports) {
    zx_status_t status = zx_ioports_request(ports, DATA_PORT, 1);
    if (status == ZX_OK) {
        status = zx_ioports_request(ports, STATUS_PORT, 1);
    }
    (void)zx_handle_close(ports);
    if (status == ZX_OK && in(STATUS_PORT) == 0xff) {
        status = ZX_ERR_NOT_FOUND; // nobody drives the bus
    }
    if (status == ZX_OK) {
        k->works = true;
        k->poll.handler = look;
        async_task_post(k->loop, &k->poll, 0);
    }
    return status;
}
