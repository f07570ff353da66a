// Operations that wait for signals, and the alarm clock.
#include <libc/operations.h>
#include <libc/thread.h>
#include <spawn/children_watch.h>
#include <wait/wait.h>
#include <zircon/syscalls.h>

#include "herald.h"
#include "signal_priv.h"

// Until a handler has run, or the thread is cancelled.
static long wait_for_handler(void) {
    herald_listen();
    while (wait_interrupted(false) == 0) {
        (void)wait_many(nullptr, 0, ZX_TIME_INFINITE);
    }
    return -ABI_EINTR;
}

long sys_pause(void) {
    return wait_for_handler();
}

long sys_rt_sigsuspend(const abi_sigset_t* mask, size_t mask_len) {
    if (mask_len != sizeof(*mask)) {
        return -ABI_EINVAL;
    }
    abi_sigset_t before = signal_thread_self()->signals_blocked;
    signal_set_mask(*mask);
    long error = wait_for_handler();
    signal_set_mask(before);
    return error;
}

static int take_awaited(abi_sigset_t set, struct signal_info* info) {
    libc_lock_acquire(&signal_lock);
    int signal = signal_take_locked(signal_thread_self(), signal_is_own(), set, info);
    libc_lock_release(&signal_lock);
    return signal;
}

static long await(abi_sigset_t set, zx_time_t deadline, struct signal_info* info) {
    for (;;) {
        // In this order: looking takes the interruption away by which the signal is told.
        bool ends = wait_interrupted(false) != 0;
        int signal = take_awaited(set, info);
        if (signal != 0) {
            return signal;
        }
        if (ends) {
            return -ABI_EINTR;
        }
        if (wait_many(nullptr, 0, deadline) == -ABI_ETIMEDOUT) {
            signal = take_awaited(set, info);
            return signal != 0 ? signal : -ABI_EAGAIN;
        }
    }
}

long sys_rt_sigtimedwait(const abi_sigset_t* set, struct abi_siginfo* out,
                         const struct abi_timespec* timeout, size_t mask_len) {
    if (mask_len != sizeof(*set) ||
        (timeout != nullptr && (timeout->nsec < 0 || timeout->nsec >= 1'000'000'000))) {
        return -ABI_EINVAL;
    }
    struct thread_record* self = signal_thread_self();
    struct signal_info info = {};
    herald_listen();
    atomic_store_explicit(&self->signals_awaited, *set & ~signal_immutable, memory_order_seq_cst);
    long result = await(*set & ~signal_immutable, wait_deadline_after(timeout), &info);
    atomic_store_explicit(&self->signals_awaited, 0, memory_order_relaxed);
    if (result > 0 && out != nullptr) {
        *out = (struct abi_siginfo){.signo = (int)result, .code = info.code, .pid = info.pid};
        if (result == ABI_SIGCHLD) {
            out->status = info.status;
        } else {
            out->value = info.value;
        }
    }
    return result;
}

// ---- sending to oneself ----

long sys_tkill(int tid, int signal) {
    if (signal < 0 || signal > signal_max || tid <= 0) {
        return -ABI_EINVAL;
    }
    struct signal_info info = {.code = ABI_SI_TKILL, .pid = (int)sys_getpid()};
    if (signal == 0) {
        return thread_handle_of(tid) != ZX_HANDLE_INVALID ? 0 : -ABI_ESRCH;
    }
    if (!signal_post_thread(tid, signal, &info)) {
        return -ABI_ESRCH;
    }
    (void)signal_deliver();
    return 0;
}

// To this process, or to a child, which gets a value only if it takes the signal itself.
long sys_rt_sigqueueinfo(int pid, int signal, const struct abi_siginfo* info) {
    if (signal < 0 || signal > signal_max || info->code >= 0) {
        return signal >= 0 && signal <= signal_max ? -ABI_EPERM : -ABI_EINVAL;
    }
    int self = (int)sys_getpid();
    if (pid != self) {
        struct signal_message message = {
            .signal = (uint32_t)signal, .code = info->code, .value = (uint64_t)info->value};
        long error = spawn_send_value != nullptr ? spawn_send_value(pid, &message) : -ABI_ESRCH;
        (void)signal_deliver(); // SIGCHLD, if that has stopped it
        return error;
    }
    struct signal_info own = {.code = info->code, .pid = self, .value = info->value};
    bool good = signal == 0 || signal_post(signal, &own);
    (void)signal_deliver();
    return good ? 0 : -ABI_EAGAIN;
}

// ---- the alarm clock ----

static bool is_good(const struct abi_timeval* t) {
    return t->sec >= 0 && t->usec >= 0 && t->usec < 1'000'000;
}

static zx_duration_t duration_of(const struct abi_timeval* t) {
    constexpr int64_t longest_sec = INT64_MAX / 1'000'000'000 - 1;
    int64_t sec = t->sec < longest_sec ? t->sec : longest_sec;
    return sec * 1'000'000'000 + t->usec * 1000;
}

static struct abi_timeval timeval_of(zx_duration_t ns) {
    return (struct abi_timeval){.sec = ns / 1'000'000'000, .usec = ns % 1'000'000'000 / 1000};
}

static void report(int which, const struct herald_alarm* alarm, struct abi_itimerval* out) {
    *out = (struct abi_itimerval){.interval = timeval_of(alarm->interval_ns)};
    if (alarm->at != ZX_TIME_INFINITE) {
        zx_duration_t left = alarm->at - herald_alarm_now(which);
        out->value = timeval_of(left > 1000 ? left : 1000); // 0 would say that it is off
    }
}

static_assert(ABI_ITIMER_REAL == HERALD_REAL && ABI_ITIMER_VIRTUAL == HERALD_VIRTUAL &&
              ABI_ITIMER_PROF == HERALD_PROF);

static bool is_timer(int which) {
    return which >= 0 && which < HERALD_ALARMS;
}

long sys_setitimer(int which, const struct abi_itimerval* value, struct abi_itimerval* old) {
    if (!is_timer(which) || !is_good(&value->value) || !is_good(&value->interval)) {
        return -ABI_EINVAL;
    }
    struct herald_alarm alarm = {.at = ZX_TIME_INFINITE};
    zx_duration_t first = duration_of(&value->value);
    if (first != 0) {
        zx_time_t now = herald_alarm_now(which);
        alarm = (struct herald_alarm){.at = first < ZX_TIME_INFINITE - now ? now + first
                                                                           : ZX_TIME_INFINITE - 1,
                                      .interval_ns = duration_of(&value->interval)};
    }
    struct herald_alarm before;
    long error = herald_set_alarm(which, &alarm, &before);
    if (error == 0 && old != nullptr) {
        report(which, &before, old);
    }
    return error;
}

long sys_getitimer(int which, struct abi_itimerval* out) {
    if (!is_timer(which)) {
        return -ABI_EINVAL;
    }
    struct herald_alarm alarm = herald_alarm(which);
    report(which, &alarm, out);
    return 0;
}
