// VMOs: pinning for devices (PS5), and look-up of what is there.
#include <vm/vmo.h>

#include <lib/assert.h>
#include <sched/thread.h>
#include <vm/page_source.h>
#include <vm/pmm.h>

#include "vmo_priv.h"

static bool has_page_structs(const struct page_set* set) {
    return set->kind != PAGE_SET_PHYSICAL && set->kind != PAGE_SET_WIRED;
}

// False: too many, or none to take back.
static bool count_pin(struct page* p, int change) {
    const int pins = atomic_load_explicit(&p->pins, memory_order_relaxed) + change;
    if (pins < 0 || pins > (int)UINT16_MAX) {
        return false;
    }
    atomic_store_explicit(&p->pins, (uint16_t)pins, memory_order_relaxed);
    return true;
}

// Takes back `count` pins from `index` on.
static void unpin_locked(struct page_set* set, uint64_t index, uint64_t count) TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    ASSERT(st->pin_count >= count);
    st->pin_count -= count;
    UNINITIALIZED page_slot_t slots[PAGE_NODE_SLOTS];
    for (uint64_t end = index + count; has_page_structs(set) && index < end;) {
        uint32_t n = page_tree_lookup_run(&st->tree, index,
                                          (uint32_t)min(end - index, (uint64_t)PAGE_NODE_SLOTS),
                                          slots, nullptr);
        for (uint32_t i = 0; i < n; i++) {
            ASSERT(page_slot_is_page(slots[i]));
            const bool pinned = count_pin(page_slot_page(slots[i]), -1);
            ASSERT(pinned);
        }
        index += n;
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
    const bool pinned = count_pin(view.page, 1);
    page_set_state(set)->pin_count += pinned;
    page_set_put(&view);
    return pinned ? STATUS_OK : STATUS_UNAVAILABLE;
}

// Makes up to `most` pages, as they come, for absent slots that would read as zero, and pins them.
static MINSIZE uint64_t pin_fresh_locked(struct page_set* set, uint64_t index, uint64_t most)
    TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    struct page_node_reserve nodes = {};
    if (!page_node_reserve_fill(&nodes, page_tree_nodes_range(&st->tree, index, most))) {
        page_node_reserve_drain(&nodes);
        return 0;
    }
    struct page* head = nullptr;
    struct page** tail = &head;
    uint64_t count = 0;
    for (struct page* p; count < most && (p = page_set_alloc_page(false)) != nullptr; count++) {
        (void)count_pin(p, 1);
        *tail = p;
        tail = &p->next;
    }
    if (count != 0 && st->zero_mapped) {
        page_set_unmap_range_locked(set, index, count); // PS1
    }
    page_tree_insert_all(&st->tree, index, head, &nodes);
    page_node_reserve_drain(&nodes);
    return count;
}

// The usual case, many pages with one look-up: as far as they are there and the set's own; or, if
// they need not be cleared, as far as they are not there.
static uint64_t pin_run_locked(struct page_set* set, uint64_t index, uint64_t count,
                               enum vmo_pin_mode mode) TA_REQ(set->lock) {
    if (set->kind == PAGE_SET_PAGER) {
        return 0; // what may be written there is another matter
    }
    struct page_set_state* st = page_set_state(set);
    UNINITIALIZED page_slot_t slots[PAGE_NODE_SLOTS];
    UNINITIALIZED uint64_t own;
    const uint32_t n = page_tree_lookup_run(
        &st->tree, index, (uint32_t)min(count, (uint64_t)PAGE_NODE_SLOTS), slots, &own);
    uint64_t i = 0;
    while (i < n && (own >> i & 1) != 0 && count_pin(page_slot_page(slots[i]), 1)) {
        i++;
    }
    if (i == 0 && mode == VMO_PIN_UNCLEARED && set->kind == PAGE_SET_ANON &&
        set->backing == nullptr && st->discard != DISCARD_GONE) {
        while (i < n && slots[i] == PAGE_SLOT_ABSENT) {
            i++;
        }
        i = i != 0 ? pin_fresh_locked(set, index, i) : 0;
    }
    st->pin_count += i;
    return i;
}

// Pins a batch. STOP when all of the range is pinned. What lies in one piece for ever is counted
// at once: it may be as large as the address space.
static status_t pin_batch_locked(struct vmo* v, struct page_set* set, uint64_t offset,
                                 uint64_t count, enum vmo_pin_mode mode,
                                 struct page_request* request, uint64_t* done) TA_REQ(set->lock) {
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
        uint64_t pinned = pin_run_locked(set, first + *done, stop - *done, mode);
        if (pinned == 0) {
            request->wanted = count - *done;
            TRY(pin_page_locked(set, first + *done, mode != VMO_PIN_READ, request));
            pinned = 1;
        }
        *done += pinned;
    }
    return *done == count ? STATUS_STOP : STATUS_OK;
}

status_t vmo_pin(struct vmo* v, uint64_t offset, uint64_t len, enum vmo_pin_mode mode) {
    if (!is_page_aligned(offset) || !is_page_aligned(len) || len == 0) {
        return STATUS_INVALID_ARGS;
    }
    struct page_set* set = v->set;
    if (mode != VMO_PIN_READ && set->kind == PAGE_SET_WIRED) {
        return STATUS_ACCESS_DENIED;
    }
    uint64_t count = len >> PAGE_SHIFT;
    struct page_request request = {};
    uint32_t tries = 0;
    uint64_t done = 0;
    for (;;) {
        uint64_t before = done;
        mutex_acquire(&set->lock);
        status_t status = pin_batch_locked(v, set, offset, count, mode, &request, &done);
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

uint32_t vmo_lookup_pinned(struct vmo* v, uint64_t offset, uint32_t max, paddr_t out[]) {
    struct page_set* set = v->set;
    const uint64_t first = v->first_page + (offset >> PAGE_SHIFT);
    if (set->kind != PAGE_SET_ANON && set->kind != PAGE_SET_PAGER) {
        for (uint32_t i = 0; i < max; i++) {
            out[i] = (paddr_t){set->phys_base.raw + ((first + i) << PAGE_SHIFT)};
        }
        return max;
    }
    UNINITIALIZED page_slot_t slots[PAGE_NODE_SLOTS];
    MUTEX_GUARD(&set->lock);
    const uint32_t n = page_tree_lookup_run(&page_set_state(set)->tree, first,
                                            min(max, PAGE_NODE_SLOTS), slots, nullptr);
    for (uint32_t i = 0; i < n; i++) {
        ASSERT(page_slot_is_page(slots[i]));
        out[i] = page_to_paddr(page_slot_page(slots[i]));
    }
    return n;
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
