// Scheduling: processors, and priorities as far as a thread may choose them.
//
// There is one policy here, SCHED_OTHER with priority 0; the others need a profile, which a process
// does not get by asking.
#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <libc/error.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <libc/thread_block.h>

long sys_sched_yield(void) {
    return errno_from_status(zx_thread_legacy_yield(0));
}

static bool is_known(int tid) {
    return tid == 0 || tid == sys_getpid() || thread_handle_of(tid) != ZX_HANDLE_INVALID;
}

// The length of the mask that was filled.
long sys_sched_getaffinity(int tid, size_t len, uint64_t* mask) {
    uint32_t cpus = zx_system_get_num_cpus();
    size_t need = (cpus + 63) / 64 * sizeof(uint64_t);
    if (!is_known(tid)) {
        return -ABI_ESRCH;
    }
    if (len < need || len % sizeof(uint64_t) != 0) {
        return -ABI_EINVAL;
    }
    memset(mask, 0, need);
    for (uint32_t i = 0; i < cpus; i++) {
        mask[i / 64] |= 1ull << i % 64;
    }
    return (long)need;
}

// Who wants all processors has them. Less needs a profile, which a process does not get by asking.
long sys_sched_setaffinity(int tid, size_t len, const uint64_t* mask) {
    uint32_t cpus = zx_system_get_num_cpus();
    uint32_t wanted = 0;
    if (!is_known(tid)) {
        return -ABI_ESRCH;
    }
    for (uint32_t i = 0; i < cpus && i / 8 < len; i++) {
        wanted += (mask[i / 64] >> i % 64 & 1) != 0;
    }
    return wanted == cpus ? 0 : wanted == 0 ? -ABI_EINVAL : -ABI_EPERM;
}

long sys_sched_getscheduler(int tid) {
    return is_known(tid) ? ABI_SCHED_OTHER : -ABI_ESRCH;
}

long sys_sched_getparam(int tid, struct abi_sched_param* out) {
    out->priority = 0;
    return is_known(tid) ? 0 : -ABI_ESRCH;
}

long sys_sched_setscheduler(int tid, int policy, const struct abi_sched_param* param) {
    if (!is_known(tid)) {
        return -ABI_ESRCH;
    }
    if (policy == ABI_SCHED_OTHER) {
        return param->priority == 0 ? 0 : -ABI_EINVAL;
    }
    return policy == ABI_SCHED_FIFO || policy == ABI_SCHED_RR ? -ABI_EPERM : -ABI_EINVAL;
}

long sys_sched_setparam(int tid, const struct abi_sched_param* param) {
    return sys_sched_setscheduler(tid, ABI_SCHED_OTHER, param);
}

static long priority_of(int policy, long realtime) {
    if (policy == ABI_SCHED_OTHER) {
        return 0;
    }
    return policy == ABI_SCHED_FIFO || policy == ABI_SCHED_RR ? realtime : -ABI_EINVAL;
}

long sys_sched_get_priority_max(int policy) {
    return priority_of(policy, 99);
}

long sys_sched_get_priority_min(int policy) {
    return priority_of(policy, 1);
}

// ---- names ----

long sys_prctl(int option, uintptr_t a, uintptr_t, uintptr_t, uintptr_t) {
    constexpr int SET_NAME = 15;
    constexpr int GET_NAME = 16;
    constexpr size_t NAME_LEN = 16; // with its NUL
    zx_handle_t self = thread_block_self()->record->handle;
    switch (option) {
    case SET_NAME:
        return errno_from_status(zx_object_set_property(self, ZX_PROP_NAME, (const char*)a,
                                                        strnlen((const char*)a, NAME_LEN - 1)));
    case GET_NAME: {
        char name[ZX_MAX_NAME_LEN];
        zx_status_t status = zx_object_get_property(self, ZX_PROP_NAME, name, sizeof(name));
        if (status == ZX_OK) {
            name[NAME_LEN - 1] = '\0';
            memcpy((char*)a, name, NAME_LEN);
        }
        return errno_from_status(status);
    }
    default:
        return -ABI_EINVAL;
    }
}
