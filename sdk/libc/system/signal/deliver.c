// Posting signals, and what happens when a thread notices one.
#include <jacinth/abort.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <signal/exec.h>
#include <spawn/status.h>
#include <spawn/vfork.h>
#include <zircon/syscalls.h>

#include "herald.h"
#include "signal_priv.h"

// ---- posting ----

// Whether a thread has to be told of it. (It looks itself whenever its mask lets more through.)
static bool wants(const struct thread_record* thread, abi_sigset_t bit) {
    return (signal_blocked_by(thread) & bit) == 0 || (thread->signals_awaited & bit) != 0;
}

// True: there is a thread that does not block it.
static bool tell_threads(abi_sigset_t bit) {
    bool any = false;
    struct thread_record* thread;
    for (uint32_t i = 0; (thread = thread_at(i)) != nullptr; i++) {
        int tid = thread->tid;
        if (tid != 0 && wants(thread, bit)) {
            any |= (signal_blocked_by(thread) & bit) == 0;
            thread_interrupt(tid);
        }
    }
    return any;
}

typedef void (*divert_fn)(int signal);
static _Atomic(divert_fn) diverted;

void signal_divert(void (*to)(int signal)) {
    diverted = to;
    (void)herald_update();
}

bool signal_is_diverted(void) {
    return diverted != nullptr;
}

// Makes it pend. False: it is to be queued, and there is no room.
static bool pend_locked(struct thread_record* thread, int signal, const struct signal_info* info)
    __attribute__((exclusive_locks_required(signal_lock))) {
    abi_sigset_t bit = signal_bit(signal);
    bool pends =
        ((thread != nullptr ? thread->signals_pending : signal_process.pending) & bit) != 0;
    if (signal < signal_first_queued) {
        signal_process.infos[signal - 1] = *info;
    } else if (!signal_queue_put_locked(thread, signal, pends, info) &&
               info->code == ABI_SI_QUEUE) {
        return false;
    }
    if (thread != nullptr) {
        thread->signals_pending |= bit;
    } else {
        signal_process.pending |= bit;
    }
    return true;
}

bool signal_post(int signal, const struct signal_info* info) {
    if (diverted != nullptr) {
        diverted(signal);
        return true;
    }
    abi_sigset_t bit = signal_bit(signal);
    libc_lock_acquire(&signal_lock);
    const struct abi_sigaction* action = &signal_own.actions[signal - 1];
    bool ignored = signal_is_ignored(signal, action);
    bool ends = !ignored && signal_handler(action) == SIGNAL_DFL;
    // What is ignored and blocked may have somebody who waits for it, now or later.
    bool pends = !ignored || (signal_process.blocked & bit) != 0;
    bool good = !pends || pend_locked(nullptr, signal, info);
    libc_lock_release(&signal_lock);
    if (!pends || !good || !tell_threads(bit)) {
        return good;
    }
    if (ends) {
        signal_end_process(signal);
    }
    // A thread that posts delivers by itself what it does not block.
    if (herald_is_self() || (signal_blocked_by(signal_thread_self()) & bit) != 0) {
        herald_chase();
    }
    return true;
}

bool signal_post_thread(int tid, int signal, const struct signal_info* info) {
    struct thread_record* thread = thread_with(tid);
    if (thread == nullptr) {
        return false;
    }
    libc_lock_acquire(&signal_lock);
    (void)pend_locked(thread, signal, info); // (no value: it pends in any case)
    libc_lock_release(&signal_lock);
    if (thread != signal_thread_self()) {
        thread_interrupt(tid);
        herald_chase();
    }
    return true;
}

// ---- delivering ----

int signal_take_locked(struct thread_record* thread, bool of_process, abi_sigset_t set,
                       struct signal_info* info) {
    int signal = signal_first(thread->signals_pending & set);
    bool of_thread = signal != 0;
    if (!of_thread && of_process) {
        signal = signal_first(signal_process.pending & set);
    }
    if (signal == 0) {
        return 0;
    }
    bool more = false;
    if (signal < signal_first_queued) {
        *info = signal_process.infos[signal - 1];
    } else if (!signal_queue_take_locked(of_thread ? thread : nullptr, signal, info, &more)) {
        *info = (struct signal_info){.code = ABI_SI_USER};
    }
    if (!more && of_thread) {
        thread->signals_pending &= ~signal_bit(signal);
    } else if (!more) {
        signal_process.pending &= ~signal_bit(signal);
    }
    return signal;
}

void signal_take_action_locked(struct signal_state* state, struct delivery* d) {
    struct abi_sigaction* action = &state->actions[d->signal - 1];
    d->action = *action;
    if ((action->flags & ABI_SA_RESETHAND) != 0) {
        action->handler = (void (*)(int))SIGNAL_DFL;
    }
}

void signal_take_delivery_locked(struct thread_record* thread, struct signal_state* state,
                                 struct delivery* d) {
    // What is the process's is not for a child that is about to be another process.
    bool of_process = state == signal_own_view->signals;
    d->signal = signal_take_locked(thread, of_process, ~signal_blocked_by(thread), &d->info);
    if (d->signal != 0) {
        signal_take_action_locked(state, d);
    }
}

// The next one that acts in this thread.
static bool take(struct delivery* d) {
    libc_lock_acquire(&signal_lock);
    signal_take_delivery_locked(signal_thread_self(), signal_state_self(), d);
    libc_lock_release(&signal_lock);
    return d->signal != 0;
}

struct abi_siginfo signal_siginfo(const struct delivery* d) {
    struct abi_siginfo info = {.signo = d->signal, .code = d->info.code, .pid = d->info.pid};
    if (d->signal == ABI_SIGCHLD) {
        info.status = d->info.status;
    } else {
        info.value = d->info.value;
    }
    return info;
}

// Not checked: to the handler its parameters are musl's structures.
[[gnu::noinline, clang::no_sanitize("function")]] static void call_handler(const struct delivery* d,
                                                                           abi_sigset_t before) {
    if ((d->action.flags & ABI_SA_SIGINFO) == 0) {
        d->action.handler(d->signal);
        return;
    }
    // What a handler interrupts here is a call: it is called itself, like any function. It may see
    // where that was, but what it changes has no effect.
    struct abi_siginfo info = signal_siginfo(d);
    struct abi_ucontext context = {.mask = before};
    context.registers[ABI_REG_RIP] = (uintptr_t)__builtin_return_address(0);
    context.registers[ABI_REG_RSP] = (uintptr_t)__builtin_frame_address(0);
    context.registers[ABI_REG_RBP] = *(uintptr_t*)__builtin_frame_address(0);
    d->action.handler3(d->signal, &info, &context);
}

static void run_handler(const struct delivery* d) {
    struct thread_record* self = signal_thread_self();
    abi_sigset_t before = self->signals_blocked;
    signal_set_mask(signal_mask_during(before, d));
    // The program's code is not the layer's: it may be interrupted, and may never come back.
    uint32_t inside = self->inside;
    self->inside = 0;
    call_handler(d, before);
    self->inside = inside;
    signal_set_mask(before);
}

void signal_end_process(int signal) {
    zx_process_exit(spawn_retcode_of_signal(signal));
    __builtin_trap();
}

// In a child-to-be it is the child's end.
[[noreturn]] static void end_by(int signal) {
    if (vfork_is_child != nullptr && vfork_is_child()) {
        vfork_end(spawn_status_signaled(signal));
    }
    if (signal == ABI_SIGABRT) {
        // With a report: this thread, and only it, knows why.
        __asm__ volatile("int %0" : : "i"(JACINTH_ABORT_TRAP));
    }
    signal_end_process(signal);
}

signal_outcome_t signal_deliver(void) {
    (void)thread_take_interrupt();
    signal_outcome_t outcome = SIGNAL_NOTHING;
    struct delivery d;
    while (take(&d)) {
        if (signal_is_ignored(d.signal, &d.action)) {
            continue;
        }
        if (signal_handler(&d.action) == SIGNAL_DFL) {
            end_by(d.signal);
        }
        run_handler(&d);
        if ((d.action.flags & ABI_SA_RESTART) == 0) {
            outcome = SIGNAL_STOP;
        } else if (outcome == SIGNAL_NOTHING) {
            outcome = SIGNAL_RESTART;
        }
    }
    return outcome;
}
