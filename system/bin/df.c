// How full the file systems of the namespace are.
#include <stdio.h>

#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "ns.h"
#include "tool.h"
#include "tools.h"

int df_main(int argc, char** argv) {
    static const char usage[] = "df";
    int code;
    if (!tool_takes(0, argc, argv, usage,
                    "One line for each prefix of the namespace. What is not asked for has no size: "
                    "\"-\".",
                    &code)) {
        return code;
    }
    printf("%-12s %10s %10s %5s\n", "PREFIX", "TOTAL", "USED", "USE");
    struct ns_entry entry;
    for (uint32_t i = 0; ns_entry(i, &entry); i++) {
        struct io_usage u = {};
        zx_status_t status = io_query_usage(entry.directory, &u);
        if (status != ZX_OK) {
            printf("%-12s %10s %10s %5s  %s\n", entry.prefix, "-", "-", "-",
                   status == ZX_ERR_PEER_CLOSED ? "nobody there" : zx_status_get_string(status));
        } else if (u.total_bytes == 0) {
            printf("%-12s %10s %10s %5s\n", entry.prefix, "-", "-", "-");
        } else {
            printf("%-12s %9lluK %9lluK %4llu%%%s\n", entry.prefix,
                   (unsigned long long)u.total_bytes / 1024,
                   (unsigned long long)u.used_bytes / 1024,
                   (unsigned long long)(u.used_bytes * 100 / u.total_bytes),
                   u.read_only ? "  read-only" : "");
        }
    }
    return 0;
}
