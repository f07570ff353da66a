// See killable_lock.h. A release hands the lock to the best waiter, so nobody starves.

#include "killable_lock.h"

#include <lib/assert.h>

// Outside the analysis: the queue's lock passes to wait_block().
status_t killable_lock_acquire(struct killable_lock* l) TA_OFF {
    irq_state_t state = spin_acquire_irq(&l->queue.lock);
    if (likely(l->holder == nullptr)) {
        l->holder = thread_current();
        spin_release_irq(&l->queue.lock, state);
        return STATUS_OK;
    }
    // The holder cannot end before it has released.
    (void)wait_queue_set_owner(&l->queue, l->holder);
    return wait_block(&l->queue, state, TIME_INFINITE, WAIT_KILLABLE, 0);
}

void killable_lock_release(struct killable_lock* l) {
    struct wake_list wl;
    wake_list_begin(&wl);
    irq_state_t state = spin_acquire_irq(&l->queue.lock);
    DEBUG_ASSERT(l->holder == thread_current());
    (void)wait_queue_set_owner(&l->queue, nullptr);
    l->holder = wait_queue_wake_one(&l->queue, &wl, STATUS_OK);
    if (l->holder != nullptr && !wait_queue_empty(&l->queue)) {
        (void)wait_queue_set_owner(&l->queue, l->holder);
    }
    spin_release_irq(&l->queue.lock, state);
    wake_list_flush(&wl);
}
