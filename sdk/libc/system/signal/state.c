// Actions and masks: what a program says about its signals.
#include <stdlib.h>

#include <libc/operations.h>
#include <spawn/inherit.h>

#include "herald.h"
#include "signal_priv.h"

struct libc_lock signal_lock = LIBC_LOCK_INIT;
struct signal_state signal_own;
struct process_view* signal_own_view;
struct signal_process signal_process;

// ---- the view's part ----

// Before main: what the starter wants ignored or blocked. (SIG_DFL is all zeros.)
// Not analysed: there is one thread yet.
[[clang::no_thread_safety_analysis]] static void start(struct process_view* view) {
    const struct record* record = spawn_inherited();
    for (abi_sigset_t rest = record->ignored; rest != 0; rest &= rest - 1) {
        signal_own.actions[signal_first(rest) - 1].handler = (void (*)(int))SIGNAL_IGN;
    }
    abi_sigset_t blocked = record->blocked & ~signal_immutable;
    signal_own_view = view;
    signal_process.blocked = blocked;
    signal_process.pending = record->pending;
    signal_thread_self()->signals_blocked = blocked;
    view->signals = &signal_own;
    herald_init();
}

static bool copy(const struct process_view* from, struct process_view* to) {
    to->signals = malloc(sizeof(*to->signals));
    if (to->signals == nullptr) {
        return false;
    }
    libc_lock_acquire(&signal_lock);
    *to->signals = *from->signals;
    libc_lock_release(&signal_lock);
    return true;
}

static void end(struct process_view* view) {
    free(view->signals); // never the first: the process ends with it
}

const struct process_view_part signal_view_part = {.start = start, .copy = copy, .end = end};

// ---- operations ----

static bool is_good(size_t mask_len) {
    return mask_len == sizeof(abi_sigset_t);
}

long sys_rt_sigaction(int signal, const struct abi_sigaction* action, struct abi_sigaction* old,
                      size_t mask_len) {
    if (!signal_valid(signal) || !is_good(mask_len) ||
        (action != nullptr && (signal_immutable & signal_bit(signal)) != 0)) {
        return -ABI_EINVAL;
    }
    // A bad pointer is noticed here, not under the lock, which the herald wants, too.
    struct abi_sigaction next = action != nullptr ? *action : (struct abi_sigaction){};
    bool catches =
        action != nullptr && signal_has_handler(&next) && (signal_faults & signal_bit(signal)) != 0;
    long error = catches ? herald_hear_faults() : 0;
    if (error != 0) {
        return error;
    }
    struct signal_state* state = signal_state_self();
    libc_lock_acquire(&signal_lock);
    struct abi_sigaction before = state->actions[signal - 1];
    bool own = signal_is_own();
    if (action != nullptr) {
        state->actions[signal - 1] = next;
        if (own && signal_is_ignored(signal, &next)) {
            signal_process.pending &= ~signal_bit(signal);
        }
    }
    libc_lock_release(&signal_lock);
    bool changed = action != nullptr && signal_handler(&next) != signal_handler(&before);
    if (old != nullptr) {
        *old = before;
    }
    if (own && changed) {
        (void)herald_update(); // without a herald the signal has its effect inside the process only
    }
    return 0;
}

void signal_set_mask(abi_sigset_t mask) {
    atomic_store_explicit(&signal_thread_self()->signals_blocked, mask, memory_order_relaxed);
}

// musl blocks everything for moments in which it must not be interrupted: then a signal may wait,
// and nobody has to be told. Such a set has SIGKILL in it, which no program can block (and which
// stays in the mask for that reason, without effect).
static bool is_for_a_moment(abi_sigset_t set) {
    return (set & signal_bit(ABI_SIGKILL)) != 0;
}

static bool note_blocked(abi_sigset_t mask) {
    libc_lock_acquire(&signal_lock);
    bool changed = signal_process.blocked != mask;
    signal_process.blocked = mask;
    libc_lock_release(&signal_lock);
    return changed;
}

long sys_rt_sigprocmask(int how, const abi_sigset_t* set, abi_sigset_t* old, size_t mask_len) {
    if (!is_good(mask_len)) {
        return -ABI_EINVAL;
    }
    abi_sigset_t before = signal_thread_self()->signals_blocked;
    if (old != nullptr) {
        *old = before;
    }
    if (set == nullptr) {
        herald_listen(); // who asks, as ppoll() does, is about to look for signals
        return 0;
    }
    abi_sigset_t mask;
    switch (how) {
    case ABI_SIG_BLOCK:
        mask = before | *set;
        break;
    case ABI_SIG_UNBLOCK:
        mask = before & ~*set;
        break;
    case ABI_SIG_SETMASK:
        mask = *set;
        break;
    default:
        return -ABI_EINVAL;
    }
    signal_set_mask(mask);
    if (mask != before && !is_for_a_moment(*set) && signal_is_own() && note_blocked(mask)) {
        (void)herald_update(); // without it nobody outside learns that the signal is wanted
    }
    if ((before & ~mask) != 0) {
        (void)signal_deliver();
    }
    return 0;
}

long sys_rt_sigpending(abi_sigset_t* out, size_t mask_len) {
    if (!is_good(mask_len)) {
        return -ABI_EINVAL;
    }
    struct thread_record* self = signal_thread_self();
    herald_listen();
    libc_lock_acquire(&signal_lock);
    *out = (self->signals_pending | signal_process.pending) & self->signals_blocked;
    libc_lock_release(&signal_lock);
    return 0;
}

static bool is_on(const struct thread_record* self) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here - (uintptr_t)self->alternate_stack < self->alternate_size;
}

// The thread's own; only what the herald enters (inject.c) runs there. A handler that is called is
// on the stack that called.
long sys_sigaltstack(const struct abi_sigaltstack* stack, struct abi_sigaltstack* old) {
    struct thread_record* self = signal_thread_self();
    struct abi_sigaltstack next = stack != nullptr ? *stack : (struct abi_sigaltstack){};
    bool on = is_on(self);
    struct abi_sigaltstack before = {.sp = self->alternate_stack,
                                     .flags = on                          ? ABI_SS_ONSTACK
                                              : self->alternate_size == 0 ? ABI_SS_DISABLE
                                                                          : 0,
                                     .size = self->alternate_size};
    if (stack != nullptr) {
        bool off = next.flags == ABI_SS_DISABLE;
        if (on) {
            return -ABI_EPERM;
        }
        if (!off && (next.flags & ~ABI_SS_ONSTACK) != 0) {
            return -ABI_EINVAL;
        }
        if (!off && next.size < ABI_MINSIGSTKSZ) {
            return -ABI_ENOMEM;
        }
        self->alternate_stack = off ? nullptr : next.sp;
        self->alternate_size = off ? 0 : next.size;
    }
    if (old != nullptr) {
        *old = before;
    }
    return 0;
}
