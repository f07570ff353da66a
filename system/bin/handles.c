// What a process holds: each handle with its rights and the object behind it.
#include <stdio.h>

#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

static void print_handle(const struct jacinth_system_handle_record* h) {
    char rights[tool_rights_len];
    tool_rights(h->rights, rights);
    printf("%08x  %-10s %s %8llu", h->value, tool_type_name(h->type), rights,
           (unsigned long long)h->koid);
    if (h->related != 0) {
        printf(" %8llu", (unsigned long long)h->related);
    }
    printf("\n");
}

// An answer has so many of them; the end is one that has none.
static zx_status_t print_handles(zx_handle_t tasks, zx_koid_t process, uint64_t* count) {
    static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
    static const struct fidl_storage storage = {buffer, sizeof(buffer)};
    for (;;) {
        struct jacinth_system_tasks_get_handles_request request = {.process = process,
                                                                   .first = *count};
        struct jacinth_system_tasks_get_handles_response* answer;
        zx_status_t status = jacinth_system_tasks_get_handles_call(tasks, ZX_TIME_INFINITE,
                                                                   &request, storage, &answer);
        if (status != ZX_OK || answer->handles.count == 0) {
            return status;
        }
        if (*count == 0) {
            printf("%-8s  %-10s %-25s %8s %8s\n", "HANDLE", "TYPE", "RIGHTS", "KOID", "RELATED");
        }
        for (uint64_t i = 0; i < answer->handles.count; i++) {
            print_handle(&answer->handles.data[i]);
        }
        *count += answer->handles.count;
    }
}

int handles_main(int argc, char** argv) {
    static const char usage[] = "handles KOID";
    if (tool_wants_help(argc, argv, usage)) {
        printf("RELATED is the peer of a pair, the parent of a task. Rights:\n%s",
               tool_rights_legend);
        return 0;
    }
    if (argc != 2) {
        return tool_bad_usage(usage);
    }
    uint64_t koid, count = 0;
    zx_handle_t tasks;
    zx_status_t status = tool_parse_u64(argv[1], &koid) ? ZX_OK : ZX_ERR_INVALID_ARGS;
    if (status == ZX_OK) {
        status = tool_connect("jacinth.system.Tasks", &tasks);
    }
    if (status == ZX_OK) {
        status = print_handles(tasks, koid, &count);
    }
    if (status != ZX_OK) {
        return tool_failed("handles", argv[1], status);
    }
    printf("%llu handles\n", (unsigned long long)count);
    return 0;
}
