// Mutexes under contention, and the lock checker caught in the act.
#include <debug/ktest.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <locking/lock_check.h>
#include <locking/mutex.h>
#include <locking/spinlock.h>
#include <sched/thread.h>

constexpr int64_t MS = 1'000'000;

static void pause_ns(int64_t ns) {
    (void)!thread_sleep_until(clock_monotonic_ns() + ns, WAIT_UNINTERRUPTIBLE);
}

struct contended {
    mutex_t lock;
    uint64_t count;  // under lock
    uint32_t inside; // under lock: who is in
    uint32_t wrong;  // under lock
    uint32_t rounds;
};

// Outside the analysis: the test looks at what the lock protects through a plain struct.
static int count_up(void* arg) TA_OFF {
    struct contended* c = arg;
    for (uint32_t i = 0; i < c->rounds; i++) {
        mutex_acquire(&c->lock);
        c->wrong += c->inside != 0;
        c->inside = 1;
        c->count++;
        if (i % 64 == 0) {
            thread_yield(); // while holding it
        }
        if (i % 256 == 0) {
            pause_ns(20'000);
        }
        c->inside = 0;
        mutex_release(&c->lock);
    }
    return 0;
}

static void mutex_excludes(struct ktest* t) {
    static struct contended c;
    c = (struct contended){.rounds = 1500};
    mutex_init(&c.lock, LOCK_CLASS_PROCESS);
    struct thread* threads[6];
    for (int i = 0; i < 6; i++) {
        threads[i] = kthread_create("mutex", count_up, &c, 12 + i);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (int i = 0; i < 6; i++) {
        kthread_join(threads[i]);
    }
    KEXPECT_EQ(t, c.count, 6ul * 1500);
    KEXPECT_EQ(t, c.wrong, 0u);
    KEXPECT_EQ(t, atomic_load(&c.lock.word), 0ul);
}
KTEST_WITH(locking, mutex_excludes, 0, 60'000);

static mutex_t static_mutex = MUTEX_INIT(LOCK_CLASS_PROCESS);

// Outside the analysis: acquired here, released by the test.
static int hold_briefly(void* arg) TA_OFF {
    _Atomic(uint32_t)* step = arg;
    mutex_acquire(&static_mutex);
    atomic_store(step, 1);
    while (atomic_load(step) != 2) {
        pause_ns(MS / 2);
    }
    mutex_release(&static_mutex);
    return 0;
}

// Outside the analysis: conditional acquisition.
static int want_it(void* arg) TA_OFF {
    (void)arg;
    mutex_acquire(&static_mutex);
    mutex_release(&static_mutex);
    return 0;
}

// Outside the analysis: conditional acquisition.
static void mutex_lends_priority(struct ktest* t) TA_OFF {
    _Atomic(uint32_t) step = 0;
    struct thread* holder = kthread_create("holder", hold_briefly, &step, 8);
    KASSERT(t, holder != nullptr);
    thread_start(holder);
    while (atomic_load(&step) != 1) {
        pause_ns(MS / 2);
    }
    KEXPECT(t, !mutex_try_acquire(&static_mutex));
    struct thread* waiter = kthread_create("waiter", want_it, nullptr, 25);
    KASSERT(t, waiter != nullptr);
    thread_start(waiter);
    int64_t limit = clock_monotonic_ns() + 3000 * MS;
    while (atomic_load(&holder->sched.priority) != 25 && clock_monotonic_ns() < limit) {
        pause_ns(MS / 2);
    }
    KEXPECT_EQ(t, atomic_load(&holder->sched.priority), 25);
    atomic_store(&step, 2);
    kthread_join(waiter);
    KEXPECT_EQ(t, atomic_load(&holder->sched.priority), 8);
    kthread_join(holder);
    KASSERT(t, mutex_try_acquire(&static_mutex));
    KEXPECT(t, mutex_held(&static_mutex));
    mutex_release(&static_mutex);
}
KTEST(locking, mutex_lends_priority);

// ---- the checker ----

// Outside the analysis: it does on purpose what the analysis is there to prevent.
static void checker_catches_inversions(struct ktest* t) TA_OFF {
    if (!kernel_debug) {
        ktest_skip(t, "the checker is on in debug builds only");
        return;
    }
    static spinlock_t object = SPINLOCK_INIT(LOCK_CLASS_OBJECT);
    static spinlock_t pair[2] = {SPINLOCK_INIT(LOCK_CLASS_OBJECT),
                                 SPINLOCK_INIT(LOCK_CLASS_OBJECT)};
    static spinlock_t table = SPINLOCK_INIT(LOCK_CLASS_HANDLE_TABLE);
    static spinlock_t queue = SPINLOCK_INIT(LOCK_CLASS_WAIT_QUEUE);
    static mutex_t outer = MUTEX_INIT(LOCK_CLASS_JOB_TREE), inner = MUTEX_INIT(LOCK_CLASS_ASPACE);

    // In order: nothing to say.
    (void)lock_check_record(true);
    mutex_acquire(&outer);
    mutex_acquire(&inner);
    spin_acquire(&object);
    spin_acquire(&table);
    spin_release(&table);
    spin_release(&object);
    mutex_release(&inner);
    mutex_release(&outer);
    spin_acquire(&pair[0]);
    spin_acquire(&pair[1]);
    spin_release(&pair[1]);
    spin_release(&pair[0]);
    KEXPECT_EQ(t, lock_check_record(true), LOCK_VIOLATION_NONE);

    spin_acquire(&table);
    spin_acquire(&object);
    spin_release(&object);
    spin_release(&table);
    KEXPECT_EQ(t, lock_check_record(true), LOCK_VIOLATION_ORDER);

    spin_acquire(&pair[1]);
    spin_acquire(&pair[0]);
    spin_release(&pair[0]);
    spin_release(&pair[1]);
    KEXPECT_EQ(t, lock_check_record(true), LOCK_VIOLATION_ORDER);

    mutex_acquire(&inner);
    mutex_acquire(&outer);
    mutex_release(&outer);
    mutex_release(&inner);
    KEXPECT_EQ(t, lock_check_record(true), LOCK_VIOLATION_ORDER);

    spin_acquire(&object);
    mutex_acquire(&outer); // uncontended, so it does not sleep; it might have
    mutex_release(&outer);
    spin_release(&object);
    KEXPECT(t, lock_check_record(true) != LOCK_VIOLATION_NONE);

    spin_acquire(&queue); // an irq lock with interrupts on
    spin_release(&queue);
    KEXPECT_EQ(t, lock_check_record(true), LOCK_VIOLATION_CONTEXT);

    irq_state_t state = spin_acquire_irq(&queue);
    spin_acquire(&object); // and the other way round
    spin_release(&object);
    spin_release_irq(&queue, state);
    KEXPECT(t, lock_check_record(true) != LOCK_VIOLATION_NONE);
    KEXPECT_EQ(t, lock_check_record(false), LOCK_VIOLATION_NONE);
}
KTEST(locking, checker_catches_inversions);

static void try_takes_only_what_is_free(struct ktest* t) {
    static spinlock_t l = SPINLOCK_INIT(LOCK_CLASS_OBJECT);
    KEXPECT(t, !spin_held(&l));
    if (spin_try_acquire(&l)) {
        KEXPECT(t, spin_held(&l));
        KEXPECT_EQ(t, atomic_load(&l.word), arch_cpu_index() + 1);
        spin_release(&l);
    } else {
        KEXPECT(t, false);
    }
    KEXPECT(t, !preempt_disabled());
}
KTEST(locking, try_takes_only_what_is_free);
