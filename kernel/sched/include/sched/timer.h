// Kernel timers: per-CPU heaps behind the one-shot hardware timer. Callbacks run in hard interrupt
// context with interrupts off, or, when `run_deferred` is set, as deferred work with interrupts on
// and preemption off. A callback may set its own timer again.
//
// The memory of a timer stays valid until timer_cancel() has returned. A timer_set() races with
// nothing but itself and cancel.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/heap.h>
#include <lib/list.h>
#include <lib/types.h>

// Which way `slack_ns` may move the deadline. Deadlines within one slack are rounded to a common
// grid, so that they share an interrupt.
enum timer_slack : uint8_t { TIMER_SLACK_CENTER, TIMER_SLACK_EARLY, TIMER_SLACK_LATE };

enum timer_state : uint8_t { TIMER_IDLE, TIMER_ARMED, TIMER_EXPIRED };

struct timer {
    void (*callback)(struct timer* t, int64_t now_ns); // immutable
    bool run_deferred;                                 // immutable
    uint8_t state;         // enum timer_state; under the lock of the queue that `cpu` names
    _Atomic(uint32_t) cpu; // whose queue it is in, or was last
    int64_t deadline_ns;   // as state
    struct heap_node heap; // while ARMED
    struct list_node node; // while EXPIRED (run_deferred only)
};

void timer_init(struct timer* t, void (*callback)(struct timer* t, int64_t now_ns),
                bool run_deferred);
// Arms on this CPU; if it was armed, it is moved. Any context.
void timer_set(struct timer* t, int64_t deadline_ns, int64_t slack_ns, enum timer_slack mode);
// After it returns the callback is not running and will not run (from within the callback itself:
// will not run again). True if it was pending. Not from an interrupt handler if run_deferred.
bool timer_cancel(struct timer* t);
