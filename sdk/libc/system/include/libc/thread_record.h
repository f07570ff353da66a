// What the system layer knows of a thread beyond what musl keeps in the thread control block.
//
// Records are slots of a table (thread/table.c) and are never freed: a stale pointer or tid finds a
// record of another thread or of none, never memory that is something else.
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

struct thread_block;

struct thread_record {
    // How deep the thread is inside the system layer: in operations (musl counts, where it asks for
    // one: overlay/arch/x86_64/syscall_arch.h) and under locks. Nobody may interrupt it there by
    // changing its registers. The thread's own; read by the herald, and only believed while the
    // thread stands.
    _Atomic uint32_t inside;
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
    // Where %fs points; valid as long as the tid is. Written before the thread runs, or by itself.
    struct thread_block* _Atomic block;
    // Its own stack for handlers; size 0: none. The thread's own, read by the herald as above.
    void* alternate_stack;
    size_t alternate_size;
    // The herald's: while it waits for the thread to stand, a duplicate of its handle, and the
    // token. They outlive the thread.
    zx_handle_t halted, halt_token;
    // The table's.
    uint32_t index, generation;
    struct thread_record* next_free;
};
static_assert(offsetof(struct thread_record, inside) == 0); // where musl counts

static inline void thread_record_go_inside(struct thread_record* record) {
    uint32_t depth = atomic_load_explicit(&record->inside, memory_order_relaxed);
    atomic_store_explicit(&record->inside, depth + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void thread_record_go_outside(struct thread_record* record) {
    atomic_signal_fence(memory_order_seq_cst);
    uint32_t depth = atomic_load_explicit(&record->inside, memory_order_relaxed);
    atomic_store_explicit(&record->inside, depth - 1, memory_order_relaxed);
}
