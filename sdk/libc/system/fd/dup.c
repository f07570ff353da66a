// Descriptors themselves: close, dup, fcntl, pipes.

#include <fd/pipe.h>
#include <libc/error.h>
#include <zircon/syscalls.h>

#include "ops_priv.h"

static int cloexec_of(int open_flags) {
    return (open_flags & ABI_O_CLOEXEC) != 0 ? ABI_FD_CLOEXEC : 0;
}

long sys_close(int fd) {
    return fd_table_close(fd_table(), fd);
}

static long dup_from(int fd, int from, int flags) {
    struct fd_object* o;
    long error = fd_lookup_ref(fd, &o);
    return error != 0 ? error : fd_table_add(fd_table(), o, from, flags);
}

long sys_dup(int fd) {
    return dup_from(fd, 0, 0);
}

static long dup_to(int from, int to, int flags) {
    struct fd_object* o;
    long error = fd_lookup_ref(from, &o);
    return error != 0 ? error : fd_table_put(fd_table(), o, to, flags);
}

// Onto itself: nothing but a check.
long sys_dup2(int from, int to) {
    if (from == to) {
        long flags = fd_table_get_flags(fd_table(), from);
        return flags < 0 ? flags : to;
    }
    return dup_to(from, to, 0);
}

long sys_dup3(int from, int to, int flags) {
    if (from == to || (flags & ~ABI_O_CLOEXEC) != 0) {
        return -ABI_EINVAL;
    }
    return dup_to(from, to, cloexec_of(flags));
}

// ---- fcntl ----

static long set_status_flags(struct fd_object* o, uint32_t flags) {
    constexpr uint32_t kept = ABI_O_APPEND | ABI_O_NONBLOCK;
    uint32_t old = fd_object_flags(o);
    if (((old ^ flags) & ABI_O_APPEND) != 0) {
        long error = o->ops->set_append(o, (flags & ABI_O_APPEND) != 0);
        if (error != 0) {
            return error;
        }
    }
    while (!atomic_compare_exchange_weak_explicit(&o->flags, &old, (old & ~kept) | (flags & kept),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    return 0;
}

// Nobody else is told of a lock, so there is none: asking whether there is one says so, and taking
// one succeeds. (Programs that share files between processes must not rely on it.)
static long lock_record(struct fd_object* o, int command, struct abi_flock* lock) {
    if (lock->type < 0 || lock->type > 2 || lock->whence < 0 || lock->whence > 2) {
        return -ABI_EINVAL;
    }
    constexpr int16_t reading = 0, writing = 1, none = 2;
    if (command == ABI_F_GETLK) {
        lock->type = none;
        return 0;
    }
    bool bad = (lock->type == reading && !fd_object_readable(o)) ||
               (lock->type == writing && !fd_object_writable(o));
    return bad ? -ABI_EBADF : 0;
}

static long control_object(struct fd_object* o, int command, uintptr_t argument) {
    switch (command) {
    case ABI_F_GETFL:
        return (long)(fd_object_flags(o) | ABI_O_LARGEFILE);
    case ABI_F_SETFL:
        return set_status_flags(o, (uint32_t)argument);
    case ABI_F_GETLK:
    case ABI_F_SETLK:
    case ABI_F_SETLKW:
        return lock_record(o, command, (struct abi_flock*)argument);
    default:
        return -ABI_EINVAL;
    }
}

long sys_fcntl(int fd, int command, uintptr_t argument) {
    switch (command) {
    case ABI_F_DUPFD:
        return dup_from(fd, (int)argument, 0);
    case ABI_F_DUPFD_CLOEXEC:
        return dup_from(fd, (int)argument, ABI_FD_CLOEXEC);
    case ABI_F_GETFD:
        return fd_table_get_flags(fd_table(), fd);
    case ABI_F_SETFD:
        return fd_table_set_flags(fd_table(), fd, (int)argument & ABI_FD_CLOEXEC);
    default:
        break;
    }
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    return error != 0 ? error : control_object(o, command, argument);
}

long sys_flock(int fd, int how) {
    constexpr int known = 1 | 2 | 4 | 8; // LOCK_SH, EX, NB, UN
    long flags = fd_table_get_flags(fd_table(), fd);
    if (flags < 0) {
        return flags;
    }
    return (how & ~known) != 0 ? -ABI_EINVAL : 0;
}

long sys_ioctl(int fd, unsigned request, uintptr_t argument) {
    constexpr unsigned close_on_exec = 0x5451, keep_on_exec = 0x5450; // FIOCLEX, FIONCLEX
    if (request == close_on_exec || request == keep_on_exec) {
        return fd_table_set_flags(fd_table(), fd, request == close_on_exec ? ABI_FD_CLOEXEC : 0);
    }
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    if (request == ABI_FIONBIO) {
        uint32_t flags = fd_object_flags(o) & ~(uint32_t)ABI_O_NONBLOCK;
        return set_status_flags(o, flags | (*(int*)argument != 0 ? ABI_O_NONBLOCK : 0));
    }
    return o->ops->control(o, request, (void*)argument);
}

// ---- pairs ----

// Consumes both references.
long fd_add_pair(struct fd_object* a, struct fd_object* b, int flags, int* fds) {
    long first = fd_table_add(fd_table(), a, 0, flags);
    if (first < 0) {
        fd_object_unref(b);
        return first;
    }
    long second = fd_table_add(fd_table(), b, 0, flags);
    if (second < 0) {
        (void)fd_table_close(fd_table(), (int)first);
        return second;
    }
    fds[0] = (int)first;
    fds[1] = (int)second;
    return 0;
}

long sys_pipe2(int* fds, int flags) {
    constexpr int known = ABI_O_CLOEXEC | ABI_O_NONBLOCK;
    if ((flags & ~known) != 0) {
        return -ABI_EINVAL;
    }
    struct fd_object* reading;
    struct fd_object* writing;
    long error = fd_pipe_new((uint32_t)flags & ABI_O_NONBLOCK, &reading, &writing);
    return error != 0 ? error : fd_add_pair(reading, writing, cloexec_of(flags), fds);
}

long sys_pipe(int* fds) {
    return sys_pipe2(fds, 0);
}
