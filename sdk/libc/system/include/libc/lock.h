// The lock of the system layer: one word and a futex. Not recursive; held for a few instructions,
// never over an operation that may block. The owner is known to the kernel: who waits lends it its
// priority.
#pragma once

#include <zircon/types.h>

struct __attribute__((capability("mutex"))) libc_lock {
    // 0: free. Else the owner's thread handle; LOCK_CONTESTED is cleared in it when somebody waits.
    zx_futex_t word;
};

#define LIBC_LOCK_INIT {0}

void libc_lock_acquire(struct libc_lock* lock) __attribute__((acquire_capability(*lock)));
void libc_lock_release(struct libc_lock* lock) __attribute__((release_capability(*lock)));
