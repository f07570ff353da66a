// Kernel timers: per-CPU heaps behind the one-shot hardware timer. Callbacks run in hard interrupt context with interrupts off, or, when
// `deferred` is set, as deferred work with interrupts on.
#pragma once

#include <stdint.h>

#include <sched/deferred.h>

enum timer_slack : uint8_t { TIMER_SLACK_CENTER, TIMER_SLACK_EARLY, TIMER_SLACK_LATE };

struct timer {
    int64_t deadline_ns; // under the queue's lock
    void (*callback)(struct timer* t, int64_t now_ns);
    bool run_deferred;   // immutable
#include <sched/timer_priv_fields.h>
};

void timer_init(struct timer* t, void (*callback)(struct timer* t, int64_t now_ns), bool run_deferred);
void timer_set(struct timer* t, int64_t deadline_ns, int64_t slack_ns, enum timer_slack mode); // re-arms if set
// After it returns the callback is not running and will not run. True if it was pending.
bool timer_cancel(struct timer* t);
