// Futexes: waiting, waking, requeueing, owners.
#include <utest/utest.h>

#include <jacinth/startup.h>

GROUP("futex");

static zx_koid_t owner_of(const zx_futex_t* futex) {
    zx_koid_t koid = 1;
    EXPECT_OK(zx_futex_get_owner(futex, &koid));
    return koid;
}

CASE(wait_errors) {
    static zx_futex_t word;
    atomic_store(&word, 3);
    EXPECT_STATUS(zx_futex_wait(&word, 4, ZX_HANDLE_INVALID, ZX_TIME_INFINITE), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_futex_wait(&word, 3, ZX_HANDLE_INVALID, 0), ZX_ERR_TIMED_OUT);
    zx_time_t deadline = utest_after_ms(10);
    EXPECT_STATUS(zx_futex_wait(&word, 3, ZX_HANDLE_INVALID, deadline), ZX_ERR_TIMED_OUT);
    EXPECT(zx_clock_get_monotonic() >= deadline);
    const zx_futex_t* odd = (const zx_futex_t*)((uintptr_t)&word + 1);
    EXPECT_STATUS(zx_futex_wait(odd, 3, ZX_HANDLE_INVALID, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_futex_wake(odd, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_futex_wait(&word, 3, utest_stale_handle(), 0), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_futex_wait(&word, 3, event, 0), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    // Not oneself, nor a thread that was never started.
    EXPECT_STATUS(zx_futex_wait(&word, 3, zx_thread_self(), 0), ZX_ERR_INVALID_ARGS);
    zx_handle_t thread;
    EXPECT_OK(zx_thread_create(zx_process_self(), "t", 1, 0, &thread));
    EXPECT_STATUS(zx_futex_wait(&word, 3, thread, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(thread);
}

CASE(bad_addresses) {
    static const uintptr_t bad[] = {0, 0xffffffff80000000, 0xffff800000000000, 0x0000800000000000,
                                    UINTPTR_MAX - 3};
    for (uint32_t i = 0; i < 5; i++) {
        EXPECT_STATUS(zx_futex_wait((zx_futex_t*)bad[i], 0, 0, 0), ZX_ERR_INVALID_ARGS);
    }
    // Unmapped is fine for a wake: it names a place, nothing is read.
    EXPECT_OK(zx_futex_wake((zx_futex_t*)0x10000000, 1));
}

struct waiter {
    zx_futex_t* word;
    zx_handle_t owner;
    zx_status_t status;
};

static void wait_on(void* arg) {
    struct waiter* w = arg;
    w->status = zx_futex_wait(w->word, 0, w->owner, utest_after_ms(8000));
}

static void start(struct utest_thread* t, struct waiter* w, zx_futex_t* word, zx_handle_t owner) {
    *w = (struct waiter){.word = word, .owner = owner};
    utest_thread_start(t, wait_on, w);
    utest_thread_reach(t->handle, ZX_THREAD_STATE_BLOCKED_FUTEX);
}

CASE(wake) {
    static zx_futex_t word;
    struct waiter w[3];
    struct utest_thread t[3];
    for (uint32_t i = 0; i < 3; i++) {
        start(&t[i], &w[i], &word, ZX_HANDLE_INVALID);
    }
    EXPECT_OK(zx_futex_wake(&word, 0));
    EXPECT_OK(zx_futex_wake(&word, 1));
    utest_thread_join(&t[0]); // in the order of their waits
    EXPECT_STATUS(w[0].status, ZX_OK);
    EXPECT_OK(zx_futex_wake(&word, UINT32_MAX));
    utest_thread_join(&t[1]);
    utest_thread_join(&t[2]);
    EXPECT_OK(zx_futex_wake(&word, 1)); // nobody: fine
}

// ---- the end that writes, wakes and closes ----

struct leaver {
    zx_futex_t* word;
    zx_handle_t close;
};

static void leave(void* arg) {
    struct leaver* l = arg;
    zx_futex_wake_handle_close_thread_exit(l->word, 1, 7, l->close);
}

CASE(wake_close_exit) {
    static zx_futex_t word;
    word = 0;
    struct waiter w;
    struct utest_thread waiting;
    struct utest_thread leaving;
    start(&waiting, &w, &word, ZX_HANDLE_INVALID);
    struct utest_pair pair = utest_eventpair();
    struct leaver l = {.word = &word, .close = pair.b};
    utest_thread_start(&leaving, leave, &l);
    utest_thread_join(&waiting);
    EXPECT_STATUS(w.status, ZX_OK);
    EXPECT_EQ(word, 7);
    utest_thread_join(&leaving);
    EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
    EXPECT_CLOSE(pair.a);
    // It ends whatever becomes of the steps before.
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_futex_t)) {
        l = (struct leaver){.word = p, .close = ZX_HANDLE_INVALID};
        utest_thread_start(&leaving, leave, &l);
        utest_thread_join(&leaving);
    }
    l = (struct leaver){.word = &word, .close = utest_stale_handle()};
    utest_thread_start(&leaving, leave, &l);
    utest_thread_join(&leaving);
    EXPECT_EQ(word, 7);
}

CASE(requeue) {
    static zx_futex_t from;
    static zx_futex_t to;
    struct waiter w[3];
    struct utest_thread t[3];
    for (uint32_t i = 0; i < 3; i++) {
        start(&t[i], &w[i], &from, ZX_HANDLE_INVALID);
    }
    EXPECT_STATUS(zx_futex_requeue(&from, 1, 1, &to, 1, ZX_HANDLE_INVALID), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_futex_requeue(&from, 1, 0, &from, 1, ZX_HANDLE_INVALID), ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_futex_requeue(&from, 1, 0, &to, 1, ZX_HANDLE_INVALID));
    utest_thread_join(&t[0]);
    EXPECT_OK(zx_futex_wake(&from, 10));
    utest_thread_join(&t[2]);
    utest_thread_reach(t[1].handle, ZX_THREAD_STATE_BLOCKED_FUTEX);
    EXPECT_OK(zx_futex_wake(&to, 10));
    utest_thread_join(&t[1]);
}

CASE(owner) {
    static zx_futex_t word;
    zx_koid_t me = utest_koid(zx_thread_self());
    EXPECT_EQ(owner_of(&word), ZX_KOID_INVALID);
    struct waiter w[2];
    struct utest_thread t[2];
    start(&t[0], &w[0], &word, zx_thread_self());
    EXPECT_EQ(owner_of(&word), me);
    start(&t[1], &w[1], &word, zx_thread_self());
    // The one woken becomes the owner.
    zx_koid_t first = utest_koid(t[0].handle);
    EXPECT_OK(zx_futex_wake_single_owner(&word));
    zx_koid_t now = owner_of(&word);
    EXPECT(now == first || now == ZX_KOID_INVALID); // it may have ended already
    utest_thread_join(&t[0]);
    EXPECT_OK(zx_futex_wake(&word, 10));
    EXPECT_EQ(owner_of(&word), ZX_KOID_INVALID);
    utest_thread_join(&t[1]);
}

static zx_futex_t lock_word;
static uint64_t guarded;

static void lock(void) {
    int seen = 0;
    if (atomic_compare_exchange_strong(&lock_word, &seen, 1)) {
        return;
    }
    // Whoever finds 0 here has the lock: as "somebody waits", which may be one wake-up too many.
    if (seen != 2) {
        seen = atomic_exchange(&lock_word, 2);
    }
    while (seen != 0) {
        (void)zx_futex_wait(&lock_word, 2, ZX_HANDLE_INVALID, ZX_TIME_INFINITE);
        seen = atomic_exchange(&lock_word, 2);
    }
}

static void unlock(void) {
    if (atomic_exchange(&lock_word, 0) == 2) {
        EXPECT_OK(zx_futex_wake(&lock_word, 1));
    }
}

static void count(void*) {
    for (uint32_t i = 0; i < 2000; i++) {
        lock();
        guarded++;
        unlock();
    }
}

// A lock made of it: no wake-up is lost, nobody is in twice.
CASE_WITHIN(mutex, 60) {
    struct utest_thread t[4];
    guarded = 0;
    for (uint32_t i = 0; i < 4; i++) {
        utest_thread_start(&t[i], count, nullptr);
    }
    for (uint32_t i = 0; i < 4; i++) {
        utest_thread_join(&t[i]);
    }
    EXPECT_EQ(guarded, 8000);
}
