// Pipes. See <fd/pipe.h>.
//
// The last duplicate of an end that goes, in whatever process, makes the peer closed: the end of
// the file for a reader once it has read everything, EPIPE for a writer.
//
// Writes of up to PIPE_BUF are never split, however many write: they are made with
// ZX_SOCKET_WRITE_WHOLE. What a writer waits for is WRITE_THRESHOLD, which the creator has set to
// PIPE_BUF: the threshold belongs to the end, so it is the same in all processes.

#include <fd/pipe.h>

#include <string.h>

#include <libc/early.h>
#include <libc/error.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "kinds.h"

struct pipe_end {
    struct fd_object base;
    zx_handle_t socket; // immutable
};

static struct pipe_end* pipe_of(struct fd_object* o) {
    return (struct pipe_end*)o;
}

// ---- reading ----

static long pipe_read(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    struct fd_io rest = *io;
    void* at;
    size_t len;
    while (fd_io_next(&rest, &at, &len)) {
        size_t got = 0;
        zx_status_t status = zx_socket_read(pipe_of(o)->socket, 0, at, len, &got);
        rest.skip += got;
        if (status == ZX_OK && got == len) {
            continue;
        }
        if (status == ZX_OK || rest.skip != io->skip) {
            break;
        }
        // Nothing there, and nobody who could still write, or who wants to (shutdown).
        bool ended = status == ZX_ERR_PEER_CLOSED || status == ZX_ERR_BAD_STATE;
        return ended ? 0 : errno_from_status(status);
    }
    return (long)(rest.skip - io->skip);
}

// ---- writing ----

static long write_error(zx_status_t status) {
    bool broken = status == ZX_ERR_PEER_CLOSED || status == ZX_ERR_BAD_STATE;
    return broken ? -ABI_EPIPE : errno_from_status(status);
}

static long write_whole(struct pipe_end* p, const struct fd_io* io) {
    char together[ABI_PIPE_BUF];
    void* at = nullptr;
    size_t len = 0;
    (void)fd_io_next(io, &at, &len);
    if (len != io->len) { // in pieces
        len = fd_io_gather(io, together, sizeof(together));
        at = together;
    }
    size_t put = 0;
    zx_status_t status = zx_socket_write(p->socket, ZX_SOCKET_WRITE_WHOLE, at, len, &put);
    return status == ZX_OK ? (long)put : write_error(status);
}

static long pipe_write(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    struct pipe_end* p = pipe_of(o);
    if (io->len <= ABI_PIPE_BUF) {
        return write_whole(p, io);
    }
    struct fd_io rest = *io;
    void* at;
    size_t len;
    while (fd_io_next(&rest, &at, &len)) {
        size_t put = 0;
        zx_status_t status = zx_socket_write(p->socket, 0, at, len, &put);
        rest.skip += put;
        if (status != ZX_OK && rest.skip == io->skip) {
            return write_error(status);
        }
        if (status != ZX_OK || put < len) {
            break;
        }
    }
    return (long)(rest.skip - io->skip);
}

// ---- waiting ----

static void pipe_wait_on(struct fd_object* o, uint32_t events, struct fd_wait* out) {
    constexpr zx_signals_t read_ends = ZX_SOCKET_PEER_CLOSED | ZX_SOCKET_PEER_WRITE_DISABLED;
    constexpr zx_signals_t write_ends = ZX_SOCKET_PEER_CLOSED | ZX_SOCKET_WRITE_DISABLED;
    zx_signals_t signals = ZX_SOCKET_PEER_CLOSED;
    if ((events & (ABI_POLLIN | ABI_POLLRDNORM)) != 0 && fd_object_readable(o)) {
        signals |= ZX_SOCKET_READABLE | read_ends;
    }
    if ((events & (ABI_POLLOUT | ABI_POLLWRNORM)) != 0 && fd_object_writable(o)) {
        signals |= ZX_SOCKET_WRITE_THRESHOLD | write_ends;
    }
    *out = (struct fd_wait){.handle = pipe_of(o)->socket, .signals = signals};
}

static uint32_t pipe_ready(struct fd_object* o, zx_signals_t seen) {
    uint32_t events = 0;
    bool closed = (seen & ZX_SOCKET_PEER_CLOSED) != 0;
    if (fd_object_readable(o)) {
        if ((seen & (ZX_SOCKET_READABLE | ZX_SOCKET_PEER_WRITE_DISABLED)) != 0) {
            events |= ABI_POLLIN | ABI_POLLRDNORM;
        }
        events |= closed ? ABI_POLLHUP : 0;
    }
    if (fd_object_writable(o)) {
        // A write that fails at once needs no waiting, either.
        if ((seen & (ZX_SOCKET_WRITE_THRESHOLD | ZX_SOCKET_WRITE_DISABLED)) != 0 || closed) {
            events |= ABI_POLLOUT | ABI_POLLWRNORM;
        }
        events |= closed && !fd_object_readable(o) ? ABI_POLLERR : 0;
    }
    return events;
}

// ---- the rest ----

// Of both ends: the smaller koid.
static uint64_t koid_of_pair(zx_handle_t socket) {
    zx_info_handle_basic_t info = {};
    (void)zx_object_get_info(socket, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr);
    return info.koid < info.related_koid ? info.koid : info.related_koid;
}

static long pipe_stat(struct fd_object* o, struct abi_stat* out) {
    bool both = fd_object_readable(o) && fd_object_writable(o);
    *out = (struct abi_stat){.dev = 1,
                             .ino = koid_of_pair(pipe_of(o)->socket),
                             .nlink = 1,
                             .mode = (both ? ABI_S_IFSOCK | 0777 : ABI_S_IFIFO | 0600),
                             .blksize = ABI_PIPE_BUF};
    return 0;
}

static long pipe_control(struct fd_object* o, uint64_t request, void* argument) {
    if (request != ABI_FIONREAD) {
        return -ABI_ENOTTY;
    }
    zx_info_socket_t info;
    zx_status_t status = zx_object_get_info(pipe_of(o)->socket, ZX_INFO_SOCKET, &info, sizeof(info),
                                            nullptr, nullptr);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    *(int*)argument = (int)info.rx_buf_available;
    return 0;
}

static long pipe_clone(struct fd_object* o, struct fd_handles* out) {
    *out = (struct fd_handles){.count = 1};
    return errno_from_status(
        zx_handle_duplicate(pipe_of(o)->socket, ZX_RIGHT_SAME_RIGHTS, &out->handle[0]));
}

static void pipe_close(struct fd_object* o) {
    (void)zx_handle_close(pipe_of(o)->socket);
    early_free(o);
}

static const struct fd_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .seek = fd_no_seek,
    .stat = pipe_stat,
    FD_OPS_NO_FILE,
    .control = pipe_control,
    .wait_on = pipe_wait_on,
    .ready = pipe_ready,
    .clone = pipe_clone,
    .close = pipe_close,
};

// ---- making ----

long pipe_object_new(zx_handle_t socket, uint32_t flags, struct fd_object** out) {
    struct pipe_end* p = early_alloc(sizeof(*p));
    if (p == nullptr) {
        (void)zx_handle_close(socket);
        return -ABI_ENOMEM;
    }
    fd_object_init(&p->base, &pipe_ops, flags);
    p->socket = socket;
    *out = &p->base;
    return 0;
}

// A socket's end with PIPE_BUF as what a writer waits for, and `rights`. Consumes it.
static zx_status_t prepare_end(zx_handle_t socket, zx_rights_t rights, zx_handle_t* out) {
    size_t threshold = ABI_PIPE_BUF;
    zx_status_t status =
        zx_object_set_property(socket, ZX_PROP_SOCKET_TX_THRESHOLD, &threshold, sizeof(threshold));
    *out = ZX_HANDLE_INVALID; // replacing consumes the handle even if it fails
    zx_status_t replaced = zx_handle_replace(socket, rights, out);
    return status == ZX_OK ? replaced : status;
}

static long make_ends(uint32_t flags, zx_rights_t rights[2], uint32_t access[2],
                      struct fd_object* out[2]) {
    zx_handle_t end[2] = {};
    zx_status_t status = zx_socket_create(ZX_SOCKET_STREAM, &end[0], &end[1]);
    for (int i = 0; i < 2 && status == ZX_OK; i++) {
        status = prepare_end(end[i], rights[i], &end[i]);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(end[0]);
        (void)zx_handle_close(end[1]);
        return errno_from_status(status);
    }
    long first = pipe_object_new(end[0], flags | access[0], &out[0]);
    long second = pipe_object_new(end[1], flags | access[1], &out[1]);
    if (first == 0 && second == 0) {
        return 0;
    }
    fd_object_unref(first == 0 ? out[0] : nullptr);
    fd_object_unref(second == 0 ? out[1] : nullptr);
    return -ABI_ENOMEM;
}

constexpr zx_rights_t PIPE_RIGHTS =
    ZX_DEFAULT_SOCKET_RIGHTS & ~(ZX_RIGHT_READ | ZX_RIGHT_WRITE | ZX_RIGHT_MANAGE_SOCKET);

long fd_pipe_new(uint32_t flags, struct fd_object** reading, struct fd_object** writing) {
    struct fd_object* made[2];
    long error =
        make_ends(flags, (zx_rights_t[]){PIPE_RIGHTS | ZX_RIGHT_READ, PIPE_RIGHTS | ZX_RIGHT_WRITE},
                  (uint32_t[]){ABI_O_RDONLY, ABI_O_WRONLY}, made);
    if (error == 0) {
        *reading = made[0];
        *writing = made[1];
    }
    return error;
}

long fd_pipe_new_pair(uint32_t flags, struct fd_object** a, struct fd_object** b) {
    struct fd_object* made[2];
    long error =
        make_ends(flags, (zx_rights_t[]){ZX_DEFAULT_SOCKET_RIGHTS, ZX_DEFAULT_SOCKET_RIGHTS},
                  (uint32_t[]){ABI_O_RDWR, ABI_O_RDWR}, made);
    if (error == 0) {
        *a = made[0];
        *b = made[1];
    }
    return error;
}

long fd_pipe_socket(struct fd_object* o, zx_handle_t* out) {
    if (o->ops != &pipe_ops || !fd_object_readable(o) || !fd_object_writable(o)) {
        return -ABI_ENOTSOCK;
    }
    *out = pipe_of(o)->socket;
    return 0;
}
