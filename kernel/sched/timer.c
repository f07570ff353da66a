// Timers: one heap per CPU, ordered by deadline, behind that CPU's one-shot hardware timer.
//
// A timer belongs to the queue that its `cpu` names; whoever wants to change it takes that queue's
// lock and checks again. Setting moves it to the queue of the CPU that sets it, so only the own CPU
// ever has to arm its hardware. Cancelling from elsewhere leaves the hardware armed: an early
// interrupt finds nothing to do.
//
//     IDLE --set--> ARMED --due, run_deferred--> EXPIRED --deferred work--> IDLE, running_deferred
//     == t during the callback
//                     +-----due------------------------------------------> IDLE, running == t
//                     during the callback
//     cancel: ARMED or EXPIRED -> IDLE (true); while the callback runs on another CPU: waits until
//     it has returned, and looks again.
#include "sched_priv.h"

#include <lib/bits.h>

// How many callbacks one interrupt runs before others get a turn.
constexpr int RUN_LIMIT = 32;

static bool due_before(const struct heap_node* a, const struct heap_node* b) {
    return container_of(a, struct timer, heap)->deadline_ns <
           container_of(b, struct timer, heap)->deadline_ns;
}

// Interrupts off. Outside the analysis: which lock it is, is known only when it is held.
static struct timer_queue* queue_lock(struct timer* t) TA_OFF {
    for (;;) {
        uint32_t cpu = atomic_load_explicit(&t->cpu, memory_order_relaxed);
        struct timer_queue* q = &sched_cpus[cpu].timers;
        spin_acquire_raw(&q->lock);
        if (likely(atomic_load_explicit(&t->cpu, memory_order_relaxed) == cpu)) {
            return q;
        }
        spin_release_raw(&q->lock);
    }
}

// Takes t out of where it is. True: it was armed or expired. q->lock held.
static bool disarm(struct timer_queue* q, struct timer* t) {
    switch ((enum timer_state)t->state) {
    case TIMER_IDLE:
        return false;
    case TIMER_ARMED:
        heap_remove(&q->armed, &t->heap);
        break;
    case TIMER_EXPIRED:
        list_remove(&t->node);
        break;
    }
    t->state = TIMER_IDLE;
    return true;
}

// The rounding that slack allows: to a multiple of the largest power of two that fits in it.
static int64_t apply_slack(int64_t deadline_ns, int64_t slack_ns, enum timer_slack mode) {
    if (slack_ns <= 1 || deadline_ns <= 0 || deadline_ns > TIME_INFINITE / 2 ||
        slack_ns > TIME_INFINITE / 4) {
        return deadline_ns;
    }
    int64_t grid = (int64_t)bit(bit_highest((uint64_t)slack_ns));
    int64_t down = deadline_ns & -grid;
    int64_t up = down == deadline_ns ? down : down + grid;
    switch (mode) {
    case TIMER_SLACK_EARLY:
        return down;
    case TIMER_SLACK_LATE:
        return up;
    case TIMER_SLACK_CENTER:
        return deadline_ns - down <= up - deadline_ns ? down : up;
    }
    return deadline_ns;
}

void timer_init(struct timer* t, void (*callback)(struct timer* t, int64_t now_ns),
                bool run_deferred) {
    *t = (struct timer){.callback = callback, .run_deferred = run_deferred};
}

// Outside the analysis: see queue_lock().
void timer_set(struct timer* t, int64_t deadline_ns, int64_t slack_ns,
               enum timer_slack mode) TA_OFF {
    deadline_ns = apply_slack(deadline_ns, slack_ns, mode);
    irq_state_t state = irq_save();
    preempt_disable();
    struct cpu_sched* c = this_cpu();
    struct timer_queue* q;
    for (;;) {
        q = queue_lock(t);
        disarm(q, t);
        if (q == &c->timers) {
            break;
        }
        // Ours from here on, and in no queue: a cancel that comes now finds it idle, as if it had
        // come before this set. A set on another CPU may take it away again: then so do we.
        atomic_store_explicit(&t->cpu, c->index, memory_order_relaxed);
        spin_release_raw(&q->lock);
    }
    if (deadline_ns != TIME_INFINITE) {
        t->deadline_ns = deadline_ns;
        t->state = TIMER_ARMED;
        heap_insert(&q->armed, &t->heap);
    }
    spin_release_raw(&q->lock);
    sched_arm(c, deadline_ns);
    irq_restore(state);
    preempt_enable();
}

// Whether the callback of t is under way on a CPU other than this; a callback may be found on a
// queue that t has left since.
static bool running_elsewhere(const struct timer* t) {
    cpu_mask_t online = atomic_load_explicit(&sched_global.online, memory_order_relaxed);
    for (cpu_mask_t left = online; left != 0; left &= left - 1) {
        uint32_t cpu = bit_lowest(left);
        const struct timer_queue* q = &sched_cpus[cpu].timers;
        bool running = __atomic_load_n(&q->running, __ATOMIC_ACQUIRE) == t ||
                       __atomic_load_n(&q->running_deferred, __ATOMIC_ACQUIRE) == t;
        if (running && cpu != arch_cpu_index()) {
            return true;
        }
    }
    return false;
}

// Outside the analysis: see queue_lock().
bool timer_cancel(struct timer* t) TA_OFF {
    bool was_set = false;
    for (;;) {
        irq_state_t state = irq_save();
        preempt_disable();
        struct timer_queue* q = queue_lock(t);
        was_set |= disarm(q, t);
        // Under the lock: a callback starts under the lock of the queue where the timer is.
        bool running = running_elsewhere(t);
        spin_release_raw(&q->lock);
        irq_restore(state);
        preempt_enable();
        if (likely(!running)) {
            return was_set;
        }
        cpu_relax();
    }
}

// Outside the analysis: the lock is let go around each callback.
static void run_expired(struct deferred* d) TA_OFF {
    struct timer_queue* q = container_of(d, struct timer_queue, work);
    for (;;) {
        irq_state_t state = spin_acquire_irq(&q->lock);
        struct list_node* n = list_pop_front(&q->expired);
        struct timer* t = n != nullptr ? container_of(n, struct timer, node) : nullptr;
        void (*callback)(struct timer*, int64_t) = nullptr;
        if (t != nullptr) {
            t->state = TIMER_IDLE;
            callback = t->callback;
        }
        __atomic_store_n(&q->running_deferred, t, __ATOMIC_RELEASE);
        spin_release_irq(&q->lock, state);
        if (t == nullptr) {
            return;
        }
        callback(t, clock_monotonic_ns());
    }
}

void timer_queue_init(struct cpu_sched* c) {
    struct timer_queue* q = &c->timers;
    spinlock_init(&q->lock, LOCK_CLASS_TIMER_QUEUE);
    heap_init(&q->armed, due_before);
    list_init(&q->expired);
    q->work = (struct deferred)DEFERRED_INIT(run_expired);
}

// The timer interrupt: interrupts off. Outside the analysis: the lock is dropped around each
// callback.
void timer_queue_run(struct cpu_sched* c, int64_t now_ns) TA_OFF {
    struct timer_queue* q = &c->timers;
    bool deferred = false;
    spin_acquire_raw(&q->lock);
    for (int i = 0; i < RUN_LIMIT; i++) {
        struct heap_node* top = heap_top(&q->armed);
        struct timer* t = top != nullptr ? container_of(top, struct timer, heap) : nullptr;
        if (t == nullptr || t->deadline_ns > now_ns) {
            break;
        }
        heap_remove(&q->armed, top);
        if (t->run_deferred) {
            t->state = TIMER_EXPIRED;
            list_push_back(&q->expired, &t->node);
            deferred = true;
            continue;
        }
        t->state = TIMER_IDLE;
        __atomic_store_n(&q->running, t, __ATOMIC_RELEASE);
        void (*callback)(struct timer*, int64_t) = t->callback;
        spin_release_raw(&q->lock);
        callback(t, now_ns);
        spin_acquire_raw(&q->lock);
        __atomic_store_n(&q->running, nullptr, __ATOMIC_RELEASE);
    }
    spin_release_raw(&q->lock);
    if (deferred) {
        deferred_queue(&q->work);
    }
}

int64_t timer_queue_next(struct cpu_sched* c) {
    spin_acquire_raw(&c->timers.lock);
    const struct heap_node* top = heap_top(&c->timers.armed);
    int64_t next =
        top != nullptr ? container_of(top, struct timer, heap)->deadline_ns : TIME_INFINITE;
    spin_release_raw(&c->timers.lock);
    return next;
}
