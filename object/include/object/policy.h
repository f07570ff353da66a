// Job policy: what happens when a process does something its job restricts. A job's policy changes
// only while it has no children, so each process carries an immutable copy.
#pragma once

#include <zircon/syscalls/policy.h>
#include <zircon/types.h>

#include <lib/status.h>

constexpr uint32_t POLICY_CONDITIONS = ZX_POL_MAX;

struct job_policy {
    uint8_t action[POLICY_CONDITIONS]; // ZX_POL_ACTION_*
    bool
        fixed[POLICY_CONDITIONS]; // set explicitly with "no override": descendants cannot change it
    bool memory_reserve;          // processes may use memory that is kept for the system
};

void policy_init(struct job_policy* p); // everything allowed, everything overridable
// Applies one entry. A conflict with a fixed condition is skipped, or ALREADY_EXISTS if `absolute`.
// OUT_OF_RANGE: no such condition; NOT_SUPPORTED: no such action.
status_t policy_apply(struct job_policy* p, uint32_t condition, uint32_t action, bool fixed,
                      bool absolute);

// The decision for the current process. OK: go on. ACCESS_DENIED: refuse. Either may have raised an
// exception, too. A KILL action ends the process here: INTR_KILLED, and the call must return at
// once. Kernel threads may do everything.
status_t policy_check(uint32_t condition);
// BAD_HANDLE policy, whose ALLOW and DENY are the same: returns BAD_HANDLE or INTR_KILLED.
status_t policy_bad_handle(void);
// Raises ZX_EXCP_POLICY_ERROR in the current thread (actions of the job's policy, limits such as a
// full channel) on its way out of the system call. Returns `status`, which the call is to return,
// or OK: it goes on.
status_t policy_exception(uint32_t code, status_t status);
