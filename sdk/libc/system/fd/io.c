// See <fd/io.h>.

#include <fd/io.h>

#include <fd/watch.h>
#include <wait/wait.h>

#include "sigpipe.h"

long fd_wait_for(struct fd_object* o, uint32_t events, zx_time_t deadline) {
    for (;;) {
        struct fd_wait wait;
        o->ops->wait_on(o, events, &wait);
        if (wait.ready != 0) {
            return 0;
        }
        if (wait.handle == ZX_HANDLE_INVALID) {
            return -ABI_EIO; // nobody will ever tell
        }
        zx_wait_item_t item = {.handle = wait.handle, .waitfor = wait.signals};
        long error = wait_many(&item, 1, deadline);
        if (error == -ABI_EINTR) {
            error = wait_interrupted(true);
            if (error == 0) {
                continue;
            }
        }
        // A handle that another thread has exchanged meanwhile: the object is asked again.
        return error == -ABI_ECANCELED || error == -ABI_EBADF ? 0 : error;
    }
}

static bool must_not_wait(struct fd_object* o) {
    return (fd_object_flags(o) & ABI_O_NONBLOCK) != 0;
}

static void tell_watchers(struct fd_object* o, uint32_t events) {
    if (o->is_watched && watch_object_moved != nullptr) {
        watch_object_moved(o, events);
    }
}

long fd_read_how(struct fd_object* o, struct fd_io* io, uint64_t offset, bool dont_wait) {
    if (!fd_object_readable(o)) {
        return -ABI_EBADF;
    }
    for (;;) {
        long n = o->ops->read(o, io, offset);
        tell_watchers(o, ABI_POLLIN);
        if (n != -ABI_EAGAIN || dont_wait || must_not_wait(o)) {
            return n;
        }
        long error = fd_wait_for(o, ABI_POLLIN, ZX_TIME_INFINITE);
        if (error != 0) {
            return error;
        }
    }
}

// A write is over when all was taken, or with what was taken when something is in the way of the
// rest. (Writing nothing asks the object once: it may be closed at its other end.)
long fd_write_how(struct fd_object* o, struct fd_io* io, uint64_t offset, bool dont_wait,
                  bool no_signal) {
    if (!fd_object_writable(o)) {
        return -ABI_EBADF;
    }
    size_t begin = io->skip;
    long error = 0;
    do {
        uint64_t at = offset == FD_OFFSET_CURRENT ? offset : offset + (io->skip - begin);
        long n = o->ops->write(o, io, at);
        tell_watchers(o, ABI_POLLOUT);
        if (n > 0) {
            io->skip += (size_t)n;
        } else if (n == -ABI_EAGAIN && !dont_wait && !must_not_wait(o)) {
            error = fd_wait_for(o, ABI_POLLOUT, ZX_TIME_INFINITE);
        } else {
            error = n;
            break;
        }
    } while (error == 0 && io->skip < io->len);
    if (error == -ABI_EPIPE && !no_signal) {
        fd_broken_pipe();
    }
    return io->skip > begin ? (long)(io->skip - begin) : error;
}

long fd_read(struct fd_object* o, struct fd_io* io, uint64_t offset) {
    return fd_read_how(o, io, offset, false);
}

long fd_write(struct fd_object* o, struct fd_io* io, uint64_t offset) {
    return fd_write_how(o, io, offset, false, false);
}
