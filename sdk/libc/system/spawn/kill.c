// kill(): who gets a signal, and how.
//
// A child has told, on the channel that we gave it, which signals it takes itself: those are
// written there. For all others the default action is carried out from here: its process is killed,
// suspended, or nothing happens. Who is not a child is found in the tree of jobs below
// PA_JOB_DEFAULT, or below the one that jacinth.system.Tasks gives to those who reach it, and
// cannot be asked: it gets default actions only.
#include <fidl/jacinth.system.h>
#include <libc/error.h>
#include <libc/operations.h>
#include <names/namespace.h>
#include <signal/children.h>
#include <signal/signal.h>
#include <signal/signal_set.h>
#include <spawn/group.h>
#include <zircon/syscalls.h>

#include <jacinth/startup.h>

#include "job_tree.h"
#include "spawn_priv.h"
#include "wait_priv.h"

// ---- children ----

static bool takes(const struct child* child, int signal) {
    zx_signals_t class = signal_class(signal);
    zx_signals_t seen = 0;
    return signal != ABI_SIGKILL && signal != ABI_SIGSTOP && child->signals != ZX_HANDLE_INVALID &&
           (zx_object_wait_one(child->signals, class, 0, &seen), (seen & class) != 0);
}

// exec() may be under way in it: what it goes on as is killed, too.
static void child_kill_locked(struct child* child, int signal)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    child->sent = signal;
    zx_handle_t killed = ZX_HANDLE_INVALID;
    while (!child->ended && child->process != killed) {
        killed = child->process;
        (void)zx_task_kill(killed);
        child_refresh_locked(child);
    }
}

// All of its threads stand still; what it started itself goes on.
static long child_stop_locked(struct child* child, int signal)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    if (child->stopped != ZX_HANDLE_INVALID) {
        return 0;
    }
    zx_status_t status = zx_task_suspend(child->process, &child->stopped);
    if (status != ZX_OK) {
        child->stopped = ZX_HANDLE_INVALID;
        return status == ZX_ERR_BAD_STATE ? 0 : errno_from_status(status); // it is ending
    }
    child->stop_signal = signal;
    child->tells_stop = true;
    child->tells_continue = false;
    waiters_wake_locked();
    if (signal_child_stopped != nullptr) {
        signal_child_stopped(child->pid, signal);
    }
    return 0;
}

static void child_continue_locked(struct child* child)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    if (child->stopped == ZX_HANDLE_INVALID) {
        return;
    }
    (void)zx_handle_close(child->stopped);
    child->stopped = ZX_HANDLE_INVALID;
    child->tells_stop = false;
    child->tells_continue = true;
    waiters_wake_locked();
    if (signal_child_stopped != nullptr) {
        signal_child_stopped(child->pid, 0);
    }
}

// Closed: it is about to end, or has said that it goes on as another, which gets it then. Full (it
// stands still, or listens to nothing): a signal that pends already is not counted.
static long child_write_locked(struct child* child, const struct signal_message* message)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    zx_status_t status = zx_channel_write(child->signals, ZX_CHANNEL_WRITE_MAY_REFUSE, message,
                                          signal_message_len(message), nullptr, 0);
    if (status == ZX_OK || status == ZX_ERR_PEER_CLOSED) {
        child->recent[child->written++ % child_recent] = *message;
        return 0;
    }
    if (status == ZX_ERR_SHOULD_WAIT) {
        return message->code != 0 ? -ABI_EAGAIN : 0;
    }
    return errno_from_status(status);
}

long child_send_locked(struct child* child, const struct signal_message* message) {
    int signal = (int)message->signal;
    child_refresh_locked(child);
    if (child->ended || signal == 0) {
        return 0;
    }
    if (signal == ABI_SIGCONT) {
        child_continue_locked(child); // whether it takes the signal or not
    }
    if (takes(child, signal)) {
        return child_write_locked(child, message);
    }
    switch (signal_default(signal)) {
    case SIGNAL_ENDS:
        child_kill_locked(child, signal);
        return 0;
    case SIGNAL_STOPS:
        return child_stop_locked(child, signal);
    default:
        return 0;
    }
}

long child_signal_locked(struct child* child, int signal) {
    return child_send_locked(child, &(struct signal_message){.signal = (uint32_t)signal});
}

// All members, and if none of them takes it what else is in the group's job: what they started.
static bool group_signal_locked(const struct child_filter* filter, int signal)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    bool any = false;
    bool taken = signal == 0 || signal_default(signal) != SIGNAL_ENDS;
    for (struct child* c = children_next(&spawn_children, nullptr, filter); c != nullptr;
         c = children_next(&spawn_children, c, filter)) {
        any = true;
        taken |= !c->ended && takes(c, signal);
        (void)child_signal_locked(c, signal);
    }
    struct child_group* group =
        filter->by == CHILD_GROUP ? children_group(&spawn_children, filter->id) : nullptr;
    if (group != nullptr && !taken) {
        // Whoever joins the group from now on needs another one.
        (void)zx_task_kill(group->job);
        (void)zx_handle_close(group->job);
        group->job = ZX_HANDLE_INVALID;
    }
    return any;
}

// ---- this process ----

static void signal_self(int signal) {
    if (signal != 0) {
        struct signal_info info = {.code = ABI_SI_USER, .pid = (int)sys_getpid()};
        signal_post(signal, &info);
    }
}

long spawn_signal_group(int id, int signal) {
    struct child_filter filter = {.by = CHILD_GROUP, .id = id};
    libc_lock_acquire(&spawn_lock);
    bool any = group_signal_locked(&filter, signal);
    libc_lock_release(&spawn_lock);
    if (id == spawn_identity()->group) {
        signal_self(signal);
        any = true;
    }
    return any ? 0 : -ABI_ESRCH;
}

// ---- others ----

// Those that a stranger may be ended by; it might have handled any other.
static bool is_plain_end(int signal) {
    switch (signal) {
    case ABI_SIGKILL:
    case ABI_SIGTERM:
    case ABI_SIGINT:
    case ABI_SIGHUP:
    case ABI_SIGQUIT:
    case ABI_SIGABRT:
        return true;
    default:
        return false;
    }
}

// The job that is above all, from whoever gives it to this program. INVALID: nobody does.
static zx_handle_t job_of_all(void) {
    alignas(8) uint8_t buffer[64];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_tasks_get_root_response* answer;
    zx_handle_t job = ZX_HANDLE_INVALID;
    zx_handle_t tasks = names_connect("jacinth.system.Tasks");
    if (tasks != ZX_HANDLE_INVALID &&
        jacinth_system_tasks_get_root_call(tasks, ZX_TIME_INFINITE, storage, &answer) == ZX_OK) {
        job = fidl_take(&answer->job);
    }
    (void)zx_handle_close(tasks);
    return job;
}

static zx_handle_t find_stranger(int pid) {
    zx_handle_t process = job_tree_find(zx_job_default(), (zx_koid_t)pid);
    if (process == ZX_HANDLE_INVALID) {
        zx_handle_t all = job_of_all();
        process = job_tree_find(all, (zx_koid_t)pid);
        (void)zx_handle_close(all);
    }
    return process;
}

static long kill_stranger(int pid, int signal) {
    zx_handle_t process = find_stranger(pid);
    if (process == ZX_HANDLE_INVALID) {
        return -ABI_ESRCH;
    }
    long error = signal == 0 ? 0 : -ABI_EPERM;
    if (is_plain_end(signal)) {
        error = errno_from_status(zx_task_kill(process));
    }
    (void)zx_handle_close(process);
    return error;
}

static long kill_one(int pid, int signal) {
    libc_lock_acquire(&spawn_lock);
    struct child* child = children_find(&spawn_children, pid);
    long error = child != nullptr ? child_signal_locked(child, signal) : -ABI_ESRCH;
    libc_lock_release(&spawn_lock);
    return child != nullptr ? error : kill_stranger(pid, signal);
}

long spawn_send_value(int pid, const struct signal_message* message) {
    libc_lock_acquire(&spawn_lock);
    struct child* child = children_find(&spawn_children, pid);
    long error = child != nullptr ? child_send_locked(child, message) : -ABI_ESRCH;
    libc_lock_release(&spawn_lock);
    return error;
}

static long kill_all_children(int signal) {
    struct child_filter all = {.by = CHILD_ANY};
    libc_lock_acquire(&spawn_lock);
    bool any = group_signal_locked(&all, signal);
    libc_lock_release(&spawn_lock);
    return any ? 0 : -ABI_ESRCH;
}

long sys_kill(int pid, int signal) {
    if (signal < 0 || signal > signal_max) {
        return -ABI_EINVAL;
    }
    struct spawn_identity* self = spawn_identity();
    long error;
    if (pid == self->pid) {
        if (self->frame != nullptr && signal != 0) {
            return sys_tkill((int)sys_gettid(), signal); // a child-to-be is this thread
        }
        signal_self(signal);
        error = 0;
    } else if (pid > 0) {
        error = kill_one(pid, signal);
    } else if (pid == -1) {
        error = kill_all_children(signal);
    } else {
        error = spawn_signal_group(pid == 0 ? self->group : -pid, signal);
    }
    // A signal to oneself acts before kill() returns; so does SIGCHLD, of a child that was stopped.
    (void)signal_deliver();
    return error;
}
