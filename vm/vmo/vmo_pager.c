// VMOs with a page source: what the pager does to them, but for supplying (vmo_transfer.c).
#include <vm/vmo.h>

#include <vm/page_source.h>

#include "vmo_priv.h"

// Pages [*index, *index + *count) of the set.
static status_t check_range(struct vmo* v, uint64_t offset, uint64_t len, uint64_t* index,
                            uint64_t* count) {
    if (!is_page_aligned(offset) || !is_page_aligned(len)) {
        return STATUS_INVALID_ARGS;
    }
    *index = v->first_page + (offset >> PAGE_SHIFT);
    *count = len >> PAGE_SHIFT;
    return range_ok(offset, len, vmo_size(v)) ? STATUS_OK : STATUS_OUT_OF_RANGE;
}

status_t vmo_fail_pages(struct vmo* v, uint64_t offset, uint64_t len, status_t failure) {
    uint64_t index;
    uint64_t count;
    TRY(check_range(v, offset, len, &index, &count));
    page_source_answer(v->set->source, PAGE_NEED_ANY, index, count, failure);
    return STATUS_OK;
}

void vmo_detach_pager(struct vmo* v) {
    page_source_detach(v->set->source);
}

// ---- dirty pages ----

// Slots looked at before others get the lock.
constexpr uint32_t SLOTS_AT_ONCE = 1024;

// With the set's lock.
typedef status_t (*batch_fn)(struct page_set* set, uint64_t index, uint64_t count);

// Runs `batch` over the range in pieces.
static status_t in_batches(struct vmo* v, uint64_t offset, uint64_t len, batch_fn batch) {
    uint64_t index;
    uint64_t count;
    TRY(check_range(v, offset, len, &index, &count));
    struct page_set* set = v->set;
    for (uint64_t done = 0; done < count;) {
        mutex_acquire(&set->lock);
        // What was cut off meanwhile needs nothing any more.
        uint64_t size = page_set_state(set)->size >> PAGE_SHIFT;
        uint64_t first = min(index + done, size);
        uint64_t piece = min(count - done, (uint64_t)SLOTS_AT_ONCE);
        piece = min(piece, size - first);
        status_t status = piece == 0 ? STATUS_STOP : batch(set, first, piece);
        mutex_release(&set->lock);
        if (status != STATUS_OK) {
            return status == STATUS_STOP ? STATUS_OK : status;
        }
        done += piece;
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return STATUS_OK;
}

// What is not here is left out: who wants to write it asks for the page first.
static status_t dirty_batch_locked(struct page_set* set, uint64_t index, uint64_t count)
    TA_REQ(set->lock) {
    const struct page_tree* tree = &page_set_state(set)->tree;
    status_t status = STATUS_OK;
    uint64_t done = 0;
    for (; done < count && status == STATUS_OK; done++) {
        page_slot_t slot = page_tree_lookup(tree, index + done, nullptr);
        struct page_view view;
        if (slot != PAGE_SLOT_ABSENT) {
            status = page_set_dirty_locked(set, index + done, slot, PAGE_LOOK, &view);
        }
    }
    done -= status != STATUS_OK;
    if (done != 0) {
        page_source_answer(set->source, PAGE_NEED_DIRTY, index, done, STATUS_OK);
    }
    return status;
}

status_t vmo_dirty_pages(struct vmo* v, uint64_t offset, uint64_t len) {
    return v->set->trap_dirty ? in_batches(v, offset, len, dirty_batch_locked)
                              : STATUS_NOT_SUPPORTED;
}

// The flags of all pages in the range that have `from` become `to`; whether there are any.
static bool change_flags_locked(struct page_set* set, uint64_t index, uint64_t count,
                                enum page_flags from, enum page_flags to) TA_REQ(set->lock) {
    bool any = false;
    struct page_tree_entry e;
    for (uint64_t i = index; page_tree_next_page(&page_set_state(set)->tree, i, index + count, &e);
         i = e.index + 1) {
        struct page* p = page_slot_page(e.slot);
        // A device may write to a pinned page at any time: it stays dirty.
        if ((p->vmo_flags & PAGE_UNCLEAN) == from &&
            atomic_load_explicit(&p->pins, memory_order_relaxed) == 0) {
            p->vmo_flags = (uint8_t)((p->vmo_flags & ~PAGE_UNCLEAN) | to);
            any = true;
        }
    }
    return any;
}

static status_t begin_batch_locked(struct page_set* set, uint64_t index, uint64_t count)
    TA_REQ(set->lock) {
    if (change_flags_locked(set, index, count, PAGE_DIRTY, PAGE_CLEANING)) {
        page_set_write_protect_locked(set, index, count); // PS2
    }
    return STATUS_OK;
}

static status_t end_batch_locked(struct page_set* set, uint64_t index, uint64_t count)
    TA_REQ(set->lock) {
    (void)change_flags_locked(set, index, count, PAGE_CLEANING, 0);
    return STATUS_OK;
}

status_t vmo_writeback_begin(struct vmo* v, uint64_t offset, uint64_t len, bool zero_only) {
    uint64_t index;
    uint64_t count;
    TRY(check_range(v, offset, len, &index, &count));
    struct page_set* set = v->set;
    mutex_acquire(&set->lock);
    struct page_set_state* st = page_set_state(set);
    if (index <= st->zero_dirty) {
        st->zero_cleaning = min(index + count, st->size >> PAGE_SHIFT);
    }
    mutex_release(&set->lock);
    return zero_only ? STATUS_OK : in_batches(v, offset, len, begin_batch_locked);
}

status_t vmo_writeback_end(struct vmo* v, uint64_t offset, uint64_t len) {
    uint64_t index;
    uint64_t count;
    TRY(check_range(v, offset, len, &index, &count));
    struct page_set* set = v->set;
    mutex_acquire(&set->lock);
    // Markers are known to the provider from the bottom up: one that is cleaned out of turn stays
    // dirty, which is always allowed.
    struct page_set_state* st = page_set_state(set);
    uint64_t known = min(index + count, st->zero_cleaning);
    if (index <= st->zero_dirty && known > st->zero_dirty) {
        st->zero_dirty = known;
    }
    mutex_release(&set->lock);
    return in_batches(v, offset, len, end_batch_locked);
}

bool vmo_modified(struct vmo* v, bool reset) {
    struct page_set* set = v->set;
    MUTEX_GUARD(&set->lock);
    struct page_set_state* st = page_set_state(set);
    bool modified = st->modified;
    st->modified = modified && !reset;
    return modified;
}

// The run of slots that are not clean and adjoin each other, as far as it is known.
struct dirty_scan {
    uint64_t at, end;      // what is still to be looked at
    uint64_t first, count; // the run
    bool zero;
};

// The part of what stands at the next slot that is not clean; false: it is clean.
static bool dirty_part(const struct page_set_state* st, const struct page_tree_entry* e,
                       uint64_t* first) {
    if (e->slot == PAGE_SLOT_ZERO) {
        *first = max(e->index, st->zero_dirty);
        return *first < e->index + e->count;
    }
    *first = e->index;
    return (page_slot_page(e->slot)->vmo_flags & PAGE_UNCLEAN) != 0;
}

// STOP: the run is complete, or there is nothing more.
static status_t scan_locked(struct page_set* set, struct dirty_scan* s) TA_REQ(set->lock) {
    const struct page_set_state* st = page_set_state(set);
    for (uint32_t i = 0; i < SLOTS_AT_ONCE; i++) {
        struct page_tree_entry e;
        if (!page_tree_next(&st->tree, s->at, s->end, &e)) {
            s->at = s->end;
            return STATUS_STOP;
        }
        uint64_t first;
        uint64_t end = e.index + e.count;
        if (dirty_part(st, &e, &first)) {
            bool zero = e.slot == PAGE_SLOT_ZERO;
            if (s->count == 0) {
                s->first = first;
                s->zero = zero;
            } else if (s->first + s->count != first || s->zero != zero) {
                return STATUS_STOP;
            }
            s->count = end - s->first;
        } else if (s->count != 0) {
            return STATUS_STOP;
        }
        s->at = end;
    }
    return STATUS_OK;
}

status_t vmo_next_dirty(struct vmo* v, uint64_t* at, uint64_t end, zx_vmo_dirty_range_t* out,
                        bool* found) {
    struct page_set* set = v->set;
    struct dirty_scan s = {
        .at = v->first_page + (*at >> PAGE_SHIFT),
        .end = v->first_page + (end >> PAGE_SHIFT),
    };
    status_t status;
    do {
        mutex_acquire(&set->lock);
        status = scan_locked(set, &s);
        mutex_release(&set->lock);
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    } while (status == STATUS_OK);
    *at = (s.at - v->first_page) << PAGE_SHIFT;
    *found = s.count != 0;
    *out = (zx_vmo_dirty_range_t){
        .offset = (s.first - v->first_page) << PAGE_SHIFT,
        .length = s.count << PAGE_SHIFT,
        .options = s.zero ? ZX_VMO_DIRTY_RANGE_IS_ZERO : 0,
    };
    return STATUS_OK;
}
