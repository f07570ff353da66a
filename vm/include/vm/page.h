// struct page: one per physical page frame of RAM, in a virtually contiguous array that is backed lazily, block by block.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/types.h>

enum page_state : uint8_t {
    PAGE_FREE,      // in the buddy
    PAGE_CACHED,    // in a per-CPU cache
    PAGE_ALLOC,     // owned by whoever allocated it
    PAGE_VMO,       // in a page tree
    PAGE_TABLE,     // a page table
    PAGE_SLAB,      // a slab
    PAGE_WIRED,     // boot-time: kernel image, ZBI, page array
};

struct page {
    struct page* next;         // free lists and private chains of the owner
    union {
        struct { struct page* prev; } buddy;             // PAGE_FREE, under the PMM lock
        struct { struct page_set* set; } vmo;            // pager-backed pages only (immutable while in the tree); null for anonymous
        struct { void* cache; } slab;
    } u;
    union {
        uint64_t index;              // pager-backed: page index in its set
        uint64_t freelist_inuse;     // slab
    } v;
    _Atomic(uint32_t) refs;    // PAGE_VMO: nodes of page trees that hold it
    uint8_t state;             // enum page_state; owner's lock
    uint8_t order;             // PAGE_FREE: block order
    _Atomic(uint16_t) pins;    // DMA pins; under the page_set lock, read anywhere
};
static_assert(sizeof(struct page) == 32);

paddr_t page_to_paddr(const struct page* p);
struct page* paddr_to_page(paddr_t pa);  // RAM in the array and backed, else null
void* page_to_virt(const struct page* p); // its address in the direct map
