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
//
// Small regions go, each to a random place, into one block of 2 MiB of that neighbourhood, which is
// what one page table maps; a block in which four draws in a row hit something is full, and another
// is drawn. Two small regions of one address space may therefore differ in 9 bits only (between
// address spaces it stays 34), for which most of them need no page table: mapping, touching and
// unmapping a page is half the work, and a process with many small mappings is smaller.
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

constexpr size_t NEIGHBOURHOOD = (size_t)1 << 30;
constexpr size_t BLOCK = (size_t)2 << 20; // what one page table maps
constexpr size_t SMALL = (size_t)64 << 10;

// A random piece of [low, low + all).
static vaddr_t draw_piece_locked(struct aspace* as, vaddr_t low, size_t all, size_t piece)
    TA_REQ(as->lock) {
    uint64_t places = all / piece;
    return low + (vaddr_t)(((unsigned __int128)next_random_locked(as) * places) >> 64) * piece;
}

static vaddr_t root_middle(const struct vmar* root) {
    return page_round_down(root->region.base + root->region.size / 2);
}

static vaddr_t neighbourhood_locked(struct aspace* as, vaddr_t low, size_t all) TA_REQ(as->lock) {
    struct aspace_state* st = aspace_state(as);
    if (st->neighbourhood == 0) {
        st->neighbourhood = draw_piece_locked(as, low, all, NEIGHBOURHOOD);
    }
    return st->neighbourhood;
}

static NOINLINE void draw_block_locked(struct aspace* as, const struct vmar* root)
    TA_REQ(as->lock) {
    vaddr_t low = root_middle(root);
    vaddr_t near = neighbourhood_locked(as, low, region_end(&root->region) - low);
    near = max(align_down(near, NEIGHBOURHOOD), align_up(low, BLOCK));
    aspace_state(as)->block = draw_piece_locked(as, near, NEIGHBOURHOOD - BLOCK, BLOCK);
}

// 16 random bits; four draws are one word of the generator.
static uint64_t next_draw_locked(struct aspace* as) TA_REQ(as->lock) {
    struct aspace_state* st = aspace_state(as);
    if (st->draws_left == 0) {
        st->draws = next_random_locked(as);
        st->draws_left = 4;
    }
    uint64_t draw = st->draws & 0xffff;
    st->draws >>= 16;
    st->draws_left--;
    return draw;
}

// A small region's place in the root's block. False: it is full, and the next call has another.
static bool place_in_block_locked(struct aspace* as, struct vmar* root, size_t size, vaddr_t* out)
    TA_REQ(as->lock) {
    struct aspace_state* st = aspace_state(as);
    if (st->block == 0) {
        draw_block_locked(as, root);
    }
    uint64_t places = (BLOCK - size) / PAGE_SIZE + 1;
    for (uint32_t draw = 0; draw < 4; draw++) {
        vaddr_t at = st->block + ((next_draw_locked(as) * places) >> 16) * PAGE_SIZE;
        if (region_tree_is_free(&root->regions, at, size)) {
            *out = at;
            return true;
        }
    }
    st->block = 0;
    return false;
}

// Large regions prefer the boundaries of page directories: they can have large entries, and a
// snapshot write-protects directories and no single pages. It costs 9 random bits.
static inline bool place_random(const struct vmar* v, const struct place_request* want,
                                uint64_t random, vaddr_t* out) {
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
    size_t all = want->high - want->low;
    vaddr_t neighbourhood = neighbourhood_locked(as, want->low, all);
    for (size_t width = NEIGHBOURHOOD; width < all; width *= 16) {
        // At most a sixteenth of it for one region, so that there is something to draw from.
        struct place_request near = *want;
        near.low = align_down(neighbourhood, min(width, (size_t)1 << 39));
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
    bool root = v->region.parent == nullptr;
    constexpr zx_vm_option_t special = ZX_VM_OFFSET_IS_UPPER_LIMIT | 0xffu << ZX_VM_ALIGN_BASE;
    if (root && p->size <= SMALL && (p->options & special) == 0 &&
        v->region.size >= 4 * NEIGHBOURHOOD && place_in_block_locked(as, v, p->size, out)) {
        return STATUS_OK;
    }
    struct place_request want = {
        .low = v->region.base,
        .high = region_end(&v->region),
        .size = p->size,
        .align = placement_align(p),
    };
    vaddr_t middle = root_middle(v);
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
