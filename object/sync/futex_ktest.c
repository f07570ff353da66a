// Futexes: waking, comparing, requeueing, owners and inheritance, and a stress of all of it.
#include <object/futex.h>

#include <stdatomic.h>

#include <zircon/syscalls/object.h>

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <lib/bits.h>
#include <lib/random.h>
#include <sched/thread.h>

#include "../testing/ktest_user.h"

constexpr int64_t MS = 1'000'000;
constexpr int WAITERS = 12;

typedef const zx_futex_storage_t __user* word_t;

static word_t word_at(const struct user_area* m, size_t offset) {
    return (word_t)user_at(m, offset);
}

struct waiter_args {
    struct user_area* m;
    size_t offset;
    struct thread* owner;
    int64_t deadline_ns;
    _Atomic(int32_t) result; // 1: not back yet
    struct thread* thread;
};

static int wait_thread(void* arg) {
    struct waiter_args* a = arg;
    aspace_activate(a->m->aspace);
    struct futex* spare = futex_spare_new();
    status_t status = STATUS_NO_MEMORY;
    if (spare != nullptr) {
        status = futex_wait(&spare, word_at(a->m, a->offset), 0, a->owner, a->deadline_ns);
        futex_spare_free(spare);
    }
    aspace_activate(nullptr);
    atomic_store(&a->result, (int32_t)status);
    return 0;
}

static void start_waiter(struct ktest* t, struct waiter_args* a, struct user_area* m, size_t offset,
                         struct thread* owner, int64_t deadline_ns, int priority) {
    *a = (struct waiter_args){.m = m, .offset = offset, .owner = owner, .deadline_ns = deadline_ns};
    atomic_store(&a->result, 1);
    a->thread = kthread_create("futex", wait_thread, a, priority);
    KASSERT(t, a->thread != nullptr);
    thread_start(a->thread);
}

// On the futex: before that it may wait for the lock under which another faults the page in.
static bool blocked(const struct waiter_args* a) {
    return atomic_load(&a->thread->state) == THREAD_BLOCKED &&
           a->thread->blocked_reason == ZX_THREAD_STATE_BLOCKED_FUTEX >> 8;
}

static void until_blocked(const struct waiter_args* a, int count) {
    for (int i = 0; i < count; i++) {
        while (!blocked(&a[i]) && atomic_load(&a[i].result) == 1) {
            thread_yield();
        }
    }
}

static int woken(struct waiter_args* a, int count) {
    int n = 0;
    for (int i = 0; i < count; i++) {
        n += atomic_load(&a[i].result) != 1;
    }
    return n;
}

static void until_woken(struct waiter_args* a, int count, int expected) {
    while (woken(a, count) < expected) {
        thread_yield();
    }
}

static void join_all(struct waiter_args* a, int count) {
    for (int i = 0; i < count; i++) {
        kthread_join(a[i].thread);
    }
}

static void compares_and_checks_addresses(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, 2 * PAGE_SIZE));
    struct futex* spare = futex_spare_new();
    KASSERT(t, spare != nullptr);
    // The page is not there yet: the comparison faults it in.
    KEXPECT_EQ(t, futex_wait(&spare, word_at(&m, 0), 5, nullptr, TIME_INFINITE), STATUS_BAD_STATE);
    KEXPECT_EQ(t, futex_wait(&spare, word_at(&m, 0), 0, nullptr, 0), STATUS_TIMED_OUT);
    int64_t deadline = clock_monotonic_ns() + 3 * MS;
    KEXPECT_EQ(t, futex_wait(&spare, word_at(&m, PAGE_SIZE), 0, nullptr, deadline),
               STATUS_TIMED_OUT);
    KEXPECT(t, clock_monotonic_ns() >= deadline);
    word_t bad[] = {nullptr, word_at(&m, 2), word_at(&m, 2 * PAGE_SIZE), (word_t)ASPACE_END,
                    (word_t)0xffff'8000'0000'0000};
    for (size_t i = 0; i < array_size(bad); i++) {
        KEXPECT_EQ(t, futex_wait(&spare, bad[i], 0, nullptr, 0), STATUS_INVALID_ARGS);
    }
    // Waking does not look at the word, so it need not be there.
    KEXPECT_EQ(t, futex_wake(word_at(&m, 2 * PAGE_SIZE), 1, false), STATUS_OK);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 1), 1, false), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, futex_wait(&spare, word_at(&m, 0), 0, thread_current(), TIME_INFINITE),
               STATUS_INVALID_ARGS);
    struct futex_requeue r = {.from = word_at(&m, 0), .to = word_at(&m, 0)};
    KEXPECT_EQ(t, futex_requeue(&spare, &r), STATUS_INVALID_ARGS);
    r = (struct futex_requeue){.from = word_at(&m, 0), .to = word_at(&m, 4), .expected = 1};
    KEXPECT_EQ(t, futex_requeue(&spare, &r), STATUS_BAD_STATE);
    futex_spare_free(spare);
    user_area_close(&m);
}
KTEST(futex, compares_and_checks_addresses);

static void wakes_as_many_as_asked(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, PAGE_SIZE));
    struct waiter_args a[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        start_waiter(t, &a[i], &m, 8, nullptr, TIME_INFINITE, PRIORITY_DEFAULT);
    }
    until_blocked(a, WAITERS);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 4), UINT32_MAX, false), STATUS_OK); // another word
    KEXPECT_EQ(t, futex_wake(word_at(&m, 8), 0, false), STATUS_OK);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 8), 3, false), STATUS_OK);
    until_woken(a, WAITERS, 3);
    (void)!thread_sleep_until(clock_monotonic_ns() + 2 * MS, WAIT_UNINTERRUPTIBLE);
    KEXPECT_EQ(t, woken(a, WAITERS), 3);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 8), UINT32_MAX, false), STATUS_OK);
    join_all(a, WAITERS);
    for (int i = 0; i < WAITERS; i++) {
        KEXPECT_EQ(t, atomic_load(&a[i].result), STATUS_OK);
    }
    user_area_close(&m);
}
KTEST(futex, wakes_as_many_as_asked);

static void requeued_waiters_are_found_where_they_went(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, PAGE_SIZE));
    struct futex* spare = futex_spare_new();
    KASSERT(t, spare != nullptr);
    struct waiter_args a[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        // The last ones time out, after the move.
        int64_t deadline = i < 9 ? TIME_INFINITE : clock_monotonic_ns() + 200 * MS;
        start_waiter(t, &a[i], &m, 0, nullptr, deadline, i < 9 ? 16 : 8);
    }
    until_blocked(a, WAITERS);
    struct futex_requeue r = {.from = word_at(&m, 0),
                              .to = word_at(&m, 64),
                              .wake_count = 1,
                              .requeue_count = UINT32_MAX};
    KEXPECT_EQ(t, futex_requeue(&spare, &r), STATUS_OK);
    KEXPECT(t, spare != nullptr);
    until_woken(a, WAITERS, 1);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 0), UINT32_MAX, false), STATUS_OK); // nobody is left here
    until_woken(a, WAITERS, 1 + 3); // those with a deadline
    (void)!thread_sleep_until(clock_monotonic_ns() + 2 * MS, WAIT_UNINTERRUPTIBLE);
    KEXPECT_EQ(t, woken(a, WAITERS), 4);
    // And back, one by one, while others wait at the old place.
    r = (struct futex_requeue){.from = word_at(&m, 64), .to = word_at(&m, 0), .requeue_count = 5};
    KEXPECT_EQ(t, futex_requeue(&spare, &r), STATUS_OK);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 0), UINT32_MAX, false), STATUS_OK);
    until_woken(a, WAITERS, 9);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 64), UINT32_MAX, false), STATUS_OK);
    join_all(a, WAITERS);
    int timed_out = 0;
    for (int i = 0; i < WAITERS; i++) {
        timed_out += atomic_load(&a[i].result) == STATUS_TIMED_OUT;
    }
    KEXPECT_EQ(t, timed_out, 3);
    futex_spare_free(spare);
    user_area_close(&m);
}
KTEST(futex, requeued_waiters_are_found_where_they_went);

static void owners_inherit_and_change(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, PAGE_SIZE));
    struct futex* spare = futex_spare_new();
    KASSERT(t, spare != nullptr);
    struct thread* self = thread_current();
    zx_koid_t koid;
    struct waiter_args a[2];
    start_waiter(t, &a[0], &m, 0, self, TIME_INFINITE, 20);
    start_waiter(t, &a[1], &m, 0, self, TIME_INFINITE, 22);
    until_blocked(a, 2);
    KEXPECT_EQ(t, atomic_load(&self->sched.priority), 22);
    KEXPECT_EQ(t, futex_owner_koid(word_at(&m, 0), &koid), STATUS_OK);
    KEXPECT_EQ(t, koid, self->tid);
    // A waiter cannot become the owner of what it waits on; of something else it can.
    struct futex_requeue r = {
        .from = word_at(&m, 0), .to = word_at(&m, 8), .requeue_count = 1, .owner = a[0].thread};
    KEXPECT_EQ(t, futex_requeue(&spare, &r), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, futex_wait(&spare, word_at(&m, 0), 0, a[0].thread, 0), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, futex_wait(&spare, word_at(&m, 8), 0, a[0].thread, 0), STATUS_TIMED_OUT);
    // The requeue leaves the first futex without an owner, and gives the second one.
    r.owner = self;
    KEXPECT_EQ(t, futex_requeue(&spare, &r), STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&self->sched.priority), 22); // the better one moved first
    KEXPECT_EQ(t, futex_owner_koid(word_at(&m, 0), &koid), STATUS_OK);
    KEXPECT_EQ(t, koid, ZX_KOID_INVALID);
    KEXPECT_EQ(t, futex_owner_koid(word_at(&m, 8), &koid), STATUS_OK);
    KEXPECT_EQ(t, koid, self->tid);
    KEXPECT_EQ(t, futex_wake(word_at(&m, 8), 1, true), STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&self->sched.priority), PRIORITY_DEFAULT);
    until_woken(a, 2, 1);
    KEXPECT_EQ(t, futex_owner_koid(word_at(&m, 8), &koid), STATUS_OK);
    KEXPECT_EQ(t, koid, ZX_KOID_INVALID); // nobody waits any more
    KEXPECT_EQ(t, futex_wake(word_at(&m, 0), 1, false), STATUS_OK);
    join_all(a, 2);
    futex_spare_free(spare);
    user_area_close(&m);
}
KTEST(futex, owners_inherit_and_change);

// ---- stress: a mutex and a place to wait aside, with requeues and deadlines at random ----

struct storm {
    struct user_area* m;
    uint32_t seed;
    _Atomic(uint64_t)* calls;
    uint32_t errors;
};

static int storm_thread(void* arg) {
    struct storm* s = arg;
    aspace_activate(s->m->aspace);
    struct futex* spare = futex_spare_new();
    struct random rng = random_init(s->seed);
    for (int i = 0; i < 1500; i++) {
        word_t x = word_at(s->m, random_below(&rng, 4) * 4);
        word_t y = word_at(s->m, 64 + random_below(&rng, 4) * 4);
        status_t status = STATUS_OK;
        switch (random_below(&rng, 4)) {
        case 0:
        case 1:
            status = futex_wait(&spare, x, 0, nullptr,
                                clock_monotonic_ns() + random_below(&rng, 300'000));
            status = status == STATUS_TIMED_OUT ? STATUS_OK : status;
            break;
        case 2: {
            struct futex_requeue r = {.from = x,
                                      .to = y,
                                      .wake_count = random_below(&rng, 2),
                                      .requeue_count = random_below(&rng, 4),
                                      .hand_over = random_below(&rng, 4) == 0};
            status = futex_requeue(&spare, &r);
            break;
        }
        default:
            status = futex_wake(random_below(&rng, 2) == 0 ? x : y, 1 + random_below(&rng, 3),
                                random_below(&rng, 4) == 0);
        }
        s->errors += status != STATUS_OK || spare == nullptr;
        atomic_fetch_add(s->calls, 1);
    }
    futex_spare_free(spare);
    aspace_activate(nullptr);
    return 0;
}

static void storm_keeps_every_struct(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, PAGE_SIZE));
    uint32_t zero = 0;
    KASSERT(t, user_put(&m, 0, &zero, sizeof(zero)));
    struct thread* threads[8];
    struct storm s[8];
    _Atomic(uint64_t) calls = 0;
    for (uint32_t i = 0; i < 8; i++) {
        s[i] = (struct storm){.m = &m, .seed = i + 1, .calls = &calls};
        threads[i] = kthread_create("storm", storm_thread, &s[i], 12 + (int)i);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (uint32_t i = 0; i < 8; i++) {
        kthread_join(threads[i]);
        KEXPECT_EQ(t, s[i].errors, 0u);
    }
    KEXPECT_EQ(t, atomic_load(&calls), 8u * 1500);
    user_area_close(&m);
}
KTEST_WITH(futex, storm_keeps_every_struct, 0, 30'000);
