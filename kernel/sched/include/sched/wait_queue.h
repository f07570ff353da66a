// Wait queues: an ordered list of waiting threads with an optional owner. Waiters are ordered by priority, then arrival. While a queue has an
// owner, the owner inherits the best waiter's priority, through chains of owned queues (futexes, mutexes).
#pragma once

#include <sched/thread.h>

struct wait_queue {
    spinlock_t lock;         // class WAIT_QUEUE
    struct list waiters;     // by priority
    struct thread* owner;    // under lock; not counted: owners are cleared when a thread ends
    struct list_node owned;  // in the owner's list of owned queues
};

void wait_queue_init(struct wait_queue* q);
// THE blocking primitive: the caller holds q->lock (interrupts off: `state` from spin_acquire_irq), which is released while blocked and not taken again.
status_t wait_block(struct wait_queue* q, irq_state_t state, int64_t deadline_ns, enum wait_mode mode, uint8_t reason) TA_REL(q->lock);
// Under q->lock: dequeues up to `max`, claims them with `status` and adds them to the list. Returns how many.
uint32_t wait_queue_wake(struct wait_queue* q, struct wake_list* wl, uint32_t max, status_t status) TA_REQ(q->lock);
void wait_queue_set_owner(struct wait_queue* q, struct thread* owner) TA_REQ(q->lock);
// Moves up to `max` waiters (futex requeue); both locks held in address order.
uint32_t wait_queue_requeue(struct wait_queue* from, struct wait_queue* to, uint32_t max) TA_REQ(from->lock, to->lock);
