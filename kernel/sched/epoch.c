// Epochs: memory that lock-free readers may hold is given back after a grace period.
//
// A reader runs with preemption off. A CPU notes the current epoch whenever it is outside every
// reader: at a switch, in the idle loop, at each preemption point, on its way to user mode when
// something is pending. A batch of items that is closed at epoch e runs when every CPU has noted e
// or later: each then has been outside since the items were taken away.
//
// Per CPU: `fresh` collects while `waiting` waits. A timer looks after 1 ms; CPUs that have noted
// nothing by then are kicked by an interrupt, which takes them through a preemption point. No CPU
// that only computes in user mode, and no idle one, holds up anything for longer than that.
#include "sched_priv.h"

#include <lib/bits.h>
#include <sched/wait_queue.h>

constexpr int64_t GRACE_NS = 1'000'000;
constexpr int64_t RETRY_NS = 200'000;

static void append(struct epoch_item*** tail, struct epoch_item* item) {
    item->next = nullptr;
    **tail = item;
    *tail = &item->next;
}

// Closes the fresh batch. e->lock held, waiting is empty.
static void close_batch(struct epoch_cpu* e) {
    e->waiting = e->fresh;
    e->waiting_tail = e->fresh_tail;
    e->fresh = nullptr;
    e->fresh_tail = &e->fresh;
    e->target = atomic_fetch_add_explicit(&sched_global.epoch, 1, memory_order_seq_cst) + 1;
}

void epoch_defer(struct epoch_item* item, void (*fn)(struct epoch_item* item)) {
    item->fn = fn;
    irq_state_t state = irq_save();
    preempt_disable();
    struct epoch_cpu* e = &this_cpu()->epoch;
    spin_acquire_raw(&e->lock);
    append(&e->fresh_tail, item);
    bool first = e->waiting == nullptr;
    if (first) {
        close_batch(e);
    }
    spin_release_raw(&e->lock);
    if (first) {
        timer_set(&e->timer, clock_monotonic_ns() + GRACE_NS, 0, TIMER_SLACK_LATE);
    }
    irq_restore(state);
    preempt_enable();
}

// The CPUs that have not been seen outside since `target`.
static cpu_mask_t stragglers(uint64_t target) {
    cpu_mask_t behind = 0;
    for (cpu_mask_t left = atomic_load_explicit(&sched_global.online, memory_order_relaxed);
         left != 0; left &= left - 1) {
        uint32_t cpu = bit_lowest(left);
        if (atomic_load_explicit(&sched_cpus[cpu].epoch.seen, memory_order_acquire) < target) {
            behind |= cpu_bit(cpu);
        }
    }
    return behind;
}

// Deferred work: preemption off, outside any reader. Looks whether the batch is through.
static void advance(struct deferred* d) {
    struct epoch_cpu* e = container_of(d, struct epoch_cpu, work);
    struct cpu_sched* c = container_of(e, struct cpu_sched, epoch);
    epoch_note(this_cpu());
    irq_state_t state = spin_acquire_irq(&e->lock);
    struct epoch_item* done = nullptr;
    cpu_mask_t behind = 0;
    if (e->waiting != nullptr && (behind = stragglers(e->target)) == 0) {
        done = e->waiting;
        e->waiting = nullptr;
        if (e->fresh != nullptr) {
            close_batch(e);
        }
    }
    bool more = e->waiting != nullptr;
    spin_release_irq(&e->lock, state);
    if (more) {
        timer_set(&e->timer, clock_monotonic_ns() + (behind != 0 ? RETRY_NS : GRACE_NS), 0,
                  TIMER_SLACK_LATE);
    }
    behind &= ~cpu_bit(c->index);
    if (behind != 0) {
        arch_ipi_send(behind, IPI_RESCHED);
    }
    while (done != nullptr) {
        struct epoch_item* item = done;
        done = item->next;
        item->fn(item);
    }
}

static void timer_fired(struct timer* t, int64_t) {
    deferred_queue(&container_of(t, struct epoch_cpu, timer)->work);
}

void epoch_cpu_init(struct cpu_sched* c) {
    struct epoch_cpu* e = &c->epoch;
    spinlock_init(&e->lock, LOCK_CLASS_EPOCH);
    e->fresh_tail = &e->fresh;
    e->work = (struct deferred)DEFERRED_INIT(advance);
    timer_init(&e->timer, timer_fired, false);
}

// ---- waiting for all that was queued before ----

struct synchronize {
    _Atomic(uint32_t)
        left; // markers that have not run, and one for the caller until all are queued
    struct waiter waiter;
};

struct marker {
    struct epoch_item item;
    struct synchronize* sync;
};

static void marker_done(struct synchronize* sync) {
    if (atomic_fetch_sub_explicit(&sync->left, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct wake_list wl;
    wake_list_begin(&wl);
    wake_list_add(&wl, &sync->waiter, STATUS_OK);
    wake_list_flush(&wl);
}

static void marker_passed(struct epoch_item* item) {
    marker_done(container_of(item, struct marker, item)->sync);
}

// Runs on the CPU whose list it goes into: hard interrupt context.
static void queue_marker(void* arg) {
    struct marker* markers = arg;
    epoch_defer(&markers[arch_cpu_index()].item, marker_passed);
}

// The markers of all CPUs are too big for a kernel stack's frame; one synchronization at a time
// uses these.
static struct {
    struct wait_queue turn; // its lock guards busy
    bool busy;
    bool ready;
    struct marker markers[CPU_MAX];
} sync_state = {.turn = {.lock = SPINLOCK_INIT(LOCK_CLASS_WAIT_QUEUE)}};

static void sync_enter(void) {
    irq_state_t state = spin_acquire_irq(&sync_state.turn.lock);
    if (!sync_state.ready) {
        list_init(&sync_state.turn.waiters);
        sync_state.ready = true;
    }
    if (!sync_state.busy) {
        sync_state.busy = true;
        spin_release_irq(&sync_state.turn.lock, state);
        return;
    }
    // The turn is handed over: busy stays set.
    status_t status = wait_block(&sync_state.turn, state, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
    ASSERT(status == STATUS_OK);
}

static void sync_leave(void) {
    struct wake_list wl;
    wake_list_begin(&wl);
    irq_state_t state = spin_acquire_irq(&sync_state.turn.lock);
    sync_state.busy = wait_queue_wake(&sync_state.turn, &wl, 1, STATUS_OK) != 0;
    spin_release_irq(&sync_state.turn.lock, state);
    wake_list_flush(&wl);
}

MINSIZE void epoch_synchronize(void) {
    cpu_mask_t online = atomic_load_explicit(&sched_global.online, memory_order_relaxed);
    struct synchronize sync = {.left = 1 + bit_count(online)};
    waiter_init(&sync.waiter);
    sync_enter();
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        sync_state.markers[i].sync = &sync;
    }
    arch_call_on(online, queue_marker, sync_state.markers);
    marker_done(&sync);
    status_t status = waiter_block(&sync.waiter, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
    ASSERT(status == STATUS_OK);
    sync_leave();
}
