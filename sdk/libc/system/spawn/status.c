#include <spawn/status.h>

#include <libc/abi.h>
#include <signal/signal_set.h>
#include <zircon/syscalls/object.h>

static int killed_by(int64_t retcode, const zx_exception_report_t* by) {
    switch (retcode) {
    case ZX_TASK_RETCODE_EXCEPTION_KILL:
        return by != nullptr ? signal_of_exception(by, nullptr) : (int)ABI_SIGSEGV;
    case ZX_TASK_RETCODE_POLICY_KILL:
    case ZX_TASK_RETCODE_VDSO_KILL:
        return ABI_SIGSYS;
    case ZX_TASK_RETCODE_SYSCALL_KILL:
    case ZX_TASK_RETCODE_OOM_KILL:
    case ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL:
        return ABI_SIGKILL;
    default:
        return 0;
    }
}

int spawn_status(int64_t retcode, const zx_exception_report_t* by, int sent) {
    if (retcode == ZX_TASK_RETCODE_SYSCALL_KILL && sent != 0) {
        return spawn_status_signaled(sent);
    }
    int signal = killed_by(retcode, by);
    if (retcode < spawn_retcode_signal && retcode >= spawn_retcode_signal - spawn_signal_max) {
        signal = (int)(spawn_retcode_signal - retcode);
    }
    return signal != 0 ? spawn_status_signaled(signal) : spawn_status_exited((int)retcode);
}
