// The table of children, kept up to date with what the kernel knows of them.
#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

#include <libc/abi.h>
#include <spawn/children_watch.h>

#include "replaced.h"
#include "spawn_priv.h"
#include "wait_priv.h"

struct libc_lock spawn_lock = LIBC_LOCK_INIT;
struct children spawn_children;
_Atomic int64_t spawn_reaped_run_ns;
static zx_handle_t watch_port __attribute__((guarded_by(spawn_lock)));

int64_t spawn_children_run_ns(void) {
    return spawn_reaped_run_ns;
}

// ---- how a process ended ----

// What the old process has not read is for the new one. (Under the lock: nothing is written
// meanwhile, and nothing to the old one from here on.)
static void send_again(struct child* child, uint64_t heard)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    struct signal_message recent[child_recent];
    memcpy(recent, child->recent, sizeof(recent));
    uint64_t end = child->written;
    uint64_t begin = end > child_recent && heard < end - child_recent ? end - child_recent : heard;
    child->written = 0;
    for (uint64_t i = begin; i < end; i++) {
        (void)child_send_locked(child, &recent[i % child_recent]);
    }
}

// exec() in the child: its last message names the process in which it goes on. It comes before that
// process runs, so whoever has heard of it in any way signals it, not the old one. A kill that the
// old one got while it said so was meant for what it became.
static bool follow(struct child* child) __attribute__((exclusive_locks_required(spawn_lock))) {
    zx_handle_t next;
    zx_handle_t signals;
    uint64_t heard;
    if (!replaced_receive(child->signals, &next, &signals, &heard)) {
        return false;
    }
    (void)zx_handle_close(child->process);
    (void)zx_handle_close(child->signals);
    (void)zx_handle_close(child->stopped); // the new process runs
    child->stopped = ZX_HANDLE_INVALID;
    child->process = next;
    child->signals = signals;
    if (watch_port != ZX_HANDLE_INVALID) {
        (void)zx_object_wait_async(next, watch_port, (uint64_t)child->pid, ZX_PROCESS_TERMINATED,
                                   0);
    }
    if (child->sent != 0) {
        (void)zx_task_kill(next);
    }
    send_again(child, heard);
    return true;
}

static void close_handles(struct child* child) {
    (void)zx_handle_close(child->process);
    (void)zx_handle_close(child->signals);
    (void)zx_handle_close(child->stopped);
    child->stopped = ZX_HANDLE_INVALID;
    child->process = ZX_HANDLE_INVALID;
    child->signals = ZX_HANDLE_INVALID;
}

static void note_end(struct child* child, int64_t retcode) {
    zx_info_task_runtime_t runtime = {};
    (void)zx_object_get_info(child->process, ZX_INFO_TASK_RUNTIME, &runtime, sizeof(runtime),
                             nullptr, nullptr);
    child->run_ns += runtime.cpu_time;
    zx_exception_report_t report;
    bool is_known = retcode == ZX_TASK_RETCODE_EXCEPTION_KILL &&
                    zx_object_get_info(child->process, ZX_INFO_THREAD_EXCEPTION_REPORT, &report,
                                       sizeof(report), nullptr, nullptr) == ZX_OK;
    child->status = spawn_status(retcode, is_known ? &report : nullptr, child->sent);
    child->ended = true;
    close_handles(child);
}

void child_refresh_locked(struct child* child) {
    while (!child->ended) {
        zx_info_process_t info;
        zx_signals_t seen = 0;
        if (zx_object_wait_one(child->process, ZX_PROCESS_TERMINATED, 0, &seen) != ZX_OK) {
            if (!follow(child)) {
                return;
            }
            continue;
        }
        zx_status_t status = zx_object_get_info(child->process, ZX_INFO_PROCESS, &info,
                                                sizeof(info), nullptr, nullptr);
        int64_t retcode = status == ZX_OK ? info.return_code : ZX_TASK_RETCODE_SYSCALL_KILL;
        if (retcode != spawn_retcode_replaced || !follow(child)) {
            note_end(child, retcode);
        }
    }
}

// ---- coming and going ----

void child_add_locked(struct child* child) {
    children_add(&spawn_children, child);
    if (watch_port != ZX_HANDLE_INVALID && !child->ended) {
        (void)zx_object_wait_async(child->process, watch_port, (uint64_t)child->pid,
                                   ZX_PROCESS_TERMINATED, 0);
    }
    waiters_wake_locked();
}

void child_forget_locked(struct child* child) {
    struct child_group* group = children_remove(&spawn_children, child);
    if (group != nullptr) {
        (void)zx_handle_close(group->job);
        free(group);
    }
    close_handles(child);
    free(child);
}

// ---- for SIGCHLD ----

void spawn_watch_children(zx_handle_t port) {
    libc_lock_acquire(&spawn_lock);
    bool first = watch_port == ZX_HANDLE_INVALID;
    watch_port = port;
    struct child_filter all = {.by = CHILD_ANY};
    for (struct child* c = children_next(&spawn_children, nullptr, &all); first && c != nullptr;
         c = children_next(&spawn_children, c, &all)) {
        if (!c->ended) {
            (void)zx_object_wait_async(c->process, port, (uint64_t)c->pid, ZX_PROCESS_TERMINATED,
                                       0);
        }
    }
    libc_lock_release(&spawn_lock);
}

bool spawn_child_changed(int pid, struct signal_info* info) {
    libc_lock_acquire(&spawn_lock);
    struct child* child = children_find(&spawn_children, pid);
    bool ended = false;
    if (child == nullptr) {
        // Somebody has waited for it already; the signal is due all the same.
        *info = (struct signal_info){.code = ABI_CLD_EXITED, .pid = pid};
        ended = true;
    } else {
        child_refresh_locked(child);
        ended = child->ended;
        int signal = spawn_status_signal(child->status);
        *info = (struct signal_info){
            .code = signal != 0 ? ABI_CLD_KILLED : ABI_CLD_EXITED,
            .pid = pid,
            .status = signal != 0 ? signal : spawn_status_code(child->status),
        };
    }
    libc_lock_release(&spawn_lock);
    return ended;
}
