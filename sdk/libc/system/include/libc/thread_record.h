// What the system layer knows of a thread beyond what musl keeps in the thread control block.
//
// Records are slots of a table (thread/table.c) and are never freed: a stale pointer or tid finds a
// record of another thread or of none, never memory that is something else.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <zircon/types.h>

struct thread_record {
    // Written under the table's lock, before the thread runs and when it ends; read by anybody.
    _Atomic int tid; // 0: no thread
    _Atomic zx_handle_t handle;
    _Atomic zx_handle_t wake; // event; written by the thread itself, closed under the table's lock
    // The thread's own.
    int* clear_at_exit; // is set to 0 and woken when the thread ends; may be null
    // Between the thread and whoever interrupts it.
    _Atomic(zx_futex_t*) blocked_on; // the futex on which it waits or is about to
    _Atomic bool is_interrupted;
    // The signal module's: sets of signals. The thread itself changes blocked and awaited; pending
    // is changed under signal_lock. Read by whoever wants to know whether to interrupt the thread.
    _Atomic uint64_t signals_blocked, signals_awaited, signals_pending;
    // The table's.
    uint32_t index, generation;
    struct thread_record* next_free;
};
