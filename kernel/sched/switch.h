// The switch itself, inlined into the callers that count (yield, block, hand-off).
#pragma once

#include <arch/mmu.h>

#include "run_queue.h"
#include "sched_priv.h"

// Outside the analysis: the lock comes from whoever ran before.
ALWAYS_INLINE void finish_switch(void) TA_OFF {
    struct cpu_sched* c = this_cpu();
    struct thread* prev = c->switched_from;
    if (unlikely(prev->sched.migrate)) {
        sched_finish_special(c, prev);
    } else {
        spin_release_raw(&c->lock);
    }
    // Not before: one that blocked while it was to migrate may have been woken and have ended
    // since, and only the epoch keeps its memory.
    epoch_note(c);
}

// Straight to `next` (READY, in no place, belongs to c), neither of the two being idle; the slice
// goes on. Interrupts off, depth 1, c->lock held; so on return, when prev runs again, but for the
// lock.
ALWAYS_INLINE void switch_between(struct cpu_sched* c, struct thread* prev, struct thread* next,
                                  uint64_t now) TA_OFF {
    c->current = next;
    next->sched.started = now;
    thread_set_state(next, THREAD_RUNNING);
    atomic_store_explicit(&next->sched.switches,
                          atomic_load_explicit(&next->sched.switches, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&c->switches,
                          atomic_load_explicit(&c->switches, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (unlikely(c->ready_count != 0)) {
        sched_arm_slice(c);
    }
    c->switched_from = prev;
    if (next->arch_aspace != prev->arch_aspace) {
        arch_aspace_switch(next->arch_aspace);
    }
    arch_context_switch(prev, next);
    finish_switch();
}

// The same for any two.
ALWAYS_INLINE void switch_to(struct cpu_sched* c, struct thread* prev, struct thread* next,
                             uint64_t now) TA_OFF {
    if (unlikely(next->sched.is_idle || prev->sched.is_idle)) {
        sched_note_idle(c, next->sched.is_idle);
    }
    switch_between(c, prev, next, now);
}

// Whether a READY thread may go ahead of the queue: nobody better waits, and the slice it inherits
// is not used up. c->lock held.
ALWAYS_INLINE bool next_fits(const struct cpu_sched* c, const struct thread* next, uint64_t now) {
    const struct thread* best = run_queue_best(c);
    return best == nullptr ||
           (thread_priority(next) >= thread_priority(best) && now < c->slice_end);
}

// What runs after a thread that gives the CPU up. c->lock held.
ALWAYS_INLINE struct thread* take_best(struct cpu_sched* c, uint64_t now, bool blocks) {
    struct thread* t = c->next;
    if (unlikely(t != nullptr)) {
        c->next = nullptr;
        c->ready_count--;
        if (blocks && next_fits(c, t, now)) {
            return t;
        }
        run_queue_insert(c, t);
    }
    t = run_queue_take(c);
    c->slice_end = now + sched_global.slice;
    return t != nullptr ? t : c->idle;
}

// sched_switch_from(), for callers that count. Outside the analysis: the run-queue lock taken
// before the switch is released after it, by another thread.
ALWAYS_INLINE void switch_from(struct cpu_sched* c, struct thread* prev, uint64_t now,
                               bool blocks) TA_OFF {
    c->resched = false;
    run_queue_charge(c, prev, now);
    struct thread* next = take_best(c, now, blocks);
    switch_to(c, prev, next, now);
}
