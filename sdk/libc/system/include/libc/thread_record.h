// What the system layer knows of a thread beyond what musl keeps in the thread control block.
//
// Members are the thread's own unless something else stands beside them.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <zircon/types.h>

struct thread_record {
    zx_handle_t handle; // of the thread; set before it runs, closed at its end
    int tid;            // never changes while the thread lives
    int* clear_at_exit; // set_tid_address: set to 0 and woken when the thread ends
    zx_handle_t wake;   // event: ZX_USER_SIGNAL_0 is set while there is something to notice
    // Read by whoever interrupts the thread (thread_interrupt).
    _Atomic(zx_futex_t*) blocked_on; // the futex on which it waits or is about to
    _Atomic uint32_t pending;        // THREAD_PENDING_*
};
