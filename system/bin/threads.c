// The threads of a process: state, time, CPU, and where each stands.
//
// A thread is suspended for the time that its registers and stack are read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <backtrace/backtrace.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

#include "tasks.h"
#include "tool.h"

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

static void print_frame(void*, uint32_t index, uint64_t offset, const char* module) {
    printf("{{{bt:%u:0x%llx:%s}}}\n", index, (unsigned long long)offset, module);
}

static zx_status_t print_stack(const struct backtrace_space* space, zx_handle_t thread) {
    zx_handle_t token;
    zx_status_t status = zx_task_suspend(thread, &token);
    if (status != ZX_OK) {
        return status;
    }
    zx_signals_t seen = 0;
    zx_x86_64_thread_state_general_regs_t regs;
    status = zx_object_wait_one(thread, ZX_THREAD_SUSPENDED | ZX_THREAD_TERMINATED,
                                zx_deadline_after(ZX_SEC(1)), &seen);
    if (status == ZX_OK) {
        status = zx_thread_read_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &regs, sizeof(regs));
    }
    if (status == ZX_OK) {
        backtrace_walk(space, &regs, print_frame, nullptr);
    }
    (void)zx_handle_close(token); // goes on
    return status;
}

// ---- the list ----

static void print_thread(const struct backtrace_space* space, zx_koid_t koid) {
    zx_handle_t thread;
    if (zx_object_get_child(space->process, koid, ZX_RIGHT_SAME_RIGHTS, &thread) != ZX_OK) {
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
    zx_status_t status = print_stack(space, thread);
    if (status != ZX_OK) {
        (void)tool_failed("threads", name, status);
    }
    (void)zx_handle_close(thread);
}

int main(int argc, char** argv) {
    static const char usage[] = "threads PID";
    if (tool_wants_help(argc, argv, usage)) {
        printf("KOID NAME, STATE, TIME, CPU, then its frames. ./jx run puts functions in their "
               "place.\n");
        return 0;
    }
    if (argc != 2) {
        return tool_bad_usage(usage);
    }
    struct backtrace_space space = {};
    zx_handle_t process;
    void* threads = nullptr;
    size_t count = 0;
    zx_status_t status = tasks_find_process(tasks_root(), argv[1], &process);
    if (status == ZX_OK) {
        status = backtrace_begin(&space, process);
    }
    if (status == ZX_OK) {
        status =
            tool_list(space.process, ZX_INFO_PROCESS_THREADS, sizeof(zx_koid_t), &threads, &count);
    }
    if (status != ZX_OK) {
        return tool_failed("threads", argv[1], status);
    }
    const zx_koid_t* koids = threads;
    for (size_t i = 0; i < count; i++) {
        print_thread(&space, koids[i]);
    }
    return 0;
}
