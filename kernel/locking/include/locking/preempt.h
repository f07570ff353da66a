// Switching preemption off and on for the current CPU. Nests. Below the scheduler, because
// spinlocks do it.
//
// preempt_count is zero exactly when preemption is on and something is pending (see
// <arch/percpu.h>), so the way out is one decrement and one branch.
#pragma once

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <lib/compiler.h>

// Out of line: with interrupts off (a handler, or a section that will restore them) the work stays
// pending; the next preempt_enable() or interrupt exit finds it.
PRESERVES_REGISTERS void preempt_pending_slow(void);

ALWAYS_INLINE void preempt_disable(void) {
    arch_preempt_inc();
}

ALWAYS_INLINE void preempt_enable(void) {
    if (unlikely(arch_preempt_dec_is_zero())) {
        preempt_pending_slow();
    }
}

ALWAYS_INLINE bool preempt_disabled(void) {
    return (arch_preempt_count() & ~PREEMPT_NOTHING_PENDING) != 0;
}
