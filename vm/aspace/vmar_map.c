// zx_vmar_map: check everything, then link a mapping that cannot fail any more.
#include <vm/vmar.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <vm/page_set.h>
#include <vm/vmo.h>

#include "vmar_priv.h"

constexpr zx_vm_option_t MAP_OPTIONS = PERM_MASK | ZX_VM_SPECIFIC | ZX_VM_SPECIFIC_OVERWRITE |
                                       ZX_VM_MAP_RANGE | ZX_VM_REQUIRE_NON_RESIZABLE |
                                       ZX_VM_ALLOW_FAULTS | ZX_VM_OFFSET_IS_UPPER_LIMIT |
                                       ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED |
                                       ZX_VM_FAULT_BEYOND_STREAM_SIZE | (0xffu << ZX_VM_ALIGN_BASE);

struct map_request {
    zx_vm_option_t options;
    struct placement place;
    struct vmo* vmo;
    uint64_t vmo_offset;
    uint32_t perms, max_perms;
};

// What permissions are wanted. No execute-only memory on this machine: asking for it reads as well,
// if the caller said that this is fine.
static status_t wanted_perms(zx_vm_option_t options, uint32_t* out) {
    uint32_t perms = options & PERM_MASK;
    if ((options & ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED) != 0 && (perms & ZX_VM_PERM_EXECUTE) != 0) {
        perms |= ZX_VM_PERM_READ;
    }
    if (perms != 0 && (perms & ZX_VM_PERM_READ) == 0) {
        return STATUS_INVALID_ARGS;
    }
    *out = perms;
    return STATUS_OK;
}

// Whether every fault in the range is bound to succeed, for callers that do not allow faults.
static status_t check_faults(const struct map_request* req) {
    const struct vmo* vmo = req->vmo;
    if ((req->options & ZX_VM_REQUIRE_NON_RESIZABLE) != 0 && vmo->set->resizable) {
        return STATUS_NOT_SUPPORTED;
    }
    if ((req->options & (ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE)) ==
        ZX_VM_FAULT_BEYOND_STREAM_SIZE) {
        return STATUS_INVALID_ARGS;
    }
    if ((req->options & ZX_VM_ALLOW_FAULTS) != 0) {
        return STATUS_OK;
    }
    if (vmo->set->resizable || page_set_is_paged(vmo->set) || (vmo->flags & VMO_DISCARDABLE) != 0) {
        return STATUS_NOT_SUPPORTED;
    }
    uint64_t size = (vmo->flags & VMO_SLICE) != 0 ? vmo->slice_size : page_set_fixed_size(vmo->set);
    return range_ok(req->vmo_offset, req->place.size, size) ? STATUS_OK : STATUS_BUFFER_TOO_SMALL;
}

static status_t check_request(const struct vmar* v, const struct map_request* req) {
    if ((req->options & ~MAP_OPTIONS) != 0 || !is_page_aligned(req->vmo_offset)) {
        return STATUS_INVALID_ARGS;
    }
    uint64_t end;
    if (ckd_add(&end, req->vmo_offset, req->place.size)) {
        return STATUS_INVALID_ARGS;
    }
    if ((req->options & ZX_VM_MAP_RANGE) != 0 && (req->options & ZX_VM_SPECIFIC_OVERWRITE) != 0) {
        return STATUS_INVALID_ARGS;
    }
    if ((req->perms & ~req->max_perms) != 0) {
        return STATUS_ACCESS_DENIED;
    }
    TRY(placement_check(v, &req->place));
    if (!placement_is_specific(&req->place) && req->place.size > v->region.size) {
        return STATUS_NO_RESOURCES;
    }
    return check_faults(req);
}

// The vDSO rule: executable means exactly the code, once.
static status_t check_vdso_locked(struct aspace* as, const struct map_request* req,
                                  const struct mapping* m) TA_REQ(as->lock) {
    const struct page_set* set = req->vmo->set;
    if (set->vdso_pages == 0 || (req->perms & ZX_VM_PERM_EXECUTE) == 0) {
        return STATUS_OK;
    }
    bool exact = m->first_page == set->vdso_first && mapping_pages(m) == set->vdso_pages;
    return exact && aspace_state(as)->vdso_code == nullptr ? STATUS_OK : STATUS_ACCESS_DENIED;
}

static void fill_mapping(struct mapping* m, struct aspace* as, const struct map_request* req,
                         vaddr_t base) {
    struct vmo* vmo = req->vmo;
    m->region.base = base;
    m->region.size = req->place.size;
    m->region.is_mapping = true;
    m->as = as;
    m->vmo = vmo;
    m->set = vmo->set;
    m->first_page = vmo->first_page + (req->vmo_offset >> PAGE_SHIFT);
    m->end_page = (vmo->flags & VMO_SLICE) != 0 ? vmo->first_page + (vmo->slice_size >> PAGE_SHIFT)
                                                : UINT64_MAX;
    m->perms = req->perms;
    m->max_perms = req->max_perms;
    if (vmo->set->vdso_pages != 0 && (req->perms & ZX_VM_PERM_EXECUTE) == 0) {
        m->max_perms &= ~ZX_VM_PERM_EXECUTE; // protect is no way around the rule
    }
    m->vdso_code = false;
    m->stream_bound = (req->options & ZX_VM_FAULT_BEYOND_STREAM_SIZE) != 0;
}

// SPECIFIC_OVERWRITE: what lies where the mapping goes is unmapped. The last thing that may fail.
static NOINLINE status_t overwrite_locked(struct aspace* as, struct vmar* v, vaddr_t base,
                                          vaddr_t end, struct dead_list* dead) TA_REQ(as->lock) {
    struct range_edit edit = {.base = base, .end = end};
    bool any;
    status_t status = range_prepare_locked(as, v, &edit, false, &any);
    if (status == STATUS_OK && any) {
        range_remove_locked(as, v, &edit, dead);
    }
    range_edit_done(&edit);
    return status;
}

static status_t map_locked(struct aspace* as, struct vmar* v, const struct map_request* req,
                           struct mapping* m, struct dead_list* dead) TA_REQ(as->lock) {
    if (!v->alive) {
        return STATUS_BAD_STATE;
    }
    vaddr_t base;
    TRY(placement_find_locked(as, v, &req->place, &base));
    fill_mapping(m, as, req, base);
    TRY(check_vdso_locked(as, req, m));
    if ((req->options & ZX_VM_SPECIFIC_OVERWRITE) != 0) {
        TRY(overwrite_locked(as, v, base, base + req->place.size, dead));
    } else if ((req->options & ZX_VM_SPECIFIC) != 0 &&
               !region_tree_is_free(&v->regions, base, req->place.size)) {
        return STATUS_ALREADY_EXISTS;
    }

    // Nothing fails from here on.
    (void)vmo_ref(m->vmo);
    atomic_fetch_add_explicit(&m->vmo->mapping_count, 1, memory_order_relaxed);
    mapping_link_locked(as, v, m);
    if (m->set->vdso_pages != 0 && (m->perms & ZX_VM_PERM_EXECUTE) != 0) {
        m->vdso_code = true;
        aspace_state(as)->vdso_code = m;
        atomic_store_explicit(&as->vdso_base, base - (m->set->vdso_first << PAGE_SHIFT),
                              memory_order_release);
    }
    return STATUS_OK;
}

status_t vmar_map(struct vmar* v, zx_vm_option_t options, size_t offset, uint32_t vmar_allowed,
                  struct vmo* vmo, uint64_t vmo_offset, uint32_t vmo_allowed, size_t len,
                  vaddr_t* out) {
    struct map_request req = {
        .options = options,
        .place = {.options = options, .offset = offset},
        .vmo = vmo,
        .vmo_offset = vmo_offset,
        .max_perms = v->can_map & vmar_allowed & vmo_allowed & PERM_MASK,
    };
    TRY(wanted_perms(options, &req.perms));
    if (len == 0 || !page_round_up_checked(len, &req.place.size)) {
        return STATUS_INVALID_ARGS;
    }
    if (vmo->set->kind == PAGE_SET_WIRED) {
        req.max_perms &= ~ZX_VM_PERM_WRITE;
    }
    TRY(check_request(v, &req));

    struct mapping* m = mapping_alloc();
    if (m == nullptr) {
        return STATUS_NO_MEMORY;
    }
    struct aspace* as = v->as;
    struct dead_list dead = {};
    mutex_acquire(&as->lock);
    status_t status = map_locked(as, v, &req, m, &dead);
    vaddr_t base = m->region.base; // nobody else's to read once the lock is gone
    mutex_release(&as->lock);
    dead_list_free(&dead);
    if (status != STATUS_OK) {
        mapping_free_unused(m);
        return status;
    }
    if ((options & ZX_VM_MAP_RANGE) != 0) {
        // A hint: what cannot be mapped now will fault.
        (void)aspace_populate(as, base, base + req.place.size);
    }
    *out = base;
    return STATUS_OK;
}
