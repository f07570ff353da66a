// The futex mutex in three states: who finds it held marks it as waited for, so that an unlock
// enters the kernel only when somebody waits.
#include <zircon/syscalls.h>

#include "minic_priv.h"

void minic_lock(struct minic_lock* lock) {
    int free_state = 0;
    if (atomic_compare_exchange_strong_explicit(&lock->state, &free_state, 1, memory_order_acquire,
                                                memory_order_relaxed)) {
        return;
    }
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0) {
        (void)zx_futex_wait(&lock->state, 2, ZX_HANDLE_INVALID, ZX_TIME_INFINITE);
    }
}

void minic_unlock(struct minic_lock* lock) {
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2) {
        (void)zx_futex_wake(&lock->state, 1);
    }
}
