// Limits and usage. There are no limits that a process could set for itself: those of its job are
// the job's policy. What is answered is what holds.
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <jacinth/startup.h>
#include <libc/error.h>
#include <libc/operations.h>
#include <libc/thread_block.h>
#include <spawn/children_watch.h>

constexpr int LIMITS = 16;
constexpr uint64_t MAIN_STACK = 256 << 10; // what the launcher gives
constexpr uint64_t OPEN_FILES = ABI_FD_SETSIZE;

static bool limit_of(int resource, struct abi_rlimit* out) {
    if (resource < 0 || resource >= LIMITS) {
        return false;
    }
    uint64_t limit = ABI_RLIM_INFINITY;
    switch (resource) {
    case ABI_RLIMIT_STACK:
        limit = MAIN_STACK;
        break;
    case ABI_RLIMIT_CORE:
        limit = 0;
        break;
    case ABI_RLIMIT_NOFILE:
        limit = OPEN_FILES;
        break;
    default:
        break;
    }
    *out = (struct abi_rlimit){.current = limit, .maximum = limit};
    return true;
}

long sys_prlimit64(int pid, int resource, const struct abi_rlimit* limit, struct abi_rlimit* old) {
    struct abi_rlimit now;
    if (!limit_of(resource, &now)) {
        return -ABI_EINVAL;
    }
    if (pid != 0 && pid != sys_getpid()) {
        return -ABI_ESRCH;
    }
    // What changes nothing succeeds.
    if (limit != nullptr && (limit->current != now.current || limit->maximum != now.maximum)) {
        return -ABI_EPERM;
    }
    if (old != nullptr) {
        *old = now;
    }
    return 0;
}

long sys_getrlimit(int resource, struct abi_rlimit* out) {
    return sys_prlimit64(0, resource, nullptr, out);
}

long sys_setrlimit(int resource, const struct abi_rlimit* limit) {
    return sys_prlimit64(0, resource, limit, nullptr);
}

long sys_getrusage(int who, struct abi_rusage* out) {
    zx_info_task_runtime_t runtime = {};
    zx_info_task_stats_t memory = {};
    if (who != ABI_RUSAGE_SELF && who != ABI_RUSAGE_THREAD && who != ABI_RUSAGE_CHILDREN) {
        return -ABI_EINVAL;
    }
    if (who != ABI_RUSAGE_CHILDREN) {
        zx_handle_t task =
            who == ABI_RUSAGE_THREAD ? thread_block_self()->record->handle : zx_process_self();
        (void)zx_object_get_info(task, ZX_INFO_TASK_RUNTIME, &runtime, sizeof(runtime), nullptr,
                                 nullptr);
        (void)zx_object_get_info(zx_process_self(), ZX_INFO_TASK_STATS, &memory, sizeof(memory),
                                 nullptr, nullptr);
    }
    if (who == ABI_RUSAGE_CHILDREN && spawn_children_run_ns != nullptr) {
        runtime.cpu_time = spawn_children_run_ns();
    }
    *out = (struct abi_rusage){
        .utime = {.sec = runtime.cpu_time / 1'000'000'000,
                  .usec = runtime.cpu_time / 1000 % 1'000'000},
        .maxrss = (int64_t)((memory.mem_private_bytes + memory.mem_shared_bytes) / 1024),
    };
    return 0;
}

long sys_sysinfo(struct abi_sysinfo* out) {
    *out = (struct abi_sysinfo){
        .uptime = (uint64_t)zx_clock_get_monotonic() / 1'000'000'000,
        .totalram = zx_system_get_physmem(),
        .mem_unit = 1,
    };
    return 0;
}

long sys_getpriority(int, int) {
    return 20; // musl makes 0 of it
}

long sys_setpriority(int, int, int priority) {
    return priority == 0 ? 0 : -ABI_EPERM;
}
