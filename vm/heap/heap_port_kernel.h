// The heap in the kernel. See heap_port.h.
#pragma once

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <locking/spinlock.h>
#include <vm/inject.h>
#include <vm/slab_cache_impl.h>

static inline irq_state_t port_cpu_enter(uint32_t* cpu) {
    irq_state_t state = irq_save();
    *cpu = arch_cpu_index();
    return state;
}
static inline void port_cpu_leave(irq_state_t state) {
    irq_restore(state);
}

// Interrupts are off already. Outside the analysis: slab_cache is passed on to functions that end
// in _locked.
static inline void port_lock(heap_lock_t* l) TA_OFF {
    preempt_disable();
    spin_acquire_raw(l);
}
// See port_lock.
static inline void port_unlock(heap_lock_t* l) TA_OFF {
    spin_release_raw(l);
    preempt_enable();
}
static inline void port_on_every_cpu(void (*fn)(void*)) {
    arch_call_on(arch_cpus_online(), fn, nullptr);
}
static inline bool port_injected(void) {
    return alloc_injected();
}
