#pragma once

#include <boot/handoff.h>
#include <early/image.h>
#include <early/memory_map.h>
#include <stdint.h>

// Where the table pages come from: `page_count` pages of physically contiguous memory, which this
// CPU reaches at `memory`. Pages are cleared as they are taken.
struct table_pool {
    uint8_t* memory;
    uint64_t paddr;
    uint32_t page_count;
    uint32_t used;
};

struct kernel_space {
    const struct image_header* image;
    uint64_t image_paddr;
    uint64_t image_vaddr;
    const struct memory_map* map;
    bool giant_pages; // the CPU has 1 GiB pages
};

// An upper bound of the pages that page_tables_build() takes for this map.
uint32_t page_tables_bound(const struct memory_map* map, const struct image_header* image,
                           bool giant_pages);

// Builds the kernel half of <arch/layout.h> from nothing; stores the physical address of the root
// and of the early window's table. False only if the pool is too small.
[[nodiscard]] bool page_tables_build(struct table_pool* pool, const struct kernel_space* space,
                                     uint64_t* out_root, uint64_t* out_window);
