// What the scheduler's own files share: the per-CPU block, the thread's lock, the primitive steps.
//
// The thread's lock is the run-queue lock of the CPU that `sched.cpu` names (thread_lock() takes it
// and checks again). It guards state, queue membership, effective priority, virtual time and
// affinity. One lock thus covers a wake-up, and one a switch.
//
// The lock is held across a context switch and released by the thread that runs next. So whoever
// holds it and sees BLOCKED or READY knows that the thread is off its CPU with its registers saved.
//
//     INITIAL --thread_start--> READY --switch_to--> RUNNING --waiter_block--> BLOCKED
//                                 ^                    |  |                      |
//                                 +---- preempted -----+  +--thread_exit--> DEAD |
//                                 +----- claimed, then sched_unpark() -----------+
//
// A READY thread is in exactly one place: in a queue (`queued`), in the `next` slot of its CPU, or
// on its way to another CPU in the hands of the one who moves it (neither).
#pragma once

#include <arch/cpu.h>
#include <lib/heap.h>
#include <lib/list.h>
#include <locking/spinlock.h>
#include <sched/thread.h>

constexpr uint32_t FIXED_COUNT = PRIORITY_MAX - PRIORITY_FIXED_MIN + 1;

struct timer_queue {
    spinlock_t lock;                // class TIMER_QUEUE
    struct heap armed;              // under lock
    struct list expired;            // under lock; run_deferred timers whose time has come
    struct timer* running;          // under lock; callback under way, in the interrupt
    struct timer* running_deferred; // under lock; likewise, in deferred work
    struct deferred work;
};

struct epoch_cpu {
    _Atomic(uint64_t)
        seen; // the last epoch in which this CPU was seen outside any reader; written by the CPU
    spinlock_t lock;          // class EPOCH; the members below
    struct epoch_item* fresh; // not waiting yet, oldest first
    struct epoch_item** fresh_tail;
    struct epoch_item* waiting; // run when every CPU has seen `target`
    struct epoch_item** waiting_tail;
    uint64_t target;
    struct timer timer; // armed while anything waits
    struct deferred work;
};

struct cpu_sched {
    spinlock_t lock;        // class RUN_QUEUE; guards what is marked [q] here and in its threads
    uint32_t index;         // immutable
    struct thread* current; // [q]
    struct thread* next;    // [q] runs when the current thread blocks; READY, not queued
    uint32_t ready_count;   // [q] fair, fixed and next
    uint32_t fixed_bits;    // [q] bit n: fixed[n] is not empty
    struct thread* first;   // [q] the fair thread that goes first; (R1) in run_queue.h
    struct heap fair;       // [q] the other fair threads, by virtual time
    uint64_t min_vruntime;  // [q] never goes back
    uint64_t sequence;      // [q]
    uint64_t slice_end;     // [q] in ticks of this CPU
    bool resched;           // [q] the current thread is to be put back
    struct thread* switched_from;   // the CPU's own, across a switch
    struct thread* idle;            // immutable
    int64_t hw_deadline_ns;         // the CPU's own, interrupts off: what its timer is armed for
    uint64_t hw_deadline;           // the same in ticks of this CPU
    _Atomic(uint64_t) switches;     // [q]; read anywhere
    struct list fixed[FIXED_COUNT]; // [q]
    struct list deferred;           // the CPU's own, interrupts off
    struct timer_queue timers;
    struct epoch_cpu epoch;
} __attribute__((aligned(64)));

extern struct cpu_sched sched_cpus[CPU_MAX];

struct sched_global {
    _Atomic(cpu_mask_t) online; // CPUs that schedule
    _Atomic(cpu_mask_t)
        idle; // CPUs that run their idle thread and have not been picked for a wake-up since
    _Atomic(uint64_t) epoch; // the current epoch
    // FAIR_*_NS in ticks; constant after sched_ticks_init()
    uint64_t slice, credit, granularity, spare;
    uint64_t ticks_per_second;
};
extern struct sched_global sched_global;

// Preemption or interrupts off.
ALWAYS_INLINE struct cpu_sched* this_cpu(void) {
    return arch_cpu_sched();
}

ALWAYS_INLINE cpu_mask_t cpu_bit(uint32_t cpu) {
    return (cpu_mask_t)1 << cpu;
}

static inline enum thread_state thread_state(const struct thread* t) {
    return (enum thread_state)atomic_load_explicit(&t->state, memory_order_relaxed);
}
static inline void thread_set_state(struct thread* t, enum thread_state state) {
    atomic_store_explicit(&t->state, state, memory_order_relaxed);
}
static inline uint32_t thread_priority(const struct thread* t) {
    return atomic_load_explicit(&t->sched.priority, memory_order_relaxed);
}
static inline bool thread_is_fixed(const struct thread* t) {
    return thread_priority(t) >= PRIORITY_FIXED_MIN;
}

// Interrupts off. Outside the analysis: which lock it is, is known only when it is held.
static inline struct cpu_sched* thread_lock(struct thread* t) TA_OFF {
    for (;;) {
        uint32_t cpu = atomic_load_explicit(&t->sched.cpu, memory_order_relaxed);
        struct cpu_sched* c = &sched_cpus[cpu];
        spin_acquire_raw(&c->lock);
        if (likely(atomic_load_explicit(&t->sched.cpu, memory_order_relaxed) == cpu)) {
            return c;
        }
        spin_release_raw(&c->lock);
    }
}
// See thread_lock().
static inline void thread_unlock(struct cpu_sched* c) TA_OFF {
    spin_release_raw(&c->lock);
}

// ---- run_queue.c (the rest is in run_queue.h); c->lock held ----
void run_queue_init(struct cpu_sched* c, uint32_t index);
// A queued thread that may run on `cpu`; null if none of the first few may.
struct thread* run_queue_find_for(const struct cpu_sched* c, uint32_t cpu);

// ---- sched.c ----
// Takes the CPU from `prev`, the current thread, whose new state is set: interrupts off, preemption
// depth 1, c->lock held. Returns when prev runs again, the lock released, interrupts still off,
// depth 1. `blocks`: prev waits or ends.
void sched_switch_from(struct cpu_sched* c, struct thread* prev, uint64_t now, bool blocks);
// t becomes READY (it is BLOCKED, INITIAL, or READY in no place) on the best CPU. Interrupts off, c
// = its locked CPU; unlocks.
void sched_make_ready(struct cpu_sched* c, struct thread* t);
// Wakes a claimed thread; nothing if it has not blocked yet (it will see the claim). Any context.
void sched_unpark(struct thread* t);
void sched_unpark_no_preempt(struct thread* t);             // the same, with preemption off already
void sched_note_idle(const struct cpu_sched* c, bool idle); // of the thread that c switches to
// The switch away from a thread that was to migrate, or has ended: releases c->lock.
void sched_finish_special(struct cpu_sched* c, struct thread* prev);
// What a thread that was just switched to does first.
void sched_finish_switch(void);
// Arms this CPU's timer unless it is due earlier. Interrupts off.
void sched_arm(struct cpu_sched* c, int64_t deadline_ns);
void sched_arm_slice_slow(struct cpu_sched* c);
// Somebody waits: arms for the end of the slice. Interrupts off, c->lock held.
static inline void sched_arm_slice(struct cpu_sched* c) {
    if (unlikely(c->slice_end < c->hw_deadline)) {
        sched_arm_slice_slow(c);
    }
}
void sched_ticks_init(void); // with the clock calibrated
// The current thread is to be put back on c, soon. c->lock held. True: the caller sends IPI_RESCHED
// after it has unlocked.
[[nodiscard]] bool sched_resched_locked(struct cpu_sched* c);

[[noreturn]] void sched_idle_loop(void);

// ---- wait.c ----
void wait_timer_init(struct thread* t);

int sched_worker_main(void* arg); // deferred.c: the worker thread

// ---- thread.c ----
constexpr uintptr_t THREAD_ENDED = 1; // in sched.joiner

// ---- priority.c ----
// Gives up what t owns; it can own nothing any more. Preemption on or off.
void priority_thread_ended(struct thread* t);

// ---- timer.c, deferred.c, epoch.c; interrupts off unless noted ----
void timer_queue_init(struct cpu_sched* c);
void timer_queue_run(struct cpu_sched* c, int64_t now_ns);
int64_t timer_queue_next(struct cpu_sched* c); // TIME_INFINITE: nothing armed
void deferred_run(
    struct cpu_sched* c); // preemption off; interrupts off before and after, on in between
void epoch_cpu_init(struct cpu_sched* c);
// This CPU is in no reader's section. Preemption off.
static inline void epoch_note(struct cpu_sched* c) {
    uint64_t now = atomic_load_explicit(&sched_global.epoch, memory_order_acquire);
    if (atomic_load_explicit(&c->epoch.seen, memory_order_relaxed) != now) {
        // Full order: what the CPU read before is done, what it reads from here on is new.
        atomic_store_explicit(&c->epoch.seen, now, memory_order_seq_cst);
    }
}
