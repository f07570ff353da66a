// Scope guards for spinlocks; part of <locking/spinlock.h>.
//
// The analysis cannot follow a guard object: enter asserts the capability, exit is invisible. After
// an inner block ends the analysis still believes the lock held, so a guard belongs to a whole
// function or a small helper.
#pragma once

#include <locking/spinlock.h>

typedef struct spin_guard {
    spinlock_t* l;
} spin_guard_t;

// Outside the analysis: see the file head.
ALWAYS_INLINE spin_guard_t spin_guard_enter(spinlock_t* l) TA_ASSERT(l) TA_OFF {
    spin_acquire(l);
    return (spin_guard_t){l};
}
// Outside the analysis: see the file head.
ALWAYS_INLINE void spin_guard_exit(spin_guard_t* g) TA_OFF {
    spin_release(g->l);
}

typedef struct spin_irq_guard {
    spinlock_t* l;
    irq_state_t state;
} spin_irq_guard_t;

// Outside the analysis: see the file head.
ALWAYS_INLINE spin_irq_guard_t spin_irq_guard_enter(spinlock_t* l) TA_ASSERT(l) TA_OFF {
    irq_state_t state = spin_acquire_irq(l);
    return (spin_irq_guard_t){l, state};
}
// Outside the analysis: see the file head.
ALWAYS_INLINE void spin_irq_guard_exit(spin_irq_guard_t* g) TA_OFF {
    spin_release_irq(g->l, g->state);
}

#define SPIN_GUARD(l) \
    CLEANUP(spin_guard_exit) spin_guard_t CAT(spin_guard_, __COUNTER__) = spin_guard_enter(l)
#define SPIN_IRQ_GUARD(l)        \
    CLEANUP(spin_irq_guard_exit) \
    spin_irq_guard_t CAT(spin_irq_guard_, __COUNTER__) = spin_irq_guard_enter(l)
