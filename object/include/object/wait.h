// Waiting on signals: what object_wait_one and object_wait_many do once their handles are resolved.
#pragma once

#include <zircon/types.h>

#include <object/handle.h>

// An object to wait on, found through a handle: the reference is the caller's, the identity lets a
// close of the handle end the wait. A wait of the kernel's own has no handle: identity null.
struct wait_target {
    struct object* object;
    const void* identity;
    zx_handle_t value;
    zx_signals_t signals; // in: what to wait for
    zx_signals_t
        observed; // out: asserted when the wait ended; HANDLE_CLOSED if the handle was closed
};

constexpr size_t WAIT_MANY_MAX = 64;

// Finds the handle for a wait: needs WAIT; NOT_SUPPORTED if the type cannot be waited on.
status_t wait_target_get(struct handle_table* t, zx_handle_t value, zx_signals_t signals,
                         struct wait_target* out);

// OK when one of the signals was asserted, even if the deadline has passed already; TIMED_OUT;
// CANCELED when a handle was closed; INTR_RETRY, INTR_KILLED. `observed` of every target is set
// whatever the result.
status_t wait_one(struct wait_target* target, int64_t deadline_ns);
// NO_MEMORY. `count` <= WAIT_MANY_MAX; 0 sleeps until the deadline (TIMED_OUT).
status_t wait_many(struct wait_target* targets, size_t count, int64_t deadline_ns);
