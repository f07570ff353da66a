// Deferred work: runs soon on the CPU that queued it, with interrupts on and preemption off, never inside a section that holds a spinlock:
// on the way out of an interrupt, in preempt_enable(), or before the return to user mode. Work that may sleep goes to worker_queue().
#pragma once

#include <stdatomic.h>

#include <lib/list.h>

struct deferred {
    struct list_node node;          // per-CPU list, interrupts off
    void (*fn)(struct deferred* d);
    _Atomic(bool) queued;
};
#define DEFERRED_INIT(f) {.fn = (f)}
void deferred_queue(struct deferred* d); // any context; a second queue before it ran is one run

// May sleep; run by kernel worker threads in order of queueing (per worker).
struct work {
    struct list_node node;
    void (*fn)(struct work* w);
};
void worker_queue(struct work* w);
void worker_drain(void); // waits until everything queued before has run

// ---- epochs: memory that lock-free readers may still hold ----
// Readers: preemption off. An item's function runs (as work that does not sleep) after every CPU has passed a switch, idle, or a return to user
// mode since the call; stragglers are kicked after 1 ms.
struct epoch_item {
    struct epoch_item* next;
    void (*fn)(struct epoch_item* item);
};
void epoch_defer(struct epoch_item* item, void (*fn)(struct epoch_item* item));
void epoch_synchronize(void); // waits for a full grace period and all items queued before; sleeps
