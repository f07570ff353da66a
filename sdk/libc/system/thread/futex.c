// The futex operation: how all of musl's locks wait.
#include <stdatomic.h>

#include <zircon/syscalls.h>

#include <libc/error.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <wait/wait.h>

// musl's numbers (src/internal/futex.h).
enum : int {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_REQUEUE = 3,
    FUTEX_PRIVATE = 128,
    // Ours: `other` is the tid of the thread that holds what the word stands for.
    FUTEX_WAIT_OWNED = 64,
};

static long futex_wait(zx_futex_t* word, int value, const struct abi_timespec* limit, int owner) {
    zx_time_t deadline = ZX_TIME_INFINITE;
    if (limit != nullptr) {
        if (limit->sec < 0 || limit->nsec < 0 || limit->nsec >= 1'000'000'000) {
            return -ABI_EINVAL;
        }
        int64_t ns = limit->sec < INT64_MAX / 1'000'000'000 - 1
                         ? limit->sec * 1'000'000'000 + limit->nsec
                         : INT64_MAX;
        deadline = zx_deadline_after(ns);
    }
    long error = thread_futex_wait(
        word, value, owner != 0 ? thread_handle_of(owner) : ZX_HANDLE_INVALID, deadline);
    // Woken for nothing: all of musl looks at the word again.
    return error == -ABI_EINTR ? wait_interrupted(true) : error;
}

// Who holds the mutex, by its lock word (overlay/src/thread/mutex.h).
static zx_handle_t owner_of_mutex(const zx_futex_t* word) {
    constexpr int OWNER = 0x3fffffff;
    return thread_handle_of(atomic_load_explicit(word, memory_order_relaxed) & OWNER);
}

// Moves waiters to another word, whatever the first one holds. Condition variables move theirs to
// a mutex, whose owner they wait for from then on.
static long futex_requeue(zx_futex_t* word, uint32_t wake, uint32_t move, zx_futex_t* other) {
    for (;;) {
        int value = atomic_load_explicit(word, memory_order_relaxed);
        zx_handle_t owner = owner_of_mutex(other);
        zx_status_t status = zx_futex_requeue(word, wake, value, other, move, owner);
        if (status != ZX_OK && status != ZX_ERR_BAD_STATE && owner != ZX_HANDLE_INVALID) {
            // The owner is gone, or one of those that are to wait for it.
            status = zx_futex_requeue(word, wake, value, other, move, ZX_HANDLE_INVALID);
        }
        if (status != ZX_ERR_BAD_STATE) {
            return errno_from_status(status);
        }
    }
}

long sys_futex(int* address, int command, int value, uintptr_t limit, int* other, int value3) {
    zx_futex_t* word = (zx_futex_t*)address;
    switch (command & ~FUTEX_PRIVATE) {
    case FUTEX_WAIT:
        return futex_wait(word, value, (const struct abi_timespec*)limit, 0);
    case FUTEX_WAIT_OWNED:
        return futex_wait(word, value, (const struct abi_timespec*)limit, value3);
    case FUTEX_WAKE:
        return errno_from_status(zx_futex_wake(word, (uint32_t)value));
    case FUTEX_REQUEUE:
        return futex_requeue(word, (uint32_t)value, (uint32_t)limit, (zx_futex_t*)other);
    default:
        return -ABI_ENOSYS;
    }
}
