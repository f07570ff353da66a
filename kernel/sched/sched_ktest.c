// Scheduler tests: creation, sharing, priorities, affinity, stealing, yielding, hand-off.
#include <debug/ktest.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <lib/bits.h>
#include <sched/thread.h>

constexpr int64_t MS = 1'000'000;

static cpu_mask_t last_cpu(void) {
    return (cpu_mask_t)1 << bit_highest(arch_cpus_online());
}

static int return_argument(void* arg) {
    return (int)(intptr_t)arg;
}

static void threads_return_their_code(struct ktest* t) {
    struct thread* threads[8];
    for (int i = 0; i < 8; i++) {
        threads[i] =
            kthread_create("code", return_argument, (void*)(intptr_t)(i * 3), PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (int i = 0; i < 8; i++) {
        KEXPECT_EQ(t, kthread_join(threads[i]), i * 3);
    }
    struct thread* unborn = kthread_create("unborn", return_argument, nullptr, PRIORITY_DEFAULT);
    KASSERT(t, unborn != nullptr);
    KEXPECT_EQ(t, kthread_join(unborn), 0);
}
KTEST(sched, threads_return_their_code);

// ---- sharing ----

struct hog {
    _Atomic(bool)* stop;
    struct thread* thread;
    int64_t ran_ns;
};

static int hog_main(void* arg) {
    struct hog* h = arg;
    while (!atomic_load_explicit(h->stop, memory_order_relaxed)) {
        cpu_relax();
    }
    h->ran_ns = thread_runtime_ns(thread_current());
    return 0;
}

static bool hog_start(struct hog* h, _Atomic(bool)* stop, int priority, cpu_mask_t affinity) {
    h->stop = stop;
    h->thread = kthread_create("hog", hog_main, h, priority);
    if (h->thread == nullptr) {
        return false;
    }
    thread_set_affinity(h->thread, affinity);
    thread_start(h->thread);
    return true;
}

// Three threads on one CPU, for `ms`: whether each got its share within 5 %.
static bool shares_are_fair(struct ktest* t, int64_t ms) {
    _Atomic(bool) stop = false;
    struct hog hogs[3];
    const int priorities[3] = {16, 16, 19};
    const int64_t weights[3] = {1024, 1024, 2000};
    for (int i = 0; i < 3; i++) {
        if (!hog_start(&hogs[i], &stop, priorities[i], last_cpu())) {
            KEXPECT(t, false);
            return true;
        }
    }
    (void)!thread_sleep_until(clock_monotonic_ns() + ms * MS, WAIT_UNINTERRUPTIBLE);
    int64_t total = 0, ran[3];
    for (int i = 0; i < 3; i++) {
        ran[i] = thread_runtime_ns(hogs[i].thread);
        total += ran[i];
    }
    atomic_store(&stop, true);
    bool fair = true;
    for (int i = 0; i < 3; i++) {
        kthread_join(hogs[i].thread);
        int64_t want = total * weights[i] / (1024 + 1024 + 2000);
        fair = fair && ran[i] > want * 95 / 100 && ran[i] < want * 105 / 100;
    }
    return fair;
}

// An emulated CPU that loses its host for 30 ms charges that to whoever ran, and it takes time to
// even out: so the runs get longer.
static void shares_follow_weights(struct ktest* t) {
    bool fair = false;
    for (int64_t ms = 300; !fair && ms <= 2400; ms *= 2) {
        fair = shares_are_fair(t, ms);
    }
    KEXPECT(t, fair);
}
KTEST_WITH(sched, shares_follow_weights, 0, 30'000);

struct order {
    _Atomic(uint32_t) next;
    uint32_t slots[4];
};
struct orderly {
    struct order* order;
    uint32_t id;
};

static int note_order(void* arg) {
    struct orderly* o = arg;
    uint32_t i = atomic_fetch_add(&o->order->next, 1);
    o->order->slots[i] = o->id;
    return 0;
}

// Fixed priorities run in their order, before anything fair, whatever the order of starting.
static void fixed_priorities_come_first(struct ktest* t) {
    struct order order = {};
    struct orderly args[4];
    struct thread* threads[4];
    const int priorities[4] = {20, 25, 31, 24};
    const uint32_t expected[4] = {2, 1, 3, 0};
    struct thread* self = thread_current();
    thread_set_affinity(self, last_cpu());
    thread_set_priority(self, 31);
    for (uint32_t i = 0; i < 4; i++) {
        args[i] = (struct orderly){&order, i};
        threads[i] = kthread_create("fixed", note_order, &args[i], priorities[i]);
        KASSERT(t, threads[i] != nullptr);
        thread_set_affinity(threads[i], last_cpu());
        thread_start(threads[i]);
    }
    thread_set_priority(self, PRIORITY_DEFAULT);
    for (uint32_t i = 0; i < 4; i++) {
        kthread_join(threads[i]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        KEXPECT_EQ(t, order.slots[i], expected[i]);
    }
    thread_set_affinity(self, ~(cpu_mask_t)0);
}
KTEST(sched, fixed_priorities_come_first);

// A sleeper of the same weight gets the CPU from a hog soon after its time, not a slice later.
static void sleepers_preempt_hogs(struct ktest* t) {
    _Atomic(bool) stop = false;
    struct hog hog;
    KASSERT(t, hog_start(&hog, &stop, PRIORITY_DEFAULT, last_cpu()));
    struct thread* self = thread_current();
    thread_set_affinity(self, last_cpu());
    int64_t worst = 0;
    for (int i = 0; i < 10; i++) {
        int64_t deadline = clock_monotonic_ns() + 5 * MS;
        (void)!thread_sleep_until(deadline, WAIT_UNINTERRUPTIBLE);
        worst = max(worst, clock_monotonic_ns() - deadline);
    }
    atomic_store(&stop, true);
    kthread_join(hog.thread);
    thread_set_affinity(self, ~(cpu_mask_t)0);
    KEXPECT(t, worst < 50 * MS); // an emulated CPU may lose its host for that long
}
KTEST(sched, sleepers_preempt_hogs);

// ---- yielding ----

struct pair {
    _Atomic(int) turn;
    int rounds;
};

static int yielder(void* arg) {
    struct pair* p = arg;
    for (int i = 0; i < p->rounds; i++) {
        while (atomic_load(&p->turn) != 1) {
            thread_yield();
        }
        atomic_store(&p->turn, 0);
    }
    return 0;
}

static void yield_lets_the_other_run(struct ktest* t) {
    struct pair p = {.rounds = 1000};
    struct thread* self = thread_current();
    thread_set_affinity(self, last_cpu());
    struct thread* other = kthread_create("yielder", yielder, &p, PRIORITY_DEFAULT);
    KASSERT(t, other != nullptr);
    thread_set_affinity(other, last_cpu());
    thread_start(other);
    uint64_t before = sched_context_switches();
    for (int i = 0; i < p.rounds; i++) {
        atomic_store(&p.turn, 1);
        while (atomic_load(&p.turn) != 0) {
            thread_yield();
        }
    }
    kthread_join(other);
    // One switch there and one back, give or take preemption and what else runs.
    KEXPECT(t, sched_context_switches() - before < 2 * 1000 + 2000);
    thread_set_affinity(self, ~(cpu_mask_t)0);
}
KTEST(sched, yield_lets_the_other_run);

// ---- affinity and stealing ----

static uint32_t cpu_now(void) {
    preempt_disable();
    uint32_t cpu = arch_cpu_index();
    preempt_enable();
    return cpu;
}

static void affinity_moves_the_running_thread(struct ktest* t) {
    struct thread* self = thread_current();
    for (int round = 0; round < 20; round++) {
        for (cpu_mask_t left = arch_cpus_online(); left != 0; left &= left - 1) {
            uint32_t cpu = bit_lowest(left);
            thread_set_affinity(self, (cpu_mask_t)1 << cpu);
            KEXPECT_EQ(t, cpu_now(), cpu);
        }
    }
    thread_set_affinity(self, ~(cpu_mask_t)0);
}
KTEST(sched, affinity_moves_the_running_thread);

struct where {
    _Atomic(bool) stop;
    _Atomic(cpu_mask_t) seen;
};

static int report_cpu(void* arg) {
    struct where* w = arg;
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        atomic_fetch_or(&w->seen, (cpu_mask_t)1 << cpu_now());
    }
    return 0;
}

// A thread that only computes is moved from outside, by changes of its affinity.
static void affinity_moves_others(struct ktest* t) {
    if (bit_count(arch_cpus_online()) < 2) {
        ktest_skip(t, "one CPU");
        return;
    }
    struct where w = {};
    struct thread* other = kthread_create("moved", report_cpu, &w, PRIORITY_DEFAULT);
    KASSERT(t, other != nullptr);
    thread_start(other);
    for (cpu_mask_t left = arch_cpus_online(); left != 0; left &= left - 1) {
        cpu_mask_t bit = left & -left;
        thread_set_affinity(other, bit);
        int64_t limit = clock_monotonic_ns() + 3000 * MS;
        atomic_store(&w.seen, 0);
        while ((atomic_load(&w.seen) & bit) == 0 && clock_monotonic_ns() < limit) {
            (void)!thread_sleep_until(clock_monotonic_ns() + MS, WAIT_UNINTERRUPTIBLE);
        }
        atomic_store(&w.seen, 0);
        (void)!thread_sleep_until(clock_monotonic_ns() + 2 * MS, WAIT_UNINTERRUPTIBLE);
        KEXPECT_EQ(t, atomic_load(&w.seen) & ~bit, 0ul);
    }
    atomic_store(&w.stop, true);
    kthread_join(other);
}
KTEST(sched, affinity_moves_others);

// Threads that were all queued on one CPU spread over the others once they may.
static void idle_cpus_steal(struct ktest* t) {
    uint32_t cpus = bit_count(arch_cpus_online());
    if (cpus < 2) {
        ktest_skip(t, "one CPU");
        return;
    }
    struct where w = {};
    struct thread* threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = kthread_create("stolen", report_cpu, &w, PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_set_affinity(threads[i], last_cpu());
        thread_start(threads[i]);
    }
    (void)!thread_sleep_until(clock_monotonic_ns() + 5 * MS, WAIT_UNINTERRUPTIBLE);
    KEXPECT_EQ(t, atomic_load(&w.seen), last_cpu());
    for (int i = 0; i < 4; i++) {
        thread_set_affinity(threads[i], ~(cpu_mask_t)0); // allows, does not move
    }
    int64_t limit = clock_monotonic_ns() + 3000 * MS;
    uint32_t want = min(cpus, 3u);
    while (bit_count(atomic_load(&w.seen)) < want && clock_monotonic_ns() < limit) {
        (void)!thread_sleep_until(clock_monotonic_ns() + 5 * MS, WAIT_UNINTERRUPTIBLE);
    }
    KEXPECT(t, bit_count(atomic_load(&w.seen)) >= want);
    atomic_store(&w.stop, true);
    for (int i = 0; i < 4; i++) {
        kthread_join(threads[i]);
    }
}
KTEST(sched, idle_cpus_steal);

// Threads are made and end on all CPUs at once; the leak check counts stacks and structs.
static int spawn_some(void* arg) {
    int failures = 0;
    for (int i = 0; i < 50; i++) {
        struct thread* child = kthread_create("child", return_argument, (void*)7, PRIORITY_DEFAULT);
        if (child == nullptr) {
            return 1000;
        }
        thread_start(child);
        if (i % 3 == 0) {
            kthread_detach(child);
        } else {
            failures += kthread_join(child) != 7;
        }
    }
    (void)arg;
    return failures;
}

static void threads_come_and_go_everywhere(struct ktest* t) {
    struct thread* threads[6];
    for (int i = 0; i < 6; i++) {
        threads[i] = kthread_create("spawner", spawn_some, nullptr, 14 + i);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (int i = 0; i < 6; i++) {
        KEXPECT_EQ(t, kthread_join(threads[i]), 0);
    }
}
KTEST(sched, threads_come_and_go_everywhere);
