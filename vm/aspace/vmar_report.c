// What ZX_INFO_PROCESS_MAPS and ZX_INFO_VMAR_MAPS report: regions in depth-first pre-order.
//
// A cursor names the last region reported by (base, depth): a child that begins where its VMAR does
// comes after it. The next one is found from the root in O(depth * log n), so that a report may be
// taken in pieces, with the lock let go between them.
#include <vm/vmar.h>

#include <lib/string.h>
#include <vm/page_set.h>
#include <vm/vmo.h>

#include "vmar_priv.h"

static struct region* next_region_locked(struct aspace* as, struct vmar* v,
                                         const struct region_cursor* cursor, uint32_t* depth)
    TA_REQ(as->lock) {
    (void)as;
    if (!cursor->started) {
        *depth = 0;
        return &v->region;
    }
    // The nearest region behind the path so far, should the path end in nothing.
    struct region* behind = nullptr;
    uint32_t behind_depth = 0;
    for (uint32_t level = 1;; level++) {
        struct region* r = region_tree_above(&v->regions, cursor->base);
        if (r == nullptr) {
            break;
        }
        if (r->base > cursor->base || (r->base == cursor->base && level > cursor->depth)) {
            *depth = level;
            return r;
        }
        struct region* next = region_tree_next(r);
        if (next != nullptr) {
            behind = next;
            behind_depth = level;
        }
        if (r->is_mapping) {
            break;
        }
        v = vmar_from_region(r);
    }
    *depth = behind_depth;
    return behind;
}

static void describe_mapping_locked(struct aspace* as, const struct mapping* m,
                                    struct region_info* out) TA_REQ(as->lock) {
    (void)as;
    vmo_get_name(m->vmo, out->name);
    out->is_mapping = true;
    out->perms = m->perms;
    out->vmo_koid = m->vmo->koid;
    out->vmo_offset = (m->first_page - m->vmo->first_page) << PAGE_SHIFT;
    struct page_set* set = m->set;
    struct page_counts counts;
    mutex_acquire(&set->lock);
    page_set_count_locked(set, m->first_page, mapping_pages(m), &counts);
    mutex_release(&set->lock);
    out->committed = counts.committed << PAGE_SHIFT;
    out->populated = counts.populated << PAGE_SHIFT;
    out->private = counts.private << PAGE_SHIFT;
    out->scaled = counts.scaled << PAGE_SHIFT;
}

uint32_t vmar_report(struct vmar* v, struct region_cursor* cursor, struct region_info out[],
                     uint32_t max) {
    struct aspace* as = v->as;
    MUTEX_GUARD(&as->lock);
    uint32_t n = 0;
    while (n < max && v->alive) {
        uint32_t depth;
        const struct region* r = next_region_locked(as, v, cursor, &depth);
        if (r == nullptr) {
            break;
        }
        struct region_info* info = &out[n++];
        *info = (struct region_info){.base = r->base, .size = r->size, .depth = depth};
        if (r->is_mapping) {
            describe_mapping_locked(as, mapping_from_region((struct region*)r), info);
        } else {
            (void)str_copy(info->name, sizeof(info->name), "vmar");
        }
        *cursor = (struct region_cursor){.base = r->base, .depth = depth, .started = true};
    }
    return n;
}

uint64_t vmar_region_count(struct vmar* v) {
    struct aspace* as = v->as;
    MUTEX_GUARD(&as->lock);
    if (!v->alive) {
        return 0;
    }
    if (v->region.parent == nullptr) {
        return aspace_state(as)->region_count + 1;
    }
    struct region_cursor cursor = {};
    uint64_t n = 0;
    uint32_t depth;
    for (const struct region* r; (r = next_region_locked(as, v, &cursor, &depth)) != nullptr; n++) {
        cursor = (struct region_cursor){.base = r->base, .depth = depth, .started = true};
    }
    return n;
}
