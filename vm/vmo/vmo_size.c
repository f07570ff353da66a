// VMOs: size and stream size.
//
// Invariant: bytes of the page set between the stream size and the end of its page may be anything
// (a mapping can write there), so whatever moves the stream size clears them first: cut-off bytes
// read zero when the size grows again.
#include <vm/vmo.h>

#include <arch/mmu.h>
#include <lib/string.h>
#include <vm/page_source.h>

#include "vmo_priv.h"

uint64_t vmo_size(struct vmo* v) {
    if ((v->flags & VMO_SLICE) != 0) {
        return v->slice_size;
    }
    struct page_set* set = v->set;
    mutex_acquire(&set->lock);
    uint64_t size = page_set_state(set)->size;
    mutex_release(&set->lock);
    return size;
}

uint64_t vmo_stream_size(struct vmo* v) {
    if ((v->flags & VMO_SLICE) != 0) {
        return v->slice_size;
    }
    struct page_set* set = v->set;
    mutex_acquire(&set->lock);
    uint64_t size = page_set_state(set)->content_size;
    mutex_release(&set->lock);
    return size;
}

status_t vmo_zero_bytes_locked(struct page_set* set, uint64_t begin, uint64_t end,
                               struct page_request* request) {
    if (begin == end) {
        return STATUS_OK;
    }
    uint64_t index = begin >> PAGE_SHIFT;
    struct page_view view;
    status_t status = page_set_get_locked(set, index, PAGE_LOOK, request, &view);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK; // discarded, or not here and the source's business
    }
    TRY(status);
    bool zero = view.zero;
    page_set_put(&view);
    if (zero) {
        return STATUS_OK;
    }
    TRY(page_set_get_locked(set, index, PAGE_WRITE, request, &view));
    memset((uint8_t*)page_to_virt(view.page) + (begin & PAGE_MASK), 0, end - begin);
    page_set_put(&view);
    return STATUS_OK;
}

// Clears from `size` to the end of its page, as far as the set reaches.
static status_t clear_tail_locked(struct page_set* set, uint64_t size, struct page_request* request)
    TA_REQ(set->lock) {
    uint64_t end = min(page_round_up(size), page_set_state(set)->size);
    if (set->kind == PAGE_SET_PAGER) {
        // What lies beyond the content is no part of the file: the page does not become dirty, and
        // one that is not here is cleared when it is supplied.
        page_slot_t slot =
            page_tree_lookup(&page_set_state(set)->tree, size >> PAGE_SHIFT, nullptr);
        if (size < end && page_slot_is_page(slot)) {
            memset((uint8_t*)page_to_virt(page_slot_page(slot)) + (size & PAGE_MASK), 0,
                   end - size);
        }
        return STATUS_OK;
    }
    return size < end ? vmo_zero_bytes_locked(set, size, end, request) : STATUS_OK;
}

// A missing page of a pager's clone is fetched, because its tail has to be zero from now on.
static status_t set_stream_size_locked(struct page_set* set, uint64_t size,
                                       struct page_request* request) TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    if (size != st->content_size) {
        TRY(clear_tail_locked(set, min(size, st->content_size), request));
    }
    if (size < st->content_size) {
        // Some mappings end with the stream. A run goes as a whole: its entries may be large.
        uint64_t first = page_set_is_run(set) ? 0 : page_round_up(size) >> PAGE_SHIFT;
        page_set_unmap_range_locked(set, first, (st->size >> PAGE_SHIFT) - first);
    }
    st->content_size = size;
    return STATUS_OK;
}

static status_t set_size_locked(struct page_set* set, uint64_t size, uint64_t rounded,
                                struct page_request* request, struct page_garbage* g)
    TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    if (rounded < st->size &&
        page_set_pinned_locked(set, rounded >> PAGE_SHIFT, (st->size - rounded) >> PAGE_SHIFT)) {
        return STATUS_BAD_STATE;
    }
    if (size != st->content_size) {
        TRY(clear_tail_locked(set, min(size, st->content_size), request));
    }
    TRY(page_set_resize_locked(set, rounded, g));
    st->content_size = size;
    return STATUS_OK;
}

status_t vmo_set_size(struct vmo* v, uint64_t size) {
    if ((v->flags & VMO_RESIZABLE) == 0) {
        return STATUS_UNAVAILABLE;
    }
    uint64_t rounded;
    TRY(vmo_round_size(size, &rounded));
    struct page_set* set = v->set;
    struct page_request request = {};
    uint32_t tries = 0;
    for (;;) {
        struct page_garbage garbage = {};
        mutex_acquire(&set->lock);
        status_t status = set_size_locked(set, size, rounded, &request, &garbage);
        mutex_release(&set->lock);
        page_garbage_dispose(&garbage);
        if (status == STATUS_OK) {
            return STATUS_OK;
        }
        TRY(vmo_settle(status, &request, &tries));
    }
}

status_t vmo_expand(struct vmo* v, uint64_t size) {
    if ((v->flags & VMO_RESIZABLE) == 0) {
        return STATUS_UNAVAILABLE;
    }
    uint64_t rounded;
    TRY(vmo_round_size(size, &rounded));
    struct page_set* set = v->set;
    struct page_garbage garbage = {};
    mutex_acquire(&set->lock);
    status_t status = rounded > page_set_state(set)->size
                          ? page_set_resize_locked(set, rounded, &garbage)
                          : STATUS_OK;
    mutex_release(&set->lock);
    page_garbage_dispose(&garbage);
    return status;
}

status_t vmo_set_stream_size(struct vmo* v, uint64_t size) {
    struct page_set* set = v->set;
    // Physical memory has no stream, and no pages whose tail could be cleared.
    if ((v->flags & (VMO_SLICE | VMO_IMMUTABLE)) != 0 || set->kind == PAGE_SET_PHYSICAL) {
        return STATUS_NOT_SUPPORTED;
    }
    struct page_request request = {};
    uint32_t tries = 0;
    for (;;) {
        mutex_acquire(&set->lock);
        status_t status = size <= page_set_state(set)->size
                              ? set_stream_size_locked(set, size, &request)
                              : STATUS_OUT_OF_RANGE;
        mutex_release(&set->lock);
        if (status == STATUS_OK) {
            return STATUS_OK;
        }
        TRY(vmo_settle(status, &request, &tries));
    }
}
