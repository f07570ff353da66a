// VMOs: what ZX_INFO_VMO reports.
#include <vm/vmo.h>

#include <zircon/syscalls/object.h>

#include <lib/string.h>
#include <vm/page_source.h>

#include "vmo_priv.h"

static uint32_t info_flags(const struct vmo* v) {
    const struct page_set* set = v->set;
    uint32_t flags =
        set->kind == PAGE_SET_PHYSICAL ? ZX_INFO_VMO_TYPE_PHYSICAL : ZX_INFO_VMO_TYPE_PAGED;
    flags |= (v->flags & VMO_RESIZABLE) != 0 ? ZX_INFO_VMO_RESIZABLE : 0;
    flags |= (v->flags & VMO_COW_CLONE) != 0 ? ZX_INFO_VMO_IS_COW_CLONE : 0;
    flags |= (v->flags & VMO_DISCARDABLE) != 0 ? ZX_INFO_VMO_DISCARDABLE : 0;
    flags |= (v->flags & VMO_IMMUTABLE) != 0 ? ZX_INFO_VMO_IMMUTABLE : 0;
    flags |= page_set_is_paged(set) ? ZX_INFO_VMO_PAGER_BACKED : 0;
    flags |= set->kind == PAGE_SET_CONTIGUOUS ? ZX_INFO_VMO_CONTIGUOUS : 0;
    return flags;
}

void page_set_count_locked(struct page_set* set, uint64_t index, uint64_t count,
                           struct page_counts* out) {
    *out = (struct page_counts){};
    if (set->kind == PAGE_SET_PHYSICAL) {
        return;
    }
    if (set->kind == PAGE_SET_WIRED) {
        out->committed = out->populated = count;
        return;
    }
    const struct page_tree* tree = &page_set_state(set)->tree;
    out->committed = out->populated = page_tree_pages_in(tree, index, count);
    out->private = page_tree_private_in(tree, index, count);
    // An approximation: a shared page is shared by two.
    out->scaled = out->private + (out->committed - out->private) / 2;
}

static void fill_family_part(struct vmo* v, struct vmo_info* out) {
    MUTEX_GUARD(vmo_family_lock());
    out->koid = v->koid;
    out->parent_koid = v->parent != nullptr ? v->parent->koid : ZX_KOID_INVALID;
    out->child_count = v->child_count;
    memcpy(out->name, v->name, sizeof(out->name));
}

zx_koid_t vmo_parent_koid(struct vmo* v) {
    MUTEX_GUARD(vmo_family_lock());
    return v->parent != nullptr ? v->parent->koid : ZX_KOID_INVALID;
}

void vmo_get_info(struct vmo* v, struct vmo_info* out) {
    *out = (struct vmo_info){.flags = info_flags(v)};
    fill_family_part(v, out);
    out->mapping_count = atomic_load_explicit(&v->mapping_count, memory_order_relaxed);
    out->share_count = out->mapping_count;
    struct page_set* set = v->set;
    MUTEX_GUARD(&set->lock);
    const struct page_set_state* st = page_set_state(set);
    out->size = vmo_size_locked(v, set);
    out->stream_size = (v->flags & VMO_SLICE) != 0 ? v->slice_size : st->content_size;
    out->cache_policy = st->cache_policy;
    struct page_counts counts;
    page_set_count_locked(set, v->first_page, out->size >> PAGE_SHIFT, &counts);
    out->committed = counts.committed << PAGE_SHIFT;
    out->populated = counts.populated << PAGE_SHIFT;
    out->private = counts.private << PAGE_SHIFT;
    out->scaled = counts.scaled << PAGE_SHIFT;
}
