// A walk over a job and everything below it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// A topic that is a list (ZX_INFO_JOB_CHILDREN), as long as it is now. *out is malloc's, and null
// if the list is empty.
zx_status_t tasks_list(zx_handle_t handle, uint32_t topic, size_t record_size, void** out,
                       size_t* count);

struct task {
    zx_handle_t handle; // borrowed
    zx_koid_t koid;
    bool is_job;
    uint32_t depth; // of the first job: 0
};

// False: stop.
typedef bool (*task_fn)(void* ctx, const struct task* task);

// Calls `visit` for the job itself, the processes in it, then the jobs below it, in this way. What
// ends or appears meanwhile may be left out. Depth-first, one handle and one list per level.
zx_status_t tasks_walk(zx_handle_t job, task_fn visit, void* ctx);

// A handle to the job or process of that koid, at or below `job`.
zx_status_t tasks_find(zx_handle_t job, zx_koid_t koid, bool* is_job, zx_handle_t* out);
// WRONG_TYPE: it is a job's.
zx_status_t tasks_find_process(zx_handle_t job, zx_koid_t koid, zx_handle_t* out);
