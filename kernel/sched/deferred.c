// Deferred work (per CPU, cannot sleep) and the worker thread (can).
#include "sched_priv.h"

#include <sched/wait_queue.h>

void deferred_queue(struct deferred* d) {
    if (atomic_exchange_explicit(&d->queued, true, memory_order_acq_rel)) {
        return;
    }
    irq_state_t state = irq_save();
    preempt_disable();
    list_push_back(&this_cpu()->deferred, &d->node);
    arch_pending_set(CPU_PENDING_DEFERRED);
    irq_restore(state);
    preempt_enable();
}

void deferred_run(struct cpu_sched* c) {
    struct list_node* n;
    while ((n = list_pop_front(&c->deferred)) != nullptr) {
        struct deferred* d = container_of(n, struct deferred, node);
        // From here on it may be queued again, or freed by its function.
        void (*fn)(struct deferred*) = d->fn;
        atomic_store_explicit(&d->queued, false, memory_order_release);
        irq_enable();
        fn(d);
        irq_disable();
    }
}

// ---- the worker ----

static struct {
    struct wait_queue idle; // the worker waits here; its lock guards the members below
    struct list work;
    bool ready; // the members are set up
} worker = {.idle = {.lock = SPINLOCK_INIT(LOCK_CLASS_WAIT_QUEUE)}};

static void set_up_locked(void) TA_REQ(worker.idle.lock) {
    if (!worker.ready) {
        list_init(&worker.work);
        list_init(&worker.idle.waiters);
        worker.ready = true;
    }
}

void worker_queue(struct work* w) {
    struct wake_list wl;
    wake_list_begin(&wl);
    irq_state_t state = spin_acquire_irq(&worker.idle.lock);
    set_up_locked();
    list_push_back(&worker.work, &w->node);
    wait_queue_wake(&worker.idle, &wl, 1, STATUS_OK);
    spin_release_irq(&worker.idle.lock, state);
    wake_list_flush(&wl);
}

int sched_worker_main(void*) {
    for (;;) {
        irq_state_t state = spin_acquire_irq(&worker.idle.lock);
        set_up_locked();
        struct list_node* n = list_pop_front(&worker.work);
        if (n == nullptr) {
            status_t status =
                wait_block(&worker.idle, state, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
            ASSERT(status == STATUS_OK);
            continue;
        }
        spin_release_irq(&worker.idle.lock, state);
        struct work* w = container_of(n, struct work, node);
        w->fn(w);
        if (kernel_debug) {
            lock_check_none_held();
        }
    }
}

struct drain {
    struct work work;
    struct waiter waiter;
};

static void drained(struct work* w) {
    struct wake_list wl;
    wake_list_begin(&wl);
    wake_list_add(&wl, &container_of(w, struct drain, work)->waiter, STATUS_OK);
    wake_list_flush(&wl);
}

void worker_drain(void) {
    struct drain d = {.work = WORK_INIT(drained)};
    waiter_init(&d.waiter);
    worker_queue(&d.work);
    status_t status = waiter_block(&d.waiter, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
    ASSERT(status == STATUS_OK);
}
