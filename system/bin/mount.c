// The namespace that this program was given: which directory answers for which prefix.
#include <stdio.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "tool.h"

int main(int argc, char** argv) {
    static const char usage[] = "mount";
    if (tool_wants_help(argc, argv, usage)) {
        printf("PREFIX CHANNEL PEER, and whether somebody is at the other end. A namespace does "
               "not change while a program runs.\n");
        return 0;
    }
    if (argc != 1) {
        return tool_bad_usage(usage);
    }
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        zx_handle_t directory = zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        if (directory == ZX_HANDLE_INVALID) {
            continue; // a name of something else
        }
        zx_info_handle_basic_t info = {};
        (void)zx_object_get_info(directory, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                                 nullptr);
        bool is_served = zx_object_wait_one(directory, ZX_CHANNEL_PEER_CLOSED, 0, nullptr) != ZX_OK;
        printf("%-12s %8llu %8llu  %s\n", zx_startup_name(i), (unsigned long long)info.koid,
               (unsigned long long)info.related_koid, is_served ? "served" : "nobody there");
    }
    return 0;
}
