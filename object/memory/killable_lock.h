// A sleeping lock that a killed thread need not wait for: for what is held while a pager's answer
// is awaited, which may never come. The holder inherits the priority of those who wait.
#pragma once

#include <lib/status.h>
#include <sched/wait_queue.h>

struct killable_lock {
    struct wait_queue queue;
    struct thread* holder; // under queue.lock; null: free
};

static inline void killable_lock_init(struct killable_lock* l) {
    wait_queue_init(&l->queue);
    l->holder = nullptr;
}

// INTR_KILLED: not acquired.
status_t killable_lock_acquire(struct killable_lock* l);
void killable_lock_release(struct killable_lock* l);
