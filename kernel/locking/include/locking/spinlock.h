// Spinlocks. Holding one disables preemption; the _irq forms also disable interrupts (only for locks taken in interrupt context: class
// context "irq" in lock_order.def). No user copy, blocking allocation, callback or printing under one.
//
// Debug builds run the lock-order checker on every acquisition (see lock_order.def, locking/lock_check.h).
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/cpu.h>
#include <lib/compiler.h>
#include <locking/lock_class.h> // generated from lock_order.def: enum lock_class

typedef struct TA_CAP("spinlock") spinlock {
    _Atomic(uint32_t) word;  // 0 free, else holder's CPU + 1
    uint32_t class;          // enum lock_class; immutable
} spinlock_t;

#define SPINLOCK_INIT(cls) {.word = 0, .class = (cls)}

void spinlock_init(spinlock_t* l, enum lock_class cls);
void spin_acquire(spinlock_t* l) TA_ACQ(l);
[[nodiscard]] bool spin_try_acquire(spinlock_t* l) TA_TRY(true, l);
void spin_release(spinlock_t* l) TA_REL(l);
irq_state_t spin_acquire_irq(spinlock_t* l) TA_ACQ(l);
void spin_release_irq(spinlock_t* l, irq_state_t state) TA_REL(l);
bool spin_held(const spinlock_t* l); // by this CPU

// SPIN_GUARD(&lock); holds it to the end of the scope.
#include <locking/spin_guard.h>
