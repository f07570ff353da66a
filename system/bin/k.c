// A command of the kernel's console; what it says goes to the debug console.
#include <stdio.h>
#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/resource.h>

#include "tool.h"

int main(int argc, char** argv) {
    static const char usage[] = "k WORD... (k help lists them)";
    if (argc == 2 && tool_wants_help(argc, argv, usage)) {
        return 0;
    }
    char text[256];
    size_t used = 0;
    for (int i = 1; i < argc; i++) {
        int len = snprintf(text + used, sizeof(text) - used, "%s%s", i > 1 ? " " : "", argv[i]);
        if ((size_t)len >= sizeof(text) - used) {
            return tool_failed("k", "the command", ZX_ERR_BUFFER_TOO_SMALL);
        }
        used += (size_t)len;
    }
    if (used == 0) {
        return tool_bad_usage(usage);
    }
    zx_status_t status =
        zx_debug_send_command(tool_system_resource(ZX_RSRC_SYSTEM_DEBUG_BASE), text, used);
    if (status == ZX_ERR_NOT_FOUND) {
        return 127; // the kernel has said so
    }
    return status == ZX_OK ? 0 : tool_failed("k", text, status);
}
