#include <signal/signal_set.h>

#include <jacinth/abort.h>
#include <zircon/errors.h>

const abi_sigset_t signal_immutable =
    (abi_sigset_t)1 << (ABI_SIGKILL - 1) | (abi_sigset_t)1 << (ABI_SIGSTOP - 1);

const abi_sigset_t signal_faults =
    (abi_sigset_t)1 << (ABI_SIGSEGV - 1) | (abi_sigset_t)1 << (ABI_SIGBUS - 1) |
    (abi_sigset_t)1 << (ABI_SIGFPE - 1) | (abi_sigset_t)1 << (ABI_SIGILL - 1) |
    (abi_sigset_t)1 << (ABI_SIGTRAP - 1) | (abi_sigset_t)1 << (ABI_SIGSYS - 1);

signal_default_t signal_default(int signal) {
    switch (signal) {
    case ABI_SIGCHLD:
    case ABI_SIGCONT:
    case ABI_SIGURG:
    case ABI_SIGWINCH:
        return SIGNAL_IGNORED;
    case ABI_SIGSTOP:
    case ABI_SIGTSTP:
    case ABI_SIGTTIN:
    case ABI_SIGTTOU:
        return SIGNAL_STOPS;
    default:
        return SIGNAL_ENDS;
    }
}

// ---- exceptions ----

struct meaning {
    int signal, code;
};

// Nothing there, or not for this use; but what is mapped and has no memory behind it (a file that
// ends before, a server that is gone) is a bus error.
static struct meaning of_page_fault(zx_status_t status) {
    switch (status) {
    case ZX_ERR_NOT_FOUND:
        return (struct meaning){ABI_SIGSEGV, ABI_SEGV_MAPERR};
    case ZX_ERR_ACCESS_DENIED:
        return (struct meaning){ABI_SIGSEGV, ABI_SEGV_ACCERR};
    default:
        return (struct meaning){ABI_SIGBUS, ABI_BUS_ADRERR};
    }
}

static struct meaning of_vector(const zx_x86_64_exc_data_t* data) {
    constexpr uint64_t divide_error = 0, overflow = 4, general_protection = 13, x87_error = 16,
                       simd_error = 19;
    switch (data->vector) {
    case divide_error:
        return (struct meaning){ABI_SIGFPE, ABI_FPE_INTDIV};
    case overflow:
        return (struct meaning){ABI_SIGFPE, ABI_FPE_INTOVF};
    case x87_error:
    case simd_error:
        return (struct meaning){ABI_SIGFPE, ABI_FPE_FLTINV};
    case general_protection:
        if (JACINTH_IS_ABORT(data->vector, data->err_code)) {
            return (struct meaning){ABI_SIGABRT, ABI_SI_TKILL};
        }
        break;
    default:
        break;
    }
    return (struct meaning){ABI_SIGSEGV, ABI_SI_KERNEL};
}

static struct meaning meaning_of(const zx_exception_report_t* r) {
    switch (r->header.type) {
    case ZX_EXCP_FATAL_PAGE_FAULT:
        return of_page_fault((zx_status_t)r->context.synth_code);
    case ZX_EXCP_UNDEFINED_INSTRUCTION:
        return (struct meaning){ABI_SIGILL, ABI_ILL_ILLOPN};
    case ZX_EXCP_SW_BREAKPOINT:
        return (struct meaning){ABI_SIGTRAP, ABI_TRAP_BRKPT};
    case ZX_EXCP_HW_BREAKPOINT:
        return (struct meaning){ABI_SIGTRAP, ABI_TRAP_TRACE};
    case ZX_EXCP_UNALIGNED_ACCESS:
        return (struct meaning){ABI_SIGBUS, ABI_BUS_ADRALN};
    case ZX_EXCP_POLICY_ERROR:
        return (struct meaning){ABI_SIGSYS, ABI_SI_KERNEL};
    default:
        return of_vector(&r->context.arch.u.x86_64);
    }
}

int signal_of_exception(const zx_exception_report_t* report, int* code) {
    struct meaning m = meaning_of(report);
    if (code != nullptr) {
        *code = m.code;
    }
    return m.signal;
}

// ---- parents ----

zx_signals_t signal_class(int signal) {
    switch (signal) {
    case ABI_SIGINT:
        return ZX_USER_SIGNAL_0;
    case ABI_SIGTERM:
        return ZX_USER_SIGNAL_1;
    case ABI_SIGHUP:
        return ZX_USER_SIGNAL_2;
    case ABI_SIGQUIT:
        return ZX_USER_SIGNAL_3;
    case ABI_SIGUSR1:
    case ABI_SIGUSR2:
        return ZX_USER_SIGNAL_4;
    default:
        return signal_default(signal) == SIGNAL_ENDS ? ZX_USER_SIGNAL_5 : ZX_USER_SIGNAL_6;
    }
}

zx_signals_t signal_classes(abi_sigset_t set) {
    zx_signals_t classes = 0;
    for (; set != 0; set &= set - 1) {
        classes |= signal_class(signal_first(set));
    }
    return classes;
}
