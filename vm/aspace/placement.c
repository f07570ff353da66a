// Where a new region goes.
//
// Random places are drawn uniformly from the aligned places of a window, and if that one is taken
// the search goes up to the next hole that fits and wraps around: one logarithmic search whatever
// the number of regions.
//
// The root VMAR places in its upper half, unless the caller named a limit. There each address space
// has a neighbourhood of 1 GiB, itself drawn at random: two places of one address space differ in
// 18 random bits, places of two address spaces in 34. Drawing each from all of the upper half would
// cost every small mapping three page tables of its own (12 KiB and the work to make and free them)
// instead of at most one. What does not fit into the neighbourhood gets a wider one.
#include <lib/align.h>
#include <lib/hash.h>

#include "vmar_priv.h"

static size_t placement_align(const struct placement* p) {
    uint32_t log2 = p->options >> ZX_VM_ALIGN_BASE;
    return log2 <= PAGE_SHIFT ? PAGE_SIZE : (size_t)1 << log2;
}

status_t placement_check(const struct vmar* v, const struct placement* p) {
    uint32_t align_log2 = p->options >> ZX_VM_ALIGN_BASE;
    if (align_log2 != 0 && (align_log2 < 10 || align_log2 > 32)) {
        return STATUS_INVALID_ARGS;
    }
    bool limit = (p->options & ZX_VM_OFFSET_IS_UPPER_LIMIT) != 0;
    if (placement_is_specific(p)) {
        if (limit) {
            return STATUS_INVALID_ARGS;
        }
        if (!v->can_map_specific) {
            return STATUS_ACCESS_DENIED;
        }
        if (!range_ok(p->offset, p->size, v->region.size) ||
            !is_aligned(v->region.base + p->offset, placement_align(p))) {
            return STATUS_INVALID_ARGS;
        }
        return STATUS_OK;
    }
    if (limit) {
        if (!v->can_map_specific) {
            return STATUS_ACCESS_DENIED;
        }
        return is_page_aligned(p->offset) && p->offset <= v->region.size ? STATUS_OK
                                                                         : STATUS_INVALID_ARGS;
    }
    return p->offset == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

static uint64_t next_random_locked(struct aspace* as) TA_REQ(as->lock) {
    struct siphash_key key = {as->random_key[0], as->random_key[1]};
    return siphash_13_u64(&key, aspace_state(as)->random_counter++);
}

// Large regions prefer the boundaries of page directories: they can have large entries, and a
// snapshot write-protects directories and no single pages. It costs 9 random bits.
static bool place_random(const struct vmar* v, const struct place_request* want, uint64_t random,
                         vaddr_t* out) {
    constexpr size_t large = (size_t)2 << 20;
    if (want->align < large && want->size >= large) {
        struct place_request aligned = *want;
        aligned.align = large;
        if (region_tree_place_random(&v->regions, &aligned, random, out)) {
            return true;
        }
    }
    return region_tree_place_random(&v->regions, want, random, out);
}

// Within the address space's neighbourhood, or a wider one if it is full or too small for `want`.
static bool place_near_locked(struct aspace* as, struct vmar* v, const struct place_request* want,
                              vaddr_t* out) TA_REQ(as->lock) {
    constexpr size_t neighbourhood = (size_t)1 << 30;
    struct aspace_state* st = aspace_state(as);
    size_t all = want->high - want->low;
    if (st->neighbourhood == 0) {
        uint64_t places = all / neighbourhood;
        st->neighbourhood =
            want->low +
            (vaddr_t)(((unsigned __int128)next_random_locked(as) * places) >> 64) * neighbourhood;
    }
    for (size_t width = neighbourhood; width < all; width *= 16) {
        // At most a sixteenth of it for one region, so that there is something to draw from.
        struct place_request near = *want;
        near.low = align_down(st->neighbourhood, min(width, (size_t)1 << 39));
        near.low = max(near.low, want->low);
        near.high = near.low + min(width, want->high - near.low);
        if (want->size <= width / 16 && want->align <= width / 16 &&
            place_random(v, &near, next_random_locked(as), out)) {
            return true;
        }
    }
    return place_random(v, want, next_random_locked(as), out);
}

status_t placement_find_locked(struct aspace* as, struct vmar* v, const struct placement* p,
                               vaddr_t* out) {
    if (placement_is_specific(p)) {
        *out = v->region.base + p->offset;
        return STATUS_OK;
    }
    struct place_request want = {
        .low = v->region.base,
        .high = region_end(&v->region),
        .size = p->size,
        .align = placement_align(p),
    };
    bool root = v->region.parent == nullptr;
    vaddr_t middle = page_round_down(v->region.base + v->region.size / 2);
    if ((p->options & ZX_VM_OFFSET_IS_UPPER_LIMIT) != 0) {
        want.high = v->region.base + p->offset;
        // A limit below the middle asks for the lower half.
        want.low = root && want.high > middle + p->size ? middle : want.low;
    } else if (root) {
        want.low = middle;
    }
    if (want.high < want.low || want.high - want.low < want.size) {
        return STATUS_NO_RESOURCES;
    }
    const struct region* first = region_tree_first(&v->regions);
    bool found;
    if (v->compact && first != nullptr) {
        found = region_tree_place_above(&v->regions, &want, max(first->base, want.low), out) ||
                region_tree_place_above(&v->regions, &want, want.low, out);
    } else if (root && want.low == middle && want.high == region_end(&v->region)) {
        found = place_near_locked(as, v, &want, out);
    } else {
        found = place_random(v, &want, next_random_locked(as), out);
    }
    return found ? STATUS_OK : STATUS_NO_RESOURCES;
}
