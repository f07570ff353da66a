// Facts about signals: what each does if nobody said otherwise, and how a parent learns whether its
// child wants to have it.
#pragma once

#include <stdint.h>

#include <libc/abi.h>
#include <zircon/syscalls/exception.h>
#include <zircon/types.h>

constexpr int signal_max = 64;

static inline bool signal_valid(int signal) {
    return signal >= 1 && signal <= signal_max;
}
static inline abi_sigset_t signal_bit(int signal) {
    return (abi_sigset_t)1 << (signal - 1);
}
// The lowest signal of a set; 0: it is empty.
static inline int signal_first(abi_sigset_t set) {
    return set == 0 ? 0 : __builtin_ctzll(set) + 1;
}

typedef enum signal_default {
    SIGNAL_ENDS,
    SIGNAL_IGNORED,
    SIGNAL_STOPS, // by the parent; a process cannot stop itself
} signal_default_t;

signal_default_t signal_default(int signal);

// SIGKILL and SIGSTOP: cannot be blocked, caught or ignored.
extern const abi_sigset_t signal_immutable;

// ---- exceptions as signals ----

// Those that stand for exceptions.
extern const abi_sigset_t signal_faults;

// The signal that stands for an exception, its si_code in *code (may be null).
int signal_of_exception(const zx_exception_report_t* report, int* code);

// ---- what goes over the channel of signals ----

// The first four bytes for a signal without a value, all for one with.
struct signal_message {
    uint32_t signal;
    int32_t code; // ABI_SI_QUEUE
    uint64_t value;
};
static inline uint32_t signal_message_len(const struct signal_message* m) {
    return m->code != 0 ? sizeof(*m) : sizeof(m->signal);
}

// ---- told to parents ----

// The user signal on the parent's end of the signal channel that stands for this one
// (docs/design/system.md): raised while the child takes some signal of the class itself.
zx_signals_t signal_class(int signal);
// The user signals for a set.
zx_signals_t signal_classes(abi_sigset_t set);
