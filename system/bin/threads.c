// The threads of a process: state, time, CPU, and where each stands.
//
// jacinth.system.Tasks suspends a thread for the time that its registers and stack are read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fidl/jacinth.system.h>
#include <symbols/boot.h>
#include <tasks/tasks.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

#include "tool.h"
#include "tools.h"

static const char* state_name(zx_thread_state_t state) {
    switch (state) {
    case ZX_THREAD_STATE_NEW:
        return "new";
    case ZX_THREAD_STATE_RUNNING:
        return "running";
    case ZX_THREAD_STATE_SUSPENDED:
        return "suspended";
    case ZX_THREAD_STATE_DYING:
        return "dying";
    case ZX_THREAD_STATE_DEAD:
        return "dead";
    case ZX_THREAD_STATE_BLOCKED_EXCEPTION:
        return "in an exception";
    case ZX_THREAD_STATE_BLOCKED_SLEEPING:
        return "sleeping";
    case ZX_THREAD_STATE_BLOCKED_FUTEX:
        return "at a futex";
    case ZX_THREAD_STATE_BLOCKED_PORT:
        return "at a port";
    case ZX_THREAD_STATE_BLOCKED_CHANNEL:
        return "in a channel call";
    case ZX_THREAD_STATE_BLOCKED_WAIT_ONE:
        return "waiting for a handle";
    case ZX_THREAD_STATE_BLOCKED_WAIT_MANY:
        return "waiting for handles";
    case ZX_THREAD_STATE_BLOCKED_INTERRUPT:
        return "at an interrupt";
    case ZX_THREAD_STATE_BLOCKED_PAGER:
        return "at a pager";
    default:
        return "blocked";
    }
}

// ---- where a thread stands ----

static struct symbols_boot names;

static void print_frame(uint32_t index, const struct jacinth_system_frame* f) {
    char module[ZX_MAX_NAME_LEN] = "";
    char line[SYMBOLS_LINE_MAX];
    size_t len = f->module.count < sizeof(module) ? f->module.count : sizeof(module) - 1;
    memcpy(module, f->module.data, len);
    struct backtrace_frame frame = {
        .index = index, .offset = f->offset, .module = module, .build_id = f->build_id};
    symbols_frame_line(&names, &frame, line);
    printf("%s", line);
}

static zx_status_t print_stack(zx_handle_t tasks, zx_koid_t process, zx_koid_t thread) {
    static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
    static const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_tasks_get_stack_request request = {.process = process, .thread = thread};
    struct jacinth_system_tasks_get_stack_response* answer;
    zx_status_t status =
        jacinth_system_tasks_get_stack_call(tasks, ZX_TIME_INFINITE, &request, storage, &answer);
    for (uint64_t i = 0; status == ZX_OK && i < answer->frames.count; i++) {
        print_frame((uint32_t)i, &answer->frames.data[i]);
    }
    return status;
}

// ---- the list ----

static void print_thread(zx_handle_t tasks, zx_handle_t process, zx_koid_t process_koid,
                         zx_koid_t koid) {
    zx_handle_t thread;
    if (zx_object_get_child(process, koid, ZX_RIGHT_SAME_RIGHTS, &thread) != ZX_OK) {
        return; // gone meanwhile
    }
    char name[ZX_MAX_NAME_LEN];
    tool_name(thread, name);
    zx_info_thread_t info = {};
    zx_info_thread_stats_t stats = {};
    (void)zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr);
    (void)zx_object_get_info(thread, ZX_INFO_THREAD_STATS, &stats, sizeof(stats), nullptr, nullptr);
    printf("%llu %s, %s, %lluus, CPU %u\n", (unsigned long long)koid, name, state_name(info.state),
           (unsigned long long)stats.total_runtime / 1000, stats.last_scheduled_cpu);
    zx_status_t status = print_stack(tasks, process_koid, koid);
    if (status != ZX_OK) {
        (void)tool_failed("threads", name, status);
    }
    (void)zx_handle_close(thread);
}

int threads_main(int argc, char** argv) {
    static const char usage[] = "threads KOID";
    int code;
    if (!tool_takes(1, argc, argv, usage,
                    "KOID NAME, STATE, TIME, CPU, then its frames. ./jx run adds files and lines.",
                    &code)) {
        return code;
    }
    zx_handle_t process, tasks;
    uint64_t koid = 0;
    void* threads = nullptr;
    size_t count = 0;
    zx_status_t status = tool_find_process(argv[1], &process);
    if (status == ZX_OK) {
        (void)tool_parse_u64(argv[1], &koid);
        status = tasks_list(process, ZX_INFO_PROCESS_THREADS, sizeof(zx_koid_t), &threads, &count);
    }
    if (status == ZX_OK) {
        status = tool_connect("jacinth.system.Tasks", &tasks);
    }
    if (status != ZX_OK) {
        return tool_failed("threads", argv[1], status);
    }
    symbols_boot_open(&names, tool_directory("/boot"));
    const zx_koid_t* koids = threads;
    for (size_t i = 0; i < count; i++) {
        print_thread(tasks, process, koid, koids[i]);
    }
    symbols_boot_close(&names);
    return 0;
}
