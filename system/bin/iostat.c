// What the disks have done.
#include <stdio.h>

#include <fidl/jacinth.block.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "tool.h"
#include "tools.h"

static void row(const char* disk, int disk_len, const char* kind,
                const struct jacinth_block_counts* c, uint32_t block_size) {
    long long mean = c->requests > 0 ? c->total_time / (long long)c->requests : 0;
    printf("%-8.*s %-8s %10llu %8llu %12llu %10lld %10lld\n", disk_len, disk, kind,
           (unsigned long long)c->requests, (unsigned long long)c->errors,
           (unsigned long long)(c->blocks * block_size / 1024), mean / ZX_USEC(1),
           (long long)(c->max_time / ZX_USEC(1)));
}

static void print(const struct jacinth_block_device_stats* d) {
    int len = (int)d->name.count;
    row(d->name.data, len, "read", &d->stats.reads, d->info.block_size);
    row(d->name.data, len, "write", &d->stats.writes, d->info.block_size);
    row(d->name.data, len, "flush", &d->stats.flushes, 0);
    if ((d->info.flags & JACINTH_BLOCK_FLAGS_DISCARD) != 0) {
        row(d->name.data, len, "discard", &d->stats.discards, d->info.block_size);
    }
}

int iostat_main(int argc, char** argv) {
    static const char usage[] = "iostat";
    int code;
    if (!tool_takes(
            0, argc, argv, usage,
            "Since the driver started, for each disk and kind of request. KIB: how much was "
            "moved. MEAN-US and\n"
            "MAX-US: from the request to its answer, in microseconds.",
            &code)) {
        return code;
    }
    static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_block_statistics_list_response* list;
    zx_handle_t statistics;
    zx_status_t status = tool_connect("jacinth.block.Statistics", &statistics);
    if (status == ZX_OK) {
        status = jacinth_block_statistics_list_call(statistics, ZX_TIME_INFINITE, storage, &list);
    }
    if (status != ZX_OK) {
        return tool_failed("iostat", "the disks", status);
    }
    printf("%-8s %-8s %10s %8s %12s %10s %10s\n", "DISK", "KIND", "REQUESTS", "ERRORS", "KIB",
           "MEAN-US", "MAX-US");
    for (uint64_t i = 0; i < list->devices.count; i++) {
        print(&list->devices.data[i]);
    }
    return 0;
}
