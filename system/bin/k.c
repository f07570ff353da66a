// A command of the kernel's console.
#include <stdio.h>
#include <string.h>

#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

static const char usage[] = "k WORD... (k help lists them)";

// The words as one line; false: it is too long.
static bool join(int argc, char** argv, char* text, size_t size) {
    size_t used = 0;
    for (int i = 1; i < argc; i++) {
        int len = snprintf(text + used, size - used, "%s%s", i > 1 ? " " : "", argv[i]);
        if ((size_t)len >= size - used) {
            return false;
        }
        used += (size_t)len;
    }
    return true;
}

// The kernel's tests take their time: who waits sees how far they are.
static bool takes_long(int argc, char** argv) {
    return argc > 2 && strcmp(argv[1], "ut") == 0 && strcmp(argv[2], "list") != 0;
}

static int print(const struct jacinth_system_kernel_command_response* r, const char* text) {
    (void)fwrite(r->output.data, 1, r->output.count, stdout);
    (void)fflush(stdout);
    if (r->length > r->output.count) {
        fprintf(stderr, "k: %llu more bytes were not kept\n",
                (unsigned long long)(r->length - r->output.count));
    }
    if (r->result == ZX_ERR_NOT_FOUND) {
        return 127; // the kernel has said so
    }
    return r->result == ZX_OK ? 0 : tool_failed("k", text, r->result);
}

int k_main(int argc, char** argv) {
    char text[JACINTH_SYSTEM_MAX_COMMAND + 1];
    if (argc == 2 && tool_wants_help(argc, argv, usage)) {
        printf("What the kernel's own tests (k ut) say goes to the console while they run.\n");
        return 0;
    }
    if (argc < 2) {
        return tool_bad_usage(usage);
    }
    if (!join(argc, argv, text, sizeof(text))) {
        return tool_failed("k", "the command", ZX_ERR_BUFFER_TOO_SMALL);
    }
    static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_kernel_command_request request = {.text = {strlen(text), text},
                                                            .to_console = takes_long(argc, argv)};
    struct jacinth_system_kernel_command_response* response;
    zx_handle_t kernel;
    zx_status_t status = tool_connect("jacinth.system.Kernel", &kernel);
    if (status == ZX_OK) {
        status = jacinth_system_kernel_command_call(kernel, ZX_TIME_INFINITE, &request, storage,
                                                    &response);
    }
    return status == ZX_OK ? print(response, text) : tool_failed("k", text, status);
}
