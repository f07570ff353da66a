// The kernel half: one set of tables below entries of the root that are final, so that a mapping
// made here is everybody's. Its tables are never freed.
//
// kernel_tables.lock guards all of it but two parts: the boot stages' window (one CPU, before this)
// and the page array's, which the PMM edits under its own lock through mmu_map_array_page().
#include <arch/boot_mmu.h>
#include <lib/align.h>
#include <lib/assert.h>

#include "mmu_core.h"
#include "mmu_priv.h"

static struct {
    spinlock_t lock;
} kernel_tables = {.lock = SPINLOCK_INIT(LOCK_CLASS_KERNEL_PAGE_TABLE)};

static pte_t* kernel_root(void) {
    return (pte_t*)phys_to_virt(boot_mmu_root());
}

// Enough tables for a range, whatever is there already.
static bool reserve_for(struct table_reserve* r, vaddr_t va, size_t len) {
    if (!mmu_reserve_fill(r, mmu_tables_needed(va, len))) {
        mmu_reserve_drain(r);
        return false;
    }
    return true;
}

status_t mmu_kernel_map(vaddr_t va, paddr_t pa, size_t len, enum mmu_flags flags) {
    DEBUG_ASSERT((flags & MMU_USER) == 0 && is_page_aligned(va | pa.raw | len));
    struct table_reserve reserve = {};
    if (!reserve_for(&reserve, va, len)) {
        return STATUS_NO_MEMORY;
    }
    struct pt pt = {.root = kernel_root()};
    spin_acquire(&kernel_tables.lock);
    status_t s = pt_map_run(&pt, va, pa, len, flags, 1, &reserve);
    spin_release(&kernel_tables.lock);
    ASSERT(s == STATUS_OK); // there are enough tables, and the addresses are ours to give out
    mmu_reserve_drain(&reserve);
    return STATUS_OK;
}

status_t mmu_kernel_map_pages(vaddr_t va, const paddr_t* pages, size_t count,
                              enum mmu_flags flags) {
    DEBUG_ASSERT((flags & MMU_USER) == 0 && is_page_aligned(va));
    struct table_reserve reserve = {};
    if (!reserve_for(&reserve, va, count * PAGE_SIZE)) {
        return STATUS_NO_MEMORY;
    }
    struct pt pt = {.root = kernel_root()};
    spin_acquire(&kernel_tables.lock);
    status_t s = pt_map_pages(&pt, va, pages, count, flags, false, &reserve);
    spin_release(&kernel_tables.lock);
    ASSERT(s == STATUS_OK); // see above
    mmu_reserve_drain(&reserve);
    return STATUS_OK;
}

void mmu_kernel_unmap(const struct mmu_range* ranges, size_t count) {
    struct tlb_gather g = {};
    struct pt pt = {.root = kernel_root()};
    struct table_reserve none = {};
    spin_acquire(&kernel_tables.lock);
    for (size_t i = 0; i < count; i++) {
        status_t s = pt_unmap(&pt, &g, ranges[i].va, ranges[i].len, &none);
        ASSERT(s == STATUS_OK); // ranges are unmapped as they were mapped: nothing splits
    }
    spin_release(&kernel_tables.lock);
    if (g.count != 0 || g.full) {
        mmu_gather_flush(&g);
    }
}

status_t mmu_kernel_query(vaddr_t va, paddr_t* pa, enum mmu_flags* flags) {
    struct pt pt = {.root = kernel_root()};
    spin_acquire(&kernel_tables.lock);
    status_t s = pt_query(&pt, va, pa, flags);
    spin_release(&kernel_tables.lock);
    return s;
}

static void page_zero(void* at) {
    __builtin_memset(at, 0, PAGE_SIZE);
}

void mmu_map_array_page(void* at, paddr_t pa, paddr_t (*table)(void)) {
    vaddr_t va = (vaddr_t)at;
    pte_t* level_table = kernel_root();
    for (uint32_t level = PT_TOP; level > 0; level--) {
        pte_t* entry = &level_table[level_index(va, level)];
        if ((*entry & PTE_PRESENT) == 0) {
            ASSERT(level < PT_TOP); // the root's entries are final
            paddr_t fresh = table();
            page_zero(phys_to_virt(fresh));
            pte_set(entry, fresh.raw | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED);
        }
        level_table = pte_table(*entry);
    }
    page_zero(phys_to_virt(pa));
    pte_set(&level_table[level_index(va, 0)],
            pa.raw | leaf_bits((enum mmu_flags)(MMU_READ | MMU_WRITE), 0) | PTE_ACCESSED);
}
