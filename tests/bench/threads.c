// Wake-ups and switches between threads of one process.

#include <stdatomic.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "bench.h"

constexpr size_t TURNS = 256;

// ---- row 12: from the signal to the waiter in user mode ----

static zx_handle_t go, done;
static _Atomic(zx_time_t) woken_at;

static void waiter(uintptr_t) {
    for (size_t i = 0; i < BENCH_ROUNDS; i++) {
        (void)zx_object_wait_one(go, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
        atomic_store(&woken_at, zx_clock_get_monotonic());
        (void)zx_object_signal(go, ZX_EVENT_SIGNALED, 0);
        (void)zx_object_signal(done, 0, ZX_EVENT_SIGNALED);
    }
}

static int64_t wake_latency(void) {
    int64_t figures[BENCH_ROUNDS];
    zx_handle_t thread = bench_thread(waiter, 0);
    for (size_t i = 0; i < BENCH_ROUNDS; i++) {
        (void)zx_nanosleep(zx_deadline_after(1'000'000)); // the waiter waits by then
        zx_time_t begin = zx_clock_get_monotonic();
        (void)zx_object_signal(go, 0, ZX_EVENT_SIGNALED);
        (void)zx_object_wait_one(done, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
        figures[i] = atomic_load(&woken_at) - begin;
        (void)zx_object_signal(done, ZX_EVENT_SIGNALED, 0);
    }
    bench_join(thread);
    return bench_median(figures, BENCH_ROUNDS);
}

// ---- row 13: two events, two threads ----

static void echo_events(uintptr_t) {
    for (size_t i = 0; i < TURNS; i++) {
        (void)zx_object_wait_one(go, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
        (void)zx_object_signal(go, ZX_EVENT_SIGNALED, 0);
        (void)zx_object_signal(done, 0, ZX_EVENT_SIGNALED);
    }
}

static int64_t event_ping_pong(void) {
    zx_handle_t thread = bench_thread(echo_events, 0);
    (void)zx_nanosleep(zx_deadline_after(1'000'000));
    zx_time_t begin = zx_clock_get_monotonic();
    for (size_t i = 0; i < TURNS; i++) {
        (void)zx_object_signal(go, 0, ZX_EVENT_SIGNALED);
        (void)zx_object_wait_one(done, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
        (void)zx_object_signal(done, ZX_EVENT_SIGNALED, 0);
    }
    int64_t cost = (zx_clock_get_monotonic() - begin) / (int64_t)TURNS;
    bench_join(thread);
    return cost;
}

// ---- row 14: a futex each way ----

static zx_futex_t ping, pong;

static void await(zx_futex_t* futex, int value) {
    while (atomic_load((_Atomic(int)*)futex) != value) {
        (void)zx_futex_wait(futex, value - 1, ZX_HANDLE_INVALID, ZX_TIME_INFINITE);
    }
}

static void hand_over(zx_futex_t* futex, int value) {
    atomic_store((_Atomic(int)*)futex, value);
    (void)zx_futex_wake(futex, 1);
}

static void echo_futex(uintptr_t) {
    for (int i = 1; i <= (int)TURNS; i++) {
        await(&ping, i);
        hand_over(&pong, i);
    }
}

static int64_t futex_ping_pong(void) {
    zx_handle_t thread = bench_thread(echo_futex, 0);
    (void)zx_nanosleep(zx_deadline_after(1'000'000));
    zx_time_t begin = zx_clock_get_monotonic();
    for (int i = 1; i <= (int)TURNS; i++) {
        hand_over(&ping, i);
        await(&pong, i);
    }
    int64_t cost = (zx_clock_get_monotonic() - begin) / (int64_t)TURNS;
    bench_join(thread);
    return cost;
}

// ---- row 15: one switch ----

static void yielder(uintptr_t) {
    for (size_t i = 0; i < 2 * TURNS; i++) {
        (void)zx_thread_legacy_yield(0);
    }
}

static int64_t yield_switch(void) {
    zx_handle_t thread = bench_thread(yielder, 0);
    (void)zx_thread_legacy_yield(0); // it is in its loop
    zx_time_t begin = zx_clock_get_monotonic();
    for (size_t i = 0; i < TURNS; i++) {
        (void)zx_thread_legacy_yield(0);
    }
    // Each turn here is one there.
    int64_t cost = (zx_clock_get_monotonic() - begin) / (int64_t)(2 * TURNS);
    bench_join(thread);
    return cost;
}

// ---- row 25 ----

static uint8_t stack[4096] __attribute__((aligned(16)));

static void leave(uintptr_t, uintptr_t) {
    zx_thread_exit();
}

static void thread_life(void*) {
    zx_handle_t thread;
    (void)zx_thread_create(zx_process_self(), "t", 1, 0, &thread);
    (void)zx_thread_start(thread, (zx_vaddr_t)leave, (zx_vaddr_t)(stack + sizeof(stack) - 8), 0, 0);
    (void)zx_object_wait_one(thread, ZX_THREAD_TERMINATED, ZX_TIME_INFINITE, nullptr);
    (void)zx_handle_close(thread);
}

void bench_threads(void) {
    bench_check(zx_event_create(0, &go), "event");
    bench_check(zx_event_create(0, &done), "event");
    if (bench_wanted("12")) {
        bench_report("12", wake_latency());
    }
    if (bench_wanted("13")) {
        bench_report("13", event_ping_pong());
    }
    if (bench_wanted("14")) {
        bench_report("14", futex_ping_pong());
    }
    if (bench_wanted("15")) {
        bench_report("15", yield_switch());
    }
    bench_row("25", thread_life, nullptr);
}
