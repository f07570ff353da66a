// VMOs with a page source: what the pager does to them, but for supplying (vmo_transfer.c).
#include <vm/vmo.h>

#include <vm/page_source.h>

#include "vmo_priv.h"

// Pages [*index, *index + *count) of the set.
static status_t check_range(struct vmo* v, uint64_t offset, uint64_t len, uint64_t* index,
                            uint64_t* count) {
    if (!is_page_aligned(offset) || !is_page_aligned(len)) {
        return STATUS_INVALID_ARGS;
    }
    *index = v->first_page + (offset >> PAGE_SHIFT);
    *count = len >> PAGE_SHIFT;
    return range_ok(offset, len, vmo_size(v)) ? STATUS_OK : STATUS_OUT_OF_RANGE;
}

status_t vmo_fail_pages(struct vmo* v, uint64_t offset, uint64_t len, status_t failure) {
    uint64_t index;
    uint64_t count;
    TRY(check_range(v, offset, len, &index, &count));
    page_source_answer(v->set->source, PAGE_NEED_ANY, index, count, failure);
    return STATUS_OK;
}

void vmo_detach_pager(struct vmo* v) {
    page_source_detach(v->set->source);
}
