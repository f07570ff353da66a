// Files without pages: they are read over their connection (ReadAt), and for reading only. Where
// reading goes on is in a counter of the kernel's, so that processes which inherit the descriptor
// share it. Two that read at the same moment may get the same bytes: to read and to move on are two
// calls.

#include <fd/file.h>

#include <stdckdint.h>

#include <fd/server.h>
#include <io/client.h>
#include <libc/early.h>
#include <libc/error.h>
#include <zircon/syscalls.h>

#include "ops_priv.h"

struct served {
    struct fd_object base;
    zx_handle_t connection; // immutable, as the others
    zx_handle_t counter;
    uint64_t device;
};

static struct served* served_of(struct fd_object* o) {
    return (struct served*)o;
}

// All of one buffer, or as much as there is.
static zx_status_t read_piece(zx_handle_t connection, uint64_t offset, uint8_t* to, size_t len,
                              size_t* done) {
    *done = 0;
    while (*done < len) {
        size_t actual = 0;
        zx_status_t status =
            io_read_at(connection, offset + *done, to + *done, len - *done, &actual);
        if (status != ZX_OK || actual == 0) {
            return *done != 0 ? ZX_OK : status; // what came counts; the next read says why no more
        }
        *done += actual;
    }
    return ZX_OK;
}

static long served_read(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    struct served* s = served_of(o);
    int64_t at = (int64_t)offset;
    void* to;
    size_t len;
    size_t done = 0;
    zx_status_t status = offset == FD_OFFSET_CURRENT ? zx_counter_read(s->counter, &at) : ZX_OK;
    if (status == ZX_OK && fd_io_next(io, &to, &len)) {
        status = read_piece(s->connection, (uint64_t)at, to, len, &done);
    }
    if (status == ZX_OK && offset == FD_OFFSET_CURRENT) {
        status = zx_counter_add(s->counter, (int64_t)done);
    }
    return status == ZX_OK ? (long)done : fd_server_error(status);
}

static long served_stat(struct fd_object* o, struct abi_stat* out) {
    return fd_server_stat(served_of(o)->connection, served_of(o)->device, out);
}

static long served_seek(struct fd_object* o, int64_t offset, int whence) {
    struct served* s = served_of(o);
    int64_t from = 0;
    struct abi_stat stat;
    long error = 0;
    if (whence == ABI_SEEK_CUR) {
        error = errno_from_status(zx_counter_read(s->counter, &from));
    } else if (whence == ABI_SEEK_END) {
        error = served_stat(o, &stat);
        from = error == 0 ? stat.size : 0;
    } else if (whence != ABI_SEEK_SET) {
        error = -ABI_EINVAL;
    }
    if (error != 0) {
        return error;
    }
    int64_t to;
    if (ckd_add(&to, from, offset)) {
        return -ABI_EOVERFLOW;
    }
    if (to < 0) {
        return -ABI_EINVAL;
    }
    zx_status_t status = zx_counter_write(s->counter, to);
    return status == ZX_OK ? (long)to : errno_from_status(status);
}

static long served_change(struct fd_object* o, const struct fd_change* change) {
    return fd_server_change(served_of(o)->connection, change);
}

static long served_sync(struct fd_object* o) {
    return fd_server_sync(served_of(o)->connection);
}

static long served_clone(struct fd_object* o, struct fd_handles* out) {
    struct served* s = served_of(o);
    *out = (struct fd_handles){};
    zx_status_t status = io_clone(s->connection, &out->handle[0]);
    if (status == ZX_OK) {
        out->count = 1;
        status = zx_handle_duplicate(s->counter, ZX_RIGHT_SAME_RIGHTS, &out->handle[1]);
        out->count += status == ZX_OK;
    }
    if (status != ZX_OK) {
        fd_handles_close(out);
    }
    return fd_server_error(status);
}

static void served_close(struct fd_object* o) {
    (void)zx_handle_close(served_of(o)->counter);
    (void)zx_handle_close(served_of(o)->connection);
    early_free(o);
}

static const struct fd_ops served_ops = {
    .read = served_read,
    .write = fd_no_write,
    .seek = served_seek,
    .stat = served_stat,
    .statfs = fd_no_statfs,
    .change = served_change,
    .resize = fd_no_resize,
    .sync = served_sync,
    .control = fd_no_control,
    .entries = fd_no_entries,
    .get_vmo = fd_no_vmo,
    .wait_on = fd_always_ready,
    .ready = fd_no_signals,
    .set_append = fd_append_is_a_flag,
    .clone = served_clone,
    .close = served_close,
};

long fd_served_file_new(zx_handle_t connection, zx_handle_t counter, uint32_t flags,
                        uint64_t device, struct fd_object** out) {
    zx_status_t status = ZX_OK;
    if (counter == ZX_HANDLE_INVALID) {
        status = zx_counter_create(0, &counter);
    }
    struct served* s = status == ZX_OK ? early_alloc(sizeof(*s)) : nullptr;
    if (s == nullptr) {
        (void)zx_handle_close(counter);
        (void)zx_handle_close(connection);
        return -ABI_ENOMEM;
    }
    fd_object_init(&s->base, &served_ops, flags);
    s->connection = connection;
    s->counter = counter;
    s->device = device;
    *out = &s->base;
    return 0;
}
