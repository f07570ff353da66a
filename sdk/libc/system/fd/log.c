// Lines for the kernel's log (a debuglog handle). Each line is a record; a line that is longer than
// a record is several. What was written without an end of line is a record, too.

#include <string.h>

#include <libc/early.h>
#include <libc/error.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/log.h>

#include "kinds.h"

struct log {
    struct fd_object base;
    zx_handle_t handle; // immutable
};

static zx_handle_t handle_of(struct fd_object* o) {
    return ((struct log*)o)->handle;
}

static long log_read(struct fd_object*, const struct fd_io*, uint64_t) {
    return 0;
}

static long log_write(struct fd_object* o, const struct fd_io* io, uint64_t) {
    struct fd_io rest = *io;
    char text[ZX_LOG_RECORD_DATA_MAX];
    size_t len;
    while ((len = fd_io_gather(&rest, text, sizeof(text))) != 0) {
        const char* end = memchr(text, '\n', len);
        size_t line = end != nullptr ? (size_t)(end - text) : len;
        zx_status_t status = line == 0 ? ZX_OK : zx_debuglog_write(handle_of(o), 0, text, line);
        if (status != ZX_OK) {
            return errno_from_status(status);
        }
        rest.skip += end != nullptr ? line + 1 : line;
    }
    return (long)(rest.skip - io->skip);
}

static long log_stat(struct fd_object*, struct abi_stat* out) {
    *out = (struct abi_stat){
        .dev = 1, .ino = 99, .nlink = 1, .mode = ABI_S_IFCHR | 0200, .rdev = 1 << 8 | 11};
    return 0;
}

static long log_clone(struct fd_object* o, struct fd_handles* out) {
    *out = (struct fd_handles){.count = 1};
    return errno_from_status(
        zx_handle_duplicate(handle_of(o), ZX_RIGHT_SAME_RIGHTS, &out->handle[0]));
}

static void log_close(struct fd_object* o) {
    (void)zx_handle_close(handle_of(o));
    early_free(o);
}

static const struct fd_ops log_ops = {
    .read = log_read,
    .write = log_write,
    .seek = fd_no_seek,
    .stat = log_stat,
    FD_OPS_NO_FILE,
    .control = fd_no_control,
    .wait_on = fd_always_ready,
    .ready = fd_no_signals,
    .clone = log_clone,
    .close = log_close,
};

long log_object_new(zx_handle_t handle, struct fd_object** out) {
    struct log* l = early_alloc(sizeof(*l));
    if (l == nullptr) {
        (void)zx_handle_close(handle);
        return -ABI_ENOMEM;
    }
    fd_object_init(&l->base, &log_ops, ABI_O_RDWR);
    l->handle = handle;
    *out = &l->base;
    return 0;
}
