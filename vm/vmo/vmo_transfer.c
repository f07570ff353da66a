// VMOs: moving pages from one to another, by user mode (transfer_data) or by a pager (supply).
//
// A page that only the giver holds changes hands; a shared one is copied. Per step: everything that
// may fail (copy, nodes) comes first, then the giver's slot is emptied and the taker's filled.
// Pages of one leaf that only the giver holds, and for which the taker has nothing, go in one step.
#include <vm/vmo.h>

#include <lib/assert.h>
#include <lib/string.h>
#include <sched/thread.h>
#include <vm/page_source.h>
#include <vm/pmm.h>
#include <vm/reclaim.h>

#include "vmo_priv.h"

// Enough for one edit in each of two trees.
constexpr uint32_t STEP_NODES = 2 * PAGE_TREE_NODES_MAX;

struct move {
    struct page_set* src;
    struct page_set* dst;
    uint64_t src_index, dst_index, count;
    uint64_t done;
    bool backwards; // overlap within one set: the last page first
    struct page_node_reserve nodes;
    struct page_garbage garbage;
};

// Takes the page out of a slot of `src`, which reads as zero afterwards. *out null: it was zero.
static status_t take_page_locked(struct move* m, struct page_set* src, uint64_t index,
                                 struct page** out) TA_REQ(src->lock) {
    struct page_tree* tree = &page_set_state(src)->tree;
    bool exclusive;
    page_slot_t slot = page_tree_lookup(tree, index, &exclusive);
    *out = nullptr;
    if (!page_slot_is_page(slot)) {
        return STATUS_OK; // no paged backing here, so absent is zero
    }
    struct page* p = page_slot_page(slot);
    if (atomic_load_explicit(&p->pins, memory_order_relaxed) != 0) {
        return STATUS_BAD_STATE;
    }
    struct page* copy = nullptr;
    if (!exclusive) {
        copy = page_set_alloc_page(false);
        if (copy == nullptr) {
            return STATUS_NO_MEMORY;
        }
        memcpy(page_to_virt(copy), page_to_virt(p), PAGE_SIZE);
    }
    struct page* taken = nullptr;
    status_t status = page_tree_set(tree, index, PAGE_SLOT_ABSENT, &m->nodes, &m->garbage, &taken);
    ASSERT(status == STATUS_OK);
    // The other holders may have let go of a shared page meanwhile: then we have two.
    if (taken != nullptr && copy != nullptr) {
        pmm_free_page(copy);
    }
    *out = taken != nullptr ? taken : copy;
    return STATUS_OK;
}

// Puts a page (null: zero) into a slot of `dst`, whatever was there.
static void put_page_locked(struct move* m, struct page_set* dst, uint64_t index, struct page* p)
    TA_REQ(dst->lock) {
    page_slot_t slot = PAGE_SLOT_ABSENT;
    if (p != nullptr) {
        slot = page_slot_from_page(p);
        p->u.vmo.set = dst->kind == PAGE_SET_PAGER ? dst : nullptr;
        p->v.index = index;
    } else if (dst->kind == PAGE_SET_PAGER) {
        slot = PAGE_SLOT_ZERO;
    }
    status_t status =
        page_tree_set(&page_set_state(dst)->tree, index, slot, &m->nodes, &m->garbage, nullptr);
    ASSERT(status == STATUS_OK);
}

// The rest of the content's last page is zero in memory, whatever the pager's is.
static void clear_beyond_content(struct page* p, uint64_t index, uint64_t content_size) {
    size_t used = content_size & PAGE_MASK;
    if (used != 0 && index == content_size >> PAGE_SHIFT) {
        memset((uint8_t*)page_to_virt(p) + used, 0, PAGE_SIZE - used);
    }
}

static NOINLINE MINSIZE status_t move_page_locked(struct move* m, struct page_set* src,
                                                  struct page_set* dst)
    TA_REQ(src->lock, dst->lock) {
    uint64_t at = m->backwards ? m->count - 1 - m->done : m->done;
    uint64_t to = m->dst_index + at;
    if (!page_node_reserve_fill(&m->nodes, STEP_NODES)) {
        return STATUS_NO_MEMORY;
    }
    bool keep = dst->kind == PAGE_SET_PAGER; // what a pager has already stays
    if (!keep && page_set_pinned_locked(dst, to, 1)) {
        return STATUS_BAD_STATE;
    }
    struct page* p;
    TRY(take_page_locked(m, src, m->src_index + at, &p));
    if (keep && p != nullptr) {
        clear_beyond_content(p, to, page_set_state(dst)->content_size);
    }
    if (keep && page_tree_lookup(&page_set_state(dst)->tree, to, nullptr) != PAGE_SLOT_ABSENT) {
        if (p != nullptr) {
            pmm_free_page(p);
        }
    } else {
        put_page_locked(m, dst, to, p);
    }
    m->done++;
    return STATUS_OK;
}

// Whether nobody but the tree holds on to the page's place.
static bool is_unpinned(struct page* p) {
    return atomic_load_explicit(&p->pins, memory_order_relaxed) == 0;
}

// Moves up to `most` (<= 64) pages at once. How many: 0 where the next takes move_page_locked().
static uint64_t move_run_locked(struct move* m, struct page_set* src, struct page_set* dst,
                                uint64_t most) TA_REQ(src->lock, dst->lock) {
    struct page_tree* to_tree = &page_set_state(dst)->tree;
    uint64_t from = m->src_index + m->done, to = m->dst_index + m->done;
    struct page_tree_entry there;
    if (page_tree_next(to_tree, to, to + most, &there)) {
        most = there.index - to;
    }
    if (most == 0 || m->backwards) {
        return 0;
    }
    UNINITIALIZED page_slot_t slots[PAGE_NODE_SLOTS];
    UNINITIALIZED uint64_t own;
    most = page_tree_lookup_run(&page_set_state(src)->tree, from, (uint32_t)most, slots, &own);
    uint32_t count = 0;
    while (count < most && (own >> count & 1) != 0 && is_unpinned(page_slot_page(slots[count]))) {
        count++;
    }
    if (count == 0 ||
        !page_node_reserve_fill(&m->nodes, page_tree_nodes_range(to_tree, to, count))) {
        return 0;
    }
    page_tree_take_run(&page_set_state(src)->tree, from, count, &m->nodes);
    bool paged = dst->kind == PAGE_SET_PAGER;
    for (uint32_t i = 0; i < count; i++) {
        struct page* p = page_slot_page(slots[i]);
        p->next = i + 1 < count ? page_slot_page(slots[i + 1]) : nullptr;
        p->u.vmo.set = paged ? dst : nullptr;
        p->v.index = to + i;
    }
    uint64_t last = page_set_state(dst)->content_size >> PAGE_SHIFT;
    if (paged && last - to < count) {
        clear_beyond_content(page_slot_page(slots[last - to]), last,
                             page_set_state(dst)->content_size);
    }
    page_tree_insert_all(to_tree, to, page_slot_page(slots[0]), &m->nodes);
    return count;
}

static status_t move_batch_locked(struct move* m, struct page_set* src, struct page_set* dst)
    TA_REQ(src->lock, dst->lock) {
    // Sizes may have changed since the last batch.
    if (!range_ok(m->src_index, m->count, page_set_state(src)->size >> PAGE_SHIFT) ||
        !range_ok(m->dst_index, m->count, page_set_state(dst)->size >> PAGE_SHIFT)) {
        return STATUS_OUT_OF_RANGE;
    }
    if (page_set_state(src)->discard == DISCARD_GONE ||
        page_set_state(dst)->discard == DISCARD_GONE) {
        return STATUS_NOT_FOUND;
    }
    // PS1, for all of the batch at once. What a pager's set lacks is mapped nowhere.
    uint64_t pages = min(m->count - m->done, VMO_BATCH_PAGES);
    uint64_t at = m->backwards ? m->count - m->done - pages : m->done;
    page_set_unmap_range_locked(src, m->src_index + at, pages);
    if (dst->kind != PAGE_SET_PAGER) {
        page_set_unmap_range_locked(dst, m->dst_index + at, pages);
    }
    uint64_t stop = m->done + pages;
    while (m->done < stop) {
        uint64_t moved = move_run_locked(m, src, dst, stop - m->done);
        m->done += moved;
        if (moved == 0) {
            TRY(move_page_locked(m, src, dst));
        }
    }
    return STATUS_OK;
}

// Both locks, in the order of their classes and then of their addresses. Outside the analysis: it
// cannot follow the case that both are one.
static void lock_both(struct page_set* a, struct page_set* b) TA_ACQ(a->lock, b->lock) TA_OFF {
    bool a_root = a->kind == PAGE_SET_PAGER;
    bool b_root = b->kind == PAGE_SET_PAGER;
    bool a_first = a_root == b_root ? (uintptr_t)a < (uintptr_t)b : b_root;
    mutex_acquire(a_first ? &a->lock : &b->lock);
    if (a != b) {
        mutex_acquire(a_first ? &b->lock : &a->lock);
    }
}

// Outside the analysis: see lock_both().
static void unlock_both(struct page_set* a, struct page_set* b) TA_REL(a->lock, b->lock) TA_OFF {
    mutex_release(&a->lock);
    if (a != b) {
        mutex_release(&b->lock);
    }
}

static status_t move_all(struct move* m) {
    struct page_set* src = m->src;
    struct page_set* dst = m->dst;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && m->done < m->count) {
        m->garbage = (struct page_garbage){};
        uint64_t before = m->done;
        lock_both(src, dst);
        status = move_batch_locked(m, src, dst);
        if (dst->source != nullptr && m->done != before) {
            // Under the lock: whoever finds the slot empty now cannot have been told yet.
            page_source_answer(dst->source, PAGE_NEED_READ, m->dst_index + before, m->done - before,
                               STATUS_OK);
            reclaim_count(&reclaim_counters.supplied, m->done - before);
        }
        unlock_both(src, dst);
        page_garbage_dispose(&m->garbage);
        if (status == STATUS_OK && thread_killed()) {
            status = STATUS_INTR_KILLED;
        }
    }
    page_node_reserve_drain(&m->nodes);
    return status;
}

static status_t check_ranges(struct vmo* dst, uint64_t offset, struct vmo* src, uint64_t src_offset,
                             uint64_t len) {
    if (!is_page_aligned(offset) || !is_page_aligned(src_offset) || !is_page_aligned(len)) {
        return STATUS_INVALID_ARGS;
    }
    return range_ok(offset, len, vmo_size(dst)) && range_ok(src_offset, len, vmo_size(src))
               ? STATUS_OK
               : STATUS_OUT_OF_RANGE;
}

static struct move move_of(struct vmo* dst, uint64_t offset, struct vmo* src, uint64_t src_offset,
                           uint64_t len) {
    return (struct move){
        .src = src->set,
        .dst = dst->set,
        .src_index = src->first_page + (src_offset >> PAGE_SHIFT),
        .dst_index = dst->first_page + (offset >> PAGE_SHIFT),
        .count = len >> PAGE_SHIFT,
    };
}

// Memory whose pages can be taken and given: no source behind it, not pinned down by its kind.
static bool is_plain(const struct vmo* v) {
    return v->set->kind == PAGE_SET_ANON && v->set->backing == nullptr;
}

status_t vmo_transfer_data(struct vmo* dst, uint64_t offset, uint64_t len, struct vmo* src,
                           uint64_t src_offset) {
    TRY(check_ranges(dst, offset, src, src_offset, len));
    if (!is_plain(dst) || !is_plain(src)) {
        return STATUS_NOT_SUPPORTED;
    }
    struct move m = move_of(dst, offset, src, src_offset, len);
    if (m.src == m.dst && m.src_index == m.dst_index) {
        return STATUS_OK;
    }
    m.backwards = m.src == m.dst && m.dst_index > m.src_index;
    return move_all(&m);
}

status_t vmo_supply_pages(struct vmo* v, uint64_t offset, uint64_t len, struct vmo* aux,
                          uint64_t aux_offset) {
    if (page_source_detached(v->set->source)) {
        return STATUS_BAD_STATE;
    }
    TRY(check_ranges(v, offset, aux, aux_offset, len));
    if (!is_plain(aux)) {
        return STATUS_NOT_SUPPORTED;
    }
    struct move m = move_of(v, offset, aux, aux_offset, len);
    return move_all(&m);
}
