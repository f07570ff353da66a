#include "paging.h"

#include <fidl/jacinth.block.h>
#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"

static alignas(8) uint8_t buffer[8192];
static const struct fidl_storage storage = {buffer, sizeof(buffer)};

static zx_status_t read_memory(struct paging* out) {
    struct jacinth_system_memory_get_paging_response* p;
    zx_handle_t memory;
    zx_status_t status = tool_connect("jacinth.system.Memory", &memory);
    if (status != ZX_OK) {
        return status;
    }
    status = jacinth_system_memory_get_paging_call(memory, ZX_TIME_INFINITE, storage, &p);
    (void)zx_handle_close(memory);
    if (status == ZX_OK) {
        *out = (struct paging){.requests = p->requests,
                               .supplied_pages = p->supplied_pages,
                               .evicted_pages = p->evicted_pages,
                               .refaulted_pages = p->refaulted_pages,
                               .memory_waits = p->memory_waits,
                               .overtime = p->overtime};
    }
    return status;
}

static void read_disks(struct paging* out) {
    struct jacinth_block_statistics_list_response* list;
    zx_handle_t statistics;
    if (tool_connect("jacinth.block.Statistics", &statistics) != ZX_OK) {
        return;
    }
    if (jacinth_block_statistics_list_call(statistics, ZX_TIME_INFINITE, storage, &list) == ZX_OK) {
        for (uint64_t i = 0; i < list->devices.count; i++) {
            const struct jacinth_block_device_stats* d = &list->devices.data[i];
            out->disk_reads += d->stats.reads.requests;
            out->disk_bytes += d->stats.reads.blocks * d->info.block_size;
        }
    }
    (void)zx_handle_close(statistics);
}

zx_status_t paging_read(struct paging* out) {
    const zx_status_t status = read_memory(out);
    if (status == ZX_OK) {
        read_disks(out);
    }
    return status;
}
