// One zone (RAM below 4 GiB, or above): a buddy over frames whose part of the page array is backed.
//
// Pure bookkeeping: the caller holds the PMM lock for every call. A block is a naturally aligned
// run of 2^order frames; its head has state PAGE_FREE, all others of the block PAGE_NONE.
#pragma once

#include <stdint.h>

#include <vm/page.h>

constexpr uint32_t ZONE_ORDERS = 21; // up to 4 GiB in one block
// Where one zone ends and the next begins. RAM may lie on both sides: no run crosses it.
constexpr uint64_t ZONE_BORDER = (uint64_t)1 << 20;

struct pmm_zone {
    struct page* free[ZONE_ORDERS]; // doubly linked, not circular
    uint64_t nonempty;              // bit per order
    uint64_t pages;                 // free, in blocks
};

// Takes a block; null if there is none. Its frames are left in state PAGE_NONE.
struct page* zone_alloc(struct pmm_zone* z, uint32_t order);
// Takes `count` frames starting at a multiple of 2^align_order frames out of neighbouring free
// blocks; finds what zone_alloc() cannot because it is not one aligned block.
struct page* zone_alloc_run(struct pmm_zone* z, uint64_t count, uint32_t align_order);
// Gives back any run; it is cut into blocks and joined with its neighbours.
void zone_free_run(struct pmm_zone* z, struct page* p, uint64_t count);

// Whether the part of the page array that describes this frame is backed. Zones ask, the range
// keeper (pmm_ranges.c) answers.
bool frame_is_backed(uint64_t frame);

static inline uint64_t page_frame(const struct page* p) {
    return page_to_paddr(p).raw / PAGE_SIZE;
}
static inline struct page* frame_page(uint64_t frame) {
    return page_from_paddr((paddr_t){frame * PAGE_SIZE});
}
