// VMOs: operations on ranges. Each works in batches: the lock is let go between them, so that
// nobody waits behind a long commit, and a killed caller stops.
#include <vm/vmo.h>

#include <arch/mmu.h>
#include <lib/string.h>
#include <sched/thread.h>
#include <vm/page_source.h>

#include "vmo_priv.h"

// Pages [index, end) of the set that [offset, offset + size) touches.
struct page_range {
    uint64_t index, end;
};

static status_t range_of_locked(struct vmo* v, struct page_set* set, uint64_t offset, uint64_t size,
                                struct page_range* out) TA_REQ(set->lock) {
    if (!range_ok(offset, size, vmo_size_locked(v, set))) {
        return STATUS_OUT_OF_RANGE;
    }
    *out = (struct page_range){
        v->first_page + (offset >> PAGE_SHIFT),
        v->first_page + (page_round_up(offset + size) >> PAGE_SHIFT),
    };
    return STATUS_OK;
}

// ---- commit, prefetch ----

static status_t commit_batch_locked(struct vmo* v, struct page_set* set, uint64_t offset,
                                    uint64_t size, enum page_access access, uint64_t* done,
                                    struct page_request* request) TA_REQ(set->lock) {
    struct page_range range;
    TRY(range_of_locked(v, set, offset, size, &range));
    uint64_t index = range.index + *done;
    uint64_t stop = min(range.end, index + VMO_BATCH_PAGES);
    for (; index < stop; index++) {
        request->wanted = range.end - index;
        struct page_view view;
        TRY(page_set_get_locked(set, index, access, request, &view));
        page_set_put(&view);
        (*done)++;
    }
    return index == range.end ? STATUS_STOP : STATUS_OK;
}

// Brings every page of the range: with PAGE_WRITE an own one, else at least what the source has.
static status_t commit(struct vmo* v, uint64_t offset, uint64_t size, enum page_access access) {
    struct page_set* set = v->set;
    struct page_request request = {};
    uint64_t done = 0;
    uint32_t tries = 0;
    for (;;) {
        uint64_t before = done;
        mutex_acquire(&set->lock);
        status_t status = commit_batch_locked(v, set, offset, size, access, &done, &request);
        mutex_release(&set->lock);
        if (status == STATUS_STOP) {
            return STATUS_OK;
        }
        tries = done != before ? 0 : tries;
        TRY(vmo_settle(status, &request, &tries));
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
}

static status_t check_range(struct vmo* v, uint64_t offset, uint64_t size) {
    return range_ok(offset, size, vmo_size(v)) ? STATUS_OK : STATUS_OUT_OF_RANGE;
}

static status_t op_commit(struct vmo* v, uint64_t offset, uint64_t size) {
    switch (v->set->kind) {
    case PAGE_SET_PHYSICAL:
        return STATUS_NOT_SUPPORTED;
    case PAGE_SET_CONTIGUOUS:
    case PAGE_SET_WIRED:
        return check_range(v, offset, size);
    default:
        // A pager's pages are committed by being there.
        return commit(v, offset, size, v->set->kind == PAGE_SET_PAGER ? PAGE_LOOK : PAGE_WRITE);
    }
}

static status_t op_prefetch(struct vmo* v, uint64_t offset, uint64_t size) {
    return page_set_is_paged(v->set) ? commit(v, offset, size, PAGE_LOOK)
                                     : check_range(v, offset, size);
}

// Marks what is there of up to 64 pages, for eviction.
static void hint_locked(struct page_set* root, uint64_t index, uint64_t count, bool need)
    TA_REQ(root->lock) {
    (void)page_set_harvest_locked(root, index, count); // what was accessed counts no more
    struct page_tree_entry e;
    for (uint64_t i = index; page_tree_next_page(&page_set_state(root)->tree, i, index + count, &e);
         i = e.index + 1) {
        struct page* p = page_slot_page(e.slot);
        p->vmo_flags &= (uint8_t)~(PAGE_ALWAYS_NEED | PAGE_USED | PAGE_OLD);
        p->vmo_flags |= need ? PAGE_ALWAYS_NEED : PAGE_OLD;
    }
}

// Hints. Anonymous memory is not reclaimed, so there is nothing to remember for it.
static status_t op_hint(struct vmo* v, uint64_t offset, uint64_t size, bool need) {
    struct page_set* set = v->set;
    TRY(check_range(v, offset, size));
    if (!page_set_is_paged(set) || size == 0) {
        return STATUS_OK;
    }
    if (need) {
        TRY(commit(v, offset, size, PAGE_LOOK));
    }
    struct page_set* root = set->kind == PAGE_SET_PAGER ? set : set->backing;
    uint64_t first = v->first_page + (set == root ? 0 : set->backing_off);
    uint64_t index = first + (offset >> PAGE_SHIFT);
    uint64_t end = first + (page_round_up(offset + size) >> PAGE_SHIFT);
    struct page_tree_entry e;
    for (bool more = true; more;) {
        mutex_acquire(&root->lock);
        more = page_tree_next_page(&page_set_state(root)->tree, index, end, &e);
        if (more) {
            index = min(e.index + PAGE_NODE_SLOTS, end);
            hint_locked(root, e.index, index - e.index, need);
        }
        mutex_release(&root->lock);
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return STATUS_OK;
}

// ---- decommit, zero ----

static bool has_snapshots(struct vmo* v) {
    MUTEX_GUARD(vmo_family_lock());
    return v->cow_child_count != 0;
}

// One locked step over [offset, offset + size), which is page aligned.
static status_t drop_pages(struct vmo* v, uint64_t offset, uint64_t size, bool zero) {
    struct page_set* set = v->set;
    struct page_garbage garbage = {};
    struct page_range range;
    mutex_acquire(&set->lock);
    status_t status = range_of_locked(v, set, offset, size, &range);
    if (status == STATUS_OK) {
        uint64_t count = range.end - range.index;
        status = zero ? page_set_zero_locked(set, range.index, count, &garbage)
                      : page_set_remove_locked(set, range.index, count, &garbage);
    }
    mutex_release(&set->lock);
    page_garbage_dispose(&garbage);
    return status;
}

static status_t op_decommit(struct vmo* v, uint64_t offset, uint64_t size) {
    if (v->set->kind != PAGE_SET_ANON || v->set->backing != nullptr ||
        (v->flags & VMO_COW_CLONE) != 0 || has_snapshots(v)) {
        return STATUS_NOT_SUPPORTED;
    }
    if (!is_page_aligned(offset) || !is_page_aligned(size)) {
        return STATUS_INVALID_ARGS;
    }
    return drop_pages(v, offset, size, false);
}

static status_t zero_bytes(struct vmo* v, uint64_t offset, uint64_t size) {
    struct page_set* set = v->set;
    struct page_request request = {};
    uint32_t tries = 0;
    for (;;) {
        mutex_acquire(&set->lock);
        struct page_range range;
        status_t status = range_of_locked(v, set, offset, size, &range);
        if (status == STATUS_OK) {
            uint64_t begin = (v->first_page << PAGE_SHIFT) + offset;
            status = vmo_zero_bytes_locked(set, begin, begin + size, &request);
        }
        mutex_release(&set->lock);
        if (status == STATUS_OK) {
            return STATUS_OK;
        }
        TRY(vmo_settle(status, &request, &tries));
    }
}

// How many bytes from `offset` on, of `size`, are under one zero marker.
static uint64_t marked_zero(struct vmo* v, uint64_t offset, uint64_t size) {
    struct page_set* set = v->set;
    uint64_t index = v->first_page + (offset >> PAGE_SHIFT);
    uint64_t end = v->first_page + (page_round_up(offset + size) >> PAGE_SHIFT);
    struct page_tree_entry entry;
    MUTEX_GUARD(&set->lock);
    return page_tree_next(&page_set_state(set)->tree, index, end, &entry) && entry.index == index &&
                   entry.slot == PAGE_SLOT_ZERO
               ? min(size, (entry.count << PAGE_SHIFT) - (offset & PAGE_MASK))
               : 0;
}

// Contiguous memory keeps its pages, and a pager has to be told of what changes: bytes are cleared.
static status_t zero_in_place(struct vmo* v, uint64_t offset, uint64_t size) {
    while (size != 0) {
        uint64_t piece = marked_zero(v, offset, size);
        if (piece == 0) {
            piece = min(size, PAGE_SIZE - (offset & PAGE_MASK));
            TRY(zero_bytes(v, offset, piece));
        }
        offset += piece;
        size -= piece;
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return STATUS_OK;
}

static status_t op_zero(struct vmo* v, uint64_t offset, uint64_t size) {
    TRY(check_range(v, offset, size));
    switch (v->set->kind) {
    case PAGE_SET_PHYSICAL:
        return STATUS_NOT_SUPPORTED;
    case PAGE_SET_WIRED:
        return STATUS_ACCESS_DENIED;
    case PAGE_SET_CONTIGUOUS:
    case PAGE_SET_PAGER:
        return zero_in_place(v, offset, size);
    default:
        break;
    }
    // Whole pages in the middle, bytes at the two edges.
    uint64_t end = offset + size;
    uint64_t first_whole = page_round_up(offset);
    uint64_t last_whole = page_round_down(end);
    if (first_whole > last_whole) {
        return zero_bytes(v, offset, size); // within one page
    }
    TRY(zero_bytes(v, offset, first_whole - offset));
    TRY(zero_bytes(v, last_whole, end - last_whole));
    status_t status = drop_pages(v, first_whole, last_whole - first_whole, true);
    // A pinned page cannot leave its slot: its bytes are cleared instead.
    return status == STATUS_BAD_STATE ? zero_in_place(v, first_whole, last_whole - first_whole)
                                      : status;
}

// Caches are coherent with every agent on x86-64: what is left of these calls is their checks.
static status_t op_cache(struct vmo* v, uint64_t offset, uint64_t size) {
    return size == 0 ? STATUS_INVALID_ARGS : check_range(v, offset, size);
}

status_t vmo_op_range(struct vmo* v, uint32_t op, uint64_t offset, uint64_t size) {
    uint64_t end;
    if (ckd_add(&end, offset, size)) {
        return STATUS_OUT_OF_RANGE;
    }
    switch (op) {
    case ZX_VMO_OP_COMMIT:
        return op_commit(v, offset, size);
    case ZX_VMO_OP_DECOMMIT:
        return op_decommit(v, offset, size);
    case ZX_VMO_OP_ZERO:
        return op_zero(v, offset, size);
    case ZX_VMO_OP_PREFETCH:
        return op_prefetch(v, offset, size);
    case ZX_VMO_OP_ALWAYS_NEED:
        return op_hint(v, offset, size, true);
    case ZX_VMO_OP_DONT_NEED:
        return op_hint(v, offset, size, false);
    case ZX_VMO_OP_UNLOCK:
        return vmo_unlock(v, offset, size);
    case ZX_VMO_OP_TRY_LOCK:
        return vmo_try_lock(v, offset, size);
    case ZX_VMO_OP_CACHE_SYNC:
    case ZX_VMO_OP_CACHE_INVALIDATE:
    case ZX_VMO_OP_CACHE_CLEAN:
    case ZX_VMO_OP_CACHE_CLEAN_INVALIDATE:
        return op_cache(v, offset, size);
    default:
        return STATUS_INVALID_ARGS;
    }
}

status_t vmo_set_cache_policy(struct vmo* v, uint32_t policy) {
    if (policy > ZX_CACHE_POLICY_WRITE_COMBINING) {
        return STATUS_INVALID_ARGS;
    }
    struct page_set* set = v->set;
    if (page_set_is_paged(set) || set->kind == PAGE_SET_WIRED) {
        return STATUS_NOT_SUPPORTED;
    }
    MUTEX_GUARD(vmo_family_lock());
    MUTEX_GUARD(&set->lock);
    struct page_set_state* st = page_set_state(set);
    // Committed anonymous pages have been written through the cache by somebody.
    bool committed = set->kind == PAGE_SET_ANON && page_tree_pages(&st->tree) != 0;
    if (v->child_count != 0 || v->parent != nullptr || st->mapping_count != 0 ||
        st->pin_count != 0 || committed) {
        return STATUS_BAD_STATE;
    }
    st->cache_policy = policy;
    return STATUS_OK;
}
