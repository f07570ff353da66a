// Threads and what they wait on.
#include <utest/utest.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <zircon/process.h>

GROUP("libc_thread");

static uintptr_t canary(void) {
    uintptr_t value;
    __asm__ volatile("movq %%fs:0x10, %0" : "=r"(value));
    return value;
}

static uintptr_t canary_copy(void) {
    uintptr_t value;
    __asm__ volatile("movq %%fs:0x28, %0" : "=r"(value));
    return value;
}

static size_t mapped_bytes(void) {
    zx_info_task_stats_t stats;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_TASK_STATS, &stats, sizeof(stats),
                                 nullptr, nullptr));
    return stats.mem_mapped_bytes;
}

static uint64_t open_threads(void) {
    static zx_info_process_handle_stats_t stats;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_HANDLE_STATS, &stats,
                                 sizeof(stats), nullptr, nullptr));
    return stats.handle_count[ZX_OBJ_TYPE_THREAD];
}

static struct timespec after_ms(clockid_t clock, long ms) {
    struct timespec t;
    EXPECT_EQ(clock_gettime(clock, &t), 0);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1'000'000;
    if (t.tv_nsec >= 1'000'000'000) {
        t.tv_sec++;
        t.tv_nsec -= 1'000'000'000;
    }
    return t;
}

// What the library makes once and keeps (the record table, the wake event of this thread) is made
// here, so that a case that counts handles and pages counts its own.
static void* nothing(void* arg) {
    return arg;
}

static void warm_up(void) {
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, nothing, nullptr), 0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
}

__attribute__((constructor)) static void make_wake_event(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1}, nullptr);
}

// ---- creating and ending ----

static void* its_canary(void* arg) {
    char text[64]; // makes the function a protected one
    snprintf(text, sizeof(text), "%p", arg);
    return canary() == canary_copy() ? (void*)canary() : nullptr;
}

// Protected, and all the threads begin and end in its frame.
[[gnu::noinline]] static uint32_t create_and_join(uint32_t count) {
    char text[64];
    uint32_t good = 0;
    for (uint32_t i = 0; i < count; i++) {
        pthread_t thread;
        void* result = nullptr;
        snprintf(text, sizeof(text), "%u", i);
        if (pthread_create(&thread, nullptr, its_canary, text) == 0 &&
            pthread_join(thread, &result) == 0 && result == (void*)canary()) {
            good++;
        }
    }
    return good;
}

CASE_WITHIN(a_thousand_one_after_the_other, 120) {
    warm_up();
    uintptr_t before = canary();
    EXPECT(before != 0);
    EXPECT_EQ(before, canary_copy());
    size_t mapped = mapped_bytes();
    EXPECT_EQ(create_and_join(1000), 1000);
    EXPECT_EQ(canary(), before);
    EXPECT_EQ(mapped_bytes(), mapped);
}

constexpr uint32_t MANY = 100;

static void* wait_at_barrier(void* barrier) {
    pthread_barrier_wait(barrier);
    return nullptr;
}

CASE(many_at_once) {
    warm_up();
    size_t mapped = mapped_bytes();
    static pthread_t threads[MANY];
    static pthread_barrier_t barrier;
    EXPECT_EQ(pthread_barrier_init(&barrier, nullptr, MANY + 1), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, wait_at_barrier, &barrier), 0);
    }
    pthread_barrier_wait(&barrier);
    for (uint32_t i = 0; i < MANY; i++) {
        EXPECT_EQ(pthread_join(threads[i], nullptr), 0);
    }
    EXPECT_EQ(pthread_barrier_destroy(&barrier), 0);
    // The table of records may have grown by a chunk, which it keeps.
    EXPECT(mapped_bytes() - mapped <= 64 << 10);
}

static void* post(void* semaphore) {
    sem_post(semaphore);
    return nullptr;
}

CASE(detached_threads_leave_nothing) {
    warm_up();
    size_t mapped = mapped_bytes();
    uint64_t handles = open_threads();
    sem_t semaphore;
    EXPECT_EQ(sem_init(&semaphore, 0, 0), 0);
    for (uint32_t i = 0; i < 200; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, nullptr, post, &semaphore), 0);
        EXPECT_EQ(pthread_detach(thread), 0);
        EXPECT_EQ(sem_wait(&semaphore), 0);
    }
    // The last ones may still be on their way out.
    for (uint32_t i = 0; i < 1000 && open_threads() != handles; i++) {
        utest_sleep_ms(5);
    }
    EXPECT_EQ(mapped_bytes(), mapped);
}

static void* its_tid(void* out) {
    *(atomic_int*)out = gettid();
    return nullptr;
}

CASE(tids_differ) {
    atomic_int tid;
    pthread_t thread;
    int last = 0;
    for (uint32_t i = 0; i < 10; i++) {
        EXPECT_EQ(pthread_create(&thread, nullptr, its_tid, &tid), 0);
        EXPECT_EQ(pthread_join(thread, nullptr), 0);
        EXPECT(tid > 0 && tid < 1 << 29);
        EXPECT(tid != gettid());
        // The same record, but not the same name.
        EXPECT(tid != last);
        last = tid;
    }
}

static thread_local int local_value = 7;
static thread_local char local_zeros[100];

static void* change_locals(void*) {
    bool fresh = local_value == 7 && local_zeros[99] == 0;
    local_value = 1;
    memset(local_zeros, 1, sizeof(local_zeros));
    errno = ENOENT;
    return fresh ? (void*)1 : nullptr;
}

CASE(thread_local_variables) {
    errno = EBUSY;
    local_value = 8;
    for (uint32_t i = 0; i < 3; i++) {
        pthread_t thread;
        void* fresh;
        EXPECT_EQ(pthread_create(&thread, nullptr, change_locals, nullptr), 0);
        EXPECT_EQ(pthread_join(thread, &fresh), 0);
        EXPECT(fresh != nullptr);
    }
    EXPECT_EQ(local_value, 8);
    EXPECT_EQ(errno, EBUSY);
    local_value = 7;
}

static atomic_int destroyed;

static void destroy(void* value) {
    destroyed += *(int*)value;
}

static void* set_key(void* key) {
    static int two = 2;
    return pthread_setspecific(*(pthread_key_t*)key, &two) == 0 &&
                   pthread_getspecific(*(pthread_key_t*)key) == &two
               ? key
               : nullptr;
}

CASE(keys) {
    pthread_key_t key;
    EXPECT_EQ(pthread_key_create(&key, destroy), 0);
    destroyed = 0;
    for (int i = 1; i <= 3; i++) {
        pthread_t thread;
        void* result;
        EXPECT_EQ(pthread_create(&thread, nullptr, set_key, &key), 0);
        EXPECT_EQ(pthread_join(thread, &result), 0);
        EXPECT(result == &key);
        EXPECT_EQ(destroyed, 2 * i);
    }
    EXPECT(pthread_getspecific(key) == nullptr);
    EXPECT_EQ(pthread_key_delete(key), 0);
}

CASE(attributes) {
    pthread_attr_t attr;
    pthread_t thread;
    EXPECT_EQ(pthread_attr_init(&attr), 0);
    EXPECT_EQ(pthread_attr_setstacksize(&attr, 64 << 10), 0);
    EXPECT_EQ(pthread_attr_setguardsize(&attr, 0), 0);
    EXPECT_EQ(pthread_create(&thread, &attr, its_canary, nullptr), 0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    static alignas(16) char own_stack[64 << 10];
    EXPECT_EQ(pthread_attr_setstack(&attr, own_stack, sizeof(own_stack)), 0);
    EXPECT_EQ(pthread_create(&thread, &attr, its_canary, nullptr), 0);
    void* result;
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT(result == (void*)canary());
    EXPECT_EQ(pthread_attr_destroy(&attr), 0);
}

static void* its_stack(void*) {
    pthread_attr_t attr;
    void* base;
    size_t size;
    char here;
    if (pthread_getattr_np(pthread_self(), &attr) != 0 ||
        pthread_attr_getstack(&attr, &base, &size) != 0) {
        return nullptr;
    }
    return (uintptr_t)&here - (uintptr_t)base < size ? base : nullptr;
}

CASE(where_stacks_are) {
    pthread_t thread;
    void* other;
    void* own = its_stack(nullptr);
    EXPECT(own != nullptr);
    EXPECT_EQ(pthread_create(&thread, nullptr, its_stack, nullptr), 0);
    EXPECT_EQ(pthread_join(thread, &other), 0);
    EXPECT(other != nullptr && other != own);
}

// ---- mutexes ----

static pthread_mutex_t mutex;

static void init_mutex(int type, int robust) {
    pthread_mutexattr_t attr;
    EXPECT_EQ(pthread_mutexattr_init(&attr), 0);
    EXPECT_EQ(pthread_mutexattr_settype(&attr, type), 0);
    EXPECT_EQ(pthread_mutexattr_setrobust(&attr, robust), 0);
    EXPECT_EQ(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), 0);
    EXPECT_EQ(pthread_mutex_init(&mutex, &attr), 0);
    EXPECT_EQ(pthread_mutexattr_destroy(&attr), 0);
}

static void* try_mutex(void*) {
    return (void*)(intptr_t)pthread_mutex_trylock(&mutex);
}

static void* unlock_mutex(void*) {
    return (void*)(intptr_t)pthread_mutex_unlock(&mutex);
}

static int in_thread(void* (*run)(void*), void* arg) {
    pthread_t thread;
    void* result;
    EXPECT_EQ(pthread_create(&thread, nullptr, run, arg), 0);
    EXPECT_EQ(pthread_join(thread, &result), 0);
    return (int)(intptr_t)result;
}

CASE(recursive_mutex) {
    init_mutex(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    EXPECT_EQ(in_thread(try_mutex, nullptr), EBUSY);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    EXPECT_EQ(in_thread(try_mutex, nullptr), EBUSY);
    EXPECT_EQ(in_thread(unlock_mutex, nullptr), EPERM);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), EPERM);
    EXPECT_EQ(pthread_mutex_destroy(&mutex), 0);
}

CASE(checking_mutex) {
    init_mutex(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), EDEADLK);
    EXPECT_EQ(pthread_mutex_trylock(&mutex), EBUSY);
    EXPECT_EQ(in_thread(unlock_mutex, nullptr), EPERM);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_destroy(&mutex), 0);
}

static void* lock_and_end(void*) {
    return (void*)(intptr_t)pthread_mutex_lock(&mutex);
}

CASE(robust_mutex) {
    init_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    EXPECT_EQ(in_thread(lock_and_end, nullptr), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
    EXPECT_EQ(pthread_mutex_consistent(&mutex), 0);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    EXPECT_EQ(in_thread(lock_and_end, nullptr), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
    EXPECT_EQ(in_thread(try_mutex, nullptr), ENOTRECOVERABLE);
    EXPECT_EQ(pthread_mutex_destroy(&mutex), 0);
}

static void* lock_until(void* deadline) {
    return (void*)(intptr_t)pthread_mutex_timedlock(&mutex, deadline);
}

CASE(timed_mutex) {
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    struct timespec past = {};
    EXPECT_EQ(in_thread(lock_until, &past), ETIMEDOUT);
    struct timespec soon = after_ms(CLOCK_REALTIME, 30);
    EXPECT_EQ(in_thread(lock_until, &soon), ETIMEDOUT);
    soon.tv_nsec = -1;
    EXPECT_EQ(in_thread(lock_until, &soon), EINVAL);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    EXPECT_EQ(in_thread(lock_until, &past), 0);
}

static void* lock_and_unlock(void*) {
    if (pthread_mutex_lock(&mutex) != 0 || pthread_mutex_unlock(&mutex) != 0) {
        return (void*)1;
    }
    return nullptr;
}

// Who waits lends its priority: the kernel must know to whom.
CASE(who_waits_names_the_owner) {
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    zx_futex_t* word = (zx_futex_t*)&mutex + 1; // behind the type
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    EXPECT_EQ(*word, gettid());
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, lock_and_unlock, nullptr), 0);
    zx_koid_t owner = ZX_KOID_INVALID;
    for (uint32_t i = 0; i < 1000 && owner == ZX_KOID_INVALID; i++) {
        utest_sleep_ms(2);
        EXPECT_OK(zx_futex_get_owner(word, &owner));
    }
    EXPECT_EQ(owner, utest_koid(zx_thread_self()));
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    void* result;
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT(result == nullptr);
}

constexpr uint32_t WORKERS = 8;
constexpr uint32_t ROUNDS = 5000;

static struct {
    pthread_mutex_t lock;
    uint64_t a, b; // equal whenever nobody has the lock
    atomic_uint broken;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void* add_under_lock(void*) {
    for (uint32_t i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&shared.lock);
        shared.broken += shared.a != shared.b;
        shared.a++;
        if (i % 64 == 0) {
            sched_yield();
        }
        shared.b++;
        pthread_mutex_unlock(&shared.lock);
    }
    return nullptr;
}

static void run_workers(void* (*run)(void*)) {
    pthread_t threads[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, run, (void*)i), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        EXPECT_EQ(pthread_join(threads[i], nullptr), 0);
    }
}

CASE_WITHIN(mutex_stress, 120) {
    shared.a = shared.b = shared.broken = 0;
    run_workers(add_under_lock);
    EXPECT_EQ(shared.broken, 0);
    EXPECT_EQ(shared.a, WORKERS * ROUNDS);
    EXPECT_EQ(shared.b, WORKERS * ROUNDS);
}

// ---- condition variables ----

// A ring of 4 between half of the workers and the other half.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    uint32_t ring[4], first, count;
    uint64_t sum;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .not_empty = PTHREAD_COND_INITIALIZER,
           .not_full = PTHREAD_COND_INITIALIZER};

static void put(uint32_t value) {
    pthread_mutex_lock(&queue.lock);
    while (queue.count == 4) {
        pthread_cond_wait(&queue.not_full, &queue.lock);
    }
    queue.ring[(queue.first + queue.count++) % 4] = value;
    pthread_cond_signal(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

static void get(void) {
    pthread_mutex_lock(&queue.lock);
    while (queue.count == 0) {
        pthread_cond_wait(&queue.not_empty, &queue.lock);
    }
    queue.sum += queue.ring[queue.first];
    queue.first = (queue.first + 1) % 4;
    queue.count--;
    pthread_cond_broadcast(&queue.not_full);
    pthread_mutex_unlock(&queue.lock);
}

constexpr uint32_t ITEMS = 500;

static void* put_or_get(void* index) {
    for (uint32_t i = 1; i <= ITEMS; i++) {
        if ((uintptr_t)index % 2 == 0) {
            put(i);
        } else {
            get();
        }
    }
    return nullptr;
}

CASE_WITHIN(condition_stress, 120) {
    queue.sum = queue.count = 0;
    run_workers(put_or_get);
    EXPECT_EQ(queue.count, 0);
    EXPECT_EQ(queue.sum, (uint64_t)WORKERS / 2 * ITEMS * (ITEMS + 1) / 2);
}

CASE(timed_condition) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_condattr_t attr;
    pthread_cond_t condition;
    EXPECT_EQ(pthread_condattr_init(&attr), 0);
    EXPECT_EQ(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), 0);
    EXPECT_EQ(pthread_cond_init(&condition, &attr), 0);
    EXPECT_EQ(pthread_mutex_lock(&lock), 0);
    struct timespec soon = after_ms(CLOCK_MONOTONIC, 30);
    zx_time_t start = zx_clock_get_monotonic();
    EXPECT_EQ(pthread_cond_timedwait(&condition, &lock, &soon), ETIMEDOUT);
    EXPECT(zx_clock_get_monotonic() - start >= 25'000'000);
    EXPECT_EQ(pthread_mutex_trylock(&lock), EBUSY);
    EXPECT_EQ(pthread_mutex_unlock(&lock), 0);
    EXPECT_EQ(pthread_cond_destroy(&condition), 0);
}

// ---- the others ----

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void* read_or_write(void* index) {
    for (uint32_t i = 0; i < ROUNDS / 5; i++) {
        if ((i + (uintptr_t)index) % 4 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            shared.a++;
            shared.b++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            shared.broken += shared.a != shared.b;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return nullptr;
}

CASE_WITHIN(rwlock_stress, 120) {
    shared.a = shared.b = shared.broken = 0;
    run_workers(read_or_write);
    EXPECT_EQ(shared.broken, 0);
    EXPECT_EQ(shared.a, WORKERS * ROUNDS / 5 / 4);
    EXPECT_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    EXPECT_EQ(pthread_rwlock_tryrdlock(&rwlock), 0);
    EXPECT_EQ(pthread_rwlock_trywrlock(&rwlock), EBUSY);
    EXPECT_EQ(pthread_rwlock_unlock(&rwlock), 0);
    EXPECT_EQ(pthread_rwlock_unlock(&rwlock), 0);
}

static struct {
    pthread_barrier_t barrier;
    atomic_uint arrived, broken, serial;
} rounds;

static void* meet(void*) {
    for (uint32_t i = 0; i < 50; i++) {
        rounds.arrived++;
        rounds.serial += pthread_barrier_wait(&rounds.barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        // Nobody is in the next round before all have been here.
        rounds.broken += rounds.arrived < (i + 1) * WORKERS;
        pthread_barrier_wait(&rounds.barrier);
    }
    return nullptr;
}

CASE_WITHIN(barrier_stress, 120) {
    rounds.arrived = rounds.broken = rounds.serial = 0;
    EXPECT_EQ(pthread_barrier_init(&rounds.barrier, nullptr, WORKERS), 0);
    run_workers(meet);
    EXPECT_EQ(rounds.broken, 0);
    EXPECT_EQ(rounds.serial, 50);
    EXPECT_EQ(pthread_barrier_destroy(&rounds.barrier), 0);
}

CASE(timed_semaphore) {
    sem_t semaphore;
    EXPECT_EQ(sem_init(&semaphore, 0, 1), 0);
    struct timespec soon = after_ms(CLOCK_REALTIME, 20);
    EXPECT_EQ(sem_timedwait(&semaphore, &soon), 0);
    EXPECT_EQ(sem_timedwait(&semaphore, &soon), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_EQ(sem_trywait(&semaphore), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(sem_post(&semaphore), 0);
    int value;
    EXPECT_EQ(sem_getvalue(&semaphore, &value), 0);
    EXPECT_EQ(value, 1);
}

static atomic_int once_count;

static void count_once(void) {
    once_count++;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void* do_once(void*) {
    pthread_once(&once, count_once);
    return nullptr;
}

CASE(once) {
    run_workers(do_once);
    EXPECT_EQ(once_count, 1);
}

static int c11_thread(void* arg) {
    return *(int*)arg + 1;
}

CASE(threads_of_c11) {
    thrd_t thread;
    int arg = 41;
    int result;
    EXPECT_EQ(thrd_create(&thread, c11_thread, &arg), thrd_success);
    EXPECT_EQ(thrd_join(thread, &result), thrd_success);
    EXPECT_EQ(result, 42);
    mtx_t lock;
    EXPECT_EQ(mtx_init(&lock, mtx_plain), thrd_success);
    EXPECT_EQ(mtx_lock(&lock), thrd_success);
    EXPECT_EQ(mtx_trylock(&lock), thrd_busy);
    EXPECT_EQ(mtx_unlock(&lock), thrd_success);
    EXPECT_EQ(mtx_trylock(&lock), thrd_success);
    EXPECT_EQ(mtx_unlock(&lock), thrd_success);
    mtx_destroy(&lock);
}

// ---- cancellation ----

static sem_t never, entered;
static pthread_mutex_t cancel_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cancel_condition = PTHREAD_COND_INITIALIZER;
static atomic_int cleaned;

static void clean(void* how) {
    cleaned += *(int*)how;
}

static void unlock_cancel_lock(void*) {
    cleaned += 1;
    pthread_mutex_unlock(&cancel_lock);
}

static void* wait_forever(void*) {
    int one = 1;
    pthread_cleanup_push(clean, &one);
    sem_post(&entered);
    sem_wait(&never);
    pthread_cleanup_pop(0);
    return nullptr;
}

static void* sleep_forever(void*) {
    int one = 1;
    pthread_cleanup_push(clean, &one);
    sem_post(&entered);
    for (;;) {
        sleep(1000);
    }
    pthread_cleanup_pop(0);
}

static void* wait_on_condition(void*) {
    pthread_mutex_lock(&cancel_lock);
    pthread_cleanup_push(unlock_cancel_lock, nullptr);
    sem_post(&entered);
    for (;;) {
        pthread_cond_wait(&cancel_condition, &cancel_lock);
    }
    pthread_cleanup_pop(0);
}

static void cancel_one(void* (*run)(void*), long head_start_ms) {
    pthread_t thread;
    void* result;
    cleaned = 0;
    EXPECT_EQ(pthread_create(&thread, nullptr, run, nullptr), 0);
    EXPECT_EQ(sem_wait(&entered), 0);
    if (head_start_ms != 0) {
        utest_sleep_ms(head_start_ms);
    }
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT(result == PTHREAD_CANCELED);
    EXPECT_EQ(cleaned, 1);
}

CASE(cancel) {
    EXPECT_EQ(sem_init(&never, 0, 0), 0);
    EXPECT_EQ(sem_init(&entered, 0, 0), 0);
    // With the thread asleep, and as near to falling asleep as can be.
    for (long head_start = 0; head_start < 20; head_start += 10) {
        cancel_one(wait_forever, head_start);
        cancel_one(sleep_forever, head_start);
        cancel_one(wait_on_condition, head_start);
    }
    EXPECT_EQ(pthread_mutex_trylock(&cancel_lock), 0);
    EXPECT_EQ(pthread_mutex_unlock(&cancel_lock), 0);
}

CASE_WITHIN(cancel_races, 120) {
    EXPECT_EQ(sem_init(&never, 0, 0), 0);
    EXPECT_EQ(sem_init(&entered, 0, 0), 0);
    for (uint32_t i = 0; i < 100; i++) {
        cancel_one(wait_forever, 0);
        cancel_one(wait_on_condition, 0);
    }
}

static sem_t go;

static void* refuse_first(void*) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
    sem_post(&entered);
    while (sem_wait(&go) != 0) {
    }
    cleaned = 10; // still here
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
    pthread_testcancel();
    cleaned = 20;
    return nullptr;
}

CASE(cancel_when_allowed) {
    EXPECT_EQ(sem_init(&entered, 0, 0), 0);
    EXPECT_EQ(sem_init(&go, 0, 0), 0);
    pthread_t thread;
    void* result;
    EXPECT_EQ(pthread_create(&thread, nullptr, refuse_first, nullptr), 0);
    EXPECT_EQ(sem_wait(&entered), 0);
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT_EQ(sem_post(&go), 0);
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT(result == PTHREAD_CANCELED);
    EXPECT_EQ(cleaned, 10);
}
