// Sleeping mutex: adaptive (spins while the owner runs), with priority inheritance through the owner. Never taken in interrupt context or
// under a spinlock. Not recursive. One word while uncontended.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/compiler.h>
#include <locking/lock_class.h>

typedef struct TA_CAP("mutex") mutex {
    _Atomic(uintptr_t) word; // owner thread pointer | 1 when contended; 0 free
    uint32_t class;          // enum lock_class; immutable
} mutex_t;

#define MUTEX_INIT(cls) {.word = 0, .class = (cls)}

void mutex_init(mutex_t* m, enum lock_class cls);
void mutex_acquire(mutex_t* m) TA_ACQ(m);
[[nodiscard]] bool mutex_try_acquire(mutex_t* m) TA_TRY(true, m);
void mutex_release(mutex_t* m) TA_REL(m);
bool mutex_held(const mutex_t* m); // by the current thread

typedef struct mutex_guard {
    mutex_t* m;
} mutex_guard_t;
// Outside the analysis: it cannot follow a guard object; the assertion on enter is what callers see.
static inline mutex_guard_t mutex_guard_enter(mutex_t* m) TA_ASSERT(m) TA_OFF {
    mutex_acquire(m);
    return (mutex_guard_t){m};
}
// Outside the analysis: the other half of the guard.
static inline void mutex_guard_exit(mutex_guard_t* g) TA_OFF { mutex_release(g->m); }
#define MUTEX_GUARD(m) CLEANUP(mutex_guard_exit) mutex_guard_t CAT(guard_, __COUNTER__) = mutex_guard_enter(m)
