// Host tests: the test sets the CPU; there is no concurrency, but locks are checked.
#pragma once

#include <lib/assert.h>
#include <lib/types.h>
#include <vm/slab_cache_impl.h>

constexpr uint32_t CPU_MAX = 4;
typedef uint64_t irq_state_t;

extern uint32_t host_cpu;
extern uint64_t host_fail_in; // the n-th call of port_injected() from now says true

static inline irq_state_t port_cpu_enter(uint32_t* cpu) {
    *cpu = host_cpu;
    return 0;
}
static inline void port_cpu_leave(irq_state_t state) {
    (void)state;
}
static inline void port_lock(heap_lock_t* l) {
    ASSERT(!l->held);
    l->held = true;
}
static inline void port_unlock(heap_lock_t* l) {
    ASSERT(l->held);
    l->held = false;
}
static inline void port_on_every_cpu(void (*fn)(void*)) {
    uint32_t here = host_cpu;
    for (host_cpu = 0; host_cpu < CPU_MAX; host_cpu++) {
        fn(nullptr);
    }
    host_cpu = here;
}
static inline bool port_injected(void) {
    return host_fail_in != 0 && --host_fail_in == 0;
}
