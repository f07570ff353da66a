// Wait queues and priority inheritance.
//
// A queue's list is guarded by its lock. From its first owner on, and until it is empty and
// unowned, the queue is in inheritance mode (`inherit`): then every change of the list also holds
// the one priority lock. A thread's `pi_waiter` (its place in such a queue) and every owner and
// inherited priority are under that lock alone, so that a chain (waiter -> queue -> owner -> the
// queue where that one waits -> ...) can be walked with one lock, taken after at most one queue's.
// Queues without owner never see it.
//
//   (I1) pi_waiter of t != null  <=>  t's waiter is linked in a queue with inherit set.
//   (I2) owner of q != null      <=>  q is in owner's `owned` list, and inherit is set.
//   (I3) inherited of t == best priority among the first waiters of the queues it owns, 0 without
//   any.
//   (I4) waiting_in of t == q  <=>  t's waiter is linked in q; changes only under q's lock.
//
// A waiter leaves its queue under the queue's lock: its waker takes it out before claiming it, or
// the thread itself does, after a deadline or a kill. Which queue a waiter is in changes only for
// users that keep their own books (futexes), under their own lock.
#include "sched_priv.h"

#include <sched/wait_queue.h>

#include "run_queue.h"

static spinlock_t priority_lock = SPINLOCK_INIT(LOCK_CLASS_PRIORITY);

// Longer chains than this stop inheriting at the end: a bound on what one wait can cost everybody.
constexpr int CHAIN_LIMIT = 64;

static void set_waiting_in(struct thread* t, struct wait_queue* q) {
    atomic_store_explicit(&t->sched.waiting_in, q, memory_order_relaxed);
}

static struct queue_waiter* from_node(struct list_node* n) {
    return container_of(n, struct queue_waiter, w.node);
}

void wait_queue_init(struct wait_queue* q) {
    *q = (struct wait_queue){};
    spinlock_init(&q->lock, LOCK_CLASS_WAIT_QUEUE);
    list_init(&q->waiters);
}

// ---- effective priorities ----

// Outside the analysis: the thread's lock is known at run time only.
static void apply_priority(struct thread* t, uint8_t priority) TA_OFF {
    struct cpu_sched* c = thread_lock(t);
    bool remote = false;
    bool queued = t->sched.queued;
    if (queued) {
        run_queue_remove(c, t);
    } else if (thread_state(t) == THREAD_RUNNING) {
        run_queue_charge(c, t, cpu_ticks()); // the time so far was at the old weight
    }
    bool lower = priority < thread_priority(t);
    atomic_store_explicit(&t->sched.priority, priority, memory_order_relaxed);
    t->sched.inverse_weight = fair_inverse_weight(priority);
    if (queued) {
        t->sched.vruntime = fair_place(t->sched.vruntime, c->min_vruntime, sched_global.credit);
        run_queue_insert(c, t);
        if (thread_priority(c->current) < priority || c->current->sched.is_idle) {
            remote = sched_resched_locked(c);
        }
    } else if (thread_state(t) == THREAD_RUNNING && lower && c->ready_count != 0) {
        remote = sched_resched_locked(c);
    }
    uint32_t index = c->index;
    thread_unlock(c);
    if (remote) {
        arch_ipi_send(cpu_bit(index), IPI_RESCHED);
    }
}

static uint8_t best_lent(const struct thread* t) TA_REQ(priority_lock) {
    uint8_t best = 0;
    list_for_each(n, &t->sched.owned) {
        const struct wait_queue* q = container_of(n, struct wait_queue, owned);
        struct list_node* first = list_first(&q->waiters);
        if (first != nullptr) {
            best = max(best, from_node(first)->priority);
        }
    }
    return best;
}

// Restores (I3) for t and for everybody behind it.
static void update_chain(struct thread* t) TA_REQ(priority_lock) {
    for (int i = 0; i < CHAIN_LIMIT && t != nullptr; i++) {
        t->sched.inherited = best_lent(t);
        uint8_t effective = max(t->sched.base_priority, t->sched.inherited);
        if (effective == thread_priority(t)) {
            return;
        }
        apply_priority(t, effective);
        struct queue_waiter* qw = t->sched.pi_waiter;
        if (qw == nullptr) {
            return;
        }
        struct wait_queue* q = qw->queue;
        list_remove(&qw->w.node);
        qw->priority = effective;
        wait_queue_place_(q, qw);
        t = atomic_load_explicit(&q->owner, memory_order_relaxed);
    }
}

void thread_set_priority(struct thread* t, int priority) {
    ASSERT(priority >= 0 && priority <= PRIORITY_MAX);
    irq_state_t state = spin_acquire_irq(&priority_lock);
    t->sched.base_priority = (uint8_t)priority;
    update_chain(t);
    spin_release_irq(&priority_lock, state);
}

void priority_thread_ended(struct thread* t) {
    irq_state_t state = spin_acquire_irq(&priority_lock);
    t->sched.ended = true;
    struct list_node* n;
    while ((n = list_pop_front(&t->sched.owned)) != nullptr) {
        atomic_store_explicit(&container_of(n, struct wait_queue, owned)->owner, nullptr,
                              memory_order_relaxed);
    }
    spin_release_irq(&priority_lock, state);
}

// ---- membership ----

static void link_inherit(struct wait_queue* q, struct queue_waiter* qw) TA_REQ(priority_lock) {
    wait_queue_place_(q, qw);
    qw->w.thread->sched.pi_waiter = qw;
    struct thread* owner = atomic_load_explicit(&q->owner, memory_order_relaxed);
    if (owner != nullptr) {
        update_chain(owner);
    }
}

static void unlink_inherit(struct wait_queue* q, struct queue_waiter* qw) TA_REQ(priority_lock) {
    list_remove(&qw->w.node);
    qw->w.thread->sched.pi_waiter = nullptr;
    struct thread* owner = atomic_load_explicit(&q->owner, memory_order_relaxed);
    if (owner != nullptr) {
        update_chain(owner);
    } else if (list_empty(&q->waiters)) {
        q->inherit = false;
    }
}

void wait_queue_enter(struct wait_queue* q, struct queue_waiter* qw) {
    if (likely(!q->inherit)) {
        wait_queue_enter_plain(q, qw);
        return;
    }
    qw->queue = q;
    qw->priority = (uint8_t)thread_priority(qw->w.thread);
    set_waiting_in(qw->w.thread, q);
    spin_acquire_raw(&priority_lock);
    link_inherit(q, qw);
    spin_release_raw(&priority_lock);
}

void wait_queue_remove(struct queue_waiter* qw) {
    struct wait_queue* q = qw->queue;
    set_waiting_in(qw->w.thread, nullptr);
    if (likely(!q->inherit)) {
        list_remove(&qw->w.node);
        return;
    }
    spin_acquire_raw(&priority_lock);
    unlink_inherit(q, qw);
    spin_release_raw(&priority_lock);
}

// The way out of a wait that no waker ended: whether we are still in the queue is what waiting_in
// says (I4). The node does not: update_chain() takes it out and puts it back under the priority
// lock alone.
static void leave_early(struct queue_waiter* qw) {
    SPIN_IRQ_GUARD(&qw->queue->lock);
    if (wait_queue_holds(qw->queue, qw->w.thread)) {
        wait_queue_remove(qw);
    }
}

// Outside the analysis: the queue's lock is the caller's, and released here.
status_t wait_block(struct wait_queue* q, irq_state_t state, int64_t deadline_ns,
                    enum wait_mode mode, uint8_t reason) TA_OFF {
    struct queue_waiter qw = {};
    waiter_init(&qw.w);
    wait_queue_enter(q, &qw);
    spin_release_irq(&q->lock, state);
    status_t status = waiter_block(&qw.w, deadline_ns, mode, reason);
    // Whoever woke us with one of these has taken us out already; leave_early() finds that.
    if (status == STATUS_TIMED_OUT || status == STATUS_INTR_RETRY || status == STATUS_INTR_KILLED) {
        leave_early(&qw);
    }
    return status;
}

// While the queue inherits, only the priority lock makes the list hold still.
struct queue_waiter* wait_queue_take(struct wait_queue* q) {
    if (likely(!q->inherit)) {
        return wait_queue_take_plain(q);
    }
    spin_acquire_raw(&priority_lock);
    struct list_node* n = list_first(&q->waiters);
    if (n != nullptr) {
        unlink_inherit(q, from_node(n));
    }
    spin_release_raw(&priority_lock);
    if (n == nullptr) {
        return nullptr;
    }
    set_waiting_in(from_node(n)->w.thread, nullptr);
    return from_node(n);
}

bool wait_queue_holds(struct wait_queue* q, const struct thread* t) {
    return atomic_load_explicit(&t->sched.waiting_in, memory_order_relaxed) == q;
}

bool wait_queue_empty(struct wait_queue* q) {
    if (likely(!q->inherit)) {
        return list_empty(&q->waiters);
    }
    spin_acquire_raw(&priority_lock);
    bool empty = list_empty(&q->waiters);
    spin_release_raw(&priority_lock);
    return empty;
}

struct thread* wait_queue_wake_one(struct wait_queue* q, struct wake_list* wl, status_t status) {
    struct queue_waiter* qw;
    // Taken out before the claim: afterwards the waiter is its thread's again. One that was claimed
    // already is on its way out by itself.
    while ((qw = wait_queue_take(q)) != nullptr) {
        struct thread* t = qw->w.thread;
        if (wake_list_add(wl, &qw->w, status)) {
            return t;
        }
    }
    return nullptr;
}

uint32_t wait_queue_wake(struct wait_queue* q, struct wake_list* wl, uint32_t max_count,
                         status_t status) {
    uint32_t woken = 0;
    while (woken < max_count && wait_queue_wake_one(q, wl, status) != nullptr) {
        woken++;
    }
    return woken;
}

// ---- owners ----

static void drop_owner(struct wait_queue* q) TA_REQ(priority_lock) {
    struct thread* old = atomic_load_explicit(&q->owner, memory_order_relaxed);
    if (old != nullptr) {
        atomic_store_explicit(&q->owner, nullptr, memory_order_relaxed);
        list_remove(&q->owned);
        update_chain(old);
    }
}

bool wait_queue_set_owner(struct wait_queue* q, struct thread* owner) {
    if (owner == nullptr && !q->inherit) {
        return true;
    }
    spin_acquire_raw(&priority_lock);
    drop_owner(q);
    bool alive = true;
    if (owner == nullptr || owner->sched.ended) {
        alive = owner == nullptr;
        q->inherit = !list_empty(&q->waiters) && q->inherit;
    } else {
        if (!q->inherit) {
            q->inherit = true;
            list_for_each(n, &q->waiters) {
                from_node(n)->w.thread->sched.pi_waiter = from_node(n);
            }
        }
        atomic_store_explicit(&q->owner, owner, memory_order_relaxed);
        list_push_back(&owner->sched.owned, &q->owned);
        update_chain(owner);
    }
    spin_release_raw(&priority_lock);
    return alive;
}
