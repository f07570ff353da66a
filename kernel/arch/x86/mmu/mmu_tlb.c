// The TLB: which CPU runs on which root, and flushing on several of them.
//
// A flush is one request per flushing CPU, in its slot of `requests`, and one bit per target in
// that target's `inbox`. Preemption is off from the request until all have answered, so a slot has
// one user; interrupts stay on, so that this CPU answers others meanwhile (two CPUs may flush each
// other at the same time).
//
// Why no translation is missed: the flushing CPU edits entries, fences, then reads the mask of
// active CPUs. A CPU that starts to use the root sets its bit with a locked instruction before it
// loads the root. Either its bit is seen here, or its loads come after our edits.
//
// Without PCIDs a root load drops everything but the kernel's global entries; with them (a later
// matter) arch_aspace_switch() is the place that chooses one, and flush_here() the one that must
// not stop at "another root is loaded".
#include <stdatomic.h>

#include <arch/boot_mmu.h>
#include <arch/percpu.h>
#include <arch/upcalls.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <locking/preempt.h>

#include "mmu_core.h"
#include "mmu_priv.h"

struct tlb_request {
    const struct tlb_gather* gather; // valid while `waiting` is not zero
    _Atomic(cpu_mask_t) waiting;     // targets that have not answered
} __attribute__((aligned(64)));

struct tlb_cpu {
    _Atomic(cpu_mask_t) inbox; // CPUs whose request waits for this one
} __attribute__((aligned(64)));

constexpr uint64_t CR4_PGE = 1u << 7;

static uint64_t cr3_read(void) {
    uint64_t value;
    __asm__ volatile("movq %%cr3, %0" : "=r"(value)::"memory");
    return value;
}
static void cr3_write(uint64_t value) {
    __asm__ volatile("movq %0, %%cr3" ::"r"(value) : "memory");
}
static uint64_t cr4_read(void) {
    uint64_t value;
    __asm__ volatile("movq %%cr4, %0" : "=r"(value)::"memory");
    return value;
}
static void cr4_write(uint64_t value) {
    __asm__ volatile("movq %0, %%cr4" ::"r"(value) : "memory");
}

static struct tlb_request requests[CPU_MAX];
static struct tlb_cpu cpus[CPU_MAX];

// To the kernel's own root, from whatever was there.
static NOINLINE void switch_to_none(struct arch_percpu* self) {
    struct arch_aspace* prev = self->aspace;
    cr3_write(boot_mmu_root().raw);
    self->aspace = nullptr;
    if (prev != nullptr) {
        atomic_fetch_and_explicit(&prev->active_cpus, ~self->cpu_bit, memory_order_release);
    }
}

INLINE_ACROSS_FILES void arch_aspace_switch(struct arch_aspace* next) {
    struct arch_percpu* self = arch_percpu_self();
    struct arch_aspace* prev = self->aspace;
    if (prev == next) {
        return;
    }
    if (unlikely(next == nullptr)) {
        switch_to_none(self);
        return;
    }
    const cpu_mask_t bit = self->cpu_bit;
    atomic_fetch_or_explicit(&next->active_cpus, bit, memory_order_seq_cst);
    cr3_write(next->root.raw);
    self->aspace = next;
    if (prev != nullptr) {
        atomic_fetch_and_explicit(&prev->active_cpus, ~bit, memory_order_release);
    }
}

static void flush_page(vaddr_t va) {
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

// Preemption off: then the loaded root stays what it is. Interrupts may come, and flush for others.
static inline void flush_here(const struct tlb_gather* g) {
    if (g->as != nullptr && arch_percpu_self()->aspace != g->as) {
        return; // its root is not loaded: nothing of it is cached
    }
    if (!g->full) {
        for (uint32_t i = 0; i < g->count; i++) {
            for (uint32_t k = 0; k < g->ranges[i].pages; k++) {
                flush_page(g->ranges[i].va + k * PAGE_SIZE);
            }
        }
    } else if (g->as != nullptr) {
        cr3_write(cr3_read());
    } else {
        irq_state_t state = irq_save();
        uint64_t cr4 = cr4_read(); // global entries go with PGE
        cr4_write(cr4 & ~CR4_PGE);
        cr4_write(cr4);
        irq_restore(state);
    }
}

void arch_upcall_tlb(void) {
    uint32_t cpu = arch_cpu_index();
    cpu_mask_t from = atomic_exchange_explicit(&cpus[cpu].inbox, 0, memory_order_acquire);
    for (; from != 0; from &= from - 1) {
        struct tlb_request* r = &requests[bit_lowest(from)];
        flush_here(r->gather);
        atomic_fetch_and_explicit(&r->waiting, ~bit(cpu), memory_order_release);
    }
}

// On this CPU and others at the same time. Preemption off.
static NOINLINE void flush_others(const struct tlb_gather* g, cpu_mask_t others, bool here) {
    uint32_t cpu = arch_cpu_index();
    struct tlb_request* r = &requests[cpu];
    // Or two CPUs could wait for each other for ever.
    ASSERT(irq_enabled());
    DEBUG_ASSERT((arch_preempt_count() & ~PREEMPT_NOTHING_PENDING) == 1);
    r->gather = g;
    atomic_store_explicit(&r->waiting, others, memory_order_relaxed);
    for (cpu_mask_t left = others; left != 0; left &= left - 1) {
        atomic_fetch_or_explicit(&cpus[bit_lowest(left)].inbox, bit(cpu), memory_order_release);
    }
    arch_ipi_send(others, IPI_TLB);
    if (here) {
        flush_here(g);
    }
    while (atomic_load_explicit(&r->waiting, memory_order_acquire) != 0) {
        cpu_relax();
    }
}

void mmu_gather_flush(const struct tlb_gather* g) {
    preempt_disable();
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t cpu = arch_cpu_index();
    cpu_mask_t mask = g->as != nullptr
                          ? atomic_load_explicit(&g->as->active_cpus, memory_order_seq_cst)
                          : arch_cpus_online() | bit(cpu);
    cpu_mask_t others = mask & ~bit(cpu);
    if (unlikely(others != 0)) {
        flush_others(g, others, mask != others);
    } else if (mask != 0) {
        flush_here(g);
    }
    preempt_enable();
}
