// VMOs: creation, families, death.
//
// The family is flat: who dies hands its children to its parent, so nobody waits for descendants
// and no memory is held for their sake (page sets share by counting nodes, not by ancestry).
#include <vm/vmo.h>

#include <lib/assert.h>
#include <lib/string.h>
#include <vm/heap.h>
#include <vm/page_source.h>
#include <vm/pmm.h>
#include <vm/reclaim.h>

#include "vmo_priv.h"

SLAB_CACHE(vmo_cache, struct vmo);

static struct {
    mutex_t lock;
} family = {.lock = MUTEX_INIT(LOCK_CLASS_VMO_FAMILY)};

mutex_t* vmo_family_lock(void) TA_RET_CAP(family.lock) {
    return &family.lock;
}

static void vmo_init(struct vmo* v, struct page_set* set, enum vmo_flags flags) {
    atomic_init(&v->refs, 1);
    v->flags = flags;
    v->set = set;
    list_init(&v->children);
}

struct vmo* vmo_new_window(struct page_set* set, enum vmo_flags flags) {
    struct vmo* v = slab_alloc_zero(&vmo_cache);
    if (v != nullptr) {
        vmo_init(v, set, flags);
    }
    return v;
}

struct vmo* vmo_of_new_set(struct page_set* set, enum vmo_flags flags) {
    vmo_init(&set->first, set, flags);
    return &set->first;
}

struct vmo* vmo_ref(struct vmo* v) {
    uint32_t before = atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX / 2);
    return v;
}

// Children handed up under the lock at a time: there are as many as some program made, and all
// families share the lock.
constexpr uint32_t HAND_UP_AT_ONCE = 256;

static void unlink_child_locked(struct vmo* parent, struct vmo* child) TA_REQ(family.lock) {
    list_remove(&child->sibling);
    parent->child_count--;
    parent->cow_child_count -= (child->flags & VMO_COW_CLONE) != 0;
}

// Some of the children go to the parent, as it is now: it may die meanwhile, too. True: none is
// left.
static bool hand_up_locked(struct vmo* v) TA_REQ(family.lock) {
    struct vmo* parent = v->parent;
    struct list_node* n;
    for (uint32_t i = 0; i < HAND_UP_AT_ONCE && (n = list_first(&v->children)) != nullptr; i++) {
        struct vmo* child = container_of(n, struct vmo, sibling);
        unlink_child_locked(v, child);
        child->parent = parent;
        if (parent != nullptr) {
            list_push_back(&parent->children, &child->sibling);
            parent->child_count++;
            parent->cow_child_count += (child->flags & VMO_COW_CLONE) != 0;
        }
    }
    return list_empty(&v->children);
}

// Hands the children up and leaves the parent, last, so that a parent with grandchildren to come is
// never without children. Nobody can become a child of one that has no reference any more. The hook
// runs under the lock, so that the parent and its owner cannot go meanwhile.
static void leave_family(struct vmo* v) {
    for (bool left = false; !left;) {
        MUTEX_GUARD(&family.lock);
        left = hand_up_locked(v);
        struct vmo* parent = v->parent;
        if (!left || parent == nullptr) {
            continue;
        }
        unlink_child_locked(parent, v);
        if (parent->child_count == 0 && parent->owner_ops != nullptr) {
            parent->owner_ops->children_changed(parent, parent->owner, true);
        }
    }
}

void vmo_unref(struct vmo* v) {
    uint32_t before = atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before != 1) {
        return;
    }
    ASSERT(v->owner_ops == nullptr);
    if (atomic_load_explicit(&v->in_family, memory_order_relaxed)) {
        leave_family(v);
    }
    struct page_set* set = v->set;
    if (v != &set->first) {
        slab_free(&vmo_cache, v);
    }
    page_set_unref(set);
}

// A set, if there is one, and its first vmo.
static status_t finish(struct page_set* set, enum vmo_flags flags, struct vmo** out) {
    if (set == nullptr) {
        return STATUS_NO_MEMORY;
    }
    *out = vmo_of_new_set(set, flags);
    return STATUS_OK;
}

status_t vmo_create(uint64_t size, uint32_t options, struct vmo** out) {
    if ((options & ~(ZX_VMO_RESIZABLE | ZX_VMO_DISCARDABLE | ZX_VMO_UNBOUNDED)) != 0 ||
        (options & (ZX_VMO_RESIZABLE | ZX_VMO_UNBOUNDED)) ==
            (ZX_VMO_RESIZABLE | ZX_VMO_UNBOUNDED)) {
        return STATUS_INVALID_ARGS;
    }
    uint64_t rounded;
    TRY(vmo_round_size(size, &rounded));
    enum vmo_flags flags = 0;
    flags |= (options & ZX_VMO_RESIZABLE) != 0 ? VMO_RESIZABLE : 0;
    flags |= (options & ZX_VMO_DISCARDABLE) != 0 ? VMO_DISCARDABLE : 0;
    flags |= (options & ZX_VMO_UNBOUNDED) != 0 ? VMO_UNBOUNDED : 0;
    struct page_set* set = page_set_create(
        PAGE_SET_ANON, (flags & VMO_UNBOUNDED) != 0 ? VMO_SIZE_UNBOUNDED : rounded, nullptr);
    if (set != nullptr) {
        set->resizable = (flags & VMO_RESIZABLE) != 0;
        set->guarded_.content_size = size;
        if ((flags & VMO_DISCARDABLE) != 0) {
            set->guarded_.discard = DISCARD_KEPT;
            reclaim_add(set);
        }
    }
    return finish(set, flags, out);
}

status_t vmo_create_physical(paddr_t base, uint64_t size, struct vmo** out) {
    uint64_t end;
    if (size == 0 || !is_page_aligned(size) || !is_page_aligned(base.raw)) {
        return STATUS_INVALID_ARGS;
    }
    // A translation to what is no address would be a fault that nobody can resolve.
    if (size > VMO_SIZE_MAX || ckd_add(&end, base.raw, size) || end > arch_phys_limit()) {
        return STATUS_OUT_OF_RANGE;
    }
    struct page_set* set = page_set_create(PAGE_SET_PHYSICAL, size, nullptr);
    if (set != nullptr) {
        set->phys_base = base;
        set->guarded_.cache_policy = ZX_CACHE_POLICY_UNCACHED;
    }
    return finish(set, 0, out);
}

status_t vmo_create_wired(paddr_t base, uint64_t size, uint64_t content_size, struct vmo** out) {
    if (!is_page_aligned(size) || !is_page_aligned(base.raw) || content_size > size) {
        return STATUS_INVALID_ARGS;
    }
    struct page_set* set = page_set_create(PAGE_SET_WIRED, size, nullptr);
    if (set != nullptr) {
        set->phys_base = base;
        set->guarded_.content_size = content_size;
    }
    return finish(set, VMO_IMMUTABLE, out);
}

status_t vmo_create_paged(struct page_source* source, uint64_t size, uint32_t options,
                          struct vmo** out) {
    if ((options & ~(ZX_VMO_RESIZABLE | ZX_VMO_TRAP_DIRTY)) != 0) {
        return STATUS_INVALID_ARGS;
    }
    uint64_t rounded;
    TRY(vmo_round_size(size, &rounded));
    struct page_set* set = page_set_create(PAGE_SET_PAGER, rounded, nullptr);
    enum vmo_flags flags = (options & ZX_VMO_RESIZABLE) != 0 ? VMO_RESIZABLE : 0;
    if (set != nullptr) {
        set->resizable = flags != 0;
        set->trap_dirty = (options & ZX_VMO_TRAP_DIRTY) != 0;
        set->guarded_.content_size = size;
    }
    struct vmo* v;
    TRY(finish(set, flags, &v));
    set->source = source; // last: a failed creation does not consume it
    reclaim_add(set);
    *out = v;
    return STATUS_OK;
}

// Moves a run of fresh pages into an empty set. The set has room.
static status_t fill_run(struct page_set* set, struct page* run, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        run[i].next = i + 1 < count ? &run[i + 1] : nullptr;
    }
    struct page* next = run;
    uint64_t index = 0;
    struct page_node_reserve reserve = {};
    status_t status = STATUS_OK;
    while (next != nullptr) {
        if (!page_node_reserve_fill(&reserve, PAGE_TREE_NODES_MAX)) {
            status = STATUS_NO_MEMORY;
            break;
        }
        uint32_t stored = 0;
        uint32_t most = (uint32_t)min(count - index, (uint64_t)PAGE_NODE_SLOTS);
        status = page_tree_insert_run(&set->guarded_.tree, index, &next, most, &reserve, &stored);
        if (status != STATUS_OK) {
            break;
        }
        index += stored;
    }
    page_node_reserve_drain(&reserve);
    if (status != STATUS_OK && next != nullptr) {
        pmm_free_contiguous(next, count - index); // the rest; the tree has what went before
    }
    return status;
}

MINSIZE status_t vmo_create_contiguous(uint64_t size, uint32_t align_log2, struct vmo** out) {
    uint64_t rounded;
    align_log2 = align_log2 == 0 ? PAGE_SHIFT : align_log2;
    if (size == 0 || align_log2 < PAGE_SHIFT || align_log2 >= 48) {
        return STATUS_INVALID_ARGS;
    }
    TRY(vmo_round_size(size, &rounded));
    struct page_set* set = page_set_create(PAGE_SET_CONTIGUOUS, rounded, nullptr);
    struct vmo* v;
    TRY(finish(set, 0, &v));
    uint64_t count = rounded >> PAGE_SHIFT;
    struct page* run;
    uint32_t tries = 0;
    do { // pages of files may lie where the run would fit
        run = pmm_alloc_contiguous(count, align_log2, PMM_VMO | PMM_USER | PMM_ZERO);
    } while (run == nullptr && reclaim_wait(&tries));
    status_t status = STATUS_NO_MEMORY;
    if (run != nullptr) {
        set->phys_base = page_to_paddr(run);
        status = fill_run(set, run, count);
    }
    if (status != STATUS_OK) {
        vmo_unref(v);
        return status;
    }
    *out = v;
    return STATUS_OK;
}

// ---- identity ----

void vmo_set_owner(struct vmo* v, const struct vmo_owner_ops* ops, void* owner, zx_koid_t koid) {
    if (ops == nullptr) {
        // Detaching keeps the koid: mappings go on naming it.
        koid = v->koid;
    }
    if (!atomic_load_explicit(&v->in_family, memory_order_relaxed)) {
        // No child was ever made, so nobody else looks. Whoever makes one holds a reference through
        // the owner, which is being set or is about to go.
        v->koid = koid;
        v->owner_ops = ops;
        v->owner = owner;
        return;
    }
    MUTEX_GUARD(&family.lock);
    v->koid = koid;
    v->owner_ops = ops;
    v->owner = owner;
}

void vmo_set_name(struct vmo* v, const char* name, size_t len) {
    MUTEX_GUARD(&family.lock);
    len = min(len, sizeof(v->name) - 1);
    memset(v->name, 0, sizeof(v->name));
    memcpy(v->name, name, len);
}

void vmo_get_name(struct vmo* v, char out[ZX_MAX_NAME_LEN]) {
    MUTEX_GUARD(&family.lock);
    memcpy(out, v->name, sizeof(v->name));
}

void vmo_set_vdso(struct vmo* v, uint64_t code_offset, uint64_t code_size) {
    ASSERT(is_page_aligned(code_offset) && is_page_aligned(code_size));
    v->set->vdso_first = v->first_page + (code_offset >> PAGE_SHIFT);
    v->set->vdso_pages = code_size >> PAGE_SHIFT;
}
