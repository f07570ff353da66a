// The namespace that this program was given: which directory answers for which prefix.
#include <stdio.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "ns.h"
#include "tool.h"
#include "tools.h"

int mount_main(int argc, char** argv) {
    static const char usage[] = "mount";
    int code;
    if (!tool_takes(
            0, argc, argv, usage,
            "Each prefix, the channel to its server, and whether somebody is at the other end. "
            "A namespace does\nnot change while a program runs.",
            &code)) {
        return code;
    }
    printf("%-12s %8s %8s\n", "PREFIX", "CHANNEL", "PEER");
    struct ns_entry entry;
    for (uint32_t i = 0; ns_entry(i, &entry); i++) {
        zx_info_handle_basic_t info = {};
        (void)zx_object_get_info(entry.directory, ZX_INFO_HANDLE_BASIC, &info, sizeof(info),
                                 nullptr, nullptr);
        bool is_served =
            zx_object_wait_one(entry.directory, ZX_CHANNEL_PEER_CLOSED, 0, nullptr) != ZX_OK;
        printf("%-12s %8llu %8llu  %s\n", entry.prefix, (unsigned long long)info.koid,
               (unsigned long long)info.related_koid, is_served ? "served" : "nobody there");
    }
    return 0;
}
