// VMOs: children. A slice or reference is another window on the parent's page set; a snapshot is a
// new page set whose tree shares the parent's nodes, or hangs over the same backing.
#include <vm/vmo.h>

#include <lib/assert.h>
#include <lib/string.h>

#include "vmo_priv.h"

constexpr uint32_t CHILD_KINDS = ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE |
                                 ZX_VMO_CHILD_SLICE | ZX_VMO_CHILD_REFERENCE |
                                 ZX_VMO_CHILD_SNAPSHOT_MODIFIED;

static uint32_t child_kind(uint32_t options) {
    return options & CHILD_KINDS;
}

static status_t check_options(uint32_t options) {
    uint32_t kind = child_kind(options);
    if ((options & ~(CHILD_KINDS | ZX_VMO_CHILD_RESIZABLE | ZX_VMO_CHILD_NO_WRITE)) != 0 ||
        kind == 0 || (kind & (kind - 1)) != 0) {
        return STATUS_INVALID_ARGS;
    }
    bool resizable = (options & ZX_VMO_CHILD_RESIZABLE) != 0;
    if (resizable && (kind == ZX_VMO_CHILD_SLICE || (options & ZX_VMO_CHILD_NO_WRITE) != 0)) {
        return STATUS_INVALID_ARGS;
    }
    return STATUS_OK;
}

// ---- snapshots ----

static status_t check_snapshot(const struct vmo* parent, uint32_t kind) {
    const struct page_set* set = parent->set;
    if (set->kind == PAGE_SET_PHYSICAL || set->kind == PAGE_SET_CONTIGUOUS ||
        (parent->flags & VMO_DISCARDABLE) != 0) {
        return STATUS_NOT_SUPPORTED;
    }
    // A true snapshot would have to freeze pages that are not here yet.
    return kind == ZX_VMO_CHILD_SNAPSHOT && page_set_is_paged(set) ? STATUS_NOT_SUPPORTED
                                                                   : STATUS_OK;
}

// What `child` (nobody else knows it yet) shows through a backing.
static void set_backing(struct page_set* child, struct page_set* backing, uint64_t off,
                        uint64_t limit) {
    child->backing = backing == nullptr ? nullptr : page_set_ref(backing);
    child->backing_off = off;
    child->guarded_.backing_limit = limit;
}

// Shares `window` pages from `first` of the parent's set with `child`.
static status_t share_locked(struct page_set* from, uint64_t first, uint64_t window,
                             struct page_set* child) TA_REQ(from->lock) {
    struct page_set_state* st = page_set_state(from);
    if (st->cache_policy != ZX_CACHE_POLICY_CACHED || st->pin_count != 0) {
        return STATUS_BAD_STATE; // PS5
    }
    if (from->kind != PAGE_SET_ANON) {
        set_backing(child, from, first, window);
        return STATUS_OK;
    }
    if (window != 0 && page_tree_pages(&st->tree) + st->backing_limit != 0) {
        struct page_node_reserve reserve = {};
        uint64_t src_pages = st->size >> PAGE_SHIFT;
        uint32_t nodes = page_tree_nodes_snapshot(&st->tree, src_pages, first, window);
        if (!page_node_reserve_fill(&reserve, nodes)) {
            page_node_reserve_drain(&reserve);
            return STATUS_NO_MEMORY;
        }
        page_set_write_protect_locked(from, first, window); // PS2
        status_t status = page_tree_snapshot(&child->guarded_.tree, &st->tree, src_pages, first,
                                             window, &reserve);
        page_node_reserve_drain(&reserve);
        TRY(status);
    }
    // A clone of a clone hangs over the same backing: depth never exceeds one.
    uint64_t limit = st->backing_limit > first ? min(st->backing_limit - first, window) : 0;
    set_backing(child, from->backing, from->backing_off + first, limit);
    return STATUS_OK;
}

static status_t create_snapshot(struct vmo* parent, uint32_t options, uint64_t offset,
                                uint64_t size, struct vmo** out) {
    TRY(check_snapshot(parent, child_kind(options)));
    uint64_t rounded;
    TRY(vmo_round_size(size, &rounded));
    struct page_set* from = parent->set;
    struct page_set* child = page_set_create(PAGE_SET_ANON, rounded, nullptr);
    if (child == nullptr) {
        return STATUS_NO_MEMORY;
    }
    child->resizable = (options & ZX_VMO_CHILD_RESIZABLE) != 0;
    child->guarded_.content_size = size;

    mutex_acquire(&from->lock);
    uint64_t parent_size = vmo_size_locked(parent, from);
    uint64_t shared = offset < parent_size ? min(rounded, parent_size - offset) : 0;
    uint64_t first = parent->first_page + (shared != 0 ? offset >> PAGE_SHIFT : 0);
    status_t status = share_locked(from, first, shared >> PAGE_SHIFT, child);
    mutex_release(&from->lock);

    if (status != STATUS_OK) {
        page_set_unref(child);
        return status;
    }
    *out = vmo_of_new_set(child, VMO_COW_CLONE | (child->resizable ? VMO_RESIZABLE : 0));
    return STATUS_OK;
}

// ---- windows ----

static status_t create_window(struct vmo* parent, enum vmo_flags flags, uint64_t offset,
                              uint64_t size, struct vmo** out) {
    struct vmo* v = vmo_new_window(parent->set, flags);
    if (v == nullptr) {
        return STATUS_NO_MEMORY;
    }
    (void)page_set_ref(parent->set);
    v->first_page = parent->first_page + (offset >> PAGE_SHIFT);
    v->slice_size = size;
    *out = v;
    return STATUS_OK;
}

static status_t create_slice(struct vmo* parent, uint64_t offset, uint64_t size, struct vmo** out) {
    if (parent->set->resizable) {
        return STATUS_NOT_SUPPORTED;
    }
    uint64_t rounded;
    TRY(vmo_round_size(size, &rounded));
    if (!range_ok(offset, rounded, vmo_size(parent))) {
        return STATUS_INVALID_ARGS;
    }
    enum vmo_flags kept = parent->flags & (VMO_IMMUTABLE | VMO_DISCARDABLE);
    return create_window(parent, kept | VMO_SLICE, offset, rounded, out);
}

static status_t create_reference(struct vmo* parent, uint32_t options, uint64_t offset,
                                 uint64_t size, struct vmo** out) {
    if (offset != 0 || size != 0) {
        return STATUS_INVALID_ARGS;
    }
    bool resizable = (options & ZX_VMO_CHILD_RESIZABLE) != 0;
    if (resizable && (parent->flags & VMO_RESIZABLE) == 0) {
        return STATUS_NOT_SUPPORTED;
    }
    enum vmo_flags flags = parent->flags & ~(VMO_RESIZABLE | VMO_COW_CLONE);
    flags |= VMO_REFERENCE | (resizable ? VMO_RESIZABLE : 0);
    return create_window(parent, flags, 0, parent->slice_size, out);
}

// ---- joining the family ----

static void join_family(struct vmo* parent, struct vmo* child) {
    MUTEX_GUARD(vmo_family_lock());
    atomic_store_explicit(&parent->in_family, true, memory_order_relaxed);
    atomic_store_explicit(&child->in_family, true, memory_order_relaxed);
    memcpy(child->name, parent->name, sizeof(child->name));
    child->parent = parent;
    list_push_back(&parent->children, &child->sibling);
    parent->cow_child_count += (child->flags & VMO_COW_CLONE) != 0;
    if (parent->child_count++ == 0 && parent->owner_ops != nullptr) {
        parent->owner_ops->children_changed(parent, parent->owner, false);
    }
}

status_t vmo_create_child(struct vmo* parent, uint32_t options, uint64_t offset, uint64_t size,
                          struct vmo** out) {
    TRY(check_options(options));
    uint64_t end;
    if (!is_page_aligned(offset) || ckd_add(&end, offset, size)) {
        return STATUS_INVALID_ARGS;
    }
    struct vmo* child;
    switch (child_kind(options)) {
    case ZX_VMO_CHILD_SLICE:
        TRY(create_slice(parent, offset, size, &child));
        break;
    case ZX_VMO_CHILD_REFERENCE:
        TRY(create_reference(parent, options, offset, size, &child));
        break;
    default:
        TRY(create_snapshot(parent, options, offset, size, &child));
        break;
    }
    join_family(parent, child);
    *out = child;
    return STATUS_OK;
}
