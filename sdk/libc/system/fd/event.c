// Event descriptors: a number that is added to by writing and taken by reading. It is a counter of
// the kernel's, so that processes which inherit the descriptor share it.
//
// Taking what is there is two calls, to read and to subtract; another thread or process may come
// between. So who has subtracted looks: a sum below 0 means that more was taken than there was, and
// what was taken is put back. Nothing is lost that way, and nothing is had twice.

#include <stdlib.h>
#include <string.h>

#include <fd/watch.h>
#include <libc/early.h>
#include <libc/error.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "kinds.h"
#include "ops_priv.h"

struct event {
    struct fd_object base;
    zx_handle_t counter; // immutable, as the other
    bool one_by_one;     // EFD_SEMAPHORE
};

// Raised on the counter of a semaphore, so that who inherits it knows.
constexpr zx_signals_t ONE_BY_ONE = ZX_USER_SIGNAL_0;

static struct event* event_of(struct fd_object* o) {
    return (struct event*)o;
}

// 0: there is nothing.
static zx_status_t take(struct event* e, int64_t* out) {
    for (;;) {
        int64_t there;
        int64_t left;
        zx_status_t status = zx_counter_read(e->counter, &there);
        if (status != ZX_OK || there <= 0) {
            *out = 0;
            return status;
        }
        int64_t taken = e->one_by_one ? 1 : there;
        status = zx_counter_add(e->counter, -taken);
        if (status == ZX_OK) {
            status = zx_counter_read(e->counter, &left);
        }
        if (status != ZX_OK || left >= 0) {
            *out = taken;
            return status;
        }
        (void)zx_counter_add(e->counter, taken);
    }
}

// Where the eight bytes of a read or write are.
static long value_at(const struct fd_io* io, void** at) {
    size_t len = 0;
    bool fits = fd_io_next(io, at, &len) && len >= sizeof(uint64_t);
    return fits ? 0 : -ABI_EINVAL;
}

static long event_read(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    void* at;
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    if (value_at(io, &at) != 0) {
        return -ABI_EINVAL;
    }
    int64_t value;
    zx_status_t status = take(event_of(o), &value);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    if (value == 0) {
        return -ABI_EAGAIN;
    }
    memcpy(at, &value, sizeof(value));
    return sizeof(value);
}

// (The kernel's number has a sign: it is full at half of what others allow. Somebody who waits for
// room is told by nobody but by asking again.)
static long event_write(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    void* at;
    uint64_t value;
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    if (value_at(io, &at) != 0) {
        return -ABI_EINVAL;
    }
    memcpy(&value, at, sizeof(value));
    if (value == UINT64_MAX) {
        return -ABI_EINVAL;
    }
    zx_status_t status = value <= INT64_MAX ? zx_counter_add(event_of(o)->counter, (int64_t)value)
                                            : ZX_ERR_OUT_OF_RANGE;
    if (status != ZX_OK) {
        return status == ZX_ERR_OUT_OF_RANGE ? -ABI_EAGAIN : errno_from_status(status);
    }
    // Each write is an event, also while the number is positive.
    if (watch_object_moved != nullptr) {
        watch_object_moved(o, ABI_POLLIN);
    }
    return sizeof(value);
}

static void event_wait_on(struct fd_object* o, uint32_t events, struct fd_wait* out) {
    constexpr uint32_t reads = ABI_POLLIN | ABI_POLLRDNORM, writes = ABI_POLLOUT | ABI_POLLWRNORM;
    *out = (struct fd_wait){
        .ready = events & writes, .handle = event_of(o)->counter, .signals = ZX_COUNTER_POSITIVE};
    int64_t there;
    // Who is not going to wait is told of both.
    if (out->ready != 0 && zx_counter_read(out->handle, &there) == ZX_OK && there > 0) {
        out->ready |= events & reads;
    }
}

static uint32_t event_ready(struct fd_object*, zx_signals_t seen) {
    bool positive = (seen & ZX_COUNTER_POSITIVE) != 0;
    return (positive ? ABI_POLLIN | ABI_POLLRDNORM : 0) | ABI_POLLOUT | ABI_POLLWRNORM;
}

static long event_clone(struct fd_object* o, struct fd_handles* out) {
    *out = (struct fd_handles){.count = 1};
    return errno_from_status(
        zx_handle_duplicate(event_of(o)->counter, ZX_RIGHT_SAME_RIGHTS, &out->handle[0]));
}

static void event_close(struct fd_object* o) {
    (void)zx_handle_close(event_of(o)->counter);
    early_free(o);
}

static const struct fd_ops event_ops = {
    FD_OPS_NO_FILE,           .read = event_read,      .write = event_write,
    .seek = fd_no_seek,       .stat = fd_no_file_stat, .control = fd_no_control,
    .wait_on = event_wait_on, .ready = event_ready,    .clone = event_clone,
    .close = event_close,
};

static long event_new(zx_handle_t counter, uint32_t flags, bool one_by_one,
                      struct fd_object** out) {
    struct event* e = early_alloc(sizeof(*e));
    if (e == nullptr) {
        (void)zx_handle_close(counter);
        return -ABI_ENOMEM;
    }
    fd_object_init(&e->base, &event_ops, ABI_O_RDWR | flags);
    e->counter = counter;
    e->one_by_one = one_by_one;
    *out = &e->base;
    return 0;
}

long event_object_new(zx_handle_t counter, struct fd_object** out) {
    zx_signals_t seen = 0;
    (void)zx_object_wait_one(counter, ONE_BY_ONE, 0, &seen);
    return event_new(counter, 0, (seen & ONE_BY_ONE) != 0, out);
}

// ---- operations ----

static_assert(ABI_EFD_CLOEXEC == ABI_O_CLOEXEC && ABI_EFD_NONBLOCK == ABI_O_NONBLOCK);

long sys_eventfd2(unsigned value, int flags) {
    constexpr int known = ABI_EFD_SEMAPHORE | ABI_EFD_CLOEXEC | ABI_EFD_NONBLOCK;
    if ((flags & ~known) != 0) {
        return -ABI_EINVAL;
    }
    bool one_by_one = (flags & ABI_EFD_SEMAPHORE) != 0;
    zx_handle_t counter;
    zx_status_t status = zx_counter_create(0, &counter);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    status = zx_counter_write(counter, value);
    if (status == ZX_OK && one_by_one) {
        status = zx_object_signal(counter, 0, ONE_BY_ONE);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(counter);
        return errno_from_status(status);
    }
    struct fd_object* o;
    long error = event_new(counter, (uint32_t)flags & ABI_O_NONBLOCK, one_by_one, &o);
    int keep = (flags & ABI_EFD_CLOEXEC) != 0 ? ABI_FD_CLOEXEC : 0;
    return error != 0 ? error : fd_table_add(fd_table(), o, 0, keep);
}

long sys_eventfd(unsigned value) {
    return sys_eventfd2(value, 0);
}
