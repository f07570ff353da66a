// Shows all jobs and processes: koid, memory of its own, memory mapped, name.
#include <stdio.h>

#include <jacinth/startup.h>
#include <system/grants.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "tasks.h"

static bool print_task(void*, const struct task* task) {
    char name[ZX_MAX_NAME_LEN] = "";
    (void)zx_object_get_property(task->handle, ZX_PROP_NAME, name, sizeof(name));
    for (char* c = name; *c != '\0'; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?'; // programs choose their names
    }
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

int main(int, char**) {
    printf("%8s %7s %7s  %s\n", "KOID", "PRIVATE", "MAPPED", "NAME");
    zx_status_t status = tasks_walk(zx_take_startup_handle(GRANTED_ROOT_JOB), print_task, nullptr);
    if (status != ZX_OK) {
        (void)fflush(stdout);
        fprintf(stderr, "ps: %s\n", zx_status_get_string(status));
        return 1;
    }
    return 0;
}
