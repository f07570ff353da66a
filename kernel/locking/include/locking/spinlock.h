// Spinlocks. Holding one disables preemption; the _irq forms also disable interrupts (only for
// locks that are taken in interrupt context: kind "irq" in lock_order.def). No user copy, blocking,
// callback or printing under one.
//
// The uncontended path is inline: six instructions in, three out. The word names the holder's CPU,
// so that spin_held() is exact. Debug builds run the lock-order checker on every acquisition
// (locking/lock_check.h), before waiting, so that an inversion is reported and not hung.
//
// The _raw forms are for who has preemption off already, and keeps it off: the scheduler's switch
// path, where interrupts are off too and the holder may hand the lock over to the thread that runs
// next on this CPU; and short sections between wake_list_begin() and the flush.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <lib/assert.h>
#include <lib/compiler.h>
#include <locking/lock_check.h>
#include <locking/lock_class.h> // generated from lock_order.def: enum lock_class
#include <locking/preempt.h>

typedef struct TA_CAP("spinlock") spinlock {
    _Atomic(uint32_t) word; // 0 free, else holder's CPU + 1
    uint32_t class;         // enum lock_class; immutable
} spinlock_t;

#define SPINLOCK_INIT(cls) {.word = 0, .class = (cls)}

static inline void spinlock_init(spinlock_t* l, enum lock_class cls) {
    *l = (spinlock_t){.word = 0, .class = cls};
}

PRESERVES_REGISTERS void spin_wait_(spinlock_t* l);

#define SPIN_PC_ __builtin_return_address(0)

// One attempt, nothing else.
ALWAYS_INLINE bool spin_word_take_(spinlock_t* l) {
    uint32_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&l->word, &expected, arch_cpu_index() + 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

// The bodies below are outside the analysis: they are what the capability means.
ALWAYS_INLINE void spin_acquire_raw(spinlock_t* l) TA_ACQ(l) TA_OFF {
    if (kernel_debug) {
        lock_check_spin_acquire(l, l->class, LOCK_HOW_PLAIN, SPIN_PC_);
    }
    if (unlikely(!spin_word_take_(l))) {
        spin_wait_(l);
    }
}

// See spin_acquire_raw.
ALWAYS_INLINE void spin_release_raw(spinlock_t* l) TA_REL(l) TA_OFF {
    if (kernel_debug) {
        lock_check_spin_release(l);
    }
    atomic_store_explicit(&l->word, 0, memory_order_release);
}

// See spin_acquire_raw.
[[nodiscard]] ALWAYS_INLINE bool spin_try_acquire_raw(spinlock_t* l) TA_TRY(true, l) TA_OFF {
    if (!spin_word_take_(l)) {
        return false;
    }
    if (kernel_debug) {
        lock_check_spin_acquire(l, l->class, LOCK_HOW_TRY, SPIN_PC_);
    }
    return true;
}

// See spin_acquire_raw.
ALWAYS_INLINE void spin_acquire(spinlock_t* l) TA_ACQ(l) TA_OFF {
    preempt_disable();
    spin_acquire_raw(l);
}

// See spin_acquire_raw.
ALWAYS_INLINE void spin_release(spinlock_t* l) TA_REL(l) TA_OFF {
    spin_release_raw(l);
    preempt_enable();
}

// The second lock of a class with the rule "parent"; the caller holds the parent. See
// spin_acquire_raw.
ALWAYS_INLINE void spin_acquire_nested(spinlock_t* l) TA_ACQ(l) TA_OFF {
    preempt_disable();
    if (kernel_debug) {
        lock_check_spin_acquire(l, l->class, LOCK_HOW_NESTED, SPIN_PC_);
    }
    if (unlikely(!spin_word_take_(l))) {
        spin_wait_(l);
    }
}

// See spin_acquire_raw.
[[nodiscard]] ALWAYS_INLINE bool spin_try_acquire(spinlock_t* l) TA_TRY(true, l) TA_OFF {
    preempt_disable();
    if (spin_try_acquire_raw(l)) {
        return true;
    }
    preempt_enable();
    return false;
}

// See spin_acquire_raw.
[[nodiscard]] ALWAYS_INLINE irq_state_t spin_acquire_irq(spinlock_t* l) TA_ACQ(l) TA_OFF {
    irq_state_t state = irq_save();
    preempt_disable();
    spin_acquire_raw(l);
    return state;
}

// Interrupts come back before preemption does, so that what became pending meanwhile runs with them
// on. See spin_acquire_raw.
ALWAYS_INLINE void spin_release_irq(spinlock_t* l, irq_state_t state) TA_REL(l) TA_OFF {
    spin_release_raw(l);
    irq_restore(state);
    preempt_enable();
}

// By this CPU.
ALWAYS_INLINE bool spin_held(const spinlock_t* l) {
    return preempt_disabled() &&
           atomic_load_explicit(&l->word, memory_order_relaxed) == arch_cpu_index() + 1;
}

// SPIN_GUARD(&lock); holds it to the end of the scope.
#include <locking/spin_guard.h>
