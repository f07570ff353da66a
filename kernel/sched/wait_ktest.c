// Blocking and waking: races of wake, deadline, kill and suspend; hand-off; wait queues and
// inheritance.
#include <debug/ktest.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <lib/bits.h>
#include <lib/random.h>
#include <sched/thread.h>
#include <sched/wait_queue.h>

constexpr int64_t MS = 1'000'000;
constexpr int64_t US = 1'000;

static cpu_mask_t last_cpu(void) {
    return (cpu_mask_t)1 << bit_highest(arch_cpus_online());
}

static void pause_ns(int64_t ns) {
    (void)!thread_sleep_until(clock_monotonic_ns() + ns, WAIT_UNINTERRUPTIBLE);
}

static void sleep_lasts_long_enough(struct ktest* t) {
    for (int i = 1; i <= 5; i++) {
        int64_t deadline = clock_monotonic_ns() + i * MS;
        KEXPECT_EQ(t, thread_sleep_until(deadline, WAIT_UNINTERRUPTIBLE), STATUS_OK);
        KEXPECT(t, clock_monotonic_ns() >= deadline);
    }
    // A deadline in the past ends at once, and says so.
    struct waiter w;
    waiter_init(&w);
    KEXPECT_EQ(t, waiter_block(&w, 0, WAIT_INTERRUPTIBLE, 0), STATUS_TIMED_OUT);
}
KTEST(wait, sleep_lasts_long_enough);

// ---- a small event: what object types do with waiters ----

struct bell {
    spinlock_t lock;
    struct list waiters;
    uint32_t rings; // not yet taken
};

static void bell_init(struct bell* b) {
    spinlock_init(&b->lock, LOCK_CLASS_OBJECT);
    list_init(&b->waiters);
    b->rings = 0;
}

static void bell_ring(struct bell* b) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&b->lock);
    bool taken = false;
    struct list_node* n;
    while (!taken && (n = list_pop_front(&b->waiters)) != nullptr) {
        taken = wake_list_add(&wl, container_of(n, struct waiter, node), STATUS_OK);
    }
    if (!taken) {
        b->rings++;
    }
    spin_release(&b->lock);
    wake_list_flush(&wl);
}

static status_t bell_wait(struct bell* b, int64_t deadline_ns, enum wait_mode mode) {
    struct waiter w;
    waiter_init(&w);
    spin_acquire(&b->lock);
    if (b->rings != 0) {
        b->rings--;
        spin_release(&b->lock);
        return STATUS_OK;
    }
    list_push_back(&b->waiters, &w.node);
    spin_release(&b->lock);
    status_t status = waiter_block(&w, deadline_ns, mode, 0);
    if (status != STATUS_OK) {
        spin_acquire(&b->lock);
        if (list_linked(&w.node)) {
            list_remove(&w.node);
        }
        spin_release(&b->lock);
    }
    return status;
}

struct table {
    struct bell ping, pong;
    uint32_t rounds;
};

static int answer(void* arg) {
    struct table* p = arg;
    for (uint32_t i = 0; i < p->rounds; i++) {
        if (bell_wait(&p->ping, TIME_INFINITE, WAIT_KILLABLE) != STATUS_OK) {
            return 1;
        }
        bell_ring(&p->pong);
    }
    return 0;
}

static int ask(void* arg) {
    struct table* p = arg;
    for (uint32_t i = 0; i < p->rounds; i++) {
        bell_ring(&p->ping);
        if (bell_wait(&p->pong, TIME_INFINITE, WAIT_KILLABLE) != STATUS_OK) {
            return 1;
        }
    }
    return 0;
}

// Pairs of threads wake each other on all CPUs: a lost wake-up hangs and is named by the time
// limit.
static void ping_pong_loses_nothing(struct ktest* t) {
    struct table tables[4];
    struct thread* threads[8];
    for (int i = 0; i < 4; i++) {
        bell_init(&tables[i].ping);
        bell_init(&tables[i].pong);
        tables[i].rounds = 2000;
        threads[2 * i] = kthread_create("ask", ask, &tables[i], PRIORITY_DEFAULT);
        threads[2 * i + 1] = kthread_create("answer", answer, &tables[i], PRIORITY_DEFAULT);
        KASSERT(t, threads[2 * i] != nullptr && threads[2 * i + 1] != nullptr);
        thread_start(threads[2 * i]);
        thread_start(threads[2 * i + 1]);
    }
    for (int i = 0; i < 8; i++) {
        KEXPECT_EQ(t, kthread_join(threads[i]), 0);
    }
}
KTEST_WITH(wait, ping_pong_loses_nothing, 0, 30'000);

// ---- deadlines against wake-ups ----

struct duel {
    struct bell bell;
    _Atomic(bool) stop;
    uint32_t woken, timed_out;
};

static int impatient(void* arg) {
    struct duel* d = arg;
    while (!atomic_load(&d->stop)) {
        switch (bell_wait(&d->bell, clock_monotonic_ns() + 30 * US, WAIT_UNINTERRUPTIBLE)) {
        case STATUS_OK:
            d->woken++;
            break;
        case STATUS_TIMED_OUT:
            d->timed_out++;
            break;
        default:
            return 1;
        }
    }
    return 0;
}

static void deadlines_race_wakes(struct ktest* t) {
    struct duel d = {};
    bell_init(&d.bell);
    struct thread* other = kthread_create("impatient", impatient, &d, PRIORITY_DEFAULT);
    KASSERT(t, other != nullptr);
    thread_start(other);
    uint32_t rung = 0;
    for (int i = 0; i < 1500; i++) {
        bell_ring(&d.bell);
        rung++;
        pause_ns(25 * US + i % 13 * US);
    }
    atomic_store(&d.stop, true);
    KEXPECT_EQ(t, kthread_join(other), 0);
    // Every ring was taken exactly once, or is still there.
    KEXPECT_EQ(t, d.woken + d.bell.rings, rung);
    KEXPECT(t, d.woken > 0);
    KEXPECT(t, list_empty(&d.bell.waiters));
}
KTEST_WITH(wait, deadlines_race_wakes, 0, 30'000);

// ---- kill and suspend ----

struct victim {
    struct bell bell;
    enum wait_mode mode;
    _Atomic(int32_t) result;
};

static int block_once(void* arg) {
    struct victim* v = arg;
    atomic_store(&v->result, bell_wait(&v->bell, TIME_INFINITE, v->mode));
    return 0;
}

static int32_t end_wait(struct ktest* t, enum wait_mode mode, uint32_t bits, int64_t delay_ns) {
    struct victim v = {.mode = mode, .result = WAITER_PENDING};
    bell_init(&v.bell);
    struct thread* other = kthread_create("victim", block_once, &v, PRIORITY_DEFAULT);
    if (other == nullptr) {
        KEXPECT(t, other != nullptr);
        return 0;
    }
    thread_start(other);
    if (delay_ns != 0) {
        pause_ns(delay_ns);
    }
    thread_set_pending(other, bits);
    if (mode == WAIT_UNINTERRUPTIBLE ||
        (mode == WAIT_KILLABLE && (bits & THREAD_PENDING_KILL) == 0)) {
        pause_ns(2 * MS);
        KEXPECT_EQ(t, atomic_load(&v.result), WAITER_PENDING); // not ended by that
        bell_ring(&v.bell);
    }
    kthread_join(other);
    return atomic_load(&v.result);
}

static void pending_bits_end_the_right_waits(struct ktest* t) {
    for (int64_t delay = 0; delay <= 2 * MS; delay += 2 * MS) { // before it blocks, and after
        KEXPECT_EQ(t, end_wait(t, WAIT_KILLABLE, THREAD_PENDING_KILL, delay), STATUS_INTR_KILLED);
        KEXPECT_EQ(t, end_wait(t, WAIT_INTERRUPTIBLE, THREAD_PENDING_KILL, delay),
                   STATUS_INTR_KILLED);
        KEXPECT_EQ(t, end_wait(t, WAIT_INTERRUPTIBLE, THREAD_PENDING_SUSPEND, delay),
                   STATUS_INTR_RETRY);
        KEXPECT_EQ(t, end_wait(t, WAIT_KILLABLE, THREAD_PENDING_SUSPEND, delay), STATUS_OK);
        KEXPECT_EQ(t, end_wait(t, WAIT_UNINTERRUPTIBLE, THREAD_PENDING_KILL, delay), STATUS_OK);
    }
}
KTEST(wait, pending_bits_end_the_right_waits);

// A kill at every moment around the block.
static void kill_races_block(struct ktest* t) {
    for (int i = 0; i < 200; i++) {
        KEXPECT_EQ(t, end_wait(t, WAIT_KILLABLE, THREAD_PENDING_KILL, i % 20 * 5 * US),
                   STATUS_INTR_KILLED);
    }
}
KTEST_WITH(wait, kill_races_block, 0, 30'000);

// ---- hand-off ----

struct relay {
    struct bell bell; // only for its list
    _Atomic(uint32_t) order;
    uint32_t target_at, bystander_at;
    int64_t woken_ns;
};

static int relay_target(void* arg) {
    struct relay* r = arg;
    status_t status = bell_wait(&r->bell, TIME_INFINITE, WAIT_UNINTERRUPTIBLE);
    r->target_at = atomic_fetch_add(&r->order, 1);
    return status;
}

static int relay_bystander(void* arg) {
    struct relay* r = arg;
    r->bystander_at = atomic_fetch_add(&r->order, 1);
    return 0;
}

static struct list_node* first_waiter(struct relay* r) {
    struct list_node* n = nullptr;
    for (int i = 0; n == nullptr && i < 1000; i++) {
        pause_ns(MS / 2);
        spin_acquire(&r->bell.lock);
        n = list_first(&r->bell.waiters);
        spin_release(&r->bell.lock);
    }
    return n;
}

// One attempt; false: the slice was used up on the way, which on a slow host is nobody's fault.
static bool handoff_once(struct ktest* t) {
    struct relay r = {};
    bell_init(&r.bell);
    struct thread* target = kthread_create("target", relay_target, &r, PRIORITY_DEFAULT);
    struct thread* bystander = kthread_create("bystander", relay_bystander, &r, PRIORITY_DEFAULT);
    if (target == nullptr || bystander == nullptr) {
        KEXPECT(t, false);
        return true;
    }
    thread_set_affinity(target, last_cpu());
    thread_set_affinity(bystander, last_cpu());
    thread_start(target);
    struct list_node* n = first_waiter(&r);
    pause_ns(MS / 2); // it is BLOCKED now, and we have a fresh slice
    // By virtual time it would come last by far: only the hand-off lets it go first. (Nobody else
    // looks at it now.)
    target->sched.vruntime += 1'000'000'000'000;
    struct waiter w;
    waiter_init(&w);
    struct wake_list wl;
    wake_list_begin(&wl);
    thread_start(bystander);
    spin_acquire(&r.bell.lock);
    list_remove(n);
    bool claimed = wake_list_add(&wl, container_of(n, struct waiter, node), STATUS_OK);
    spin_release(&r.bell.lock);
    status_t status = waiter_block_handoff(&w, clock_monotonic_ns() + 5 * MS, 0, &wl);
    KEXPECT(t, claimed);
    KEXPECT_EQ(t, status, STATUS_TIMED_OUT);
    KEXPECT_EQ(t, kthread_join(target), STATUS_OK);
    kthread_join(bystander);
    return r.target_at == 0 && r.bystander_at == 1;
}

// The woken thread runs before one that has waited in the queue all along.
static void handoff_overtakes_the_queue(struct ktest* t) {
    struct thread* self = thread_current();
    thread_set_affinity(self, last_cpu());
    int good = 0;
    for (int i = 0; i < 10; i++) {
        good += handoff_once(t);
    }
    KEXPECT(t, good >= 5);
    thread_set_affinity(self, ~(cpu_mask_t)0);
}
KTEST(wait, handoff_overtakes_the_queue);

// A plain reply does not preempt the one who replies; the woken thread runs when it blocks.
static void reply_runs_next(struct ktest* t) {
    struct relay r = {};
    bell_init(&r.bell);
    struct thread* self = thread_current();
    thread_set_affinity(self, last_cpu());
    struct thread* target = kthread_create("target", relay_target, &r, PRIORITY_DEFAULT);
    KASSERT(t, target != nullptr);
    thread_set_affinity(target, last_cpu());
    thread_start(target);
    struct list_node* n = first_waiter(&r);
    KASSERT(t, n != nullptr);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&r.bell.lock);
    list_remove(n);
    bool claimed = wake_list_add(&wl, container_of(n, struct waiter, node), STATUS_OK);
    spin_release(&r.bell.lock);
    wake_list_flush_next(&wl);
    uint32_t mine = atomic_fetch_add(&r.order, 1);
    KEXPECT(t, claimed);
    kthread_join(target);
    KEXPECT_EQ(t, mine, 0u);
    KEXPECT_EQ(t, r.target_at, 1u);
    thread_set_affinity(self, ~(cpu_mask_t)0);
}
KTEST(wait, reply_runs_next);

// ---- wait queues ----

struct queue_case {
    struct wait_queue a, b;
    _Atomic(uint32_t) order;
    _Atomic(bool) stop;
};
struct queuer {
    struct queue_case* c;
    struct wait_queue* q;
    uint32_t position;
    status_t status;
};

static int queue_up(void* arg) {
    struct queuer* me = arg;
    irq_state_t state = spin_acquire_irq(&me->q->lock);
    me->status = wait_block(me->q, state, TIME_INFINITE, WAIT_KILLABLE, 0);
    me->position = atomic_fetch_add(&me->c->order, 1);
    return 0;
}

static uint32_t wake(struct wait_queue* q, uint32_t count) {
    struct wake_list wl;
    wake_list_begin(&wl);
    irq_state_t state = spin_acquire_irq(&q->lock);
    uint32_t woken = wait_queue_wake(q, &wl, count, STATUS_OK);
    spin_release_irq(&q->lock, state);
    wake_list_flush(&wl);
    return woken;
}

static bool set_owner(struct wait_queue* q, struct thread* owner) {
    irq_state_t state = spin_acquire_irq(&q->lock);
    bool ok = wait_queue_set_owner(q, owner);
    spin_release_irq(&q->lock, state);
    return ok;
}

static struct thread* start_queuer(struct queuer* me, struct queue_case* c, struct wait_queue* q,
                                   int priority) {
    *me = (struct queuer){.c = c, .q = q};
    struct thread* t = kthread_create("queuer", queue_up, me, priority);
    if (t != nullptr) {
        thread_start(t);
        pause_ns(2 * MS); // it blocks
    }
    return t;
}

static void queues_wake_by_priority(struct ktest* t) {
    struct queue_case c = {};
    wait_queue_init(&c.a);
    struct queuer q[4];
    struct thread* threads[4];
    const int priorities[4] = {10, 20, 10, 16};
    const uint32_t expected[4] = {2, 0, 3, 1};
    for (int i = 0; i < 4; i++) {
        threads[i] = start_queuer(&q[i], &c, &c.a, priorities[i]);
        KASSERT(t, threads[i] != nullptr);
    }
    for (int i = 0; i < 4; i++) {
        KEXPECT_EQ(t, wake(&c.a, 1), 1u);
        pause_ns(2 * MS);
    }
    KEXPECT_EQ(t, wake(&c.a, 1), 0u);
    for (int i = 0; i < 4; i++) {
        kthread_join(threads[i]);
        KEXPECT_EQ(t, q[i].position, expected[i]);
    }
}
KTEST(wait, queues_wake_by_priority);

static int effective(const struct thread* t) {
    return atomic_load(&t->sched.priority);
}

// high -> queue a, owned by middle -> queue b, owned by us: the priority arrives here, and leaves
// again.
static void priority_flows_through_chains(struct ktest* t) {
    struct queue_case c = {};
    wait_queue_init(&c.a);
    wait_queue_init(&c.b);
    struct thread* self = thread_current();
    struct queuer middle, high;
    struct thread* m = start_queuer(&middle, &c, &c.b, 12);
    KASSERT(t, m != nullptr);
    KEXPECT(t, set_owner(&c.b, self));
    KEXPECT(t, set_owner(&c.a, m));
    KEXPECT_EQ(t, effective(self), PRIORITY_DEFAULT); // 12 lends nothing
    struct thread* h = start_queuer(&high, &c, &c.a, 22);
    KASSERT(t, h != nullptr);
    KEXPECT_EQ(t, effective(m), 22);
    KEXPECT_EQ(t, effective(self), 22);
    thread_set_priority(h, 26);
    KEXPECT_EQ(t, effective(self), 26);
    thread_set_priority(h, 18);
    KEXPECT_EQ(t, effective(self), 18);
    // A killed waiter takes its priority away.
    thread_set_pending(h, THREAD_PENDING_KILL);
    kthread_join(h);
    KEXPECT_EQ(t, high.status, STATUS_INTR_KILLED);
    KEXPECT_EQ(t, effective(m), 12);
    KEXPECT_EQ(t, effective(self), PRIORITY_DEFAULT);
    KEXPECT_EQ(t, wake(&c.b, 1), 1u);
    kthread_join(m);
    KEXPECT(t, atomic_load(&c.a.owner) == nullptr); // it ended
    KEXPECT(t, set_owner(&c.b, nullptr));
}
KTEST(wait, priority_flows_through_chains);

// Waits, wakes and owners at random, from several threads: the time limit names a
// lost wake-up, the assertions broken lists.
static int churn_waiter(void* arg) {
    struct queuer* me = arg;
    struct random r = random_init((uint64_t)(uintptr_t)me);
    while (!atomic_load(&me->c->stop)) {
        struct wait_queue* q = random_below(&r, 2) != 0 ? &me->c->a : &me->c->b;
        irq_state_t state = spin_acquire_irq(&q->lock);
        (void)!wait_block(q, state, clock_monotonic_ns() + (int64_t)random_below(&r, 400) * US,
                          WAIT_KILLABLE, 0);
        if (random_below(&r, 8) == 0) {
            thread_set_priority(thread_current(), (int)random_below(&r, 24));
        }
    }
    return 0;
}

static void queues_survive_churn(struct ktest* t) {
    struct queue_case c = {};
    wait_queue_init(&c.a);
    wait_queue_init(&c.b);
    struct queuer q[6];
    struct thread* threads[6];
    for (int i = 0; i < 6; i++) {
        q[i] = (struct queuer){.c = &c};
        threads[i] = kthread_create("churn", churn_waiter, &q[i], PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    struct random r = random_init(42);
    int64_t end = clock_monotonic_ns() + 300 * MS;
    while (clock_monotonic_ns() < end) {
        wake(random_below(&r, 2) != 0 ? &c.a : &c.b, (uint32_t)random_below(&r, 3));
        set_owner(&c.a, random_below(&r, 3) != 0 ? threads[random_below(&r, 6)] : nullptr);
        set_owner(&c.b, random_below(&r, 3) != 0 ? threads[random_below(&r, 6)] : nullptr);
        if (random_below(&r, 4) == 0) {
            pause_ns(50 * US);
        }
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < 6; i++) {
        KEXPECT_EQ(t, kthread_join(threads[i]), 0);
    }
    set_owner(&c.a, nullptr);
    set_owner(&c.b, nullptr);
    KEXPECT(t, list_empty(&c.a.waiters) && list_empty(&c.b.waiters));
}
KTEST_WITH(wait, queues_survive_churn, 0, 30'000);
