// Blocking and waking: waiters, wake lists, hand-off, kill and suspend.
//
// Why no wake-up is lost. A waker claims the waiter (compare-and-swap of `result`), then unparks
// the thread under the thread's lock. The thread looks at `result` and at its pending bits under
// the same lock before it becomes BLOCKED. So either it sees the claim, or the waker sees BLOCKED.
// The deadline is checked there too, so that a timer that fired before the thread was BLOCKED is
// made up for.
//
// A claim by deadline, kill or suspend happens only under the thread's lock while it is BLOCKED (or
// by the thread itself), which is what keeps `sched.waiter`, a pointer to the thread's stack, valid
// for whoever uses it.
#include "run_queue.h"
#include "switch.h"

// ---- wake lists ----

// A list of one, the usual one, is `head` alone: `tail` is null and the thread is not linked, so
// two lists may both name it. A longer one is linked through wake_next, its last thread to
// LIST_END, and a thread is linked in at most one.

// Marks the last thread of a list, so that its link is not null.
static struct thread* const LIST_END = (struct thread*)1;

// False: it is linked in another list, whose flush is yet to come; that flush unparks it after our
// claim, because it clears the link first. So it is woken without us.
static bool try_link(struct thread* t, struct thread* next) {
    struct thread* none = nullptr;
    return atomic_compare_exchange_strong_explicit(&t->sched.wake_next, &none, next,
                                                   memory_order_seq_cst, memory_order_seq_cst);
}

void wake_list_append_more(struct wake_list* wl, struct thread* t) {
    if (!try_link(t, LIST_END)) {
        return;
    }
    if (wl->tail != nullptr) {
        atomic_store_explicit(&wl->tail->sched.wake_next, t, memory_order_relaxed);
        wl->tail = t;
    } else if (try_link(wl->head, t)) {
        wl->tail = t;
    } else {
        // The first one is taken care of; t is alone, so without a link. Whoever saw its link left
        // it to us, and claimed before: our flush is still to come.
        atomic_exchange_explicit(&t->sched.wake_next, nullptr, memory_order_seq_cst);
        wl->head = t;
    }
}

static struct thread* pop(struct wake_list* wl) {
    struct thread* t = wl->head;
    if (wl->tail == nullptr) {
        wl->head = nullptr; // one, or none
        return t;
    }
    if (t == nullptr) {
        return nullptr;
    }
    struct thread* next =
        atomic_exchange_explicit(&t->sched.wake_next, nullptr, memory_order_seq_cst);
    wl->head = next == LIST_END ? nullptr : next;
    return t;
}

static NOINLINE void flush_many(struct wake_list* wl) {
    struct thread* t;
    while ((t = pop(wl)) != nullptr) {
        sched_unpark_no_preempt(t);
    }
}

void wake_list_flush_slow(struct wake_list* wl) {
    if (likely(wl->tail == nullptr)) {
        sched_unpark_no_preempt(wl->head);
    } else {
        flush_many(wl);
    }
}

// thread_lock() for a thread that most likely belongs to this CPU. Outside the analysis as that.
ALWAYS_INLINE struct cpu_sched* lock_near(struct thread* t, struct cpu_sched* self) TA_OFF {
    if (likely(atomic_load_explicit(&t->sched.cpu, memory_order_relaxed) == self->index)) {
        spin_acquire_raw(&self->lock);
        if (likely(atomic_load_explicit(&t->sched.cpu, memory_order_relaxed) == self->index)) {
            return self;
        }
        spin_release_raw(&self->lock);
    }
    return thread_lock(t);
}

// Makes a claimed thread READY and ours to place on this CPU; false: it cannot come here or need
// not be woken, and the caller unparks it. Interrupts off, depth 1. On success its new lock, this
// CPU's, is held. Outside the analysis: the lock is known at run time only.
ALWAYS_INLINE bool adopt(struct thread* t, struct cpu_sched* self) TA_OFF {
    struct cpu_sched* c = lock_near(t, self);
    if (thread_state(t) != THREAD_BLOCKED || (t->sched.affinity & cpu_bit(self->index)) == 0) {
        thread_unlock(c);
        return false;
    }
    thread_set_state(t, THREAD_READY);
    t->sched.migrate = false;
    if (c != self) {
        t->sched.vruntime -= c->min_vruntime;
        atomic_store_explicit(&t->sched.cpu, self->index, memory_order_relaxed);
        spin_release_raw(&c->lock);
        spin_acquire_raw(&self->lock);
        t->sched.vruntime += self->min_vruntime;
        if (unlikely((t->sched.affinity & cpu_bit(self->index)) == 0)) {
            sched_make_ready(self, t); // changed on the way
            return false;
        }
    }
    t->sched.vruntime = fair_place(t->sched.vruntime, self->min_vruntime, sched_global.credit);
    return true;
}

// Outside the analysis: see adopt().
void wake_list_flush_next(struct wake_list* wl) TA_OFF {
    struct thread* t = pop(wl);
    if (t != nullptr && wl->head == nullptr) {
        irq_state_t state = irq_save();
        struct cpu_sched* c = this_cpu();
        if (adopt(t, c)) {
            if (c->next == nullptr && !c->current->sched.is_idle) {
                c->next = t;
                c->ready_count++;
                sched_arm_slice(c);
                spin_release_raw(&c->lock);
            } else {
                sched_make_ready(c, t);
            }
            t = nullptr;
        }
        irq_restore(state);
    }
    if (t != nullptr) {
        sched_unpark(t);
        flush_many(wl);
    }
    preempt_enable();
}

// ---- blocking ----

// The timer callback of a wait: hard interrupt context. It may come for a wait that is over; then
// the deadline of the present one has not passed.
static void wait_timed_out(struct timer* timer, int64_t now_ns) TA_OFF {
    struct thread* t = container_of(timer, struct thread, sched.timer);
    struct cpu_sched* c = thread_lock(t);
    if (thread_state(t) == THREAD_BLOCKED && t->sched.wait_deadline_ns <= now_ns &&
        waiter_claim(t->sched.waiter, STATUS_TIMED_OUT)) {
        sched_make_ready(c, t);
    } else {
        thread_unlock(c);
    }
}

void wait_timer_init(struct thread* t) {
    timer_init(&t->sched.timer, wait_timed_out, false);
}

// What a pending bit does to a wait of this mode: WAITER_PENDING = nothing.
static int32_t interrupted_by(uint32_t pending, uint8_t mode) {
    if (likely(pending == 0) || mode == WAIT_UNINTERRUPTIBLE) {
        return WAITER_PENDING;
    }
    if ((pending & THREAD_PENDING_KILL) != 0) {
        return STATUS_INTR_KILLED;
    }
    return mode == WAIT_INTERRUPTIBLE ? (int32_t)STATUS_INTR_RETRY : WAITER_PENDING;
}

static bool claimed(const struct waiter* w) {
    return atomic_load_explicit(&w->result, memory_order_acquire) != WAITER_PENDING;
}

// Whether the wait goes on, with the thread's lock held; ends it where a deadline or a pending bit
// says so.
static bool must_block(struct thread* t, struct waiter* w) {
    if (claimed(w)) {
        return false;
    }
    int32_t end =
        interrupted_by(atomic_load_explicit(&t->pending, memory_order_relaxed), t->sched.wait_mode);
    if (unlikely(end != WAITER_PENDING)) {
        (void)!waiter_claim(w, (status_t)end); // or somebody else was first: either way it is over
        return false;
    }
    if (t->sched.wait_deadline_ns != TIME_INFINITE &&
        clock_monotonic_ns() >= t->sched.wait_deadline_ns) {
        (void)!waiter_claim(w, STATUS_TIMED_OUT);
        return false;
    }
    return true;
}

static void wait_begin(struct thread* t, struct waiter* w, int64_t deadline_ns, enum wait_mode mode,
                       uint8_t reason) {
    DEBUG_ASSERT(w->thread == t);
    t->sched.waiter = w;
    t->sched.wait_mode = mode;
    t->sched.wait_deadline_ns = deadline_ns;
    t->blocked_reason = reason;
    if (deadline_ns != TIME_INFINITE && deadline_ns > clock_monotonic_ns()) {
        timer_set(&t->sched.timer, deadline_ns, 0, TIMER_SLACK_LATE);
    }
}

static status_t wait_end(struct thread* t, struct waiter* w, int64_t deadline_ns) {
    t->blocked_reason = 0;
    if (deadline_ns != TIME_INFINITE) {
        timer_cancel(&t->sched.timer);
    }
    return (status_t)atomic_load_explicit(&w->result, memory_order_acquire);
}

// Blocks until the waiter is claimed. Interrupts off, depth 1, both so on return. Outside the
// analysis: the lock passes to the next thread.
static NOINLINE void block_loop(struct thread* t, struct waiter* w) TA_OFF {
    while (!claimed(w)) {
        struct cpu_sched* c = this_cpu();
        spin_acquire_raw(&c->lock);
        if (!must_block(t, w)) {
            spin_release_raw(&c->lock);
            return;
        }
        thread_set_state(t, THREAD_BLOCKED);
        sched_switch_from(c, t, cpu_ticks(), true);
    }
}

// ---- waits without a deadline, which most are, inlined into the callers that count ----

ALWAYS_INLINE void wait_begin_endless(struct thread* t, struct waiter* w, enum wait_mode mode,
                                      uint8_t reason) {
    DEBUG_ASSERT(w->thread == t && !t->sched.is_idle && irq_enabled());
    t->sched.waiter = w;
    t->sched.wait_mode = mode;
    t->sched.wait_deadline_ns = TIME_INFINITE;
    t->blocked_reason = reason;
}

// must_block() of such a wait.
ALWAYS_INLINE bool must_block_endless(struct thread* t, struct waiter* w) {
    return likely(!claimed(w) && atomic_load_explicit(&t->pending, memory_order_relaxed) == 0) ||
           must_block(t, w);
}

// The result of a wait that has had its first turn: usually there is no other. Interrupts off,
// depth 1; on and one less afterwards.
ALWAYS_INLINE status_t wait_end_endless(struct thread* t, struct waiter* w) {
    int32_t result = atomic_load_explicit(&w->result, memory_order_acquire);
    if (unlikely(result == WAITER_PENDING)) {
        block_loop(t, w);
        result = atomic_load_explicit(&w->result, memory_order_acquire);
    }
    irq_enable();
    preempt_enable();
    t->blocked_reason = 0;
    return (status_t)result;
}

status_t waiter_block(struct waiter* w, int64_t deadline_ns, enum wait_mode mode, uint8_t reason) {
    struct thread* t = thread_current();
    DEBUG_ASSERT(!preempt_disabled() && irq_enabled() && !t->sched.is_idle);
    wait_begin(t, w, deadline_ns, mode, reason);
    irq_disable();
    preempt_disable();
    block_loop(t, w);
    irq_enable();
    preempt_enable();
    return wait_end(t, w, deadline_ns);
}

// Outside the analysis: see block_loop().
INLINE_ACROSS_FILES status_t waiter_block_hot(struct waiter* w, int64_t deadline_ns,
                                              enum wait_mode mode, uint8_t reason) TA_OFF {
    if (unlikely(deadline_ns != TIME_INFINITE)) {
        return waiter_block(w, deadline_ns, mode, reason);
    }
    struct thread* t = thread_current();
    DEBUG_ASSERT(!preempt_disabled());
    wait_begin_endless(t, w, mode, reason);
    irq_disable();
    preempt_disable();
    struct cpu_sched* c = this_cpu();
    spin_acquire_raw(&c->lock);
    if (likely(must_block_endless(t, w))) {
        thread_set_state(t, THREAD_BLOCKED);
        switch_from(c, t, cpu_ticks(), true);
    } else {
        spin_release_raw(&c->lock);
    }
    return wait_end_endless(t, w);
}

// Wakes `target` and blocks, in one switch if that fits. Interrupts off, depth 1. Outside the
// analysis: see adopt().
ALWAYS_INLINE void handoff(struct thread* t, struct waiter* w, struct thread* target,
                           bool endless) TA_OFF {
    struct cpu_sched* c = this_cpu();
    if (!adopt(target, c)) {
        sched_unpark(target);
        return;
    }
    uint64_t now = cpu_ticks();
    if (!(endless ? must_block_endless(t, w) : must_block(t, w)) ||
        (unlikely(c->ready_count != 0) && !next_fits(c, target, now))) {
        sched_make_ready(c, target);
        return;
    }
    c->resched = false;
    run_queue_charge(c, t, now);
    thread_set_state(t, THREAD_BLOCKED);
    switch_between(c, t, target, now);
}

status_t waiter_block_to(struct waiter* w, int64_t deadline_ns, uint8_t reason,
                         struct thread* target) {
    struct thread* t = thread_current();
    DEBUG_ASSERT(!t->sched.is_idle && irq_enabled());
    wait_begin(t, w, deadline_ns, WAIT_INTERRUPTIBLE, reason);
    irq_disable();
    handoff(t, w, target, false);
    if (unlikely(!claimed(w))) {
        block_loop(t, w);
    }
    irq_enable();
    preempt_enable();
    return wait_end(t, w, deadline_ns);
}

INLINE_ACROSS_FILES status_t waiter_block_to_hot(struct waiter* w, int64_t deadline_ns,
                                                 uint8_t reason, struct thread* target) {
    if (unlikely(deadline_ns != TIME_INFINITE)) {
        return waiter_block_to(w, deadline_ns, reason, target);
    }
    struct thread* t = thread_current();
    wait_begin_endless(t, w, WAIT_INTERRUPTIBLE, reason);
    irq_disable();
    handoff(t, w, target, true);
    return wait_end_endless(t, w);
}

status_t waiter_block_handoff(struct waiter* w, int64_t deadline_ns, uint8_t reason,
                              struct wake_list* wl) {
    if (wl->head != nullptr && wl->tail == nullptr) {
        return waiter_block_to(w, deadline_ns, reason, wl->head);
    }
    wake_list_flush(wl);
    return waiter_block(w, deadline_ns, WAIT_INTERRUPTIBLE, reason);
}

status_t thread_sleep_until(int64_t deadline_ns, enum wait_mode mode) {
    struct waiter w;
    waiter_init(&w);
    status_t status = waiter_block(&w, deadline_ns, mode, 0);
    return status == STATUS_TIMED_OUT ? STATUS_OK : status;
}

// ---- kill, suspend ----

// Outside the analysis: the lock is known at run time only.
void thread_set_pending(struct thread* t, uint32_t bits) TA_OFF {
    uint32_t all = atomic_fetch_or_explicit(&t->pending, bits, memory_order_seq_cst) | bits;
    irq_state_t state = irq_save();
    preempt_disable();
    struct cpu_sched* c = thread_lock(t);
    cpu_mask_t kick = 0;
    int32_t end = WAITER_PENDING;
    if (thread_state(t) == THREAD_BLOCKED) {
        end = interrupted_by(all, t->sched.wait_mode);
    } else if (thread_state(t) == THREAD_RUNNING && c != this_cpu()) {
        kick = cpu_bit(c->index); // through the kernel, where the bits are looked at
    }
    if (end != WAITER_PENDING && waiter_claim(t->sched.waiter, (status_t)end)) {
        sched_make_ready(c, t);
    } else {
        thread_unlock(c);
    }
    if (kick != 0) {
        arch_ipi_send(kick, IPI_RESCHED);
    }
    irq_restore(state);
    preempt_enable();
}
