// Takes the place of musl's file, which makes a child that shares its memory by clone().
//
// vfork() does that here, too: between its two returns this thread is the child, on a copy of the
// descriptors, the directory and the actions. What fails there is the call's error, and no child
// has been.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>
#include "fdop.h"
#include "ksigaction.h"
#include "pthread_impl.h"
#include "syscall.h"

// The compiler knows it by name, but not in a library that is free-standing.
pid_t vfork(void) __attribute__((returns_twice));
// Ends the child; vfork() answers `error`, an errno negated.
_Noreturn hidden void vfork_finish(long error);

static long carry_out(const struct fdop* op) {
    switch (op->cmd) {
    case FDOP_CLOSE:
        __syscall(SYS_close, op->fd); // it may be closed already
        return 0;
    case FDOP_DUP2:
        // The same descriptor: it is to stay open in the new program.
        return op->srcfd == op->fd ? __syscall(SYS_fcntl, op->fd, F_SETFD, 0)
                                   : __syscall(SYS_dup2, op->srcfd, op->fd);
    case FDOP_OPEN: {
        long fd = __sys_open(op->path, op->oflag, op->mode);
        if (fd < 0 || fd == op->fd) {
            return fd;
        }
        long error = __syscall(SYS_dup2, fd, op->fd);
        __syscall(SYS_close, fd);
        return error;
    }
    case FDOP_CHDIR:
        return __syscall(SYS_chdir, op->path);
    case FDOP_FCHDIR:
        return __syscall(SYS_fchdir, op->fd);
    default:
        return -EINVAL;
    }
}

// The list begins with the action that was added last.
static long carry_out_all(const posix_spawn_file_actions_t* actions) {
    if (!actions || !actions->__actions) {
        return 0;
    }
    struct fdop* op = actions->__actions;
    while (op->next) {
        op = op->next;
    }
    long result = 0;
    for (; op && result >= 0; op = op->prev) {
        result = carry_out(op);
    }
    return result < 0 ? result : 0;
}

static long set_attributes(const posix_spawnattr_t* attr) {
    long result = 0;
    if (attr->__flags & POSIX_SPAWN_SETSID) {
        result = __syscall(SYS_setsid);
    }
    if (result >= 0 && (attr->__flags & POSIX_SPAWN_SETPGROUP)) {
        result = __syscall(SYS_setpgid, 0, attr->__pgrp);
    }
    const struct k_sigaction default_action = {0};
    for (int sig = 1; result >= 0 && sig < _NSIG; sig++) {
        // (The two that never change answer EINVAL.)
        if ((attr->__flags & POSIX_SPAWN_SETSIGDEF) && sigismember(&attr->__def, sig) > 0) {
            __syscall(SYS_rt_sigaction, sig, &default_action, 0, _NSIG / 8);
        }
    }
    if (result >= 0 && (attr->__flags & POSIX_SPAWN_SETSIGMASK)) {
        result = __syscall(SYS_rt_sigprocmask, SIG_SETMASK, &attr->__mask, 0, _NSIG / 8);
    }
    return result < 0 ? result : 0;
}

typedef int exec_function(const char*, char* const*, char* const*);

int posix_spawn(pid_t* restrict res, const char* restrict path,
                const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* restrict attr,
                char* const argv[restrict], char* const envp[restrict]) {
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pid_t pid = vfork();
    if (pid == 0) {
        long error = attr ? set_attributes(attr) : 0;
        if (!error) {
            error = carry_out_all(actions);
        }
        if (!error) {
            // posix_spawnp() has put its own here.
            exec_function* exec = attr && attr->__fn ? (exec_function*)attr->__fn : execve;
            exec(path, argv, envp);
            error = -errno;
        }
        vfork_finish(error);
    }
    int error = pid < 0 ? errno : 0;
    pthread_setcancelstate(cancel_state, 0);
    if (!error && res) {
        *res = pid;
    }
    return error;
}
