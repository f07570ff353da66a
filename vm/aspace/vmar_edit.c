// zx_vmar_unmap, zx_vmar_protect, zx_vmar_op_range.
#include <vm/vmar.h>

#include <lib/align.h>
#include <sched/thread.h>
#include <vm/vmo.h>

#include "vmar_priv.h"

// A page-aligned, non-empty range inside the VMAR.
static status_t check_range(const struct vmar* v, vaddr_t addr, size_t len, vaddr_t* end) {
    uint64_t rounded;
    if (!is_page_aligned(addr) || len == 0 || !page_round_up_checked(len, &rounded)) {
        return STATUS_INVALID_ARGS;
    }
    if (addr < v->region.base || !range_ok(addr - v->region.base, rounded, v->region.size)) {
        return STATUS_INVALID_ARGS;
    }
    *end = addr + rounded;
    return STATUS_OK;
}

// ---- unmap ----

static status_t unmap_locked(struct aspace* as, struct vmar* v, struct range_edit* edit,
                             struct dead_list* dead) TA_REQ(as->lock) {
    if (!v->alive) {
        return STATUS_BAD_STATE;
    }
    bool any;
    TRY(range_prepare_locked(as, v, edit, true, &any));
    if (!any) {
        return STATUS_NOT_FOUND;
    }
    range_remove_locked(as, v, edit, dead);
    return STATUS_OK;
}

static NOINLINE status_t unmap_range(struct vmar* v, vaddr_t base, vaddr_t end) {
    struct range_edit edit = {.base = base, .end = end};
    struct aspace* as = v->as;
    struct dead_list dead = {};
    mutex_acquire(&as->lock);
    status_t status = unmap_locked(as, v, &edit, &dead);
    mutex_release(&as->lock);
    range_edit_done(&edit);
    dead_list_free(&dead);
    return status;
}

// Exactly what was mapped or touched last, without a search. A dead VMAR has no mappings, so this
// one lives; and it may not be the vDSO's code. False: the general way.
static bool unmap_last_locked(struct aspace* as, const struct vmar* v, vaddr_t base, vaddr_t end,
                              struct dead_list* dead) TA_REQ(as->lock) {
    struct mapping* m = aspace_state(as)->last_found;
    if (m == nullptr || m->region.parent != v || m->region.base != base ||
        region_end(&m->region) != end || m->vdso_code) {
        return false;
    }
    struct table_reserve none = {}; // all of a mapping goes: nothing to split
    mapping_remove_locked(as, m, &none, dead);
    return true;
}

status_t vmar_unmap(struct vmar* v, vaddr_t addr, size_t len) {
    vaddr_t end;
    TRY(check_range(v, addr, len, &end));
    struct aspace* as = v->as;
    struct dead_list dead = {};
    mutex_acquire(&as->lock);
    bool done = unmap_last_locked(as, v, addr, end, &dead);
    mutex_release(&as->lock);
    if (!done) {
        return unmap_range(v, addr, end);
    }
    dead_list_free(&dead);
    return STATUS_OK;
}

// ---- protect ----

// The whole range is mapped, without VMARs, and may have these permissions.
static status_t check_protect_locked(struct aspace* as, struct vmar* v, vaddr_t base, vaddr_t end,
                                     uint32_t perms) TA_REQ(as->lock) {
    (void)as;
    vaddr_t at = base;
    struct region* r = region_tree_above(&v->regions, base);
    bool gap = false;
    bool denied = false;
    for (; r != nullptr && r->base < end; r = region_tree_next(r)) {
        if (!r->is_mapping) {
            return STATUS_INVALID_ARGS;
        }
        gap |= r->base > at;
        denied |= (perms & ~mapping_from_region(r)->max_perms) != 0;
        at = region_end(r);
    }
    if (gap || at < end) {
        return STATUS_NOT_FOUND;
    }
    return denied ? STATUS_ACCESS_DENIED : STATUS_OK;
}

static status_t protect_locked(struct aspace* as, struct vmar* v, struct range_edit* edit,
                               uint32_t perms) TA_REQ(as->lock) {
    if (!v->alive) {
        return STATUS_BAD_STATE;
    }
    TRY(check_protect_locked(as, v, edit->base, edit->end, perms));
    bool any;
    TRY(range_prepare_locked(as, v, edit, false, &any));
    range_split_edges_locked(as, edit);
    for (struct region* r = region_tree_above(&v->regions, edit->base);
         r != nullptr && r->base < edit->end; r = region_tree_next(r)) {
        mapping_protect_locked(as, mapping_from_region(r), perms, &edit->tables);
    }
    return STATUS_OK;
}

status_t vmar_protect(struct vmar* v, zx_vm_option_t options, uint32_t allowed, vaddr_t addr,
                      size_t len) {
    uint32_t perms = options & PERM_MASK;
    if ((options & ~(PERM_MASK | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED)) != 0) {
        return STATUS_INVALID_ARGS;
    }
    if ((options & ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED) != 0 && (perms & ZX_VM_PERM_EXECUTE) != 0) {
        perms |= ZX_VM_PERM_READ;
    }
    if (perms != 0 && (perms & ZX_VM_PERM_READ) == 0) {
        return STATUS_INVALID_ARGS;
    }
    if ((perms & ~(allowed & v->can_map)) != 0) {
        return STATUS_ACCESS_DENIED;
    }
    struct range_edit edit = {.base = addr};
    TRY(check_range(v, addr, len, &edit.end));
    struct aspace* as = v->as;
    mutex_acquire(&as->lock);
    status_t status = protect_locked(as, v, &edit, perms);
    mutex_release(&as->lock);
    range_edit_done(&edit);
    return status;
}

// ---- op_range ----

// One mapping's part of the range; the VMO with a reference, so that no lock is needed for the
// work.
struct part {
    struct vmo* vmo;
    uint64_t offset;
    size_t len;
};

static status_t next_part_locked(struct aspace* as, struct vmar* v, uint32_t op, vaddr_t at,
                                 vaddr_t end, struct part* out) TA_REQ(as->lock) {
    if (!v->alive) {
        return STATUS_BAD_STATE;
    }
    struct mapping* m = aspace_find_locked(as, at);
    if (m == nullptr) {
        return STATUS_BAD_STATE;
    }
    bool writes = op == ZX_VMAR_OP_COMMIT || op == ZX_VMAR_OP_DECOMMIT || op == ZX_VMAR_OP_ZERO;
    if (writes && (m->perms & ZX_VM_PERM_WRITE) == 0) {
        return STATUS_ACCESS_DENIED;
    }
    vaddr_t stop = min(end, region_end(&m->region));
    *out = (struct part){
        .vmo = vmo_ref(m->vmo),
        .offset = (mapping_index(m, at) - m->vmo->first_page) << PAGE_SHIFT,
        .len = stop - at,
    };
    return STATUS_OK;
}

// The operations have the numbers of the VMO operations that they stand for, but for MAP_RANGE.
static_assert(ZX_VMAR_OP_COMMIT == ZX_VMO_OP_COMMIT && ZX_VMAR_OP_ZERO == ZX_VMO_OP_ZERO);
static_assert(ZX_VMAR_OP_DECOMMIT == ZX_VMO_OP_DECOMMIT);
static_assert(ZX_VMAR_OP_DONT_NEED == ZX_VMO_OP_DONT_NEED);
static_assert(ZX_VMAR_OP_ALWAYS_NEED == ZX_VMO_OP_ALWAYS_NEED);
static_assert(ZX_VMAR_OP_PREFETCH == ZX_VMO_OP_PREFETCH);

static bool op_known(uint32_t op) {
    switch (op) {
    case ZX_VMAR_OP_COMMIT:
    case ZX_VMAR_OP_DECOMMIT:
    case ZX_VMAR_OP_MAP_RANGE:
    case ZX_VMAR_OP_ZERO:
    case ZX_VMAR_OP_DONT_NEED:
    case ZX_VMAR_OP_ALWAYS_NEED:
    case ZX_VMAR_OP_PREFETCH:
        return true;
    default:
        return false;
    }
}

status_t vmar_op_range(struct vmar* v, uint32_t op, vaddr_t addr, size_t len) {
    uint64_t rounded;
    if (!op_known(op) || !is_page_aligned(addr) || len == 0 ||
        !page_round_up_checked(len, &rounded)) {
        return STATUS_INVALID_ARGS;
    }
    if (addr < v->region.base || !range_ok(addr - v->region.base, rounded, v->region.size)) {
        return STATUS_OUT_OF_RANGE;
    }
    struct aspace* as = v->as;
    vaddr_t end = addr + rounded;
    for (vaddr_t at = addr; at < end;) {
        struct part part;
        mutex_acquire(&as->lock);
        status_t status = next_part_locked(as, v, op, at, end, &part);
        mutex_release(&as->lock);
        TRY(status);
        if (op != ZX_VMAR_OP_MAP_RANGE) {
            status = vmo_op_range(part.vmo, op, part.offset, part.len);
        }
        vmo_unref(part.vmo);
        TRY(status);
        if (op == ZX_VMAR_OP_COMMIT || op == ZX_VMAR_OP_MAP_RANGE) {
            TRY(aspace_populate(as, at, at + part.len));
        }
        at += part.len;
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return STATUS_OK;
}
