// What passes between disks, pagers and memory.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

struct paging {
    // jacinth.system.Memory
    uint64_t requests, supplied_pages, evicted_pages, refaulted_pages, memory_waits, overtime;
    // jacinth.block.Statistics, of all disks together; 0 where there is no such service
    uint64_t disk_reads, disk_bytes;
};

zx_status_t paging_read(struct paging* out);
