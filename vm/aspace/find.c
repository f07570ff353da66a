// What lies behind an address, for those who read or write another process's memory: the VMO and
// the place in it, so that the access goes through the page set and needs no page table of the
// other address space.
#include <vm/aspace.h>

#include <lib/align.h>
#include <vm/vmo.h>

#include "vmar_priv.h"

status_t aspace_find_vmo(struct aspace* as, vaddr_t va, size_t want, struct vmo** out_ref,
                         uint64_t* offset, size_t* size) {
    MUTEX_GUARD(&as->lock);
    const struct mapping* m = aspace_find_locked(as, va);
    if (m == nullptr) {
        return STATUS_NOT_FOUND;
    }
    uint64_t in_mapping = va - m->region.base;
    *offset = ((m->first_page - m->vmo->first_page) << PAGE_SHIFT) + in_mapping;
    *size = min(want, m->region.size - in_mapping);
    *out_ref = vmo_ref(m->vmo);
    return STATUS_OK;
}
