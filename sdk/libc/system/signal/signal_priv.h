// Between the parts of the signal module.
#pragma once

#include <libc/lock.h>
#include <libc/process_view.h>
#include <libc/thread_block.h>
#include <signal/signal.h>
#include <zircon/types.h>

#include <signal/signal_set.h>

constexpr uintptr_t SIGNAL_DFL = 0; // as handlers
constexpr uintptr_t SIGNAL_IGN = 1;

// The view's part: the actions. Of signal n at n-1; signal_lock.
struct signal_state {
    struct abi_sigaction actions[signal_max];
};

// Protects every signal_state, signal_process, and the sets of signals of every thread's record
// (which may be read without it, to see whether there is anything to do). Nothing blocks under it;
// the list of threads is walked under it.
extern struct libc_lock signal_lock;

// The process's own actions: a child-to-be of vfork has others. The view to which they belong is
// set before main, and does not change.
extern struct signal_state signal_own __attribute__((guarded_by(signal_lock)));
extern struct process_view* signal_own_view;

struct signal_process {
    abi_sigset_t pending; // for the process
    abi_sigset_t blocked; // that the program has blocked (not musl, for a moment)
    struct signal_info infos[signal_max];
};
extern struct signal_process signal_process __attribute__((guarded_by(signal_lock)));

// ---- queues (queue.c) ----

// From this one on a signal that comes twice acts twice, each time with what it brought.
constexpr int signal_first_queued = 32;

// Keeps what a signal brings that is about to pend, for a thread or (null) the process. `pends`: it
// does already. False: there is no room.
bool signal_queue_put_locked(const struct thread_record* thread, int signal, bool pends,
                             const struct signal_info* info)
    __attribute__((exclusive_locks_required(signal_lock)));
// The oldest. False: nothing was kept. *more: there is another one.
bool signal_queue_take_locked(const struct thread_record* thread, int signal,
                              struct signal_info* info, bool* more)
    __attribute__((exclusive_locks_required(signal_lock)));

// ---- views ----

static inline struct signal_state* signal_state_self(void) {
    return process_view()->signals;
}
// The calling thread is not such a child.
static inline bool signal_is_own(void) {
    return process_view()->signals == signal_own_view->signals;
}
static inline struct thread_record* signal_thread_self(void) {
    return thread_block_self()->record;
}

// What a thread does not let through.
static inline abi_sigset_t signal_blocked_by(const struct thread_record* thread) {
    return thread->signals_blocked & ~signal_immutable;
}

static inline uintptr_t signal_handler(const struct abi_sigaction* action) {
    return (uintptr_t)action->handler;
}
static inline bool signal_has_handler(const struct abi_sigaction* action) {
    return signal_handler(action) != SIGNAL_DFL && signal_handler(action) != SIGNAL_IGN;
}
// Whether the signal has no effect at all.
static inline bool signal_is_ignored(int signal, const struct abi_sigaction* action) {
    return signal_handler(action) == SIGNAL_IGN ||
           (signal_handler(action) == SIGNAL_DFL && signal_default(signal) != SIGNAL_ENDS);
}

// As signal_post(), to one thread; false: there is none with this tid. The calling thread has still
// to deliver it.
bool signal_post_thread(int tid, int signal, const struct signal_info* info);
// All signals go to somebody else (signal_divert).
bool signal_is_diverted(void);

// Takes one out of those pending for a thread, of `set`; 0: there is none. `of_process`: those
// pending for the process, too.
int signal_take_locked(struct thread_record* thread, bool of_process, abi_sigset_t set,
                       struct signal_info* info)
    __attribute__((exclusive_locks_required(signal_lock)));

// What is to act in a thread.
struct delivery {
    int signal;
    struct abi_sigaction action;
    struct signal_info info;
};
// The next one that a thread does not block, whose view has these actions; signal 0: there is none.
// An action that is for once is gone with it.
void signal_take_delivery_locked(struct thread_record* thread, struct signal_state* state,
                                 struct delivery* d)
    __attribute__((exclusive_locks_required(signal_lock)));
// The action of one that is to act now: as above.
void signal_take_action_locked(struct signal_state* state, struct delivery* d)
    __attribute__((exclusive_locks_required(signal_lock)));
struct abi_siginfo signal_siginfo(const struct delivery* d);
// What a thread blocks while its handler runs.
static inline abi_sigset_t signal_mask_during(abi_sigset_t before, const struct delivery* d) {
    bool defers = (d->action.flags & ABI_SA_NODEFER) == 0;
    return before | d->action.mask | (defers ? signal_bit(d->signal) : 0);
}

// Sets the calling thread's mask; what is no longer blocked is still to be delivered.
void signal_set_mask(abi_sigset_t mask);

// The default action of a signal that ends.
[[noreturn]] void signal_end_process(int signal);
