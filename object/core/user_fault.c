// Resolving faults of copies under locks. See <object/user_fault.h>.

#include <object/user_fault.h>

#include <sched/thread.h>

status_t user_fault_resolve(vaddr_t va, enum fault_flags flags) {
    status_t status = vm_fault_in(va, flags);
    switch (status) {
    case STATUS_OK:
        // A page that is evicted again and again must not hold up a kill.
        return thread_killed() ? STATUS_INTR_KILLED : STATUS_OK;
    case STATUS_NOT_FOUND:
    case STATUS_ACCESS_DENIED:
    case STATUS_OUT_OF_RANGE:
        return STATUS_INVALID_ARGS;
    default:
        return status;
    }
}
