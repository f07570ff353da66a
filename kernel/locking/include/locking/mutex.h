// Sleeping mutex: adaptive (spins while the owner runs), with priority inheritance through the
// owner. Never taken in interrupt context or under a spinlock. Not recursive.
//
// One word while uncontended; the queue is touched by contenders only. The word is changed by
// compare-and-swap without the queue's lock between free and owned, and under it once bit 0 says
// that somebody waits. A release with waiters hands the mutex to the best one: no waiter starves,
// and the spinning in front keeps that path rare.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/compiler.h>
#include <locking/lock_check.h>
#include <locking/lock_class.h>
#include <sched/wait_queue.h>

typedef struct TA_CAP("mutex") mutex {
    _Atomic(uintptr_t) word; // owner thread pointer | 1 when somebody waits; 0 free
    uint32_t class;          // enum lock_class; immutable
    struct wait_queue queue; // owner = the holder, while somebody waits
} mutex_t;

// The queue's list is set up by its first user.
#define MUTEX_INIT(cls)                                                          \
    {                                                                            \
        .class = (cls), .queue = {.lock = SPINLOCK_INIT(LOCK_CLASS_WAIT_QUEUE) } \
    }

void mutex_init(mutex_t* m, enum lock_class cls);
void mutex_acquire(mutex_t* m) TA_ACQ(m);
// The second mutex of a class with the rule "parent"; the caller holds the parent.
void mutex_acquire_nested(mutex_t* m) TA_ACQ(m);
[[nodiscard]] bool mutex_try_acquire(mutex_t* m) TA_TRY(true, m);
void mutex_release(mutex_t* m) TA_REL(m);

static inline bool mutex_held(const mutex_t* m) { // by the current thread
    return (atomic_load_explicit(&m->word, memory_order_relaxed) & ~(uintptr_t)1) ==
           (uintptr_t)thread_current();
}

typedef struct mutex_guard {
    mutex_t* m;
} mutex_guard_t;
// Outside the analysis: it cannot follow a guard object; the assertion on enter is what callers
// see.
static inline mutex_guard_t mutex_guard_enter(mutex_t* m) TA_ASSERT(m) TA_OFF {
    mutex_acquire(m);
    return (mutex_guard_t){m};
}
// Outside the analysis: the other half of the guard.
static inline void mutex_guard_exit(mutex_guard_t* g) TA_OFF {
    mutex_release(g->m);
}
#define MUTEX_GUARD(m) \
    CLEANUP(mutex_guard_exit) mutex_guard_t CAT(guard_, __COUNTER__) = mutex_guard_enter(m)
