// One CPU's run queue: fixed-priority lists above the fair threads, which are ordered by virtual
// time. c->lock is held throughout.
//
// The fair thread that goes first is kept outside the heap (`first`), so that with one thread
// waiting, the usual case, queueing and taking are a few stores. (R1) first is null only if the
// heap is empty; nothing in the heap sorts before first.
#pragma once

#include <lib/bits.h>

#include "fair.h"
#include "sched_priv.h"

void run_queue_insert_slow(struct cpu_sched* c, struct thread* t);
void run_queue_remove(struct cpu_sched* c, struct thread* t); // queued, anywhere
struct thread* run_queue_take_slow(struct cpu_sched* c);

// t is READY and in no place.
ALWAYS_INLINE void run_queue_insert(struct cpu_sched* c, struct thread* t) {
    DEBUG_ASSERT(!t->sched.queued && c->next != t);
    c->ready_count++;
    t->sched.queued = true;
    if (likely(c->first == nullptr && !thread_is_fixed(t))) {
        c->first = t;
    } else {
        run_queue_insert_slow(c, t);
    }
}

// Who would be taken; null: nobody waits.
ALWAYS_INLINE struct thread* run_queue_best(const struct cpu_sched* c) {
    if (likely(c->fixed_bits == 0)) {
        return c->first;
    }
    return container_of(list_first(&c->fixed[bit_highest(c->fixed_bits)]), struct thread,
                        sched.fixed);
}

// Takes the best; null: nobody waits.
ALWAYS_INLINE struct thread* run_queue_take(struct cpu_sched* c) {
    struct thread* t = c->first;
    if (unlikely(c->fixed_bits != 0 || !heap_is_empty(&c->fair))) {
        return run_queue_take_slow(c);
    }
    if (t != nullptr) {
        c->first = nullptr;
        c->ready_count--;
        t->sched.queued = false;
    }
    return t;
}

// Charges t, which runs on c, for the time since it was last charged, and moves min_vruntime on.
ALWAYS_INLINE void run_queue_charge(struct cpu_sched* c, struct thread* t, uint64_t now) {
    uint64_t delta = now - t->sched.started;
    t->sched.started = now;
    atomic_store_explicit(&t->sched.runtime,
                          atomic_load_explicit(&t->sched.runtime, memory_order_relaxed) + delta,
                          memory_order_relaxed);
    const struct thread* first = c->first;
    uint64_t least = t->sched.vruntime;
    if (likely(t->sched.inverse_weight != 0)) { // neither idle nor fixed
        least += fair_virtual(delta, t->sched.inverse_weight);
        t->sched.vruntime = least;
        if (first != nullptr && fair_before(first->sched.vruntime, least)) {
            least = first->sched.vruntime;
        }
    } else if (first != nullptr) {
        least = first->sched.vruntime;
    } else {
        return;
    }
    c->min_vruntime = fair_later(c->min_vruntime, least);
}
