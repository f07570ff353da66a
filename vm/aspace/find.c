// What lies behind an address, for those who read or write another process's memory: the VMO and
// the place in it, so that the access goes through the page set and needs no page table of the
// other address space.
#include <vm/aspace.h>

#include <lib/align.h>
#include <vm/vmo.h>

#include "vmar_priv.h"

status_t aspace_find_vmo(struct aspace* as, vaddr_t va, size_t want, struct aspace_place* out) {
    MUTEX_GUARD(&as->lock);
    const struct mapping* m = aspace_find_locked(as, va);
    if (m == nullptr) {
        return STATUS_NOT_FOUND;
    }
    uint64_t in_mapping = va - m->region.base;
    *out = (struct aspace_place){
        .vmo = vmo_ref(m->vmo),
        .offset = ((m->first_page - m->vmo->first_page) << PAGE_SHIFT) + in_mapping,
        .size = min(want, m->region.size - in_mapping),
        .max_perms = m->max_perms,
    };
    return STATUS_OK;
}
