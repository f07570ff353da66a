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

// Whether the allocation that asks is to fail.
static inline bool alloc_injected(void) {
    return unlikely(atomic_load_explicit(&alloc_inject_thread, memory_order_relaxed) ==
                    arch_current_thread()) &&
           alloc_injected_slow();
}
