#include "foreground.h"

#include <io/client.h>
#include <libc/error.h>
#include <libc/operations.h>
#include <signal/children.h>
#include <signal/terminal.h>
#include <spawn/group.h>
#include <zircon/syscalls.h>

#include "herald.h"
#include "signal_priv.h"

static _Atomic int front; // 0: nobody was put there; this process's group is

static int front_group(void) {
    int group = front;
    return group != 0 ? group : (int)sys_getpgid(0);
}

bool foreground_hear(zx_handle_t controller) {
    static const struct {
        zx_signals_t event;
        int signal;
    } meanings[] = {
        {JACINTH_IO_EVENT_INTERRUPT, ABI_SIGINT},
        {JACINTH_IO_EVENT_QUIT, ABI_SIGQUIT},
        {JACINTH_IO_EVENT_SUSPEND, ABI_SIGTSTP},
        {JACINTH_IO_EVENT_RESIZED, ABI_SIGWINCH},
    };
    zx_signals_t seen = 0;
    (void)zx_object_wait_one(controller, foreground_events, 0, &seen);
    // First lowered, then acted upon: what is typed meanwhile is told again.
    (void)zx_object_signal(controller, seen & foreground_events & ~ZX_EVENTPAIR_PEER_CLOSED, 0);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if ((seen & meanings[i].event) != 0) {
            (void)spawn_signal_group(front_group(), meanings[i].signal);
        }
    }
    return (seen & ZX_EVENTPAIR_PEER_CLOSED) == 0;
}

void signal_foreground_rename(int provisional, int pid) {
    int expected = provisional;
    (void)atomic_compare_exchange_strong(&front, &expected, pid);
}

static long become_leader(zx_handle_t terminal) {
    zx_handle_t ours, theirs;
    zx_status_t status = zx_eventpair_create(0, &ours, &theirs);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    status = io_terminal_set_controller(terminal, theirs);
    if (status != ZX_OK) {
        (void)zx_handle_close(ours);
        return errno_from_status(status);
    }
    return herald_set_controller(ours);
}

static long set_front(zx_handle_t terminal, int group) {
    if (group <= 0) {
        return -ABI_EINVAL;
    }
    if (!spawn_group_exists(group)) {
        return -ABI_EPERM;
    }
    // Another program may have been the leader meanwhile.
    if (!herald_has_controller()) {
        long error = become_leader(terminal);
        if (error != 0) {
            return error;
        }
    }
    front = group;
    return 0;
}

long signal_terminal_control(zx_handle_t terminal, uint64_t request, void* argument) {
    switch (request) {
    case ABI_TIOCGPGRP:
        *(int*)argument = front_group();
        return 0;
    case ABI_TIOCSPGRP:
        return set_front(terminal, *(const int*)argument);
    case ABI_TIOCGSID:
        *(int*)argument = (int)sys_getsid(0);
        return 0;
    case ABI_TIOCSCTTY:
        return become_leader(terminal);
    case ABI_TIOCNOTTY:
        return 0;
    default:
        return -ABI_ENOTTY;
    }
}
