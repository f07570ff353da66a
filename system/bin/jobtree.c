// The tree of jobs: how many processes each has and what they take, its own alone.
#include <stdio.h>
#include <stdlib.h>

#include <tasks/tasks.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "tool.h"
#include "tools.h"

struct sum {
    size_t processes;
    uint64_t private_bytes;
};

static zx_status_t sum_of(zx_handle_t job, struct sum* sum) {
    void* list = nullptr;
    size_t count = 0;
    zx_status_t status = tasks_list(job, ZX_INFO_JOB_PROCESSES, sizeof(zx_koid_t), &list, &count);
    const zx_koid_t* koids = list;
    *sum = (struct sum){.processes = count};
    for (size_t i = 0; status == ZX_OK && i < count; i++) {
        zx_handle_t process;
        zx_info_task_stats_t stats;
        if (zx_object_get_child(job, koids[i], ZX_RIGHT_SAME_RIGHTS, &process) != ZX_OK) {
            continue; // gone meanwhile
        }
        if (zx_object_get_info(process, ZX_INFO_TASK_STATS, &stats, sizeof(stats), nullptr,
                               nullptr) == ZX_OK) {
            sum->private_bytes += stats.mem_private_bytes;
        }
        (void)zx_handle_close(process);
    }
    free(list);
    return status;
}

static bool print_job(void*, const struct task* task) {
    if (!task->is_job) {
        return true;
    }
    char name[ZX_MAX_NAME_LEN];
    tool_name(task->handle, name);
    struct sum sum = {};
    zx_info_task_runtime_t runtime = {};
    zx_info_job_t info = {};
    (void)sum_of(task->handle, &sum);
    (void)zx_object_get_info(task->handle, ZX_INFO_TASK_RUNTIME, &runtime, sizeof(runtime), nullptr,
                             nullptr);
    (void)zx_object_get_info(task->handle, ZX_INFO_JOB, &info, sizeof(info), nullptr, nullptr);
    printf("%8llu %9zu %7lluK %8llums  %*s%s%s\n", (unsigned long long)task->koid, sum.processes,
           (unsigned long long)sum.private_bytes / 1024,
           (unsigned long long)runtime.cpu_time / 1'000'000, 2 * (int)task->depth, "", name,
           info.kill_on_oom ? " (killed when memory runs out)" : "");
    return true;
}

int jobtree_main(int argc, char** argv) {
    static const char usage[] = "jobtree";
    int code;
    if (!tool_takes(0, argc, argv, usage,
                    "CPU is that of all that ever ran in the job and below it.", &code)) {
        return code;
    }
    printf("%8s %9s %8s %10s  %s\n", "KOID", "PROCESSES", "PRIVATE", "CPU", "NAME");
    zx_status_t status = tasks_walk(tool_root_job(), print_job, nullptr);
    return status == ZX_OK ? 0 : tool_failed("jobtree", "the root job", status);
}
