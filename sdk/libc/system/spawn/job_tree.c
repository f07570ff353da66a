#include "job_tree.h"

#include <stddef.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

// Jobs are at most 32 deep. Of one with more children than this the rest is not looked at: the list
// is on the stack, as often as the tree is deep.
constexpr size_t children_max = 64;

static bool is_live_process(zx_handle_t handle) {
    zx_info_handle_basic_t info;
    zx_signals_t seen = 0;
    return zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                              nullptr) == ZX_OK &&
           info.type == ZX_OBJ_TYPE_PROCESS &&
           zx_object_wait_one(handle, ZX_PROCESS_TERMINATED, 0, &seen) == ZX_ERR_TIMED_OUT;
}

zx_handle_t job_tree_find(zx_handle_t job, zx_koid_t koid) {
    zx_handle_t found;
    if (zx_object_get_child(job, koid, ZX_RIGHT_SAME_RIGHTS, &found) == ZX_OK) {
        if (is_live_process(found)) {
            return found;
        }
        (void)zx_handle_close(found);
        return ZX_HANDLE_INVALID;
    }
    zx_koid_t jobs[children_max];
    size_t count = 0;
    (void)zx_object_get_info(job, ZX_INFO_JOB_CHILDREN, jobs, sizeof(jobs), &count, nullptr);
    for (size_t i = 0; i < count; i++) {
        zx_handle_t child;
        if (zx_object_get_child(job, jobs[i], ZX_RIGHT_SAME_RIGHTS, &child) != ZX_OK) {
            continue;
        }
        found = job_tree_find(child, koid);
        (void)zx_handle_close(child);
        if (found != ZX_HANDLE_INVALID) {
            return found;
        }
    }
    return ZX_HANDLE_INVALID;
}
