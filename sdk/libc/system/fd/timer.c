// Timer descriptors: reading says how often the timer has rung since the last read.
//
// The kernel's timer is set for the next time that has not been read; how many there were since is
// computed. So a timer that nobody reads costs nothing, however often it would have rung.

#include <stdlib.h>
#include <string.h>

#include <libc/error.h>
#include <libc/lock.h>
#include <zircon/syscalls.h>

#include "kinds.h"
#include "ops_priv.h"

constexpr int64_t SECOND = 1'000'000'000;

struct timer {
    struct fd_object base;
    zx_handle_t timer; // immutable, as the clock
    int clock;
    struct libc_lock lock;
    // Under the lock. When it rings next, on the monotonic clock; ZX_TIME_INFINITE: never.
    zx_time_t next;
    int64_t interval; // ns; 0: once
};

static struct timer* timer_of(struct fd_object* o) {
    return (struct timer*)o;
}

// ---- time ----

static bool ns_of(const struct abi_timespec* t, int64_t* out) {
    if (t->sec < 0 || t->nsec < 0 || t->nsec >= SECOND) {
        return false;
    }
    *out = t->sec < INT64_MAX / SECOND - 1 ? t->sec * SECOND + t->nsec : INT64_MAX;
    return true;
}

static struct abi_timespec timespec_of(int64_t ns) {
    return (struct abi_timespec){.sec = ns / SECOND, .nsec = ns % SECOND};
}

static zx_time_t add(zx_time_t a, int64_t b) {
    return b > INT64_MAX - a ? ZX_TIME_INFINITE - 1 : a + b;
}

// When `value`, a time of the timer's clock, is on the monotonic one.
static zx_time_t monotonic_of(const struct timer* t, int64_t value) {
    struct abi_timespec now;
    (void)sys_clock_gettime(t->clock, &now);
    int64_t span = value - (now.sec * SECOND + now.nsec);
    return span > 0 ? add(zx_clock_get_monotonic(), span) : zx_clock_get_monotonic();
}

static void set_locked(struct timer* t, zx_time_t next)
    __attribute__((exclusive_locks_required(t -> lock))) {
    t->next = next;
    if (next == ZX_TIME_INFINITE) {
        (void)zx_timer_cancel(t->timer);
    } else {
        (void)zx_timer_set(t->timer, next, 0);
    }
}

// What is over is taken.
static uint64_t take_rings(struct timer* t) {
    libc_lock_acquire(&t->lock);
    zx_time_t now = zx_clock_get_monotonic();
    uint64_t rings = 0;
    if (t->next <= now) {
        rings = t->interval != 0 ? (uint64_t)((now - t->next) / t->interval) + 1 : 1;
        set_locked(t, t->interval != 0 ? add(t->next, (int64_t)rings * t->interval)
                                       : ZX_TIME_INFINITE);
    }
    libc_lock_release(&t->lock);
    return rings;
}

static struct abi_itimerspec left_locked(struct timer* t)
    __attribute__((exclusive_locks_required(t -> lock))) {
    struct abi_itimerspec left = {.interval = timespec_of(t->interval)};
    if (t->next == ZX_TIME_INFINITE) {
        return left;
    }
    zx_time_t now = zx_clock_get_monotonic();
    int64_t span = t->next - now;
    if (span <= 0) { // it has rung, and goes on to
        span = t->interval != 0 ? t->interval - (now - t->next) % t->interval : 0;
    }
    left.value = timespec_of(span);
    return left;
}

// ---- the object ----

static long timer_read(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    void* at;
    size_t len = 0;
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    if (!fd_io_next(io, &at, &len) || len < sizeof(uint64_t)) {
        return -ABI_EINVAL;
    }
    uint64_t rings = take_rings(timer_of(o));
    if (rings == 0) {
        return -ABI_EAGAIN;
    }
    memcpy(at, &rings, sizeof(rings));
    return sizeof(rings);
}

static void timer_wait_on(struct fd_object* o, uint32_t, struct fd_wait* out) {
    *out = (struct fd_wait){.handle = timer_of(o)->timer, .signals = ZX_TIMER_SIGNALED};
}

static uint32_t timer_ready(struct fd_object*, zx_signals_t seen) {
    return (seen & ZX_TIMER_SIGNALED) != 0 ? ABI_POLLIN | ABI_POLLRDNORM : 0;
}

// What it is set to is this process's; a child gets none.
static long timer_clone(struct fd_object*, struct fd_handles* out) {
    *out = (struct fd_handles){};
    return 0;
}

static void timer_close(struct fd_object* o) {
    (void)zx_handle_close(timer_of(o)->timer);
    free(o);
}

static const struct fd_ops timer_ops = {
    FD_OPS_NO_FILE,           .read = timer_read,      .write = fd_no_write,
    .seek = fd_no_seek,       .stat = fd_no_file_stat, .control = fd_no_control,
    .wait_on = timer_wait_on, .ready = timer_ready,    .clone = timer_clone,
    .close = timer_close,
};

static long timer_new(int clock, uint32_t flags, struct fd_object** out) {
    struct timer* t = calloc(1, sizeof(*t));
    if (t == nullptr) {
        return -ABI_ENOMEM;
    }
    zx_status_t status = zx_timer_create(0, ZX_CLOCK_MONOTONIC, &t->timer);
    if (status != ZX_OK) {
        free(t);
        return errno_from_status(status);
    }
    fd_object_init(&t->base, &timer_ops, ABI_O_RDWR | flags);
    t->clock = clock;
    t->next = ZX_TIME_INFINITE;
    *out = &t->base;
    return 0;
}

// ---- operations ----

static_assert(ABI_TFD_CLOEXEC == ABI_O_CLOEXEC && ABI_TFD_NONBLOCK == ABI_O_NONBLOCK);

long sys_timerfd_create(int clock, int flags) {
    constexpr int known = ABI_TFD_CLOEXEC | ABI_TFD_NONBLOCK;
    bool is_clock =
        clock == ABI_CLOCK_REALTIME || clock == ABI_CLOCK_MONOTONIC || clock == ABI_CLOCK_BOOTTIME;
    if ((flags & ~known) != 0 || !is_clock) {
        return -ABI_EINVAL;
    }
    struct fd_object* o;
    long error = timer_new(clock, (uint32_t)flags & ABI_O_NONBLOCK, &o);
    int keep = (flags & ABI_TFD_CLOEXEC) != 0 ? ABI_FD_CLOEXEC : 0;
    return error != 0 ? error : fd_table_add(fd_table(), o, 0, keep);
}

static long find_timer(int fd, struct fd_object** out) {
    long error = fd_lookup_ref(fd, out);
    return error == 0 && (*out)->ops != &timer_ops ? -ABI_EINVAL : error;
}

// (Nobody tells of jumps of the wall clock: who wants to hear of them is refused.)
long sys_timerfd_settime(int fd, int flags, const struct abi_itimerspec* value,
                         struct abi_itimerspec* old) {
    int64_t first;
    int64_t interval;
    if ((flags & ~ABI_TFD_TIMER_ABSTIME) != 0 || !ns_of(&value->value, &first) ||
        !ns_of(&value->interval, &interval)) {
        return -ABI_EINVAL;
    }
    FD_REF o = nullptr;
    long error = find_timer(fd, &o);
    if (error != 0) {
        return error;
    }
    struct timer* t = timer_of(o);
    zx_time_t next = first == 0                             ? ZX_TIME_INFINITE
                     : (flags & ABI_TFD_TIMER_ABSTIME) != 0 ? monotonic_of(t, first)
                                                            : add(zx_clock_get_monotonic(), first);
    libc_lock_acquire(&t->lock);
    struct abi_itimerspec before = left_locked(t);
    t->interval = interval;
    set_locked(t, next);
    libc_lock_release(&t->lock);
    if (old != nullptr) {
        *old = before;
    }
    return 0;
}

long sys_timerfd_gettime(int fd, struct abi_itimerspec* out) {
    FD_REF o = nullptr;
    long error = find_timer(fd, &o);
    if (error != 0) {
        return error;
    }
    libc_lock_acquire(&timer_of(o)->lock);
    struct abi_itimerspec left = left_locked(timer_of(o));
    libc_lock_release(&timer_of(o)->lock);
    *out = left;
    return 0;
}
