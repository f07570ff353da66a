// Failure injection: one thread at a time counts its allocations and has one of them fail.
//
// Only the armed thread touches the counters; others compare the thread pointer and go on. Before
// the scheduler runs, the current thread is null and so is the pointer: then the slow path says no.
#include <vm/inject.h>

#include <lib/assert.h>
#include <vm/heap.h>

_Atomic(struct thread*) alloc_inject_thread;

// Owned by alloc_inject_thread.
static struct {
    uint64_t fail_at; // 0: count only
    uint64_t counted;
    bool fired;
} inject;

bool alloc_injected_slow(void) {
    if (atomic_load_explicit(&alloc_inject_thread, memory_order_relaxed) == nullptr ||
        arch_irq_depth() != 0) {
        return false;
    }
    inject.counted++;
    bool fail = inject.counted == inject.fail_at;
    inject.fired = inject.fired || fail;
    return fail;
}

void alloc_injection_arm(uint64_t nth) {
    struct thread* none = nullptr;
    // Tests run one after the other; two armed at once would blame each other's sites.
    ASSERT(atomic_compare_exchange_strong(&alloc_inject_thread, &none, arch_current_thread()));
    inject.fail_at = nth;
    inject.counted = 0;
    inject.fired = false;
}

uint64_t alloc_injection_disarm(bool* fired) {
    ASSERT(atomic_load(&alloc_inject_thread) == arch_current_thread());
    uint64_t counted = inject.counted;
    *fired = inject.fired;
    atomic_store(&alloc_inject_thread, nullptr);
    return counted;
}
