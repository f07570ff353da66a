// The allocator in the kernel. See pmm_port.h.
#pragma once

#include <arch/cpu.h>
#include <arch/mmu.h>
#include <arch/percpu.h>
#include <locking/spinlock.h>
#include <sched/thread.h>
#include <vm/inject.h>

extern spinlock_t pmm_lock; // class PMM; used through this header only

static inline irq_state_t port_cpu_enter(uint32_t* cpu) {
    irq_state_t state = irq_save();
    *cpu = arch_cpu_index();
    return state;
}
static inline void port_cpu_leave(irq_state_t state) {
    irq_restore(state);
}

// Outside the analysis: the pair stands for one lock that callers do not name; functions that need
// it end in _locked.
static inline irq_state_t port_lock(void) TA_OFF {
    return spin_acquire_irq(&pmm_lock);
}
// See port_lock.
static inline void port_unlock(irq_state_t state) TA_OFF {
    spin_release_irq(&pmm_lock, state);
}

// Whether the current thread is a program's that may not use what is kept for the system. (There is
// no thread yet when the kernel starts.)
static inline bool port_is_program(void) {
    const struct thread* t = thread_current();
    return t != nullptr && t->process != nullptr && !t->memory_reserve;
}

static inline void port_map_array_page(void* at, paddr_t pa, paddr_t (*table)(void)) {
    mmu_map_array_page(at, pa, table);
}
static inline void port_on_every_cpu(void (*fn)(void*), void* arg) {
    arch_call_on(arch_cpus_online(), fn, arg);
}
static inline bool port_injected(void) {
    return alloc_injected();
}
