// Failure injection, the allocators' side: each allocation site asks once. See vm/heap.h for how a
// test arms it. Two instructions and a branch while nothing is armed.
#pragma once

#include <stdatomic.h>

#include <arch/percpu.h>
#include <lib/compiler.h>

struct thread;

// The one thread whose allocations are counted; null while nothing is armed.
extern _Atomic(struct thread*) alloc_inject_thread;
bool alloc_injected_slow(void);

// Whether the current thread's allocations are counted.
static inline bool alloc_injected_thread(void) {
    return atomic_load_explicit(&alloc_inject_thread, memory_order_relaxed) ==
           arch_current_thread();
}

// Whether the allocation that asks is to fail.
static inline bool alloc_injected(void) {
    return unlikely(alloc_injected_thread()) && alloc_injected_slow();
}
