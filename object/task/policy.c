// Job policy: the table and the decisions. See <object/policy.h>.

#include <object/policy.h>

#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

#include <arch/upcalls.h>
#include <object/process.h>
#include <object/thread_object.h>

void policy_init(struct job_policy* p) {
    *p = (struct job_policy){};
}

static bool is_new(uint32_t condition) {
    return (condition >= ZX_POL_NEW_VMO && condition <= ZX_POL_NEW_PAGER) ||
           condition == ZX_POL_NEW_IOB || condition == ZX_POL_NEW_SAMPLER;
}

static status_t apply_one(struct job_policy* p, uint32_t condition, uint32_t action, bool fixed,
                          bool absolute) {
    if (p->fixed[condition] && p->action[condition] != action) {
        return absolute ? STATUS_ALREADY_EXISTS : STATUS_OK;
    }
    p->action[condition] = (uint8_t)action;
    p->fixed[condition] = p->fixed[condition] || fixed;
    return STATUS_OK;
}

status_t policy_apply(struct job_policy* p, uint32_t condition, uint32_t action, bool fixed,
                      bool absolute) {
    if (condition >= POLICY_CONDITIONS) {
        return STATUS_OUT_OF_RANGE;
    }
    if (action > ZX_POL_ACTION_KILL) {
        return STATUS_NOT_SUPPORTED;
    }
    if (condition != ZX_POL_NEW_ANY) {
        return apply_one(p, condition, action, fixed, absolute);
    }
    for (uint32_t c = 0; c < POLICY_CONDITIONS; c++) {
        if (is_new(c)) {
            TRY(apply_one(p, c, action, fixed, absolute));
        }
    }
    return STATUS_OK;
}

static status_t kill_by_policy(struct process* p) {
    process_kill(p, ZX_TASK_RETCODE_POLICY_KILL);
    return STATUS_INTR_KILLED;
}

status_t policy_check(uint32_t condition) {
    struct process* p = process_current();
    if (p == nullptr) {
        return STATUS_OK;
    }
    switch (process_policy(p)->action[condition]) {
    case ZX_POL_ACTION_ALLOW:
        return STATUS_OK;
    case ZX_POL_ACTION_DENY:
        return STATUS_ACCESS_DENIED;
    case ZX_POL_ACTION_ALLOW_EXCEPTION:
        return policy_exception(condition, STATUS_OK);
    case ZX_POL_ACTION_DENY_EXCEPTION:
        return policy_exception(condition, STATUS_ACCESS_DENIED);
    default:
        return kill_by_policy(p);
    }
}

status_t policy_bad_handle(void) {
    status_t status = policy_check(ZX_POL_BAD_HANDLE);
    return status == STATUS_INTR_KILLED ? status : STATUS_BAD_HANDLE;
}

status_t policy_exception(uint32_t code, status_t status) {
    thread_object_raise_later(
        &(struct arch_exception_report){.type = ZX_EXCP_POLICY_ERROR, .synth_code = code});
    return status;
}
