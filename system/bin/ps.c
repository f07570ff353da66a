// Shows all jobs and processes: koid, memory of its own, memory mapped, name.
#include <stdio.h>

#include <tasks/tasks.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "tool.h"
#include "tools.h"

static bool print_task(void*, const struct task* task) {
    char name[ZX_MAX_NAME_LEN];
    tool_name(task->handle, name);
    int indent = 2 * (int)task->depth;
    zx_info_task_stats_t stats;
    if (task->is_job) {
        printf("%8llu %7s %7s  %*sjob %s\n", (unsigned long long)task->koid, "", "", indent, "",
               name);
    } else if (zx_object_get_info(task->handle, ZX_INFO_TASK_STATS, &stats, sizeof(stats), nullptr,
                                  nullptr) == ZX_OK) {
        printf("%8llu %6zuK %6zuK  %*s%s\n", (unsigned long long)task->koid,
               stats.mem_private_bytes / 1024, stats.mem_mapped_bytes / 1024, indent, "", name);
    } else {
        printf("%8llu %7s %7s  %*s%s (ended)\n", (unsigned long long)task->koid, "", "", indent, "",
               name);
    }
    return true;
}

int ps_main(int argc, char** argv) {
    int code;
    if (!tool_takes(0, argc, argv, "ps",
                    "PRIVATE: memory of its own. MAPPED: all that it maps, in memory or not. K is "
                    "1024 bytes. A program is\n"
                    "below the job that it is in.",
                    &code)) {
        return code;
    }
    printf("%8s %7s %7s  %s\n", "KOID", "PRIVATE", "MAPPED", "NAME");
    zx_status_t status = tasks_walk(tool_root_job(), print_task, nullptr);
    if (status != ZX_OK) {
        return tool_failed("ps", "the root job", status);
    }
    return 0;
}
