// Page sets: life, and the value of one slot. <vm/page_set.h> states kinds, locks and invariants.
//
// page_set_get_locked() is on the path of every fault. Its common cases (an own page; a zero slot
// that is to be written) do one tree descent each and touch no translation that cannot exist.
#include <vm/page_set.h>

#include <arch/mmu.h>
#include <debug/init.h>
#include <lib/align.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <vm/fault.h>
#include <vm/heap.h>
#include <vm/page_source.h>
#include <vm/pmm.h>
#include <vm/reclaim.h>
#include <vm/slab_fast.h>

#include "../aspace/mapping.h"

SLAB_CACHE(page_set_cache, struct page_set);

// Written once at boot.
static struct {
    paddr_t zero_page;
} globals;

static void page_set_init_zero_page(void) {
    struct page* p = pmm_alloc_page(PMM_ZERO);
    ASSERT(p != nullptr);
    globals.zero_page = page_to_paddr(p);
}
INIT_HOOK(INIT_VM, page_set_init_zero_page);

paddr_t page_set_zero_page(void) {
    return globals.zero_page;
}

struct page_set* page_set_create(enum page_set_kind kind, uint64_t size, struct page_set* backing) {
    DEBUG_ASSERT(is_page_aligned(size));
    struct page_set* set = slab_alloc_fast(&page_set_cache);
    if (set == nullptr) {
        return nullptr;
    }
    memset(set, 0, sizeof(*set));
    bool root = kind == PAGE_SET_PAGER || kind == PAGE_SET_WIRED;
    set->lock = (mutex_t)MUTEX_INIT(root ? LOCK_CLASS_PAGE_SET_ROOT : LOCK_CLASS_PAGE_SET);
    atomic_init(&set->refs, 1);
    set->kind = kind;
    set->backing = backing;
    struct page_set_state* st = &set->guarded_; // nobody else knows it yet
    st->size = size;
    st->content_size = size;
    st->zero_dirty = UINT64_MAX;
    interval_tree_init(&st->mappings);
    interval_tree_init(&st->clone_mappings);
    return set;
}

struct page_set* page_set_ref(struct page_set* set) {
    uint32_t before = atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX / 2);
    return set;
}

bool page_set_ref_unless_dead(struct page_set* set) {
    uint32_t refs = atomic_load_explicit(&set->refs, memory_order_relaxed);
    while (refs != 0 &&
           !atomic_compare_exchange_weak_explicit(&set->refs, &refs, refs + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
    return refs != 0;
}

void page_set_unref(struct page_set* set) {
    uint32_t before = atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before != 1) {
        return;
    }
    struct page_set_state* st = &set->guarded_; // the last reference: nobody else
    ASSERT(st->mapping_count == 0 && st->pin_count == 0);
    if (set->source != nullptr || st->discard != DISCARD_NEVER) {
        reclaim_remove(set);
    }
    if (st->tree.root != PAGE_SLOT_ABSENT) {
        struct page_garbage garbage = {};
        page_tree_clear(&st->tree, &garbage);
        page_garbage_dispose(&garbage);
    }
    if (set->source != nullptr) {
        page_source_detach(set->source);
        page_source_unref(set->source);
    }
    struct page_set* backing = set->backing;
    slab_free_fast(&page_set_cache, set);
    if (backing != nullptr) {
        page_set_unref(backing); // a backing has none itself: no deeper
    }
}

struct page* page_set_alloc_page(bool zeroed) {
    enum pmm_flags flags = PMM_VMO | (zeroed ? PMM_ZERO : 0);
    struct page* p = pmm_alloc_page(flags | PMM_USER);
    return unlikely(p == nullptr) && thread_current()->memory_reserve
               ? pmm_alloc_page(flags | PMM_SYSTEM)
               : p;
}

status_t page_set_store_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                               struct page_garbage* g) {
    struct page_tree* tree = &page_set_state(set)->tree;
    struct page_node_reserve reserve = {};
    status_t status = page_tree_set(tree, index, slot, &reserve, g, nullptr);
    if (status == STATUS_NO_MEMORY &&
        page_node_reserve_fill(&reserve, page_tree_nodes_set(tree, index))) {
        status = page_tree_set(tree, index, slot, &reserve, g, nullptr);
    }
    if (reserve.count != 0) {
        page_node_reserve_drain(&reserve);
    }
    return status;
}

// Whether some translation may show what a slot has now.
enum shown : uint8_t { SHOWN_NEVER, SHOWN_RARELY, SHOWN_MAYBE };

static enum shown shown_for(enum page_access access) {
    return (access & PAGE_UNMAPPED) != 0 ? SHOWN_RARELY : SHOWN_MAYBE;
}

// Puts a page of its own into the slot, which holds `was`: a copy of `from`, or a zero page if
// null.
static status_t make_own_locked(struct page_set* set, uint64_t index, page_slot_t was,
                                const void* from, enum shown shown, struct page_view* out)
    TA_REQ(set->lock) {
    struct page* fresh = page_set_alloc_page(from == nullptr);
    if (fresh == nullptr) {
        return STATUS_NO_MEMORY;
    }
    if (from != nullptr) {
        memcpy(page_to_virt(fresh), from, PAGE_SIZE);
    }
    // PS1; harmless if the store fails.
    if (shown == SHOWN_RARELY) {
        page_set_unmap_rare_locked(set, index);
    } else if (shown != SHOWN_NEVER) {
        page_set_unmap_range_locked(set, index, 1);
    }
    struct page_garbage garbage = {};
    if (!page_tree_put(&page_set_state(set)->tree, index, was, fresh, &garbage)) {
        status_t status = page_set_store_locked(set, index, page_slot_from_page(fresh), &garbage);
        if (status != STATUS_OK) {
            pmm_free_page(fresh);
            return status;
        }
    }
    if (page_slot_is_page(was) && !page_garbage_empty(&garbage)) {
        page_garbage_dispose(&garbage); // that page at most
    }
    *out = (struct page_view){
        .paddr = page_to_paddr(fresh),
        .page = fresh,
        .writable = true,
    };
    return STATUS_OK;
}

// Arms `request` for the missing pages from `index` on, up to what the caller wants.
static inline status_t ask_read(struct page_set* root, const struct page_tree* tree, uint64_t index,
                                uint64_t limit, struct page_request* request) {
    if (request == nullptr) {
        return STATUS_NOT_FOUND;
    }
    uint64_t count = request->wanted != 0 ? request->wanted : FAULT_AROUND_PAGES;
    count = min(count, limit - index);
    struct page_tree_entry present;
    if (page_tree_next(tree, index, index + count, &present)) {
        count = present.index - index;
    }
    reclaim_note_asked(root, index);
    status_t status = page_source_request(root->source, request, PAGE_NEED_READ, index, count);
    return status == STATUS_OK ? STATUS_SHOULD_WAIT : status;
}

// Arms `request` for leave to write to the clean slots from `index` on.
static status_t ask_dirty_locked(struct page_set* set, uint64_t index, struct page_request* request)
    TA_REQ(set->lock) {
    if (request == nullptr) {
        return STATUS_NOT_FOUND;
    }
    const struct page_set_state* st = page_set_state(set);
    uint64_t most = min(request->wanted, (uint64_t)PAGE_NODE_SLOTS);
    most = min(most, (st->size >> PAGE_SHIFT) - index);
    uint64_t count = 1;
    for (; count < most; count++) {
        page_slot_t slot = page_tree_lookup(&st->tree, index + count, nullptr);
        if (slot == PAGE_SLOT_ABSENT ||
            (page_slot_is_page(slot) && page_is_dirty(page_slot_page(slot)))) {
            break;
        }
    }
    status_t status = page_source_request(set->source, request, PAGE_NEED_DIRTY, index, count);
    return status == STATUS_OK ? STATUS_SHOULD_WAIT : status;
}

status_t page_set_dirty_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                               enum page_access access, struct page_view* out) {
    struct page_set_state* st = page_set_state(set);
    if (page_slot_is_page(slot)) {
        struct page* p = page_slot_page(slot);
        *out = (struct page_view){.paddr = page_to_paddr(p), .page = p, .writable = true};
    } else {
        enum shown shown = st->zero_mapped ? shown_for(access) : SHOWN_NEVER;
        TRY(make_own_locked(set, index, slot, nullptr, shown, out));
        out->page->u.vmo.set = set;
        out->page->v.index = index;
    }
    out->page->vmo_flags = PAGE_DIRTY | (out->page->vmo_flags & PAGE_ALWAYS_NEED);
    st->modified = true;
    return STATUS_OK;
}

// A pager's slot that is no page yet, or not yet one that may be written.
static NOINLINE status_t make_paged_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                                           enum page_access access, struct page_request* request,
                                           struct page_view* out) TA_REQ(set->lock) {
    const struct page_set_state* st = page_set_state(set);
    if (slot == PAGE_SLOT_ABSENT) {
        return ask_read(set, &st->tree, index, st->size >> PAGE_SHIFT, request);
    }
    if ((access & PAGE_WRITE) == 0) {
        *out = (struct page_view){.paddr = globals.zero_page, .zero = true};
        return STATUS_OK;
    }
    return set->trap_dirty ? ask_dirty_locked(set, index, request)
                           : page_set_dirty_locked(set, index, slot, access, out);
}

// What an absent slot of a clone shows. On OK with a paged backing, its lock is held and named in
// the view. Outside the analysis: a lock is handed to the caller on one path.
static status_t get_from_backing(struct page_set* set, uint64_t index, struct page_request* request,
                                 struct page_view* out) TA_OFF {
    struct page_set* backing = set->backing;
    uint64_t there = index + set->backing_off;
    if (backing->kind == PAGE_SET_WIRED) {
        *out = (struct page_view){.paddr = {backing->phys_base.raw + (there << PAGE_SHIFT)}};
        return STATUS_OK;
    }
    mutex_acquire(&backing->lock);
    struct page_set_state* st = page_set_state(backing);
    uint64_t limit = st->size >> PAGE_SHIFT;
    // Where the file shrank below its clone: as beyond the end of any snapshot, zero.
    page_slot_t slot = there < limit ? page_tree_lookup(&st->tree, there, nullptr) : PAGE_SLOT_ZERO;
    if (page_slot_is_page(slot)) {
        struct page* p = page_slot_page(slot);
        p->vmo_flags |= PAGE_USED;
        *out = (struct page_view){.paddr = page_to_paddr(p), .page = p, .backing = backing};
        return STATUS_OK;
    }
    if (slot == PAGE_SLOT_ZERO) {
        // Locked as a page would be: the file may grow again, and be written to.
        *out = (struct page_view){.paddr = globals.zero_page, .zero = true, .backing = backing};
        return STATUS_OK;
    }
    status_t status = ask_read(backing, &st->tree, there, limit, request);
    mutex_release(&backing->lock);
    return status;
}

// Outside the analysis: releases what get_from_backing() took.
void page_set_put_backing(struct page_view* view) TA_OFF {
    mutex_release(&view->backing->lock);
    view->backing = nullptr;
}

// Outside the analysis: the backing's lock is held by the view.
void page_set_note_zero_locked(struct page_set* set, const struct page_view* view) TA_OFF {
    page_set_state(set)->zero_mapped = true;
    if (view->backing != nullptr) {
        page_set_state(view->backing)->zero_mapped = true;
    }
}

// An absent slot below the backing's limit: shown from the backing, or copied out of it.
static NOINLINE status_t get_cloned_locked(struct page_set* set, uint64_t index,
                                           enum page_access access, struct page_request* request,
                                           struct page_view* out) TA_REQ(set->lock) {
    struct page_view there;
    TRY(get_from_backing(set, index, request, &there));
    if ((access & PAGE_WRITE) == 0) {
        *out = there;
        return STATUS_OK;
    }
    const void* from = there.zero ? nullptr : phys_to_virt(there.paddr);
    status_t status = make_own_locked(set, index, PAGE_SLOT_ABSENT, from, shown_for(access), out);
    page_set_put(&there);
    return status;
}

// The same where eviction may be about to flush a translation of the slot: after it has.
static NOINLINE status_t make_paged_own_locked(struct page_set* set, uint64_t index,
                                               page_slot_t slot, const void* from,
                                               struct page_view* out) TA_REQ(set->lock) {
    page_set_unmap_range_locked(set, index, 1); // PS1
    page_set_await_backing_locked(set);
    return make_own_locked(set, index, slot, from, SHOWN_NEVER, out);
}

// Everything but the plain cases is another function's, so that this one needs no frame.
status_t page_set_make_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                              enum page_access access, struct page_request* request,
                              struct page_view* out) {
    if (unlikely(set->kind == PAGE_SET_PAGER)) {
        return make_paged_locked(set, index, slot, access, request, out);
    }
    struct page_set_state* st = page_set_state(set);
    bool write = (access & PAGE_WRITE) != 0;
    const void* from = nullptr; // zeroes
    enum shown shown = shown_for(access);
    if (page_slot_is_page(slot)) {
        DEBUG_ASSERT(write);
        from = page_to_virt(page_slot_page(slot));
    } else {
        if (unlikely(st->discard == DISCARD_GONE)) {
            return STATUS_NOT_FOUND; // such a set has no pages: whoever looks for one comes here
        }
        if (slot == PAGE_SLOT_ABSENT && set->backing != nullptr && index < st->backing_limit) {
            return get_cloned_locked(set, index, access, request, out);
        }
        if (!write) {
            *out = (struct page_view){.paddr = globals.zero_page, .zero = true};
            return STATUS_OK;
        }
        shown = st->zero_mapped ? shown : SHOWN_NEVER;
    }
    return unlikely(page_set_is_paged(set)) && shown != SHOWN_NEVER
               ? make_paged_own_locked(set, index, slot, from, out)
               : make_own_locked(set, index, slot, from, shown, out);
}

status_t page_set_get_locked(struct page_set* set, uint64_t index, enum page_access access,
                             struct page_request* request, struct page_view* out) {
    DEBUG_ASSERT(index < page_set_state(set)->size >> PAGE_SHIFT);
    bool write = (access & PAGE_WRITE) != 0;
    if (unlikely(set->kind == PAGE_SET_PHYSICAL || set->kind == PAGE_SET_WIRED)) {
        *out = (struct page_view){
            .paddr = {set->phys_base.raw + (index << PAGE_SHIFT)},
            .writable = set->kind == PAGE_SET_PHYSICAL,
        };
        return write && !out->writable ? STATUS_ACCESS_DENIED : STATUS_OK;
    }
    UNINITIALIZED bool exclusive;
    page_slot_t slot = page_tree_lookup(&page_set_state(set)->tree, index, &exclusive);
    if (unlikely(set->kind == PAGE_SET_PAGER) && page_slot_is_page(slot)) {
        page_slot_page(slot)->vmo_flags |= PAGE_USED;
        exclusive = page_is_dirty(page_slot_page(slot));
    }
    if (page_slot_is_page(slot) && (exclusive || !write)) {
        struct page* p = page_slot_page(slot);
        *out = (struct page_view){.paddr = page_to_paddr(p), .page = p, .writable = exclusive};
        return STATUS_OK;
    }
    return page_set_make_locked(set, index, slot, access, request, out);
}
