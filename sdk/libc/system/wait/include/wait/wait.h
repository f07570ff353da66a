// The one way to block on handles: every wait of the C library that is not a futex's ends early
// when the thread is wanted elsewhere (a signal, cancellation).
#pragma once

#include <stdint.h>

#include <libc/abi.h>
#include <zircon/types.h>

// At least one item's signals are asserted (0), the deadline has passed (-ABI_ETIMEDOUT), the
// thread is wanted elsewhere (-ABI_EINTR; see wait_interrupted), or what zx_object_wait_many()
// refuses. `pending` of all items is written in the first three cases. Any number of items.
long wait_many(zx_wait_item_t* items, size_t count, zx_time_t deadline);

// What the thread is wanted for happens: signals act. 0: go on waiting; -ABI_EINTR: the operation
// ends. `may_restart`: SA_RESTART holds for it.
long wait_interrupted(bool may_restart);

// From now on; null: ZX_TIME_INFINITE.
zx_time_t wait_deadline_after(const struct abi_timespec* timeout);
