// Deferred work: runs soon on the CPU that queued it, with interrupts on and preemption off, never
// inside a section that holds a spinlock: on the way out of an interrupt, in preempt_enable(), or
// before the return to user mode. Work that may sleep goes to worker_queue().
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/list.h>

struct deferred {
    struct list_node node; // per-CPU list, interrupts off
    void (*fn)(struct deferred* d);
    _Atomic(bool) queued;
};
#define DEFERRED_INIT(f) {.fn = (f)}
void deferred_queue(struct deferred* d); // any context; a second queue before it ran is one run

// May sleep; run by the kernel's worker thread in order of queueing, so it must not wait for other
// work. `work` may be queued again, or its memory reused, from the moment its function is called.
struct work {
    struct list_node node; // under the worker's lock
    void (*fn)(struct work* w);
};
#define WORK_INIT(f) {.fn = (f)}
void worker_queue(struct work* w); // any context
void worker_drain(void);           // waits until everything queued before has run

// ---- epochs: memory that lock-free readers may still hold ----
// Readers: preemption off. An item's function runs (as deferred work: no sleeping) after every CPU
// has passed a switch, idle, or a point where preemption was possible since the call; stragglers
// are kicked after 1 ms. Items of one CPU run in order.
struct epoch_item {
    struct epoch_item* next;
    void (*fn)(struct epoch_item* item);
};
void epoch_defer(struct epoch_item* item, void (*fn)(struct epoch_item* item)); // any context
void epoch_synchronize(void); // waits for a full grace period and all items queued before; sleeps
