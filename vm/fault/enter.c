#include "enter.h"

#include <lib/align.h>
#include <lib/assert.h>

#include "../aspace/vmar_priv.h"

// mmu_map() after it lacked tables: few mappings need one, so nobody prepares them.
static status_t map_with_tables(const struct mapping* m, vaddr_t va, const paddr_t* pages,
                                size_t count, enum mmu_flags flags, struct table_reserve* tables) {
    return mmu_reserve_fill(tables, mmu_tables_needed(va, count << PAGE_SHIFT))
               ? mmu_map(&m->as->arch, va, pages, count, flags, true, tables)
               : STATUS_NO_MEMORY;
}

static status_t map_pages(const struct mapping* m, vaddr_t va, const paddr_t* pages, size_t count,
                          enum mmu_flags flags, struct table_reserve* tables) {
    status_t status = mmu_map(&m->as->arch, va, pages, count, flags, true, tables);
    return unlikely(status == STATUS_NO_MEMORY)
               ? map_with_tables(m, va, pages, count, flags, tables)
               : status;
}

// What is there now differs from what is wanted: another thread was faster, or it shows what the
// slot had before.
static status_t replace_page(const struct mapping* m, vaddr_t va, paddr_t page,
                             enum mmu_flags flags, struct table_reserve* tables) {
    struct arch_aspace* arch = &m->as->arch;
    paddr_t old;
    enum mmu_flags old_flags;
    constexpr enum mmu_flags access = MMU_READ | MMU_WRITE | MMU_EXEC;
    if (mmu_query(arch, va, &old, &old_flags) == STATUS_OK &&
        page_round_down(old.raw) == page.raw && (flags & access & ~old_flags) == 0) {
        return STATUS_OK;
    }
    status_t status = mmu_unmap_range(arch, va, PAGE_SIZE, tables);
    if (status == STATUS_NO_MEMORY) {
        // It is part of a large entry, which has to be split.
        if (!mmu_reserve_fill(tables, MMU_TABLES_PER_FAULT)) {
            return STATUS_NO_MEMORY;
        }
        status = mmu_unmap_range(arch, va, PAGE_SIZE, tables);
    }
    TRY(status);
    return map_pages(m, va, &page, 1, flags, tables);
}

status_t enter_page_slow(const struct mapping* m, vaddr_t va, paddr_t page, enum mmu_flags flags,
                         struct table_reserve* tables) {
    status_t status = map_pages(m, va, &page, 1, flags, tables);
    return status == STATUS_ALREADY_EXISTS ? replace_page(m, va, page, flags, tables) : status;
}

static paddr_t run_page(const struct page_set* set, uint64_t index) {
    return (paddr_t){set->phys_base.raw + (index << PAGE_SHIFT)};
}

// Page by page, for places where something is mapped already.
static status_t enter_run_pages(const struct mapping* m, const struct page_set* set, uint64_t first,
                                uint64_t count, struct table_reserve* tables) {
    for (uint64_t i = first; i < first + count; i++) {
        TRY(enter_page(m, mapping_va(m, i), run_page(set, i), true, tables));
    }
    return STATUS_OK;
}

status_t enter_run_locked(const struct mapping* m, struct page_set* set, uint64_t first,
                          uint64_t count, struct table_reserve* tables) {
    vaddr_t va = mapping_va(m, first);
    size_t len = count << PAGE_SHIFT;
    enum mmu_flags flags = mapping_mmu_flags(m, set->kind != PAGE_SET_WIRED);
    status_t status = mmu_map_run(&m->as->arch, va, run_page(set, first), len, flags, tables);
    if (status == STATUS_NO_MEMORY) {
        if (!mmu_reserve_fill(tables, mmu_tables_needed(va, len))) {
            return STATUS_NO_MEMORY;
        }
        status = mmu_map_run(&m->as->arch, va, run_page(set, first), len, flags, tables);
    }
    // Also when the first attempt came half way.
    return status == STATUS_ALREADY_EXISTS ? enter_run_pages(m, set, first, count, tables) : status;
}

// Replaces slots by addresses, in place (they have the same size): a hole for what is no page or
// not `wanted` (bit by bit). Returns the bits of the pages that were wanted; *skipped: of the
// others.
static uint64_t slots_to_pages(page_slot_t slots[], uint32_t n, uint64_t own, uint64_t wanted,
                               uint64_t* skipped) {
    paddr_t* pages = (paddr_t*)slots;
    uint64_t present = 0;
    if ((~(wanted & own) & (UINT64_MAX >> (PAGE_NODE_SLOTS - n))) == 0) {
        // Every slot is an own page, and wanted: the common case, without looking at each.
        for (uint32_t i = 0; i < n; i++) {
            pages[i] = page_to_paddr(page_slot_page(slots[i]));
        }
        *skipped = 0;
        return own;
    }
    for (uint32_t i = 0; i < n; i++) {
        page_slot_t slot = slots[i];
        uint64_t take = (uint64_t)page_slot_is_page(slot) << i;
        present |= take;
        pages[i].raw = (take & wanted) != 0 ? page_to_paddr(page_slot_page(slot)).raw : MMU_HOLE;
    }
    *skipped = present & ~wanted;
    return present & wanted;
}

// Of a pager's slots, those that may be mapped writable.
static uint64_t dirty_slots(const page_slot_t slots[], uint32_t n) {
    uint64_t dirty = 0;
    for (uint32_t i = 0; i < n; i++) {
        dirty |= (uint64_t)(page_slot_is_page(slots[i]) && page_is_dirty(page_slot_page(slots[i])))
                 << i;
    }
    return dirty;
}

status_t enter_present_locked(const struct mapping* m, struct page_set* set, uint64_t first,
                              uint64_t count, bool writable, struct table_reserve* tables,
                              bool* rest) {
    DEBUG_ASSERT(count <= PAGE_NODE_SLOTS);
    UNINITIALIZED page_slot_t slots[PAGE_NODE_SLOTS];
    const struct page_tree* tree = &page_set_state(set)->tree;
    bool may_write = (m->perms & ZX_VM_PERM_WRITE) != 0;
    uint64_t all_skipped = 0;
    for (uint64_t done = 0; done < count;) {
        UNINITIALIZED uint64_t own;
        uint32_t n =
            page_tree_lookup_run(tree, first + done, (uint32_t)(count - done), slots, &own);
        if (set->kind == PAGE_SET_PAGER) {
            own = dirty_slots(slots, n);
        }
        uint64_t wanted = !may_write ? UINT64_MAX : writable ? own : ~own;
        UNINITIALIZED uint64_t skipped;
        if (slots_to_pages(slots, n, own, wanted, &skipped) != 0) {
            TRY(map_pages(m, mapping_va(m, first + done), (const paddr_t*)slots, n,
                          mapping_mmu_flags(m, writable), tables));
        }
        all_skipped |= skipped;
        done += n;
    }
    *rest = all_skipped != 0;
    return STATUS_OK;
}
