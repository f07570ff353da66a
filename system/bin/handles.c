// What a process holds: each handle with its rights and the object behind it.
#include <stdio.h>
#include <stdlib.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "tasks.h"
#include "tool.h"

static void print_handle(const zx_info_handle_extended_t* h) {
    char rights[tool_rights_len];
    tool_rights(h->rights, rights);
    printf("%08x  %-10s %s %8llu", h->handle_value, tool_type_name(h->type), rights,
           (unsigned long long)h->koid);
    if (h->related_koid != 0) {
        printf(" %8llu", (unsigned long long)h->related_koid);
    }
    printf("\n");
}

int main(int argc, char** argv) {
    static const char usage[] = "handles PID";
    if (tool_wants_help(argc, argv, usage)) {
        printf("RELATED is the peer of a pair, the parent of a task. Rights:\n%s",
               tool_rights_legend);
        return 0;
    }
    if (argc != 2) {
        return tool_bad_usage(usage);
    }
    zx_handle_t process;
    void* list = nullptr;
    size_t count = 0;
    zx_status_t status = tasks_find_process(tasks_root(), argv[1], &process);
    if (status == ZX_OK) {
        status = tool_list(process, ZX_INFO_HANDLE_TABLE, sizeof(zx_info_handle_extended_t), &list,
                           &count);
    }
    if (status != ZX_OK) {
        return tool_failed("handles", argv[1], status);
    }
    printf("%-8s  %-10s %-25s %8s %8s\n", "HANDLE", "TYPE", "RIGHTS", "KOID", "RELATED");
    const zx_info_handle_extended_t* handles = list;
    for (size_t i = 0; i < count; i++) {
        print_handle(&handles[i]);
    }
    printf("%zu handles\n", count);
    return 0;
}
