// Wait queues: an ordered list of waiting threads with an optional owner. Waiters are ordered by
// priority, then arrival. While a queue has an owner, the owner inherits the best waiter's
// priority, through chains of owned queues (futexes, mutexes).
//
// Locks: q->lock guards the queue. From its first owner on every change also takes the scheduler's
// one priority lock (the functions here do), so only owned, contended queues pay for inheritance. A
// thread that is boosted while it waits in a queue without owner keeps its place there.
//
// Lifetime: a queue must outlive every thread that is inside wait_block() on it (or was moved to it
// by a requeue): a waiter that times out or is killed takes q->lock once more on its way out.
#pragma once

#include <lib/list.h>
#include <locking/spinlock.h>
#include <sched/thread.h>

struct wait_queue {
    spinlock_t lock; // class WAIT_QUEUE
    bool inherit;    // under lock (and the priority lock): changes of the list take that lock too
    struct list waiters; // best first
    _Atomic(struct thread*)
        owner;              // under the priority lock; not counted: cleared when that thread ends
    struct list_node owned; // in the owner's list of owned queues; as owner
};

void wait_queue_init(struct wait_queue* q);
bool wait_queue_empty(struct wait_queue* q) TA_REQ(q->lock);
// THE blocking primitive: the caller holds q->lock (interrupts off: `state` from spin_acquire_irq),
// which is released while blocked and not taken again.
status_t wait_block(struct wait_queue* q, irq_state_t state, int64_t deadline_ns,
                    enum wait_mode mode, uint8_t reason) TA_REL(q->lock);
// The same for a queue whose waiters may be requeued: *where is the queue at first, and the one the
// thread was in last when the wait is over.
status_t wait_block_movable(struct wait_queue** where, irq_state_t state, int64_t deadline_ns,
                            enum wait_mode mode, uint8_t reason) TA_REL((*where)->lock);
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
// Moves up to `max` waiters (futex requeue); both locks held in address order.
uint32_t wait_queue_requeue(struct wait_queue* from, struct wait_queue* to, uint32_t max)
    TA_REQ(from->lock, to->lock);
