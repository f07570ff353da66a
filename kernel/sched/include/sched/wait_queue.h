// Wait queues: an ordered list of waiting threads with an optional owner. Waiters are ordered by
// priority, then arrival. While a queue has an owner, the owner inherits the best waiter's
// priority, through chains of owned queues (futexes, mutexes).
//
// Locks: q->lock guards the queue. From its first owner on every change also takes the scheduler's
// one priority lock (the functions here do), so only owned, contended queues pay for inheritance. A
// thread that is boosted while it waits in a queue without owner keeps its place there.
//
// Lifetime: a queue must outlive every thread that is inside wait_block() on it: a waiter that
// times out or is killed takes q->lock once more on its way out.
#pragma once

#include <lib/list.h>
#include <locking/spinlock.h>
#include <sched/thread.h>

struct wait_queue {
    spinlock_t lock;     // class WAIT_QUEUE
    bool inherit;        // under lock and the priority lock: changes of the list take that lock too
    struct list waiters; // best first
    _Atomic(struct thread*)
        owner;              // under the priority lock; not counted: cleared when that thread ends
    struct list_node owned; // in the owner's list of owned queues; as owner
};

struct queue_waiter {
    struct waiter w;
    struct wait_queue* queue; // under its lock
    uint8_t priority;         // as of the last (re)positioning; as the list
};

void wait_queue_init(struct wait_queue* q);
bool wait_queue_empty(struct wait_queue* q) TA_REQ(q->lock);
// THE blocking primitive: the caller holds q->lock (interrupts off: `state` from spin_acquire_irq),
// which is released while blocked and not taken again.
status_t wait_block(struct wait_queue* q, irq_state_t state, int64_t deadline_ns,
                    enum wait_mode mode, uint8_t reason) TA_REL(q->lock);
// Whether `t` waits in this queue now.
bool wait_queue_holds(struct wait_queue* q, const struct thread* t) TA_REQ(q->lock);
// Under q->lock: dequeues up to `max`, claims them with `status` and adds them to the list. Returns
// how many. `wl` is open (wake_list_begin).
uint32_t wait_queue_wake(struct wait_queue* q, struct wake_list* wl, uint32_t max, status_t status)
    TA_REQ(q->lock);
// As wake of one, and says which thread it was (valid until the flush); null if nobody waits.
struct thread* wait_queue_wake_one(struct wait_queue* q, struct wake_list* wl, status_t status)
    TA_REQ(q->lock);
// Null: no owner. The queue's waiters lend their priority to `owner` until the next call or its
// end. False: `owner` has ended already (no owner set).
bool wait_queue_set_owner(struct wait_queue* q, struct thread* owner) TA_REQ(q->lock);

// ---- the steps of a wait, for users that keep their own books (futexes) ----
// A waiter goes in (or moves: out of one queue, into another), the thread calls waiter_block(), and
// whoever claims the waiter, or the thread itself, takes it out.
void wait_queue_enter(struct wait_queue* q, struct queue_waiter* qw) TA_REQ(q->lock);
// The best waiter, out of the queue; null: none.
struct queue_waiter* wait_queue_take(struct wait_queue* q) TA_REQ(q->lock);
void wait_queue_remove(struct queue_waiter* qw) TA_REQ(qw->queue->lock); // one that is in it

// The same without q->lock, for a queue that is plain: it has no owner, and its user holds a lock
// of his own around every use of it, the above included.
static inline bool wait_queue_plain(const struct wait_queue* q) {
    return !q->inherit;
}
// After the last waiter that is not worse. From the back: equals keep their order of arrival, and
// the usual case is one step.
static inline void wait_queue_place_(struct wait_queue* q, struct queue_waiter* qw) {
    struct list_node* after = q->waiters.head.prev;
    while (after != &q->waiters.head &&
           container_of(after, struct queue_waiter, w.node)->priority < qw->priority) {
        after = after->prev;
    }
    list_insert_after(after, &qw->w.node);
}
static inline void wait_queue_enter_plain(struct wait_queue* q, struct queue_waiter* qw) {
    struct thread* t = qw->w.thread;
    qw->queue = q;
    qw->priority = atomic_load_explicit(&t->sched.priority, memory_order_relaxed);
    atomic_store_explicit(&t->sched.waiting_in, q, memory_order_relaxed);
    wait_queue_place_(q, qw);
}
static inline struct queue_waiter* wait_queue_take_plain(struct wait_queue* q) {
    struct list_node* n = list_pop_front(&q->waiters);
    if (n == nullptr) {
        return nullptr;
    }
    struct queue_waiter* qw = container_of(n, struct queue_waiter, w.node);
    atomic_store_explicit(&qw->w.thread->sched.waiting_in, nullptr, memory_order_relaxed);
    return qw;
}
