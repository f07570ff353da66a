// VMOs: pinning for devices (PS5), and look-up of what is there.
#include <vm/vmo.h>

#include <lib/assert.h>
#include <sched/thread.h>
#include <vm/page_source.h>

#include "vmo_priv.h"

static bool has_page_structs(const struct page_set* set) {
    return set->kind != PAGE_SET_PHYSICAL && set->kind != PAGE_SET_WIRED;
}

// Takes back `count` pins from `index` on.
static void unpin_locked(struct page_set* set, uint64_t index, uint64_t count) TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    ASSERT(st->pin_count >= count);
    st->pin_count -= count;
    for (uint64_t i = index; has_page_structs(set) && i < index + count; i++) {
        page_slot_t slot = page_tree_lookup(&st->tree, i, nullptr);
        ASSERT(page_slot_is_page(slot));
        uint16_t before =
            atomic_fetch_sub_explicit(&page_slot_page(slot)->pins, 1, memory_order_relaxed);
        ASSERT(before > 0);
    }
}

static status_t pin_page_locked(struct page_set* set, uint64_t index, bool write,
                                struct page_request* request) TA_REQ(set->lock) {
    // A device reads or writes the page for as long as it is pinned, so it has to be this set's
    // own; a pager's page is that by being there.
    bool look = set->kind == PAGE_SET_PAGER && !write;
    struct page_view view;
    TRY(page_set_get_locked(set, index, look ? PAGE_LOOK : PAGE_WRITE, request, &view));
    if (view.page == nullptr) {
        TRY(page_set_get_locked(set, index, PAGE_WRITE, request, &view)); // a zero marker
    }
    uint16_t pins = atomic_load_explicit(&view.page->pins, memory_order_relaxed);
    if (pins < UINT16_MAX) {
        atomic_store_explicit(&view.page->pins, (uint16_t)(pins + 1), memory_order_relaxed);
        page_set_state(set)->pin_count++;
    }
    page_set_put(&view);
    return pins < UINT16_MAX ? STATUS_OK : STATUS_UNAVAILABLE;
}

// Pins a batch. STOP when all of the range is pinned. What lies in one piece for ever is counted
// at once: it may be as large as the address space.
static status_t pin_batch_locked(struct vmo* v, struct page_set* set, uint64_t offset,
                                 uint64_t count, bool write, struct page_request* request,
                                 uint64_t* done) TA_REQ(set->lock) {
    if (!range_ok(offset, count << PAGE_SHIFT, vmo_size_locked(v, set))) {
        return STATUS_OUT_OF_RANGE;
    }
    if (!has_page_structs(set)) {
        page_set_state(set)->pin_count += count;
        *done = count;
    }
    uint64_t first = v->first_page + (offset >> PAGE_SHIFT);
    uint64_t stop = min(count, *done + VMO_BATCH_PAGES);
    while (*done < stop) {
        request->wanted = count - *done;
        request->writes = request->wanted;
        TRY(pin_page_locked(set, first + *done, write, request));
        (*done)++;
    }
    return *done == count ? STATUS_STOP : STATUS_OK;
}

status_t vmo_pin(struct vmo* v, uint64_t offset, uint64_t len, bool write) {
    if (!is_page_aligned(offset) || !is_page_aligned(len) || len == 0) {
        return STATUS_INVALID_ARGS;
    }
    struct page_set* set = v->set;
    if (write && set->kind == PAGE_SET_WIRED) {
        return STATUS_ACCESS_DENIED;
    }
    uint64_t count = len >> PAGE_SHIFT;
    struct page_request request = {};
    uint32_t tries = 0;
    uint64_t done = 0;
    for (;;) {
        uint64_t before = done;
        mutex_acquire(&set->lock);
        status_t status = pin_batch_locked(v, set, offset, count, write, &request, &done);
        mutex_release(&set->lock);
        if (status == STATUS_STOP) {
            (void)vmo_ref(v);
            atomic_fetch_add_explicit(&v->pin_count, 1, memory_order_relaxed);
            return STATUS_OK;
        }
        tries = done != before ? 0 : tries;
        status = vmo_settle(status, &request, &tries);
        if (status == STATUS_OK && thread_killed()) {
            status = STATUS_INTR_KILLED;
        }
        if (status != STATUS_OK) {
            mutex_acquire(&set->lock);
            unpin_locked(set, v->first_page + (offset >> PAGE_SHIFT), done);
            mutex_release(&set->lock);
            return status;
        }
    }
}

void vmo_unpin(struct vmo* v, uint64_t offset, uint64_t len) {
    struct page_set* set = v->set;
    mutex_acquire(&set->lock);
    unpin_locked(set, v->first_page + (offset >> PAGE_SHIFT), len >> PAGE_SHIFT);
    mutex_release(&set->lock);
    atomic_fetch_sub_explicit(&v->pin_count, 1, memory_order_relaxed);
    vmo_unref(v);
}

status_t vmo_lookup(struct vmo* v, uint64_t offset, paddr_t* out) {
    struct page_set* set = v->set;
    MUTEX_GUARD(&set->lock);
    if (offset >= vmo_size_locked(v, set)) {
        return STATUS_OUT_OF_RANGE;
    }
    struct page_view view;
    TRY(page_set_get_locked(set, v->first_page + (offset >> PAGE_SHIFT), PAGE_LOOK, nullptr,
                            &view));
    bool zero = view.zero;
    paddr_t paddr = view.paddr;
    page_set_put(&view);
    if (zero) {
        return STATUS_NOT_FOUND;
    }
    *out = (paddr_t){paddr.raw | (offset & PAGE_MASK)};
    return STATUS_OK;
}
