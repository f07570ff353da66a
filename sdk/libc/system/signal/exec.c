// What the signals have to do with children and with exec().
#include <signal/exec.h>

#include <signal/children.h>

#include "herald.h"
#include "signal_priv.h"

// (Defined here, so not weak here: the public header is for those who call.)
bool signal_children_unwanted(void);
void signal_child_ended(int pid, int status);
void signal_child_stopped(int pid, int signal);

zx_handle_t signal_for_exec(abi_sigset_t* blocked, abi_sigset_t* ignored, abi_sigset_t* pending) {
    struct thread_record* self = signal_thread_self();
    if (pending != nullptr) {
        herald_hold_channel();
    }
    *blocked = signal_blocked_by(self);
    *ignored = 0;
    libc_lock_acquire(&signal_lock);
    const struct signal_state* state = signal_state_self();
    for (int signal = 1; signal <= signal_max; signal++) {
        if (signal_handler(&state->actions[signal - 1]) == SIGNAL_IGN) {
            *ignored |= signal_bit(signal);
        }
    }
    if (pending != nullptr) {
        *pending = signal_process.pending | self->signals_pending;
    }
    libc_lock_release(&signal_lock);
    return herald_channel();
}

void signal_exec_failed(void) {
    herald_release_channel();
}

uint64_t signal_heard(void) {
    return herald_heard();
}

bool signal_children_unwanted(void) {
    libc_lock_acquire(&signal_lock);
    const struct abi_sigaction* action = &signal_own.actions[ABI_SIGCHLD - 1];
    bool unwanted = signal_handler(action) == SIGNAL_IGN || (action->flags & ABI_SA_NOCLDWAIT) != 0;
    libc_lock_release(&signal_lock);
    return unwanted;
}

void signal_child_ended(int pid, int status) {
    int signal = status & 0x7f;
    struct signal_info info = {.code = signal != 0 ? ABI_CLD_KILLED : ABI_CLD_EXITED,
                               .pid = pid,
                               .status = signal != 0 ? signal : status >> 8 & 0xff};
    signal_post(ABI_SIGCHLD, &info);
}

void signal_child_stopped(int pid, int signal) {
    libc_lock_acquire(&signal_lock);
    bool wanted = (signal_own.actions[ABI_SIGCHLD - 1].flags & ABI_SA_NOCLDSTOP) == 0;
    libc_lock_release(&signal_lock);
    struct signal_info info = {.code = signal != 0 ? ABI_CLD_STOPPED : ABI_CLD_CONTINUED,
                               .pid = pid,
                               .status = signal != 0 ? signal : (int)ABI_SIGCONT};
    if (wanted) {
        (void)signal_post(ABI_SIGCHLD, &info);
    }
}
