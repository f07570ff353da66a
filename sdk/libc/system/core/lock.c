// See <libc/lock.h>. The two functions hand the lock over, which the analysis cannot follow.
#include <libc/lock.h>

#include <stdatomic.h>

#include <zircon/syscalls.h>

#include <libc/thread_block.h>

// Set in every handle value.
constexpr int UNCONTESTED = 1;

// Not analysed: the capability is made here, of a word.
[[clang::no_thread_safety_analysis]] void libc_lock_acquire(struct libc_lock* lock) {
    struct thread_record* record = thread_block_self()->record;
    thread_record_go_inside(record);
    int self = (int)record->handle;
    int seen = 0;
    if (atomic_compare_exchange_strong_explicit(&lock->word, &seen, self, memory_order_acquire,
                                                memory_order_relaxed)) {
        return;
    }
    for (;;) {
        // Whoever has waited once takes the lock as contested: others may wait still.
        if (seen == 0) {
            if (atomic_compare_exchange_weak_explicit(&lock->word, &seen, self & ~UNCONTESTED,
                                                      memory_order_acquire, memory_order_relaxed)) {
                return;
            }
            continue;
        }
        int contested = seen & ~UNCONTESTED;
        if (seen != contested &&
            !atomic_compare_exchange_weak_explicit(&lock->word, &seen, contested,
                                                   memory_order_relaxed, memory_order_relaxed)) {
            continue;
        }
        zx_handle_t owner = (zx_handle_t)(contested | UNCONTESTED);
        // An owner that has ended meanwhile is refused only if the word still names it.
        if (zx_futex_wait(&lock->word, contested, owner, ZX_TIME_INFINITE) == ZX_ERR_INVALID_ARGS) {
            (void)zx_futex_wait(&lock->word, contested, ZX_HANDLE_INVALID, ZX_TIME_INFINITE);
        }
        seen = atomic_load_explicit(&lock->word, memory_order_relaxed);
    }
}

// Not analysed: as above.
[[clang::no_thread_safety_analysis]] void libc_lock_release(struct libc_lock* lock) {
    int old = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
    if ((old & UNCONTESTED) == 0) {
        (void)zx_futex_wake(&lock->word, 1);
    }
    thread_record_go_outside(thread_block_self()->record);
}
