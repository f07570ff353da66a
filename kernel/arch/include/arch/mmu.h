// Page tables and the TLB gather. Contract; the x86-64 port implements it in
// kernel/arch/x86/mmu*.c.
//
// Lock order: page_set (sleeping) -> arch_aspace.lock (spinlock, guards the tables) -> PMM. Nothing
// here allocates under the lock: the tables a mapping may need come from the caller's
// table_reserve, filled beforehand (mmu_reserve_fill).
//
// Unmapping and permission loss go through one gather transaction:
//     tlb_gather_begin(&g, aspace)    takes aspace->lock
//     mmu_unmap / mmu_protect / ...   edit entries, note what must be flushed and freed
//     tlb_gather_commit(&g, aspace)   releases the lock, full fence, reads active_cpus, IPIs those,
//                                     waits with interrupts on, then frees the table pages
// so that nothing is reused while any CPU can still reach it. The pages that were mapped are the
// caller's: it frees them after the commit. A CPU sets its bit in active_cpus BEFORE it loads the
// root, and clears it after it has loaded another; idle CPUs run on the kernel root. Widening
// permission and not-present -> present need no shoot-down (spurious faults are retried), which is
// why mmu_map() needs no gather.
//
// Commit with interrupts on and no spinlock but aspace->lock held, unless only one CPU is online.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/status.h>
#include <lib/types.h>
#include <locking/spinlock.h>

#include <arch/cpu.h>
#include <arch/layout.h>

enum mmu_flags : uint32_t {
    MMU_READ = 1u << 0,
    MMU_WRITE = 1u << 1,
    MMU_EXEC = 1u << 2,
    MMU_USER = 1u << 3,
    // 2 bits: ZX_CACHE_POLICY_CACHED, UNCACHED, UNCACHED_DEVICE, WRITE_COMBINING
    MMU_CACHE_SHIFT = 4,
    MMU_CACHE_MASK = 3u << 4,
    MMU_UNCACHED = 1u << 4,
    MMU_UNCACHED_DEVICE = 2u << 4,
    MMU_WRITE_COMBINING = 3u << 4,
};

struct arch_aspace {
    paddr_t root;                    // immutable after init
    vaddr_t base, size;              // the user range; immutable
    spinlock_t lock;                 // guards the page tables below root
    _Atomic(cpu_mask_t) active_cpus; // CPUs that may hold translations
    _Atomic(uint64_t) table_pages;   // table pages owned (accounting)
};

// Clean (all zero) table pages set aside for one operation, so that nothing allocates under a lock.
// A table page that is in no tree is zero but for its first word, which links lists; the word's low
// bits are clear, so that even a walker with a stale entry finds nothing present there.
struct mmu_table;
struct table_reserve {
    struct mmu_table* head;
    uint32_t count;
};
constexpr uint32_t MMU_TABLES_PER_FAULT = 3;

// Raises the reserve to at least `count`. False: no memory (what was got stays). No lock held.
[[nodiscard]] bool mmu_reserve_fill(struct table_reserve* r, uint32_t count);
void mmu_reserve_drain(struct table_reserve* r);
// An upper bound of the tables that mapping [va, va + len) can need.
uint32_t mmu_tables_needed(vaddr_t va, size_t len);

// NO_MEMORY, or OK. [base, base + size) lies in the user half.
status_t arch_aspace_init(struct arch_aspace* as, vaddr_t base, size_t size);
void arch_aspace_destroy(struct arch_aspace* as); // everything unmapped, not active anywhere
// Scheduler hook: null = the kernel root. Interrupts off.
void arch_aspace_switch(struct arch_aspace* next);

// Maps `count` pages at va; takes as->lock. pages[i].raw == MMU_HOLE skips a page. An entry that is
// present already: with `overwrite` it stays if it maps the same page, and gains what `flags` adds
// (fault path), else ALREADY_EXISTS. NO_MEMORY: the reserve ran out; what was mapped stays, fill
// the reserve and call again with `overwrite`.
constexpr uint64_t MMU_HOLE = UINT64_MAX;
// The short way for one page: false if a table is missing or something is mapped, and then nothing
// changed and mmu_map() is to be called.
bool mmu_map_page(struct arch_aspace* as, vaddr_t va, paddr_t page, enum mmu_flags flags);
status_t mmu_map(struct arch_aspace* as, vaddr_t va, const paddr_t* pages, size_t count,
                 enum mmu_flags flags, bool overwrite, struct table_reserve* reserve);
// One physically contiguous run, nothing mapped there yet; uses 2 MiB (1 GiB) entries where
// alignment and length allow. Takes as->lock. After an error part of it may be mapped.
status_t mmu_map_run(struct arch_aspace* as, vaddr_t va, paddr_t pa, size_t len,
                     enum mmu_flags flags, struct table_reserve* reserve);

constexpr uint32_t MMU_GATHER_RANGES = 8;
constexpr uint32_t MMU_GATHER_PAGES = 32; // above this many pages the whole root is reloaded

struct tlb_gather {
    struct arch_aspace* as; // null: the kernel half
    uint32_t count;         // ranges
    uint32_t pages;         // in them
    bool full;              // all translations of the address space
    struct {
        vaddr_t va;
        uint32_t pages;
    } ranges[MMU_GATHER_RANGES];
    struct mmu_table* free_tables;
};
void tlb_gather_begin(struct tlb_gather* g, struct arch_aspace* as) TA_ACQ(as->lock);
void tlb_gather_commit(struct tlb_gather* g, struct arch_aspace* as) TA_REL(as->lock);

// Removes translations in [va, va + len). A large entry that is only partly covered needs a table
// to split: `reserve` serves it (NO_MEMORY if it is empty or null).
status_t mmu_unmap(struct tlb_gather* g, vaddr_t va, size_t len, struct table_reserve* reserve);
// Sets the permissions of what is present there.
status_t mmu_protect(struct tlb_gather* g, vaddr_t va, size_t len, enum mmu_flags flags,
                     struct table_reserve* reserve);
// Both for a range of any size, as a row of transactions of their own: the lock is let go after
// each MMU_STEP_BYTES, and nothing is looked at where no table is. Nobody may enter translations in
// the range meanwhile.
constexpr size_t MMU_STEP_BYTES = (size_t)16 << 20;
status_t mmu_unmap_range(struct arch_aspace* as, vaddr_t va, size_t len,
                         struct table_reserve* reserve);
status_t mmu_protect_range(struct arch_aspace* as, vaddr_t va, size_t len, enum mmu_flags flags,
                           struct table_reserve* reserve);
// Write-protects (snapshot): clears W in directory entries that the range covers fully, per PTE at
// its edges (the CPU ANDs W over the levels). A large entry at an edge is protected whole: a write
// fault beside the range finds that it may be mapped writable again.
void mmu_write_protect(struct tlb_gather* g, vaddr_t va, size_t len);
// Tests and clears the accessed bits of up to 64 pages. Bit i of the result: page i was accessed
// (of a large entry: the first page asked for).
uint64_t mmu_harvest_accessed(struct tlb_gather* g, vaddr_t va, size_t page_count);
// What is mapped at va, with the permissions that all levels together give; NOT_FOUND if nothing.
status_t mmu_query(struct arch_aspace* as, vaddr_t va, paddr_t* pa, enum mmu_flags* flags);
// Whether anything is; `va` lies in the address space.
bool mmu_is_mapped(struct arch_aspace* as, vaddr_t va);

// ---- kernel half: shared by all, tables are never given back ----

// Kernel stacks, MMIO windows and vmaps. May allocate tables; nothing is mapped there. NO_MEMORY
// leaves nothing mapped. Physically contiguous; mmu_kernel_map_pages takes one address per page.
status_t mmu_kernel_map(vaddr_t va, paddr_t pa, size_t len, enum mmu_flags flags);
status_t mmu_kernel_map_pages(vaddr_t va, const paddr_t* pages, size_t count, enum mmu_flags flags);
// Removes what is mapped in any of the ranges and shoots it down on all CPUs, once. Interrupts on
// and no spinlock, or a single CPU online.
struct mmu_range {
    vaddr_t va;
    size_t len;
};
void mmu_kernel_unmap(const struct mmu_range* ranges, size_t count);
status_t mmu_kernel_query(vaddr_t va, paddr_t* pa, enum mmu_flags* flags);

// The page array's own part: maps one page and clears it. `table` gives pages for tables. The
// caller (the PMM, under its lock) is the only one who touches that part; nothing is ever unmapped
// there.
void mmu_map_array_page(void* at, paddr_t pa, paddr_t (*table)(void));

// What the tables need from above: memory. Clean = all zero. Defined by vm.
struct mmu_table* arch_upcall_table_alloc(void); // clean; null: no memory
void arch_upcall_table_free(struct mmu_table* t);
// Whether a test wants the allocation that is about to be made to fail.
bool arch_upcall_table_refused(void);
// A table of the kernel half stays for ever: it no longer counts as allocated.
void arch_upcall_table_wire(struct mmu_table* t);
// Gives the clean tables that CPUs keep back to the PMM. Interrupts on, no spinlock.
void mmu_drain_tables(void);

// The direct map: RAM of the memory map only.
static inline void* phys_to_virt(paddr_t pa) {
    return (void*)(DIRECT_MAP_BASE + pa.raw);
}
static inline paddr_t virt_to_phys(const void* va) { // direct-map addresses only
    return (paddr_t){(uintptr_t)va - DIRECT_MAP_BASE};
}
