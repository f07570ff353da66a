// Page tables and the TLB gather. Contract; the x86-64 port implements it in
// kernel/arch/x86/mmu*.c.
//
// Lock order: page_set (sleeping) -> arch_aspace.lock (spinlock, guards the tables) -> PMM. Nothing
// here allocates under the lock: the tables a mapping may need come from the caller's
// table_reserve, filled beforehand (mmu_reserve_fill).
//
// Unmapping and permission loss go through one gather transaction:
//     tlb_gather_begin(&g, aspace)          takes aspace->lock
//     mmu_unmap / mmu_protect / ...          edit PTEs, collect ranges and pages to free
//     tlb_gather_commit(&g)                 releases the lock, full fence, reads active_cpus, IPIs
//     those, waits with interrupts on, then
//                                           frees the collected leaf pages and table pages
// so that no page is reused while any CPU can still reach it. A CPU sets its bit in active_cpus
// BEFORE it loads the root, and clears it after it has loaded another; idle CPUs run on the kernel
// root. Widening permission and not-present -> present need no shoot-down (spurious faults are
// retried), which is why mmu_map() needs no gather.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/list.h>
#include <lib/status.h>
#include <lib/types.h>
#include <locking/spinlock.h>

#include <arch/cpu.h>

struct page;

enum mmu_flags : uint32_t {
    MMU_READ = 1u << 0,
    MMU_WRITE = 1u << 1,
    MMU_EXEC = 1u << 2,
    MMU_USER = 1u << 3,
    MMU_CACHE_SHIFT =
        4, // 2 bits: ZX_CACHE_POLICY_CACHED, UNCACHED, UNCACHED_DEVICE, WRITE_COMBINING
    MMU_CACHE_MASK = 3u << 4,
    MMU_GLOBAL = 1u << 6,
};

struct arch_aspace {
    paddr_t root;                    // immutable after init
    vaddr_t base, size;              // the user range; immutable
    spinlock_t lock;                 // guards the page tables below root
    _Atomic(cpu_mask_t) active_cpus; // CPUs that may hold translations
    _Atomic(uint64_t) table_pages;   // table pages owned (accounting)
};

// Clean (all zero) table pages set aside for one operation, so that nothing allocates under a lock.
struct table_reserve {
    struct page* pages; // single list through page.next
    uint32_t count;
};
constexpr uint32_t MMU_TABLES_PER_FAULT = 3;

[[nodiscard]] bool mmu_reserve_fill(struct table_reserve* r, uint32_t count); // false: no memory
void mmu_reserve_drain(struct table_reserve* r);
// An upper bound of the tables that mapping [va, va + len) can need.
uint32_t mmu_tables_needed(vaddr_t va, size_t len);

status_t arch_aspace_init(struct arch_aspace* as, vaddr_t base, size_t size);
void arch_aspace_destroy(struct arch_aspace* as); // everything unmapped, not active anywhere
// Scheduler hook: null = the kernel root. Interrupts off.
void arch_aspace_switch(struct arch_aspace* next);

// Maps `count` pages at va. pages[i].raw == MMU_HOLE skips a page. Existing present entries: with
// `overwrite` they are replaced when they map the same page with fewer rights or the same (fault
// path), else ALREADY_EXISTS. NO_MEMORY: the reserve ran out (nothing lost; fill it and call
// again).
constexpr uint64_t MMU_HOLE = UINT64_MAX;
status_t mmu_map(struct arch_aspace* as, vaddr_t va, const paddr_t* pages, size_t count,
                 enum mmu_flags flags, bool overwrite, struct table_reserve* reserve);
// One physically contiguous run; uses 2 MiB (1 GiB) entries where alignment and length allow.
status_t mmu_map_run(struct arch_aspace* as, vaddr_t va, paddr_t pa, size_t len,
                     enum mmu_flags flags, struct table_reserve* reserve);

struct tlb_gather {
    struct arch_aspace* as;
    uint32_t count; // ranges; above the limit the whole space is flushed
    bool full;
    struct {
        vaddr_t va;
        size_t len;
    } ranges[16];
    struct page* free_tables; // list through page.next, freed (re-zeroed) after the flush
    struct list free_pages;   // leaf pages the caller queued with tlb_gather_free_page()
};
void tlb_gather_begin(struct tlb_gather* g, struct arch_aspace* as) TA_ACQ(as->lock);
void tlb_gather_commit(struct tlb_gather* g, struct arch_aspace* as) TA_REL(as->lock);
void tlb_gather_free_page(struct tlb_gather* g, struct page* p);

// Removes translations in [va, va + len). A large entry that is only partly covered needs a table
// to split: `reserve` serves it (NO_MEMORY if empty).
status_t mmu_unmap(struct tlb_gather* g, vaddr_t va, size_t len, struct table_reserve* reserve);
// Sets the permissions of what is present there.
status_t mmu_protect(struct tlb_gather* g, vaddr_t va, size_t len, enum mmu_flags flags,
                     struct table_reserve* reserve);
// Write-protects (snapshot): clears W in directory entries that the range covers fully, per PTE at
// its edges (KERNEL: x86 ANDs W over the levels).
void mmu_write_protect(struct tlb_gather* g, vaddr_t va, size_t len);
// Tests and clears the accessed bits; calls back per page that was accessed (eviction clock).
size_t mmu_harvest_accessed(struct tlb_gather* g, vaddr_t va, size_t len);
// What is mapped at va; NOT_FOUND if nothing.
status_t mmu_query(struct arch_aspace* as, vaddr_t va, paddr_t* pa, enum mmu_flags* flags);

// Kernel half: shared by all. Used by kernel stacks, the page array, MMIO windows and vmaps.
status_t mmu_kernel_map(vaddr_t va, paddr_t pa, size_t len,
                        enum mmu_flags flags); // may allocate tables
void mmu_kernel_unmap(vaddr_t va, size_t len); // shoots down on all CPUs; batched by callers

// The direct map: RAM of the memory map only.
void* phys_to_virt(paddr_t pa);
paddr_t virt_to_phys(const void* va); // direct-map addresses only
