// Between the parts of the spawn module.
#pragma once

#include <libc/lock.h>
#include <libc/process_view.h>
#include <libc/thread_block.h>
#include <spawn/children.h>
#include <spawn/inherit.h>
#include <spawn/status.h>

#include "vfork_context.h"

// ---- who a process is ----

// The view's part. Numbers are set by the thread whose view it is, and read by all.
struct spawn_identity {
    _Atomic int pid; // of a child-to-be: provisional, below every koid
    _Atomic int ppid;
    _Atomic int group, session;
    struct vfork_frame* frame; // of a child of vfork; else null
};

// Of the calling thread's view.
struct spawn_identity* spawn_identity(void);
// That of the process itself, whatever a child-to-be says.
struct spawn_identity* spawn_process_identity(void);
constexpr int spawn_first_koid = 1024;
static inline bool spawn_is_provisional(int pid) {
    return pid > 0 && pid < spawn_first_koid;
}
// For a copy of the view that will be a child: another pid, the same group.
void spawn_identity_become_child(struct spawn_identity* identity);

// ---- children ----

// Protects the children and their groups. Held over calls into the kernel that do not block.
// signal_lock may be taken under it.
extern struct libc_lock spawn_lock;
extern struct children spawn_children __attribute__((guarded_by(spawn_lock)));

// Looks whether it has ended, or goes on as another process; *child is up to date then.
void child_refresh_locked(struct child* child)
    __attribute__((exclusive_locks_required(spawn_lock)));
// Adds one: threads in waitpid() look again, and its end will be told.
void child_add_locked(struct child* child) __attribute__((exclusive_locks_required(spawn_lock)));
// Takes one out and frees it, and its group with the last child.
void child_forget_locked(struct child* child) __attribute__((exclusive_locks_required(spawn_lock)));

// What children that were waited for have run, in sum.
extern _Atomic int64_t spawn_reaped_run_ns;

// What kill() does to one child (kill.c).
long child_signal_locked(struct child* child, int signal)
    __attribute__((exclusive_locks_required(spawn_lock)));
// The same, perhaps with a value; -ABI_EAGAIN: there is no room for one.
long child_send_locked(struct child* child, const struct signal_message* message)
    __attribute__((exclusive_locks_required(spawn_lock)));

long spawn_send_value(int pid, const struct signal_message* message);

// ---- starting programs ----

// What a new program is given besides what the calling thread's view says.
struct spawn_plan {
    const char* path;
    char* const* argv;
    char* const* environ;
    uint64_t blocked; // signals
    uint64_t ignored;
    // exec() without vfork: it goes on as this process.
    bool replaces;
    uint64_t pending;    // then: signals that have not acted yet
    zx_handle_t channel; // then: to the parent, if that knows what it means; stays the caller's
};
// Starts it as a child of this process. *pid; or an errno negated, and nothing has happened.
long spawn_start(const struct spawn_plan* plan, int* pid);
// exec() of the process itself: returns only if it fails.
long spawn_replace(const struct spawn_plan* plan);
// A child that has ended and never was a process. Its pid, or an errno negated.
long spawn_phantom(int status);

// ---- vfork ----

struct vfork_frame {
    struct vfork_context context;
    struct process_view* view; // the parent's
    uint64_t mask;             // the thread's, before
};
// Ends the child's part of the calling thread: the second return of vfork().
[[noreturn]] void vfork_finish(long result);
