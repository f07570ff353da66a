// exec(): in a child-to-be of vfork() the end of being a child; else another process goes on in
// place of this one, because a process cannot change its program.
#include <fd/table.h>
#include <libc/operations.h>
#include <signal/exec.h>
#include <spawn/vfork.h>
#include <zircon/syscalls.h>

#include "exec.h"
#include "spawn_priv.h"

static long exec_child(const char* path, char* const* argv, char* const* environ) {
    struct spawn_plan plan = {.path = path, .argv = argv, .environ = environ};
    signal_for_exec(&plan.blocked, &plan.ignored, nullptr);
    int pid;
    long error = spawn_start(&plan, &pid);
    if (error != 0) {
        return error;
    }
    vfork_finish(pid);
}

static long exec_process(const char* path, char* const* argv, char* const* environ) {
    struct spawn_plan plan = {.path = path, .argv = argv, .environ = environ, .replaces = true};
    plan.channel = signal_for_exec(&plan.blocked, &plan.ignored, &plan.pending);
    if (!spawn_has_parent()) {
        plan.channel = ZX_HANDLE_INVALID;
    }
    long error = spawn_replace(&plan);
    signal_exec_failed();
    return error;
}

long sys_execve(const char* path, char* const* argv, char* const* environ) {
    return spawn_identity()->frame != nullptr ? exec_child(path, argv, environ)
                                              : exec_process(path, argv, environ);
}

// fexecve() falls back on /proc/self/fd/N.
long sys_execveat(int dir, const char* path, char* const* argv, char* const* environ, int) {
    bool plain = path[0] == '/' || (path[0] != '\0' && dir == ABI_AT_FDCWD);
    return plain ? sys_execve(path, argv, environ) : -ABI_ENOSYS;
}

// A process cannot be copied: its handles, threads and pages are not the kernel's to double.
long sys_fork(void) {
    return -ABI_ENOSYS;
}

// ---- the stand-in ----

static _Atomic int stand_in_for;

static void pass_on(int signal) {
    libc_lock_acquire(&spawn_lock);
    struct child* child = children_find(&spawn_children, stand_in_for);
    if (child != nullptr) {
        (void)child_signal_locked(child, signal);
    }
    libc_lock_release(&spawn_lock);
}

void exec_stand_in(int pid) {
    stand_in_for = pid;
    signal_divert(pass_on);
    signal_exec_failed(); // this process goes on listening, for the new one
    // The other ends must see that this program is gone: an end of file, a broken pipe.
    for (int fd = 0; fd < FD_MAX; fd++) {
        (void)fd_table_close(fd_table(), fd);
    }
    // The program may have ignored SIGCHLD; then how its successor ends would be forgotten at once.
    static const struct abi_sigaction plain = {};
    (void)sys_rt_sigaction(ABI_SIGCHLD, &plain, nullptr, sizeof(abi_sigset_t));
    int status = 0;
    while (sys_wait4(pid, &status, 0, nullptr) == -ABI_EINTR) {
        // again
    }
    int signal = spawn_status_signal(status);
    zx_process_exit(signal != 0 ? spawn_retcode_of_signal(signal) : spawn_status_code(status));
    __builtin_trap();
}
