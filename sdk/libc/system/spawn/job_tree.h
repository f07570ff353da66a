// A process by its koid, anywhere below a job.
#pragma once

#include <zircon/types.h>

// With the rights that the job's handle gives; ZX_HANDLE_INVALID: there is none.
zx_handle_t job_tree_find(zx_handle_t job, zx_koid_t koid);
