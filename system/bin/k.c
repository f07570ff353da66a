// A command of the kernel's console; what it says goes to the debug console.
#include <stdio.h>
#include <string.h>

#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

int k_main(int argc, char** argv) {
    static const char usage[] = "k WORD... (k help lists them)";
    if (argc == 2 && tool_wants_help(argc, argv, usage)) {
        printf("The kernel itself says the answer, on the console: it cannot be piped or "
               "redirected.\n");
        return 0;
    }
    char text[JACINTH_SYSTEM_MAX_COMMAND + 1];
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
    alignas(8) uint8_t buffer[512];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_kernel_command_request request = {.text = {used, text}};
    zx_handle_t kernel;
    zx_status_t status = tool_connect("jacinth.system.Kernel", &kernel);
    if (status == ZX_OK) {
        status = jacinth_system_kernel_command_call(kernel, ZX_TIME_INFINITE, &request, storage);
    }
    if (status == ZX_ERR_NOT_FOUND) {
        return 127; // the kernel has said so
    }
    return status == ZX_OK ? 0 : tool_failed("k", text, status);
}
