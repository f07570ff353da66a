// Kills jobs and processes by koid: kill KOID...
#include <tasks/tasks.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

static zx_status_t kill_one(zx_handle_t root, const char* text) {
    uint64_t koid;
    bool is_job;
    zx_handle_t task;
    if (!tool_parse_u64(text, &koid)) {
        return ZX_ERR_INVALID_ARGS;
    }
    zx_status_t status = tasks_find(root, koid, &is_job, &task);
    if (status == ZX_OK) {
        status = zx_task_kill(task);
        (void)zx_handle_close(task);
    }
    return status;
}

int kill_main(int argc, char** argv) {
    static const char usage[] = "kill KOID...";
    if (tool_wants_help(argc, argv, usage)) {
        return 0;
    }
    if (argc < 2) {
        return tool_bad_usage(usage);
    }
    zx_handle_t root = tool_root_job();
    int result = 0;
    for (int i = 1; i < argc; i++) {
        zx_status_t status = kill_one(root, argv[i]);
        if (status != ZX_OK) {
            result = tool_failed("kill", argv[i], status);
        }
    }
    return result;
}
