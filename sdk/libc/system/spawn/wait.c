// waitpid() and its relatives.
//
// A thread looks at all children that are meant, and if none has ended waits for duplicates of
// their process handles (another thread may take one out meanwhile) and for an event that says that
// there is another child; then it looks again.
#include <stdlib.h>

#include <libc/error.h>
#include <libc/operations.h>
#include <signal/children.h>
#include <wait/wait.h>
#include <zircon/syscalls.h>

#include "spawn_priv.h"
#include "wait_priv.h"

struct wait_result {
    int pid;
    int status;
    int64_t run_ns;
};

// ---- what is there ----

static bool unwanted(void) {
    return signal_children_unwanted != nullptr && signal_children_unwanted();
}

// What waitpid() is to say of one that has not ended.
static bool look_at_stop(struct child* c, int options, struct wait_result* out) {
    bool* tells = nullptr;
    int status = 0;
    if ((options & ABI_WUNTRACED) != 0 && c->tells_stop) {
        tells = &c->tells_stop;
        status = spawn_status_stopped(c->stop_signal);
    } else if ((options & ABI_WCONTINUED) != 0 && c->tells_continue) {
        tells = &c->tells_continue;
        status = spawn_status_continued;
    }
    if (tells == nullptr) {
        return false;
    }
    *out = (struct wait_result){.pid = c->pid, .status = status};
    *tells = (options & ABI_WNOWAIT) != 0;
    return true;
}

// 1: *out is one that has ended, stopped or gone on; 0: none has; ECHILD: there is none.
static long look_locked(const struct child_filter* filter, int options, struct wait_result* out)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    bool any = false;
    bool discard = unwanted();
    struct child* next;
    for (struct child* c = children_next(&spawn_children, nullptr, filter); c != nullptr;
         c = next) {
        next = children_next(&spawn_children, c, filter);
        child_refresh_locked(c);
        if (!c->ended) {
            if (look_at_stop(c, options, out)) {
                return 1;
            }
            any = true;
            continue;
        }
        *out = (struct wait_result){.pid = c->pid, .status = c->status, .run_ns = c->run_ns};
        if (discard || (options & ABI_WNOWAIT) == 0) {
            spawn_reaped_run_ns += c->run_ns;
            child_forget_locked(c);
        }
        if (!discard) {
            return 1;
        }
    }
    return any ? 0 : -ABI_ECHILD;
}

void wait_discard_unwanted(void) {
    if (!unwanted()) {
        return;
    }
    struct child_filter all = {.by = CHILD_ANY};
    struct wait_result dropped;
    libc_lock_acquire(&spawn_lock);
    (void)look_locked(&all, 0, &dropped);
    libc_lock_release(&spawn_lock);
}

// ---- waiting for what is to come ----

static struct waiter* waiters __attribute__((guarded_by(spawn_lock)));

void waiters_wake_locked(void) {
    for (struct waiter* w = waiters; w != nullptr; w = w->next) {
        (void)zx_object_signal(w->event, 0, ZX_EVENT_SIGNALED);
    }
}

static void waiter_remove_locked(struct waiter* waiter)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    struct waiter** link = &waiters;
    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
}

// Duplicates of the processes; the number of items, of which there is room for `max`.
static size_t gather_locked(const struct child_filter* filter, zx_wait_item_t* items, size_t max)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    size_t count = 0;
    for (struct child* c = children_next(&spawn_children, nullptr, filter);
         c != nullptr && count < max; c = children_next(&spawn_children, c, filter)) {
        zx_handle_t copy;
        if (!c->ended && zx_handle_duplicate(c->process, ZX_RIGHT_WAIT, &copy) == ZX_OK) {
            items[count++] = (zx_wait_item_t){.handle = copy, .waitfor = ZX_PROCESS_TERMINATED};
        }
    }
    return count;
}

static size_t count_locked(const struct child_filter* filter)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    size_t count = 0;
    for (struct child* c = children_next(&spawn_children, nullptr, filter); c != nullptr;
         c = children_next(&spawn_children, c, filter)) {
        count++;
    }
    return count;
}

constexpr size_t few = 8;

// Looks, and if nothing has ended, waits once. As look_locked(); also -ABI_EINTR.
static long look_or_wait(const struct child_filter* filter, int options, struct wait_result* out) {
    zx_wait_item_t some[few + 1];
    zx_wait_item_t* items = some;
    struct waiter waiter;
    zx_status_t status = zx_event_create(0, &waiter.event);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    libc_lock_acquire(&spawn_lock);
    long result = look_locked(filter, options, out);
    size_t count = result == 0 ? count_locked(filter) : 0;
    if (count > few) {
        items = malloc((count + 1) * sizeof(items[0]));
        result = items == nullptr ? -ABI_ENOMEM : 0;
    }
    if (result == 0) {
        count = gather_locked(filter, items, count);
        waiter.next = waiters;
        waiters = &waiter;
    }
    libc_lock_release(&spawn_lock);
    if (result == 0) {
        items[count] = (zx_wait_item_t){.handle = waiter.event, .waitfor = ZX_EVENT_SIGNALED};
        result = wait_many(items, count + 1, ZX_TIME_INFINITE);
        if (result == -ABI_EINTR) {
            result = wait_interrupted(true);
        }
        for (size_t i = 0; i < count; i++) {
            (void)zx_handle_close(items[i].handle);
        }
        libc_lock_acquire(&spawn_lock);
        waiter_remove_locked(&waiter);
        libc_lock_release(&spawn_lock);
    }
    (void)zx_handle_close(waiter.event);
    if (items != some) {
        free(items);
    }
    return result;
}

// The pid of one that has ended, 0 (WNOHANG: none has), or an errno negated.
static long wait_for(const struct child_filter* filter, int options, struct wait_result* out) {
    for (;;) {
        libc_lock_acquire(&spawn_lock);
        long result = look_locked(filter, options, out);
        libc_lock_release(&spawn_lock);
        if (result == 0 && (options & ABI_WNOHANG) == 0) {
            result = look_or_wait(filter, options, out);
            if (result == 0) {
                continue;
            }
        }
        return result > 0 ? out->pid : result;
    }
}

// ---- operations ----

static struct abi_rusage usage_of(int64_t run_ns) {
    return (struct abi_rusage){
        .utime = {.sec = run_ns / 1'000'000'000, .usec = run_ns % 1'000'000'000 / 1000}};
}

long sys_wait4(int pid, int* status, int options, struct abi_rusage* usage) {
    if ((options & ~(ABI_WNOHANG | ABI_WUNTRACED | ABI_WCONTINUED)) != 0) {
        return -ABI_EINVAL;
    }
    if (pid == INT32_MIN) {
        return -ABI_ESRCH;
    }
    struct child_filter filter = child_filter_of(pid, (int)sys_getpgid(0));
    struct wait_result result = {};
    long got = wait_for(&filter, options, &result);
    if (got > 0 && status != nullptr) {
        *status = result.status;
    }
    if (got > 0 && usage != nullptr) {
        struct abi_rusage u = usage_of(result.run_ns);
        usage->utime = u.utime;
        usage->stime = u.stime;
        usage->maxrss = 0;
    }
    return got;
}

static bool filter_for(int kind, int id, struct child_filter* out) {
    switch (kind) {
    case ABI_P_ALL:
        *out = (struct child_filter){.by = CHILD_ANY};
        return true;
    case ABI_P_PID:
        *out = (struct child_filter){.by = CHILD_PID, .id = id};
        return id > 0;
    case ABI_P_PGID:
        *out = (struct child_filter){.by = CHILD_GROUP, .id = id != 0 ? id : (int)sys_getpgid(0)};
        return id >= 0;
    default:
        return false;
    }
}

static struct abi_siginfo info_of(const struct wait_result* r) {
    struct abi_siginfo info = {.signo = ABI_SIGCHLD, .pid = r->pid};
    if (r->status == spawn_status_continued) {
        info.code = ABI_CLD_CONTINUED;
        info.status = ABI_SIGCONT;
    } else if (spawn_status_is_stop(r->status)) {
        info.code = ABI_CLD_STOPPED;
        info.status = spawn_status_code(r->status);
    } else if (spawn_status_signal(r->status) != 0) {
        info.code = ABI_CLD_KILLED;
        info.status = spawn_status_signal(r->status);
    } else {
        info.code = ABI_CLD_EXITED;
        info.status = spawn_status_code(r->status);
    }
    return info;
}

long sys_waitid(int kind, int id, struct abi_siginfo* out, int options, struct abi_rusage* usage) {
    struct child_filter filter;
    constexpr int64_t known =
        ABI_WNOHANG | ABI_WUNTRACED | ABI_WEXITED | ABI_WCONTINUED | ABI_WNOWAIT;
    if ((options & ~known) != 0 || (options & ABI_WEXITED) == 0 || !filter_for(kind, id, &filter)) {
        return -ABI_EINVAL;
    }
    struct wait_result result = {};
    long got = wait_for(&filter, options, &result);
    if (got < 0) {
        return got;
    }
    if (out != nullptr) {
        *out = got > 0 ? info_of(&result) : (struct abi_siginfo){};
    }
    if (got > 0 && usage != nullptr) {
        struct abi_rusage u = usage_of(result.run_ns);
        usage->utime = u.utime;
        usage->stime = u.stime;
    }
    return 0;
}
