// VMARs: life, allocation, destruction, and edits of a range of regions.
//
// VMARs may be nested to any depth by user mode, so nothing here recurses.
#include <vm/vmar.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <vm/heap.h>

#include "vmar_priv.h"

SLAB_CACHE(vmar_cache, struct vmar);

struct vmar* vmar_new(struct aspace* as, vaddr_t base, size_t size, uint32_t can_map,
                      bool can_map_specific, bool compact) {
    struct vmar* v = slab_alloc_zero(&vmar_cache);
    if (v == nullptr) {
        return nullptr;
    }
    v->region.base = base;
    v->region.size = size;
    atomic_init(&v->refs, 1);
    v->as = aspace_ref(as);
    v->can_map = can_map;
    v->can_map_specific = can_map_specific;
    v->compact = compact;
    region_tree_init(&v->regions);
    return v;
}

struct vmar* vmar_ref(struct vmar* v) {
    uint32_t before = atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX / 2);
    return v;
}

void vmar_unref(struct vmar* v) {
    uint32_t before = atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        struct aspace* as = v->as;
        slab_free(&vmar_cache, v);
        aspace_unref(as);
    }
}

vaddr_t vmar_base(const struct vmar* v) {
    return v->region.base;
}
size_t vmar_size(const struct vmar* v) {
    return v->region.size;
}
struct aspace* vmar_aspace(const struct vmar* v) {
    return v->as;
}
uint32_t vmar_can_map(const struct vmar* v) {
    return v->can_map;
}

// ---- allocation ----

constexpr zx_vm_option_t ALLOCATE_OPTIONS =
    ZX_VM_COMPACT | ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ |
    ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE | ZX_VM_OFFSET_IS_UPPER_LIMIT |
    (0xffu << ZX_VM_ALIGN_BASE);

static uint32_t can_map_of(zx_vm_option_t options) {
    uint32_t perms = 0;
    perms |= (options & ZX_VM_CAN_MAP_READ) != 0 ? ZX_VM_PERM_READ : 0;
    perms |= (options & ZX_VM_CAN_MAP_WRITE) != 0 ? ZX_VM_PERM_WRITE : 0;
    perms |= (options & ZX_VM_CAN_MAP_EXECUTE) != 0 ? ZX_VM_PERM_EXECUTE : 0;
    return perms;
}

static status_t place_child_locked(struct aspace* as, struct vmar* parent,
                                   const struct placement* p, struct vmar* child) TA_REQ(as->lock) {
    if (!parent->alive) {
        return STATUS_BAD_STATE;
    }
    vaddr_t base;
    TRY(placement_find_locked(as, parent, p, &base));
    if (!region_tree_is_free(&parent->regions, base, p->size)) {
        return STATUS_ALREADY_EXISTS;
    }
    child->region.base = base;
    child->region.parent = parent;
    child->alive = true;
    region_tree_insert(&parent->regions, &child->region);
    aspace_state(as)->region_count++;
    (void)vmar_ref(child); // the parent's
    return STATUS_OK;
}

status_t vmar_allocate(struct vmar* parent, zx_vm_option_t options, size_t offset, size_t size,
                       uint32_t allowed, struct vmar** out_ref, vaddr_t* out_base) {
    if ((options & ~ALLOCATE_OPTIONS) != 0) {
        return STATUS_INVALID_ARGS;
    }
    uint64_t rounded;
    if (size == 0 || !page_round_up_checked(size, &rounded) || rounded > parent->region.size) {
        return STATUS_INVALID_ARGS;
    }
    uint32_t can_map = can_map_of(options);
    if ((can_map & ~(parent->can_map & allowed)) != 0) {
        return STATUS_ACCESS_DENIED;
    }
    struct placement p = {.options = options, .offset = offset, .size = rounded};
    TRY(placement_check(parent, &p));
    struct aspace* as = parent->as;
    struct vmar* child = vmar_new(as, 0, rounded, can_map, (options & ZX_VM_CAN_MAP_SPECIFIC) != 0,
                                  (options & ZX_VM_COMPACT) != 0);
    if (child == nullptr) {
        return STATUS_NO_MEMORY;
    }
    mutex_acquire(&as->lock);
    status_t status = place_child_locked(as, parent, &p, child);
    mutex_release(&as->lock);
    if (status != STATUS_OK) {
        vmar_unref(child);
        return status;
    }
    *out_ref = child;
    *out_base = child->region.base;
    return STATUS_OK;
}

// ---- destruction ----

static void vmar_unlink_locked(struct aspace* as, struct vmar* v, struct dead_list* dead)
    TA_REQ(as->lock) {
    DEBUG_ASSERT(region_tree_empty(&v->regions));
    v->alive = false;
    if (v->region.parent == nullptr) {
        return; // the root
    }
    region_tree_erase(&v->region.parent->regions, &v->region);
    aspace_state(as)->region_count--;
    v->region.parent = nullptr;
    v->region.next_dead = dead->head;
    dead->head = &v->region;
}

void vmar_kill_locked(struct aspace* as, struct vmar* v, struct table_reserve* tables,
                      struct dead_list* dead) {
    struct vmar* current = v;
    for (;;) {
        struct region* r = region_tree_first(&current->regions);
        if (r == nullptr) {
            struct vmar* parent = current->region.parent;
            vmar_unlink_locked(as, current, dead);
            if (current == v) {
                return;
            }
            current = parent;
        } else if (r->is_mapping) {
            mapping_remove_locked(as, mapping_from_region(r), tables, dead);
        } else {
            current = vmar_from_region(r);
        }
    }
}

// Whether the vDSO's code lies in [base, end): nothing may happen to it.
static bool covers_vdso_locked(struct aspace* as, vaddr_t base, vaddr_t end) TA_REQ(as->lock) {
    const struct mapping* code = aspace_state(as)->vdso_code;
    return code != nullptr && base < region_end(&code->region) && code->region.base < end;
}

static status_t destroy_locked(struct aspace* as, struct vmar* v, struct dead_list* dead)
    TA_REQ(as->lock) {
    if (!v->alive) {
        return STATUS_BAD_STATE;
    }
    if (v->region.parent == nullptr) {
        return STATUS_NOT_SUPPORTED; // the root goes with the process
    }
    if (covers_vdso_locked(as, v->region.base, region_end(&v->region))) {
        return STATUS_ACCESS_DENIED;
    }
    struct table_reserve none = {}; // whole mappings: nothing to split
    vmar_kill_locked(as, v, &none, dead);
    return STATUS_OK;
}

status_t vmar_destroy(struct vmar* v) {
    struct aspace* as = v->as;
    struct dead_list dead = {};
    mutex_acquire(&as->lock);
    status_t status = destroy_locked(as, v, &dead);
    mutex_release(&as->lock);
    dead_list_free(&dead);
    return status;
}

// ---- edits of a range ----

static status_t prepare_cut(struct range_edit* edit, uint32_t edge, struct region* r) {
    edit->cut[edge] = mapping_from_region(r);
    edit->spare[edge] = mapping_alloc();
    // Two tables per edge split a 1 GiB entry down to pages.
    return edit->spare[edge] != nullptr && mmu_reserve_fill(&edit->tables, 4) ? STATUS_OK
                                                                              : STATUS_NO_MEMORY;
}

status_t range_prepare_locked(struct aspace* as, struct vmar* v, struct range_edit* edit,
                              bool take_vmars, bool* any) {
    *any = false;
    if (covers_vdso_locked(as, edit->base, edit->end)) {
        return STATUS_ACCESS_DENIED;
    }
    for (struct region* r = region_tree_above(&v->regions, edit->base);
         r != nullptr && r->base < edit->end; r = region_tree_next(r)) {
        *any = true;
        bool from_below = r->base < edit->base;
        bool to_above = region_end(r) > edit->end;
        if (!r->is_mapping) {
            if (!take_vmars || from_below || to_above) {
                return STATUS_INVALID_ARGS;
            }
            continue;
        }
        if (from_below) {
            TRY(prepare_cut(edit, 0, r));
        }
        if (to_above) {
            TRY(prepare_cut(edit, 1, r));
            break;
        }
    }
    return STATUS_OK;
}

void range_split_edges_locked(struct aspace* as, struct range_edit* edit) {
    // The upper edge first: both may cut the same mapping.
    if (edit->cut[1] != nullptr) {
        mapping_split_locked(as, edit->cut[1], edit->end, edit->spare[1]);
        edit->spare[1] = nullptr;
    }
    if (edit->cut[0] != nullptr) {
        mapping_split_locked(as, edit->cut[0], edit->base, edit->spare[0]);
        edit->spare[0] = nullptr;
    }
}

void range_remove_locked(struct aspace* as, struct vmar* v, struct range_edit* edit,
                         struct dead_list* dead) {
    range_split_edges_locked(as, edit);
    struct region* next;
    for (struct region* r = region_tree_above(&v->regions, edit->base);
         r != nullptr && r->base < edit->end; r = next) {
        next = region_tree_next(r);
        if (r->is_mapping) {
            mapping_remove_locked(as, mapping_from_region(r), &edit->tables, dead);
        } else {
            vmar_kill_locked(as, vmar_from_region(r), &edit->tables, dead);
        }
    }
}
