// struct page: one per physical page frame of RAM, in a virtually contiguous array that is backed
// lazily: the 4 KiB that describe a group of 128 frames exist once the group is in use.
//
// Who may write a member is said at the member; the state says who owns the page. The state is set
// by the allocator (from the kind that the caller names in the flags) and changed by pmm_retype().
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/types.h>
#include <vm/page_space.h>

struct page_set;

enum page_state : uint8_t {
    PAGE_NONE,   // no RAM, not in use yet, or inside a free block (not its head)
    PAGE_FREE,   // head of a free block of the buddy
    PAGE_CACHED, // in a per-CPU cache
    PAGE_ALLOC,  // owned by whoever allocated it
    PAGE_VMO,    // in a page tree
    PAGE_TABLE,  // a page table
    PAGE_SLAB,   // slabs and large heap blocks
    PAGE_STACK,  // a kernel stack
    PAGE_WIRED,  // boot-time: kernel image, ZBI
    PAGE_STATE_COUNT,
};

struct page {
    struct page* next; // free lists and private chains of the owner
    union {
        struct {
            struct page* prev;
        } buddy; // PAGE_FREE, under the PMM lock
        struct {
            struct page_set* set;
        } vmo; // pager-backed pages only (immutable while in the tree); null for anonymous
        struct {
            struct page* prev;
        } slab;               // PAGE_SLAB: the cache's list of slabs, under its lock
        uint64_t block_pages; // PAGE_SLAB: length of a large heap block; immutable
    } u;
    union {
        uint64_t index; // pager-backed: page index in its set
        struct {
            uint16_t cache;     // number of its slab cache, 0: a large heap block; immutable
            uint16_t in_use;    // objects that are not in the slab's own list; the cache's lock
            uint16_t free_at;   // first free object, in words from the slab's start, plus one
            uint16_t untouched; // objects at the end that were never in the list
        } slab_info;            // PAGE_SLAB, first page of a slab
        uint64_t poison;        // free, debug: POISON_MARK once its contents are the pattern
    } v;
    _Atomic(uint32_t) refs; // PAGE_VMO: tree slots that hold it; 1 after allocation
    uint8_t state;          // enum page_state
    union {
        uint8_t order;     // PAGE_FREE: block order, under the PMM lock
        uint8_t vmo_flags; // PAGE_VMO: enum page_flags, under the page_set lock; 0 at allocation
    };
    _Atomic(uint16_t) pins; // DMA pins; under the page_set lock, read anywhere
};
static_assert(sizeof(struct page) == 32);

// 32 bytes describe 4,096: the address in the array times 128.
static inline paddr_t page_to_paddr(const struct page* p) {
    return (paddr_t){((uintptr_t)p - PAGE_SPACE_ARRAY) * (PAGE_SIZE / sizeof(struct page))};
}

// Its address in the direct map.
static inline void* page_to_virt(const struct page* p) {
    return (void*)(PAGE_SPACE_DIRECT + page_to_paddr(p).raw);
}

// For frames that the caller knows to be in use as RAM (a page that was allocated).
static inline struct page* page_from_paddr(paddr_t pa) {
    return (struct page*)(PAGE_SPACE_ARRAY + pa.raw / PAGE_SIZE * sizeof(struct page));
}

// For any address: null unless its frame is RAM whose part of the array is backed.
struct page* paddr_to_page(paddr_t pa);

static inline struct page* page_from_virt(const void* direct_map_address) {
    return page_from_paddr((paddr_t){(uintptr_t)direct_map_address - PAGE_SPACE_DIRECT});
}
