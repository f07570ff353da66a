// What pagers were asked for and gave, and what memory took back.
#include <stdio.h>

#include <zircon/syscalls.h>

#include "paging.h"
#include "tool.h"
#include "tools.h"

static const char usage[] = "pagerstat [SECONDS]";

static void row(const char* name, uint64_t now, uint64_t before) {
    printf("%-22s %12llu\n", name, (unsigned long long)(now - before));
}

static void print(const struct paging* p, const struct paging* since) {
    row("requests", p->requests, since->requests);
    row("pages supplied", p->supplied_pages, since->supplied_pages);
    row("pages evicted", p->evicted_pages, since->evicted_pages);
    row("  of them refaulted", p->refaulted_pages, since->refaulted_pages);
    row("waits for memory", p->memory_waits, since->memory_waits);
    row("late answers", p->overtime, since->overtime);
    row("disk reads", p->disk_reads, since->disk_reads);
    row("KiB read from disks", p->disk_bytes / 1024, since->disk_bytes / 1024);
}

int pagerstat_main(int argc, char** argv) {
    uint64_t seconds = 0;
    if (tool_wants_help(argc, argv, usage)) {
        printf("Counts since the boot; with SECONDS, within that time from now.\n");
        return 0;
    }
    if (argc > 2 || (argc == 2 && (!tool_parse_u64(argv[1], &seconds) || seconds > UINT32_MAX))) {
        return tool_bad_usage(usage);
    }
    struct paging since = {};
    struct paging now;
    zx_status_t status = seconds > 0 ? paging_read(&since) : ZX_OK;
    if (status == ZX_OK && seconds > 0) {
        (void)zx_nanosleep(zx_deadline_after(ZX_SEC((int64_t)seconds)));
    }
    if (status == ZX_OK) {
        status = paging_read(&now);
    }
    if (status != ZX_OK) {
        return tool_failed("pagerstat", "the kernel's figures", status);
    }
    print(&now, &since);
    return 0;
}
