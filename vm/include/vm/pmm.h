// Physical memory: buddy allocator for runs, per-CPU caches for single pages, watermarks that keep a reserve for the kernel and the system's own
// jobs. Nothing blocks: out of memory is a null return.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vm/page.h>

enum pmm_flags : uint32_t {
    PMM_ZERO = 1u << 0,     // contents zero; otherwise undefined
    PMM_USER = 1u << 1,     // for user-visible memory: respects the user floor
    PMM_SYSTEM = 1u << 2,   // may go below the user floor (system jobs)
    PMM_KERNEL = 0,         // kernel metadata: may use the last reserve
    PMM_BELOW_4G = 1u << 3,
};

struct page* pmm_alloc_page(enum pmm_flags flags);
// `count` single pages as a list through page.next: all or none.
struct page* pmm_alloc_pages(size_t count, enum pmm_flags flags);
// A physically contiguous run of `count` pages (1..), aligned to 2^align_log2 bytes; page[i] are consecutive array entries.
struct page* pmm_alloc_contiguous(size_t count, uint32_t align_log2, enum pmm_flags flags);
void pmm_free_page(struct page* p);
void pmm_free_list(struct page* head);
void pmm_free_contiguous(struct page* p, size_t count);

struct pmm_stats {
    uint64_t total_pages;   // usable RAM of the memory map
    uint64_t free_pages;    // buddy + caches, exact after pmm_drain_caches()
    uint64_t wired_pages;   // never allocated from: kernel image, ZBI, page array
    uint64_t table_pages, slab_pages, stack_pages, vmo_pages;
};
void pmm_get_stats(struct pmm_stats* out);
void pmm_drain_caches(void); // every CPU's cache back to the buddy
