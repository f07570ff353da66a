// What the machine's memory is used for.
#include <stdio.h>

#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

static void row(const char* name, uint64_t bytes) {
    printf("%-22s %10lluK\n", name, (unsigned long long)bytes / 1024);
}

int free_main(int argc, char** argv) {
    static const char usage[] = "free";
    int code;
    if (!tool_takes(0, argc, argv, usage,
                    "K is 1024 bytes. Programs: what their VMOs hold, pages of files and /tmp too. "
                    "The kernel: what is\n"
                    "there from the start, and its heap. Files: pages that came from a file system "
                    "since the boot; what\n"
                    "was given up can be read again.",
                    &code)) {
        return code;
    }
    alignas(8) uint8_t buffer[256];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_memory_get_response* m;
    zx_handle_t memory;
    zx_status_t status = tool_connect("jacinth.system.Memory", &memory);
    if (status == ZX_OK) {
        status = jacinth_system_memory_get_call(memory, ZX_TIME_INFINITE, storage, &m);
    }
    if (status != ZX_OK) {
        return tool_failed("free", "the kernel's figures", status);
    }
    row("total", m->total);
    row("free", m->free);
    row("programs (VMOs)", m->programs);
    row("kernel, fixed", m->kernel_fixed);
    row("kernel heap", m->kernel_heap);
    row("  of it free", m->kernel_heap_free);
    row("page tables", m->page_tables);
    row("messages", m->messages);
    row("other", m->other);
    printf("files: %llu pages were read, %llu given up for others, %llu of them read again soon\n",
           (unsigned long long)m->supplied_pages, (unsigned long long)m->evicted_pages,
           (unsigned long long)m->refaulted_pages);
    return 0;
}
