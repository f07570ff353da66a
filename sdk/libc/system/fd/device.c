// See <fd/device.h>.

#include <fd/device.h>

#include <string.h>

#include <libc/early.h>
#include <libc/error.h>
#include <zircon/syscalls.h>

struct device {
    struct fd_object base;
    enum fd_device which; // immutable
};

static enum fd_device which_of(struct fd_object* o) {
    return ((struct device*)o)->which;
}

// ---- reading and writing ----

// One piece of the buffers at a time, so that any length is served.
static long fill(struct fd_object* o, const struct fd_io* io) {
    struct fd_io rest = *io;
    void* at;
    size_t len;
    while (fd_io_next(&rest, &at, &len)) {
        if (which_of(o) == FD_DEVICE_RANDOM) {
            zx_cprng_draw(at, len);
        } else {
            memset(at, 0, len);
        }
        rest.skip += len;
    }
    return (long)(rest.skip - io->skip);
}

static long device_read(struct fd_object* o, const struct fd_io* io, uint64_t) {
    bool empty = which_of(o) == FD_DEVICE_NULL || which_of(o) == FD_DEVICE_DEBUG;
    return empty ? 0 : fill(o, io);
}

// A line in a piece is written in one piece: the kernel keeps up to 1,024 bytes together.
static long debug_write(const struct fd_io* io) {
    struct fd_io rest = *io;
    char text[1024];
    size_t len;
    while ((len = fd_io_gather(&rest, text, sizeof(text))) != 0) {
        zx_status_t status = zx_debug_write(text, len);
        if (status != ZX_OK && status != ZX_ERR_NOT_SUPPORTED) { // a machine without: nobody reads
            return errno_from_status(status);
        }
        rest.skip += len;
    }
    return (long)(rest.skip - io->skip);
}

static long device_write(struct fd_object* o, const struct fd_io* io, uint64_t) {
    switch (which_of(o)) {
    case FD_DEVICE_FULL:
        return io->len == io->skip ? 0 : -ABI_ENOSPC;
    case FD_DEVICE_DEBUG:
        return debug_write(io);
    case FD_DEVICE_RANDOM: // stirring in what anybody writes is the kernel's to allow
    default:
        return (long)(io->len - io->skip);
    }
}

// As on other systems: seeking these devices goes nowhere and is no error.
static long device_seek(struct fd_object* o, int64_t, int) {
    return which_of(o) == FD_DEVICE_DEBUG ? -ABI_ESPIPE : 0;
}

// ---- attributes ----

static uint64_t device_number(uint64_t major, uint64_t minor) {
    return major << 8 | minor;
}

void fd_device_stat(enum fd_device which, struct abi_stat* out) {
    static const uint8_t minors[FD_DEVICES] = {
        [FD_DEVICE_NULL] = 3, [FD_DEVICE_ZERO] = 5, [FD_DEVICE_RANDOM] = 9, [FD_DEVICE_FULL] = 7};
    *out = (struct abi_stat){.dev = 1, // of no server: they count from 2
                             .ino = which + 1,
                             .nlink = 1,
                             .mode = ABI_S_IFCHR | 0666,
                             .blksize = 4096,
                             .rdev = which == FD_DEVICE_DEBUG ? device_number(5, 1)
                                                              : device_number(1, minors[which])};
}

static long device_stat(struct fd_object* o, struct abi_stat* out) {
    fd_device_stat(which_of(o), out);
    return 0;
}

// ---- travel ----

static zx_signals_t signal_of(enum fd_device which) {
    return ZX_USER_SIGNAL_0 << which;
}

static long device_clone(struct fd_object* o, struct fd_handles* out) {
    zx_handle_t event = ZX_HANDLE_INVALID;
    zx_status_t status = zx_event_create(0, &event);
    if (status == ZX_OK) {
        status = zx_object_signal(event, 0, signal_of(which_of(o)));
        // Whoever holds a copy reads it; nobody turns it into another device.
        zx_handle_t strong = event; // consumed even if it cannot be replaced
        event = ZX_HANDLE_INVALID;
        zx_status_t weaker = zx_handle_replace(strong, ZX_RIGHTS_BASIC, &event);
        status = status == ZX_OK ? weaker : status;
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(event);
        return errno_from_status(status);
    }
    *out = (struct fd_handles){.handle = {event}, .count = 1};
    return 0;
}

long fd_device_from_event(zx_handle_t event, struct fd_object** out) {
    zx_signals_t seen = 0;
    (void)zx_object_wait_one(event, ZX_USER_SIGNAL_ALL, 0, &seen);
    (void)zx_handle_close(event);
    for (uint32_t which = 0; which < FD_DEVICES; which++) {
        if ((seen & ZX_USER_SIGNAL_ALL) == signal_of(which)) {
            return fd_device_new(which, ABI_O_RDWR, out);
        }
    }
    return -ABI_ENODEV;
}

static void device_close(struct fd_object* o) {
    early_free(o);
}

static const struct fd_ops device_ops = {
    .read = device_read,
    .write = device_write,
    .seek = device_seek,
    .stat = device_stat,
    FD_OPS_NO_FILE,
    .control = fd_no_control,
    .wait_on = fd_always_ready,
    .ready = fd_no_signals,
    .clone = device_clone,
    .close = device_close,
};

long fd_device_new(enum fd_device which, uint32_t flags, struct fd_object** out) {
    struct device* d = early_alloc(sizeof(*d));
    if (d == nullptr) {
        return -ABI_ENOMEM;
    }
    fd_object_init(&d->base, &device_ops, flags);
    d->which = which;
    *out = &d->base;
    return 0;
}
