// Threads for cases: a mapped stack each, no thread-local storage.
#include <utest/utest.h>

#include <jacinth/startup.h>

#include "harness_priv.h"

constexpr size_t STACK = 64 * 1024;
constexpr uint32_t THREADS_MAX = 64;
constexpr int64_t JOIN_MS = 10000;
constexpr int64_t REACH_TRIES = 5000;

// Stacks in use: how a thread knows whether it is a helper. Entries are written by the main thread
// before the thread that they describe starts.
static uintptr_t stacks[THREADS_MAX];

bool utest_thread_is_helper(void) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        if (stacks[i] != 0 && here - stacks[i] < STACK) {
            return true;
        }
    }
    return false;
}

static void enter(uintptr_t arg, uintptr_t) {
    struct utest_thread* t = (struct utest_thread*)arg;
    t->run(t->arg);
    zx_thread_exit();
}

static uintptr_t make_stack(void) {
    zx_handle_t vmo = utest_vmo(STACK);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, STACK,
                          &at));
    EXPECT_CLOSE(vmo);
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        if (stacks[i] == 0) {
            stacks[i] = at;
            return at;
        }
    }
    FAIL("more than %u threads", THREADS_MAX);
}

static void free_stack(uintptr_t at) {
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        if (stacks[i] == at) {
            stacks[i] = 0;
        }
    }
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, STACK));
}

void utest_thread_start(struct utest_thread* t, void (*run)(void* arg), void* arg) {
    t->run = run;
    t->arg = arg;
    t->stack = make_stack();
    EXPECT_OK(zx_thread_create(zx_process_self(), "helper", 6, 0, &t->handle));
    // The stack pointer is as it would be after a call.
    EXPECT_OK(zx_thread_start(t->handle, (uintptr_t)enter, t->stack + STACK - 8, (uintptr_t)t, 0));
}

void utest_thread_join(struct utest_thread* t) {
    EXPECT_OK(
        zx_object_wait_one(t->handle, ZX_THREAD_TERMINATED, utest_after_ms(JOIN_MS), nullptr));
    EXPECT_CLOSE(t->handle);
    free_stack(t->stack);
    if (utest_failed()) {
        utest_leave_failed();
    }
}

void utest_thread_reach(zx_handle_t thread, zx_thread_state_t state) {
    zx_info_thread_t info = {};
    for (int64_t i = 0; i < REACH_TRIES; i++) {
        EXPECT_OK(
            zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr));
        if (info.state == state) {
            return;
        }
        utest_sleep_ms(1);
    }
    FAIL("the thread is in state 0x%x, not 0x%x", info.state, state);
}
