// Page sets: ranges of slots, and the translations that show them.
#include <vm/page_set.h>

#include <zircon/types.h>

#include <arch/mmu.h>
#include <lib/align.h>
#include <lib/assert.h>
#include <vm/aspace.h>
#include <vm/page_source.h>

#include "../aspace/mapping.h"

// ---- translations ----

enum edit : uint8_t { EDIT_UNMAP, EDIT_UNMAP_RARE, EDIT_WRITE_PROTECT, EDIT_HARVEST };

// [index, end) in set coordinates, clipped to the mapping. EDIT_HARVEST: bit i of the result is the
// page at index + i; otherwise 0.
static uint64_t edit_mapping(struct mapping* m, uint64_t index, uint64_t end, enum edit edit) {
    uint64_t first = max(index, m->first_page);
    end = min(end, m->first_page + mapping_pages(m));
    vaddr_t va = mapping_va(m, first);
    size_t len = (end - first) << PAGE_SHIFT;
    if (edit == EDIT_WRITE_PROTECT && (m->perms & ZX_VM_PERM_WRITE) == 0) {
        return 0;
    }
    struct arch_aspace* arch = &m->as->arch;
    if (edit == EDIT_UNMAP_RARE) {
        // One page. Nobody can enter a translation for it while we hold the page set's lock.
        paddr_t paddr;
        enum mmu_flags flags;
        if (mmu_query(arch, va, &paddr, &flags) != STATUS_OK) {
            return 0;
        }
    }
    if (edit <= EDIT_UNMAP_RARE) {
        // Page sets whose contents change are mapped page by page: there is nothing to split, and
        // so no table is needed.
        struct table_reserve none = {};
        status_t status = mmu_unmap_range(arch, va, len, &none);
        ASSERT(status == STATUS_OK);
        return 0;
    }
    uint64_t accessed = 0;
    UNINITIALIZED struct tlb_gather gather;
    tlb_gather_begin(&gather, arch);
    if (edit == EDIT_WRITE_PROTECT) {
        mmu_write_protect(&gather, va, len);
    } else {
        accessed = mmu_harvest_accessed(&gather, va, end - first) << (first - index);
    }
    tlb_gather_commit(&gather, arch);
    return accessed;
}

static uint64_t edit_range_locked(struct page_set* set, uint64_t index, uint64_t count,
                                  enum edit edit) TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    uint64_t end = index + count;
    uint64_t accessed = 0;
    for (struct interval* i = interval_first(&st->mappings, index, end); i != nullptr;
         i = interval_next(i, index, end)) {
        accessed |= edit_mapping(container_of(i, struct mapping, own), index, end, edit);
    }
    if (set->kind != PAGE_SET_PAGER) {
        return accessed;
    }
    for (struct interval* i = interval_first(&st->clone_mappings, index, end); i != nullptr;
         i = interval_next(i, index, end)) {
        // A clone's own pages in the range are unmapped along with ours: it faults them in again.
        // Its geometry is stable because changing it takes this lock too (PS3).
        struct mapping* m = container_of(i, struct mapping, clone);
        uint64_t off = m->set->backing_off;
        uint64_t first = max(index, i->first) - off;
        accessed |= edit_mapping(m, first, min(end, i->end) - off, edit) << (first + off - index);
    }
    return accessed;
}

void page_set_unmap_range_locked(struct page_set* set, uint64_t index, uint64_t count) {
    (void)edit_range_locked(set, index, count, EDIT_UNMAP);
}

void page_set_unmap_rare_locked(struct page_set* set, uint64_t index) {
    // The commonest case, one mapping and no clones of the set, without a search. Nobody can enter
    // a translation meanwhile: that takes the page set's lock.
    const struct rbtree_node* one = page_set_state(set)->mappings.root;
    if (one != nullptr && rbtree_node_left(one) == nullptr && rbtree_node_right(one) == nullptr &&
        set->kind != PAGE_SET_PAGER) {
        const struct mapping* m = container_of((struct rbtree_node*)one, struct mapping, own.node);
        if (index - m->first_page >= mapping_pages(m) ||
            !mmu_is_mapped(&m->as->arch, mapping_va(m, index))) {
            return;
        }
    }
    (void)edit_range_locked(set, index, 1, EDIT_UNMAP_RARE);
}

uint64_t page_set_harvest_locked(struct page_set* set, uint64_t index, uint64_t count) {
    DEBUG_ASSERT(count <= 64);
    return edit_range_locked(set, index, count, EDIT_HARVEST);
}

void page_set_write_protect_locked(struct page_set* set, uint64_t index, uint64_t count) {
    (void)edit_range_locked(set, index, count, EDIT_WRITE_PROTECT);
    page_set_await_backing_locked(set);
}

// Outside the analysis, as the next: the second lock is taken only if there is a paged backing.
void page_set_lock_backing(struct page_set* set) TA_OFF {
    if (set->kind != PAGE_SET_PAGER && page_set_is_paged(set)) {
        mutex_acquire(&set->backing->lock);
    }
}

// Outside the analysis: the same condition.
void page_set_unlock_backing(struct page_set* set) TA_OFF {
    if (set->kind != PAGE_SET_PAGER && page_set_is_paged(set)) {
        mutex_release(&set->backing->lock);
    }
}

void page_set_await_backing_locked(struct page_set* set) {
    page_set_lock_backing(set);
    page_set_unlock_backing(set);
}

// ---- slots ----

bool page_set_pinned_locked(struct page_set* set, uint64_t index, uint64_t count) {
    struct page_set_state* st = page_set_state(set);
    if (st->pin_count == 0) {
        return false;
    }
    struct page_tree_entry entry;
    uint64_t end = index + count;
    while (page_tree_next_page(&st->tree, index, end, &entry)) {
        if (atomic_load_explicit(&page_slot_page(entry.slot)->pins, memory_order_relaxed) != 0) {
            return true;
        }
        index = entry.index + 1;
    }
    return false;
}

typedef status_t (*tree_range_fn)(struct page_tree* t, uint64_t first, uint64_t count,
                                  struct page_node_reserve* r, struct page_garbage* g);

static status_t change_range_locked(struct page_set* set, uint64_t index, uint64_t count,
                                    tree_range_fn change, struct page_garbage* g)
    TA_REQ(set->lock) {
    if (count == 0) {
        return STATUS_OK;
    }
    if (page_set_pinned_locked(set, index, count)) {
        return STATUS_BAD_STATE;
    }
    struct page_tree* tree = &page_set_state(set)->tree;
    struct page_node_reserve reserve = {};
    if (!page_node_reserve_fill(&reserve, page_tree_nodes_range(tree, index, count))) {
        page_node_reserve_drain(&reserve);
        return STATUS_NO_MEMORY;
    }
    page_set_unmap_range_locked(set, index, count); // PS1
    page_set_await_backing_locked(set);
    status_t status = change(tree, index, count, &reserve, g);
    page_node_reserve_drain(&reserve);
    return status;
}

status_t page_set_zero_locked(struct page_set* set, uint64_t index, uint64_t count,
                              struct page_garbage* g) {
    // A marker is needed only where absence would show something else.
    struct page_set_state* st = page_set_state(set);
    bool absent_is_zero =
        set->kind == PAGE_SET_ANON && (set->backing == nullptr || index >= st->backing_limit);
    return change_range_locked(set, index, count,
                               absent_is_zero ? page_tree_remove_range : page_tree_zero_range, g);
}

status_t page_set_remove_locked(struct page_set* set, uint64_t index, uint64_t count,
                                struct page_garbage* g) {
    return change_range_locked(set, index, count, page_tree_remove_range, g);
}

status_t page_set_resize_locked(struct page_set* set, uint64_t new_size, struct page_garbage* g) {
    struct page_set_state* st = page_set_state(set);
    uint64_t old_pages = st->size >> PAGE_SHIFT;
    uint64_t new_pages = new_size >> PAGE_SHIFT;
    if (new_pages < old_pages) {
        TRY(change_range_locked(set, new_pages, old_pages - new_pages, page_tree_remove_range, g));
        st->backing_limit = min(st->backing_limit, new_pages); // PS4
        st->zero_cleaning = min(st->zero_cleaning, new_pages);
        if (set->source != nullptr) {
            // Who waits there looks again: a clone goes on, with zeroes.
            page_source_answer(set->source, PAGE_NEED_ANY, new_pages, old_pages - new_pages,
                               STATUS_OK);
        }
    } else if (set->kind == PAGE_SET_PAGER) {
        // The provider knows nothing of what is new: it is zero, and need not be asked for.
        TRY(change_range_locked(set, old_pages, new_pages - old_pages, page_tree_zero_range, g));
        st->zero_dirty = min(st->zero_dirty, old_pages);
    }
    st->size = new_size;
    return STATUS_OK;
}

// ---- registration ----

// Outside the analysis: page_set_lock_backing() was called.
static inline void link_clone(struct page_set* set, struct mapping* m, bool link) TA_OFF {
    struct page_set* backing = set->backing;
    if (backing == nullptr || backing->kind != PAGE_SET_PAGER) {
        return;
    }
    struct page_set_state* st = page_set_state(backing);
    if (link) {
        m->clone.first = m->first_page + set->backing_off;
        m->clone.end = m->clone.first + mapping_pages(m);
        interval_insert(&st->clone_mappings, &m->clone);
    } else {
        interval_erase(&st->clone_mappings, &m->clone);
    }
}

void page_set_add_mapping_locked(struct page_set* set, struct mapping* m) {
    struct page_set_state* st = page_set_state(set);
    m->own.first = m->first_page;
    m->own.end = m->first_page + mapping_pages(m);
    interval_insert(&st->mappings, &m->own);
    st->mapping_count++;
    link_clone(set, m, true);
}

void page_set_remove_mapping_locked(struct page_set* set, struct mapping* m) {
    struct page_set_state* st = page_set_state(set);
    interval_erase(&st->mappings, &m->own);
    st->mapping_count--;
    link_clone(set, m, false);
}
