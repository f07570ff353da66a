// The threads of a process: state, time, CPU, and where each stands.
//
// A thread is suspended for the time that its registers and stack are read. Frames are found by
// their pointers, which this tree's programs keep; others end the list early.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

#include "tasks.h"
#include "tool.h"

constexpr uint32_t FRAMES_MAX = 64;

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

struct space {
    zx_handle_t process;
    zx_info_maps_t* maps;
    size_t count;
};

// What was loaded there: the region below the root that has the address, under the name of the
// first memory mapped in it.
static const char* find_module(const struct space* space, uint64_t pc, uint64_t* base) {
    const zx_info_maps_t* module = nullptr;
    for (size_t i = 0; i < space->count; i++) {
        const zx_info_maps_t* m = &space->maps[i];
        if (m->depth == 2) { // below the address space and its root region
            if (module != nullptr) {
                break;
            }
            module = pc - m->base < m->size ? m : nullptr;
        }
        if (module != nullptr && m->type == ZX_INFO_MAPS_TYPE_MAPPING) {
            *base = module->base;
            return m->name[0] != '\0' ? m->name : "?";
        }
    }
    *base = 0;
    return "?";
}

static void print_frame(const struct space* space, uint32_t index, uint64_t pc) {
    uint64_t base;
    char name[ZX_MAX_NAME_LEN] = "";
    const char* module = find_module(space, pc, &base);
    memcpy(name, module, strnlen(module, sizeof(name) - 1));
    for (char* c = name; *c != '\0'; c++) {
        *c = *c > ' ' && *c <= '~' && *c != ':' && *c != '}' ? *c : '?';
    }
    printf("{{{bt:%u:0x%llx:%s}}}\n", index, (unsigned long long)(pc - base), name);
}

static void print_frames(const struct space* space,
                         const zx_x86_64_thread_state_general_regs_t* regs) {
    print_frame(space, 0, regs->rip);
    uint64_t frame = regs->rbp;
    for (uint32_t i = 1; i < FRAMES_MAX; i++) {
        uint64_t words[2]; // the caller's frame, and where it goes on
        size_t got = 0;
        if (frame % sizeof(uint64_t) != 0 ||
            zx_process_read_memory(space->process, frame, words, sizeof(words), &got) != ZX_OK ||
            got != sizeof(words) || words[1] == 0) {
            return;
        }
        print_frame(space, i, words[1]);
        if (words[0] <= frame) {
            return; // stacks grow downwards: not a frame
        }
        frame = words[0];
    }
}

static zx_status_t print_stack(const struct space* space, zx_handle_t thread) {
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
        print_frames(space, &regs);
    }
    (void)zx_handle_close(token); // goes on
    return status;
}

// ---- the list ----

static void print_thread(const struct space* space, zx_koid_t koid) {
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
    struct space space = {};
    void* maps = nullptr;
    void* threads = nullptr;
    size_t count = 0;
    zx_status_t status = tasks_find_process(tasks_root(), argv[1], &space.process);
    if (status == ZX_OK) {
        status = tool_list(space.process, ZX_INFO_PROCESS_MAPS, sizeof(zx_info_maps_t), &maps,
                           &space.count);
    }
    if (status == ZX_OK) {
        space.maps = maps;
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
