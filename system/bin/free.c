// What the machine's memory is used for.
#include <stdio.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>

#include "tool.h"

static void row(const char* name, uint64_t bytes) {
    printf("%-22s %10lluK\n", name, (unsigned long long)bytes / 1024);
}

int main(int argc, char** argv) {
    static const char usage[] = "free";
    if (tool_wants_help(argc, argv, usage)) {
        return 0;
    }
    if (argc != 1) {
        return tool_bad_usage(usage);
    }
    zx_info_kmem_stats_t m;
    zx_status_t status = zx_object_get_info(tool_system_resource(ZX_RSRC_SYSTEM_INFO_BASE),
                                            ZX_INFO_KMEM_STATS, &m, sizeof(m), nullptr, nullptr);
    if (status != ZX_OK) {
        return tool_failed("free", "the kernel's figures", status);
    }
    row("total", m.total_bytes);
    row("free", m.free_bytes);
    row("programs (VMOs)", m.vmo_bytes);
    row("kernel, fixed", m.wired_bytes);
    row("kernel heap", m.total_heap_bytes);
    row("  of it free", m.free_heap_bytes);
    row("page tables", m.mmu_overhead_bytes);
    row("messages", m.ipc_bytes);
    row("other", m.other_bytes);
    return 0;
}
