// Clocks and sleeps.
//
// The wall clock is what PA_CLOCK_UTC says, if the program was given one; else it counts from
// UTC_AT_BOOT: the machine has no other clock that a program could read. Children get what it has.
#include <stdatomic.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <jacinth/startup.h>
#include <libc/error.h>
#include <libc/lock.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <libc/thread_block.h>
#include <libc/utc_clock.h>
#include <spawn/children_watch.h>
#include <wait/wait.h>

constexpr int64_t SECOND = 1'000'000'000;
constexpr int64_t UTC_AT_BOOT = PA_CLOCK_UTC_AT_BOOT * SECOND;

static struct abi_timespec timespec_of(int64_t ns) {
    return (struct abi_timespec){.sec = ns / SECOND, .nsec = ns % SECOND};
}

// False: not a time.
static bool ns_of(const struct abi_timespec* t, int64_t* out) {
    if (t->sec < 0 || t->nsec < 0 || t->nsec >= SECOND) {
        return false;
    }
    *out = t->sec < INT64_MAX / SECOND - 1 ? t->sec * SECOND + t->nsec : INT64_MAX;
    return true;
}

// ---- clocks ----

zx_handle_t libc_utc_clock(void) {
    static struct libc_lock lock = LIBC_LOCK_INIT; // one takes it
    static _Atomic zx_handle_t clock;
    static _Atomic bool is_known; // `clock` does not change from then on
    if (!is_known) {
        libc_lock_acquire(&lock);
        if (!is_known) {
            clock = zx_take_startup_handle(PA_HND(PA_CLOCK_UTC, 0));
            is_known = true;
        }
        libc_lock_release(&lock);
    }
    return clock;
}

static int64_t utc_now(void) {
    zx_time_t now;
    zx_handle_t clock = libc_utc_clock();
    if (clock != ZX_HANDLE_INVALID && zx_clock_read(clock, &now) == ZX_OK) {
        return now;
    }
    return UTC_AT_BOOT + zx_clock_get_monotonic();
}

static long cpu_time(zx_handle_t task, int64_t* out) {
    zx_info_task_runtime_t info;
    zx_status_t status =
        zx_object_get_info(task, ZX_INFO_TASK_RUNTIME, &info, sizeof(info), nullptr, nullptr);
    *out = status == ZX_OK ? info.cpu_time : 0;
    return errno_from_status(status);
}

static long clock_now(int clock, int64_t* out) {
    switch (clock) {
    case ABI_CLOCK_REALTIME:
    case ABI_CLOCK_REALTIME_COARSE:
        *out = utc_now();
        return 0;
    case ABI_CLOCK_MONOTONIC:
    case ABI_CLOCK_MONOTONIC_RAW:
    case ABI_CLOCK_MONOTONIC_COARSE:
        *out = zx_clock_get_monotonic();
        return 0;
    case ABI_CLOCK_BOOTTIME:
        *out = zx_clock_get_boot();
        return 0;
    case ABI_CLOCK_PROCESS_CPUTIME_ID:
        return cpu_time(zx_process_self(), out);
    case ABI_CLOCK_THREAD_CPUTIME_ID:
        return cpu_time(thread_block_self()->record->handle, out);
    default:
        return -ABI_EINVAL;
    }
}

long sys_clock_gettime(int clock, struct abi_timespec* out) {
    int64_t ns;
    long error = clock_now(clock, &ns);
    if (error == 0) {
        *out = timespec_of(ns);
    }
    return error;
}

// Who may set it has the clock's handle, and that is not a program of this library.
long sys_clock_settime(int clock, const struct abi_timespec*) {
    return clock == ABI_CLOCK_REALTIME ? -ABI_EPERM : -ABI_EINVAL;
}

long sys_clock_getres(int clock, struct abi_timespec* out) {
    int64_t ns;
    long error = clock_now(clock, &ns);
    if (error == 0 && out != nullptr) {
        int64_t resolution = SECOND / zx_ticks_per_second();
        *out = timespec_of(resolution > 0 ? resolution : 1);
    }
    return error;
}

long sys_gettimeofday(struct abi_timeval* out, void*) {
    int64_t ns = utc_now();
    *out = (struct abi_timeval){.sec = ns / SECOND, .usec = ns % SECOND / 1000};
    return 0;
}

long sys_times(struct abi_tms* out) {
    constexpr int64_t TICK = SECOND / ABI_CLOCK_TICKS;
    int64_t ns;
    long error = cpu_time(zx_process_self(), &ns);
    if (error != 0) {
        return error;
    }
    if (out != nullptr) {
        // Not divided between user mode and kernel.
        int64_t children_ns = spawn_children_run_ns != nullptr ? spawn_children_run_ns() : 0;
        *out = (struct abi_tms){.user = ns / TICK, .children_user = children_ns / TICK};
    }
    return zx_clock_get_monotonic() / TICK;
}

// ---- sleeping ----

// 0, or -EINTR before the deadline.
static long sleep_until(zx_time_t deadline) {
    zx_handle_t wake = thread_wake_event();
    if (wake == ZX_HANDLE_INVALID) {
        return errno_from_status(zx_nanosleep(deadline));
    }
    for (;;) {
        if (thread_take_interrupt() && wait_interrupted(false) != 0) {
            return -ABI_EINTR;
        }
        zx_status_t status = zx_object_wait_one(wake, THREAD_WAKE_SIGNAL, deadline, nullptr);
        if (status != ZX_OK) {
            return status == ZX_ERR_TIMED_OUT ? 0 : errno_from_status(status);
        }
    }
}

static zx_time_t add_saturated(zx_time_t a, int64_t b) {
    return b > INT64_MAX - a ? ZX_TIME_INFINITE : a + b;
}

long sys_clock_nanosleep(int clock, int flags, const struct abi_timespec* request,
                         struct abi_timespec* left) {
    int64_t ns;
    int64_t now;
    if (!ns_of(request, &ns) || clock == ABI_CLOCK_THREAD_CPUTIME_ID) {
        return -ABI_EINVAL;
    }
    long error = clock_now(clock, &now);
    if (error != 0) {
        return error;
    }
    bool is_absolute = (flags & ABI_TIMER_ABSTIME) != 0;
    int64_t span = !is_absolute ? ns : ns > now ? ns - now : 0;
    zx_time_t deadline = add_saturated(zx_clock_get_monotonic(), span);
    error = sleep_until(deadline);
    if (error == -ABI_EINTR && !is_absolute && left != nullptr) {
        int64_t rest = deadline - zx_clock_get_monotonic();
        *left = timespec_of(rest > 0 ? rest : 0);
    }
    return error;
}

long sys_nanosleep(const struct abi_timespec* request, struct abi_timespec* left) {
    return sys_clock_nanosleep(ABI_CLOCK_MONOTONIC, 0, request, left);
}
