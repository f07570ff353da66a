#include <signal/signal_set.h>

const abi_sigset_t signal_immutable =
    (abi_sigset_t)1 << (ABI_SIGKILL - 1) | (abi_sigset_t)1 << (ABI_SIGSTOP - 1);

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
