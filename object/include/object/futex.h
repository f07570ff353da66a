// Futexes: words of user memory on which the threads of a process wait, with an optional owner that
// inherits the priority of those who wait.
//
// A futex exists only while threads wait on it; it is named by (handle table, address), because the
// handle table stands for what threads share. Waiting never fails for want of memory: every thread
// brings a `struct futex` of its own (its spare), lends it while it waits, and leaves with one.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

#include <lib/compiler.h>
#include <lib/status.h>
#include <sched/thread.h>

struct futex;

// Whether the word can be read and holds something else. May fault.
bool futex_word_differs(const zx_futex_storage_t __user* word, zx_futex_storage_t expected);

// Null: no memory.
[[nodiscard]] struct futex* futex_spare_new(void);
void futex_spare_free(struct futex* f);

// All functions: INVALID_ARGS if the address is misaligned or no user address, or if the word
// cannot be read where it is compared. `owner` (null: none) is a thread that has been started; one
// that has ended counts as none.
//
// BAD_STATE: the word does not hold `expected`. INVALID_ARGS: the owner is the caller or waits on
// this futex. TIMED_OUT, INTR_RETRY, INTR_KILLED. `spare` is the calling thread's.
status_t futex_wait(struct futex** spare, const zx_futex_storage_t __user* word,
                    zx_futex_storage_t expected, struct thread* owner, int64_t deadline_ns);
// `hand_over`: exactly one is woken and becomes the owner; else the futex is left without one.
status_t futex_wake(const zx_futex_storage_t __user* word, uint32_t count, bool hand_over);

struct futex_requeue {
    const zx_futex_storage_t __user* from;
    const zx_futex_storage_t __user* to;
    zx_futex_storage_t expected; // at `from`
    uint32_t wake_count, requeue_count;
    bool hand_over;       // as futex_wake()
    struct thread* owner; // of `to`; must wait on neither
};
status_t futex_requeue(struct futex** spare, const struct futex_requeue* r);

// ZX_KOID_INVALID: nobody waits, or there is no owner.
status_t futex_owner_koid(const zx_futex_storage_t __user* word, zx_koid_t* koid);
