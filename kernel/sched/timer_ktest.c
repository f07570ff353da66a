// Timers, deferred work, the worker, epochs.
#include <debug/ktest.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <lib/bits.h>
#include <sched/deferred.h>
#include <sched/thread.h>
#include <sched/timer.h>

constexpr int64_t MS = 1'000'000;
constexpr int64_t US = 1'000;

static void pause_ns(int64_t ns) {
    (void)!thread_sleep_until(clock_monotonic_ns() + ns, WAIT_UNINTERRUPTIBLE);
}

struct shot {
    struct timer timer;
    _Atomic(uint32_t) fired;
    _Atomic(int64_t) at_ns;
    _Atomic(uint32_t)* counter;
    uint32_t order;
    bool in_irq;
};

static void fire(struct timer* timer, int64_t now_ns) {
    struct shot* s = container_of(timer, struct shot, timer);
    s->in_irq = arch_irq_depth() != 0;
    s->order = s->counter != nullptr ? atomic_fetch_add(s->counter, 1) : 0;
    atomic_store(&s->at_ns, now_ns);
    atomic_fetch_add(&s->fired, 1);
}

static bool wait_until(_Atomic(uint32_t)* value, uint32_t want) {
    int64_t limit = clock_monotonic_ns() + 5000 * MS;
    while (atomic_load(value) < want) {
        if (clock_monotonic_ns() > limit) {
            return false;
        }
        pause_ns(MS / 2);
    }
    return true;
}

static void timers_fire_in_order(struct ktest* t) {
    static struct shot shots[16];
    _Atomic(uint32_t) counter = 0;
    preempt_disable(); // one CPU's queue
    int64_t base = clock_monotonic_ns() + 5 * MS;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t place = i * 7 % 16;
        timer_init(&shots[i].timer, fire, i % 2 != 0);
        atomic_store(&shots[i].fired, 0);
        shots[i].counter = &counter;
        timer_set(&shots[i].timer, base + (int64_t)place * MS, 0, TIMER_SLACK_LATE);
    }
    preempt_enable();
    KEXPECT(t, wait_until(&counter, 16));
    for (uint32_t i = 0; i < 16; i++) {
        timer_cancel(&shots[i].timer);
        KEXPECT_EQ(t, atomic_load(&shots[i].fired), 1u);
        KEXPECT(t, atomic_load(&shots[i].at_ns) >= base + (int64_t)(i * 7 % 16) * MS);
        KEXPECT_EQ(t, shots[i].in_irq, i % 2 == 0);
        for (uint32_t j = 0; j < 16; j++) { // two of one kind fire in the order of their deadlines
            if (i % 2 == j % 2 && i * 7 % 16 < j * 7 % 16) {
                KEXPECT(t, shots[i].order < shots[j].order);
            }
        }
    }
}
KTEST(timer, timers_fire_in_order);

static void cancelled_timers_stay_quiet(struct ktest* t) {
    struct shot s = {};
    timer_init(&s.timer, fire, false);
    KEXPECT(t, !timer_cancel(&s.timer)); // never set
    timer_set(&s.timer, clock_monotonic_ns() + 3 * MS, 0, TIMER_SLACK_LATE);
    KEXPECT(t, timer_cancel(&s.timer));
    KEXPECT(t, !timer_cancel(&s.timer));
    pause_ns(5 * MS);
    KEXPECT_EQ(t, atomic_load(&s.fired), 0u);
    // Set twice is one shot, at the later deadline.
    int64_t late = clock_monotonic_ns() + 4 * MS;
    timer_set(&s.timer, clock_monotonic_ns() + MS, 0, TIMER_SLACK_LATE);
    timer_set(&s.timer, late, 0, TIMER_SLACK_LATE);
    KEXPECT(t, wait_until(&s.fired, 1));
    KEXPECT(t, atomic_load(&s.at_ns) >= late);
    timer_set(&s.timer, TIME_INFINITE, 0, TIMER_SLACK_LATE);
    KEXPECT(t, !timer_cancel(&s.timer));
}
KTEST(timer, cancelled_timers_stay_quiet);

static void slack_keeps_its_promise(struct ktest* t) {
    static const enum timer_slack modes[] = {TIMER_SLACK_EARLY, TIMER_SLACK_LATE,
                                             TIMER_SLACK_CENTER};
    for (uint32_t i = 0; i < 3; i++) {
        struct shot s = {};
        timer_init(&s.timer, fire, false);
        int64_t deadline = clock_monotonic_ns() + 6 * MS;
        timer_set(&s.timer, deadline, 3 * MS, modes[i]);
        int64_t effective = s.timer.deadline_ns;
        KEXPECT(t, effective >= deadline - (modes[i] == TIMER_SLACK_LATE ? 0 : 3 * MS));
        KEXPECT(t, effective <= deadline + (modes[i] == TIMER_SLACK_EARLY ? 0 : 3 * MS));
        timer_cancel(&s.timer);
    }
}
KTEST(timer, slack_keeps_its_promise);

// Timers on the stack, set on one CPU and cancelled, often from another, around the moment they
// fire: after cancel nothing touches them.
struct cancel_case {
    _Atomic(uint32_t) wrong;
};

static void spin_ns(int64_t ns) {
    int64_t until = clock_monotonic_ns() + ns;
    while (clock_monotonic_ns() < until) {
        cpu_relax();
    }
}

// Marks the shot after a while, so that there is time to be cancelled in the middle.
static void fire_slowly(struct timer* timer, int64_t now_ns) {
    spin_ns(60 * US);
    fire(timer, now_ns);
}

static void move_on(int i) {
    cpu_mask_t online = arch_cpus_online();
    uint32_t skip = (uint32_t)i % bit_count(online);
    for (; skip > 0; skip--) {
        online &= online - 1;
    }
    thread_set_affinity(thread_current(), online & -online);
}

static int cancel_at_random(void* arg) {
    struct cancel_case* c = arg;
    for (int i = 0; i < 300; i++) {
        struct shot s = {};
        timer_init(&s.timer, fire_slowly, i % 2 != 0);
        move_on(i);
        timer_set(&s.timer, clock_monotonic_ns() + (10 + i % 9 * 5) * US, 0, TIMER_SLACK_LATE);
        move_on(i + 1);
        spin_ns(i % 7 * 10 * US);
        bool was_set = timer_cancel(&s.timer);
        uint32_t fired = atomic_load(&s.fired);
        if (was_set == (fired != 0)) {
            atomic_fetch_add(&c->wrong, 1);
        }
        s.timer.callback = nullptr; // a call through it now would be seen
    }
    return 0;
}

static void cancel_races_fire(struct ktest* t) {
    struct cancel_case c = {};
    struct thread* threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = kthread_create("cancel", cancel_at_random, &c, PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (int i = 0; i < 4; i++) {
        kthread_join(threads[i]);
    }
    KEXPECT_EQ(t, atomic_load(&c.wrong), 0u);
}
KTEST_WITH(timer, cancel_races_fire, 0, 30'000);

// ---- deferred work ----

struct job {
    struct deferred d;
    _Atomic(uint32_t) runs;
    uint32_t cpu;
    bool clean;
};

static void deferred_fn(struct deferred* d) {
    struct job* j = container_of(d, struct job, d);
    j->cpu = arch_cpu_index();
    j->clean = irq_enabled() && preempt_disabled() && arch_irq_depth() == 0;
    atomic_fetch_add(&j->runs, 1);
}

static void deferred_runs_once_here_and_soon(struct ktest* t) {
    struct job j = {.d = DEFERRED_INIT(deferred_fn)};
    preempt_disable();
    uint32_t cpu = arch_cpu_index();
    deferred_queue(&j.d);
    deferred_queue(&j.d);
    KEXPECT_EQ(t, atomic_load(&j.runs), 0u);
    preempt_enable(); // here
    KEXPECT_EQ(t, atomic_load(&j.runs), 1u);
    KEXPECT_EQ(t, j.cpu, cpu);
    KEXPECT(t, j.clean);
    deferred_queue(&j.d);
    KEXPECT_EQ(t, atomic_load(&j.runs), 2u);
}
KTEST(deferred, deferred_runs_once_here_and_soon);

struct chore {
    struct work w;
    _Atomic(uint32_t)* counter;
    uint32_t order;
};

static void do_chore(struct work* w) {
    struct chore* c = container_of(w, struct chore, w);
    pause_ns(100 * US); // it may sleep
    c->order = atomic_fetch_add(c->counter, 1);
}

static void worker_keeps_the_order(struct ktest* t) {
    struct chore chores[10];
    _Atomic(uint32_t) counter = 0;
    for (uint32_t i = 0; i < 10; i++) {
        chores[i] = (struct chore){.w = WORK_INIT(do_chore), .counter = &counter};
        worker_queue(&chores[i].w);
    }
    worker_drain();
    for (uint32_t i = 0; i < 10; i++) {
        KEXPECT_EQ(t, chores[i].order, i);
    }
}
KTEST(deferred, worker_keeps_the_order);

// ---- epochs ----

struct freed {
    struct epoch_item item;
    _Atomic(uint32_t) done;
};

static void note_freed(struct epoch_item* item) {
    atomic_fetch_add(&container_of(item, struct freed, item)->done, 1);
}

struct reader {
    _Atomic(uint32_t) step; // 1: inside, 2: may leave, 3: has left
};

static int read_for_long(void* arg) {
    struct reader* r = arg;
    preempt_disable();
    atomic_store(&r->step, 1);
    while (atomic_load(&r->step) != 2) {
        cpu_relax();
    }
    atomic_store(&r->step, 3);
    preempt_enable();
    return 0;
}

// A reader on another CPU holds up what is freed here for as long as it reads.
static void epochs_wait_for_readers(struct ktest* t) {
    cpu_mask_t online = arch_cpus_online();
    if (bit_count(online) < 2) {
        ktest_skip(t, "one CPU");
        return;
    }
    struct thread* self = thread_current();
    thread_set_affinity(self, online & -online);
    struct reader r = {};
    struct thread* other = kthread_create("reader", read_for_long, &r, PRIORITY_DEFAULT);
    KASSERT(t, other != nullptr);
    thread_set_affinity(other, online & (online - 1));
    thread_start(other);
    KEXPECT(t, wait_until(&r.step, 1));
    struct freed f = {};
    epoch_defer(&f.item, note_freed);
    pause_ns(10 * MS);
    KEXPECT_EQ(t, atomic_load(&f.done), 0u);
    atomic_store(&r.step, 2);
    epoch_synchronize();
    KEXPECT_EQ(t, atomic_load(&f.done), 1u);
    kthread_join(other);
    thread_set_affinity(self, ~(cpu_mask_t)0);
}
KTEST(epoch, epochs_wait_for_readers);

static int spin_until(void* arg) {
    _Atomic(bool)* stop = arg;
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
    }
    return 0;
}

// CPUs that only compute are kicked.
static void epochs_end_under_load(struct ktest* t) {
    _Atomic(bool) stop = false;
    struct thread* threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = kthread_create("spin", spin_until, &stop, PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    struct freed f[20] = {};
    for (int i = 0; i < 20; i++) {
        epoch_defer(&f[i].item, note_freed);
        if (i % 5 == 4) {
            epoch_synchronize();
            KEXPECT_EQ(t, atomic_load(&f[i].done), 1u);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) {
        kthread_join(threads[i]);
    }
    for (int i = 0; i < 20; i++) {
        KEXPECT_EQ(t, atomic_load(&f[i].done), 1u);
    }
}
KTEST_WITH(epoch, epochs_end_under_load, 0, 30'000);

// Readers on every CPU follow a pointer that a writer replaces; what they reach is never given back
// under them.
struct published {
    struct epoch_item item;
    _Atomic(uint32_t) magic;
    _Atomic(bool) free;
};
struct shared {
    struct published slots[64];
    _Atomic(struct published*) current;
    _Atomic(bool) stop;
    _Atomic(uint32_t) wrong;
};
static struct shared shared;

static void unpublish(struct epoch_item* item) {
    struct published* p = container_of(item, struct published, item);
    atomic_store(&p->magic, 0xdead);
    atomic_store(&p->free, true);
}

static int read_shared(void*) {
    for (uint32_t round = 0; !atomic_load_explicit(&shared.stop, memory_order_relaxed); round++) {
        preempt_disable();
        const struct published* p = atomic_load_explicit(&shared.current, memory_order_acquire);
        // Now and then for longer than a grace period would take without us.
        for (int i = 0; i < (round % 16 == 0 ? 20'000 : 20); i++) {
            if (atomic_load_explicit(&p->magic, memory_order_relaxed) != 0x600d) {
                atomic_fetch_add(&shared.wrong, 1);
            }
        }
        preempt_enable();
    }
    return 0;
}

static void readers_never_see_freed_memory(struct ktest* t) {
    shared = (struct shared){};
    for (int i = 0; i < 64; i++) {
        atomic_store(&shared.slots[i].free, true);
    }
    struct published* first = &shared.slots[0];
    atomic_store(&first->free, false);
    atomic_store(&first->magic, 0x600d);
    atomic_store(&shared.current, first);
    struct thread* threads[3];
    for (int i = 0; i < 3; i++) {
        threads[i] = kthread_create("reader", read_shared, nullptr, PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    int64_t end = clock_monotonic_ns() + 150 * MS;
    for (uint32_t i = 1; clock_monotonic_ns() < end; i++) {
        struct published* p = &shared.slots[i % 64];
        if (!atomic_load(&p->free)) {
            thread_yield();
            continue;
        }
        atomic_store(&p->free, false);
        atomic_store(&p->magic, 0x600d);
        struct published* old = atomic_exchange(&shared.current, p);
        epoch_defer(&old->item, unpublish);
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 3; i++) {
        kthread_join(threads[i]);
    }
    epoch_synchronize();
    KEXPECT_EQ(t, atomic_load(&shared.wrong), 0u);
}
KTEST_WITH(epoch, readers_never_see_freed_memory, 0, 30'000);
