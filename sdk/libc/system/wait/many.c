// See <wait/wait.h>. Up to 63 items and the wake event go into one zx_object_wait_many(); more are
// registered with a port, and looked at one by one when it has a packet.

#include <wait/wait.h>

#include <string.h>

#include <libc/error.h>
#include <libc/thread.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

#include "deliver.h"

constexpr size_t AT_ONCE = ZX_WAIT_MANY_MAX_ITEMS - 1; // one is the wake event's

static long wait_few(zx_wait_item_t* items, size_t count, zx_handle_t wake, zx_time_t deadline) {
    zx_wait_item_t all[ZX_WAIT_MANY_MAX_ITEMS];
    memcpy(all, items, count * sizeof(items[0]));
    size_t total = count;
    if (wake != ZX_HANDLE_INVALID) {
        all[total++] = (zx_wait_item_t){.handle = wake, .waitfor = THREAD_WAKE_SIGNAL};
    }
    zx_status_t status = zx_object_wait_many(all, total, deadline);
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        items[i].pending = all[i].pending;
        any |= (items[i].pending & items[i].waitfor) != 0;
    }
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    return any ? 0 : -ABI_EINTR;
}

// ---- more ----

// What is asserted now.
static bool sample(zx_wait_item_t* items, size_t count) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        items[i].pending = 0;
        (void)zx_object_wait_one(items[i].handle, items[i].waitfor, 0, &items[i].pending);
        any |= (items[i].pending & items[i].waitfor) != 0;
    }
    return any;
}

static zx_status_t watch_all(zx_handle_t port, const zx_wait_item_t* items, size_t count,
                             zx_handle_t wake) {
    zx_status_t status = ZX_OK;
    for (size_t i = 0; i < count && status == ZX_OK; i++) {
        status = zx_object_wait_async(items[i].handle, port, i, items[i].waitfor, 0);
    }
    if (status == ZX_OK && wake != ZX_HANDLE_INVALID) {
        status = zx_object_wait_async(wake, port, count, THREAD_WAKE_SIGNAL, 0);
    }
    return status;
}

static long wait_for_packet(zx_wait_item_t* items, size_t count, zx_handle_t wake,
                            zx_time_t deadline) {
    zx_handle_t port;
    zx_status_t status = zx_port_create(0, &port);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    status = watch_all(port, items, count, wake);
    zx_port_packet_t packet;
    if (status == ZX_OK) {
        status = zx_port_wait(port, deadline, &packet);
    }
    (void)zx_handle_close(port);
    return errno_from_status(status);
}

static long wait_for_lots(zx_wait_item_t* items, size_t count, zx_handle_t wake,
                          zx_time_t deadline) {
    for (;;) {
        if (sample(items, count)) {
            return 0;
        }
        long error = wait_for_packet(items, count, wake, deadline);
        if (error != 0) {
            return sample(items, count) ? 0 : error;
        }
        if (sample(items, count)) {
            return 0;
        }
        zx_signals_t woken = 0;
        if (wake != ZX_HANDLE_INVALID &&
            zx_object_wait_one(wake, THREAD_WAKE_SIGNAL, 0, &woken) == ZX_OK) {
            return -ABI_EINTR;
        }
        // It was asserted for a moment only: again.
    }
}

long wait_many(zx_wait_item_t* items, size_t count, zx_time_t deadline) {
    zx_handle_t wake = thread_wake_event();
    for (;;) {
        if (thread_take_interrupt()) {
            return -ABI_EINTR;
        }
        long error = count <= AT_ONCE ? wait_few(items, count, wake, deadline)
                                      : wait_for_lots(items, count, wake, deadline);
        // Woken: by an interrupt, or by one that was taken before.
        if (error != -ABI_EINTR) {
            return error;
        }
    }
}

long wait_interrupted(bool may_restart) {
    if (__jx_cancel_wanted != nullptr && __jx_cancel_wanted()) {
        return -ABI_EINTR;
    }
    signal_outcome_t outcome = signal_deliver != nullptr ? signal_deliver() : SIGNAL_NOTHING;
    bool go_on = outcome == SIGNAL_NOTHING || (outcome == SIGNAL_RESTART && may_restart);
    return go_on ? 0 : -ABI_EINTR;
}

zx_time_t wait_deadline_after(const struct abi_timespec* timeout) {
    constexpr int64_t longest_sec = INT64_MAX / 1'000'000'000 - 1;
    if (timeout == nullptr || timeout->sec > longest_sec) {
        return ZX_TIME_INFINITE;
    }
    return zx_deadline_after(timeout->sec * 1'000'000'000 + timeout->nsec);
}
