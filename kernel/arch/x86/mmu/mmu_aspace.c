// Address spaces of user processes: the locked operations of <arch/mmu.h>. The editing itself is in
// mmu_map.c and mmu_unmap.c.
#include <arch/boot_mmu.h>
#include <arch/layout.h>
#include <lib/align.h>
#include <lib/assert.h>

#include "mmu_core.h"
#include "mmu_priv.h"

constexpr uint32_t KERNEL_SLOT = PT_ENTRIES / 2; // the first slot of the shared half

static pte_t* root_of(const struct arch_aspace* as) {
    return (pte_t*)phys_to_virt(as->root);
}

static bool in_user_range(const struct arch_aspace* as, vaddr_t va, size_t len) {
    return va >= as->base && range_ok(va - as->base, len, as->size);
}

status_t arch_aspace_init(struct arch_aspace* as, vaddr_t base, size_t size) {
    ASSERT(is_page_aligned(base | size) && range_ok(base, size, USER_HALF_END));
    struct table_reserve r = {};
    if (!mmu_reserve_fill(&r, 1)) {
        return STATUS_NO_MEMORY;
    }
    pte_t* root = (pte_t*)table_pop(&r.head);
    const pte_t* kernel = (const pte_t*)phys_to_virt(boot_mmu_root());
    for (uint32_t i = KERNEL_SLOT; i < PT_ENTRIES; i++) {
        root[i] = kernel[i];
    }
    *as = (struct arch_aspace){.root = {table_paddr(root)}, .base = base, .size = size};
    spinlock_init(&as->lock, LOCK_CLASS_PAGE_TABLE);
    atomic_store_explicit(&as->table_pages, 1, memory_order_relaxed);
    return STATUS_OK;
}

// Under as->lock, after an edit.
static void account(struct arch_aspace* as, const struct pt* pt) {
    if (pt->grown != 0) {
        atomic_fetch_add_explicit(&as->table_pages, (uint64_t)pt->grown, memory_order_relaxed);
    }
}

void arch_aspace_destroy(struct arch_aspace* as) {
    ASSERT(atomic_load(&as->active_cpus) == 0);
    struct tlb_gather g;
    struct table_reserve none = {};
    tlb_gather_begin(&g, as);
    // Everything was unmapped: what is left is tables without entries, and nothing can split.
    status_t s = mmu_unmap(&g, 0, USER_HALF_END, &none);
    ASSERT(s == STATUS_OK);
    tlb_gather_commit(&g, as);
    pte_t* root = root_of(as);
    for (uint32_t i = KERNEL_SLOT; i < PT_ENTRIES; i++) {
        root[i] = 0;
    }
    struct mmu_table* list = nullptr;
    table_push(&list, root);
    mmu_tables_free(list);
    as->root = (paddr_t){};
}

status_t mmu_map(struct arch_aspace* as, vaddr_t va, const paddr_t* pages, size_t count,
                 enum mmu_flags flags, bool overwrite, struct table_reserve* reserve) {
    DEBUG_ASSERT(in_user_range(as, va, count * PAGE_SIZE) && (flags & MMU_USER) != 0);
    struct pt pt = {.root = root_of(as), .user = true};
    spin_acquire(&as->lock);
    status_t s = pt_map_pages(&pt, va, pages, count, flags, overwrite, reserve);
    account(as, &pt);
    spin_release(&as->lock);
    return s;
}

bool mmu_map_page(struct arch_aspace* as, vaddr_t va, paddr_t page, enum mmu_flags flags) {
    DEBUG_ASSERT(in_user_range(as, va, PAGE_SIZE) && (flags & MMU_USER) != 0);
    struct pt pt = {.root = root_of(as), .user = true};
    spin_acquire(&as->lock);
    bool done = pt_map_user_page(&pt, va, page, flags);
    spin_release(&as->lock);
    return done;
}

status_t mmu_map_run(struct arch_aspace* as, vaddr_t va, paddr_t pa, size_t len,
                     enum mmu_flags flags, struct table_reserve* reserve) {
    DEBUG_ASSERT(in_user_range(as, va, len) && (flags & MMU_USER) != 0);
    uint32_t largest = arch_cpu_features()->page_1g ? 2 : 1;
    struct pt pt = {.root = root_of(as), .user = true};
    spin_acquire(&as->lock);
    status_t s = pt_map_run(&pt, va, pa, len, flags, largest, reserve);
    account(as, &pt);
    spin_release(&as->lock);
    return s;
}

void tlb_gather_begin(struct tlb_gather* g, struct arch_aspace* as) {
    g->as = as;
    g->count = 0;
    g->pages = 0;
    g->full = false;
    g->free_tables = nullptr;
    spin_acquire(&as->lock);
}

void tlb_gather_commit(struct tlb_gather* g, struct arch_aspace* as) {
    DEBUG_ASSERT(g->as == as);
    spin_release(&as->lock);
    if (g->free_tables != nullptr && g->count == 0) {
        g->full = true; // walks may be cached even where no page is
    }
    if (g->count != 0 || g->full) {
        mmu_gather_flush(g);
    }
    mmu_tables_free(g->free_tables);
    g->free_tables = nullptr;
}

status_t mmu_unmap(struct tlb_gather* g, vaddr_t va, size_t len, struct table_reserve* reserve) {
    struct pt pt = {.root = root_of(g->as), .user = true};
    status_t s = pt_unmap(&pt, g, va, len, reserve);
    account(g->as, &pt);
    return s;
}

status_t mmu_protect(struct tlb_gather* g, vaddr_t va, size_t len, enum mmu_flags flags,
                     struct table_reserve* reserve) {
    struct pt pt = {.root = root_of(g->as), .user = true};
    status_t s = pt_protect(&pt, g, va, len, flags, reserve);
    account(g->as, &pt);
    return s;
}

// ---- in steps ----

typedef status_t (*step_fn)(struct tlb_gather* g, vaddr_t va, size_t len, enum mmu_flags flags,
                            struct table_reserve* reserve);

static NOINLINE status_t in_steps(struct arch_aspace* as, vaddr_t va, vaddr_t end, step_fn step,
                                  enum mmu_flags flags, struct table_reserve* reserve) {
    status_t s = STATUS_OK;
    while (s == STATUS_OK && va != end) {
        UNINITIALIZED struct tlb_gather g;
        tlb_gather_begin(&g, as);
        struct pt pt = {.root = root_of(as), .user = true};
        vaddr_t stop;
        va = pt_next_step(&pt, va, end, &stop);
        if (va != stop) {
            s = step(&g, va, stop - va, flags, reserve);
        }
        tlb_gather_commit(&g, as);
        va = stop;
    }
    return s;
}

static status_t unmap_step(struct tlb_gather* g, vaddr_t va, size_t len, enum mmu_flags,
                           struct table_reserve* reserve) {
    return mmu_unmap(g, va, len, reserve);
}

status_t mmu_unmap_range(struct arch_aspace* as, vaddr_t va, size_t len,
                         struct table_reserve* reserve) {
    if (unlikely(len > MMU_STEP_BYTES)) {
        return in_steps(as, va, va + len, unmap_step, (enum mmu_flags)0, reserve);
    }
    UNINITIALIZED struct tlb_gather g;
    tlb_gather_begin(&g, as);
    status_t s = mmu_unmap(&g, va, len, reserve);
    tlb_gather_commit(&g, as);
    return s;
}

status_t mmu_protect_range(struct arch_aspace* as, vaddr_t va, size_t len, enum mmu_flags flags,
                           struct table_reserve* reserve) {
    return in_steps(as, va, va + len, mmu_protect, flags, reserve);
}

void mmu_write_protect(struct tlb_gather* g, vaddr_t va, size_t len) {
    struct pt pt = {.root = root_of(g->as), .user = true};
    pt_write_protect(&pt, g, va, len);
}

uint64_t mmu_harvest_accessed(struct tlb_gather* g, vaddr_t va, size_t page_count) {
    struct pt pt = {.root = root_of(g->as), .user = true};
    return pt_harvest_accessed(&pt, g, va, page_count);
}

status_t mmu_query(struct arch_aspace* as, vaddr_t va, paddr_t* pa, enum mmu_flags* flags) {
    if (!in_user_range(as, va, 1)) {
        return STATUS_NOT_FOUND;
    }
    struct pt pt = {.root = root_of(as), .user = true};
    spin_acquire(&as->lock);
    status_t s = pt_query(&pt, va, pa, flags);
    spin_release(&as->lock);
    return s;
}

bool mmu_is_mapped(struct arch_aspace* as, vaddr_t va) {
    DEBUG_ASSERT(in_user_range(as, va, PAGE_SIZE));
    struct pt pt = {.root = root_of(as), .user = true};
    spin_acquire(&as->lock);
    pte_t* parent;
    const pte_t* table = pt_leaf_table(&pt, va, false, &parent);
    bool mapped;
    if (likely(table != nullptr)) {
        mapped = (table[level_index(va, 0)] & PTE_PRESENT) != 0;
    } else {
        paddr_t pa; // a table is missing, or a large entry is there
        enum mmu_flags flags;
        mapped = pt_query(&pt, va, &pa, &flags) == STATUS_OK;
    }
    spin_release(&as->lock);
    return mapped;
}
