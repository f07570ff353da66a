// How a thread is made to run a handler in the middle of its own code: for a fault, and for a
// signal that comes while it computes and calls nothing. The herald does it, by changing the
// registers of a thread that stands (in an exception, or by a suspend token): docs/design/libc.md,
// "signals".
#pragma once

#include <libc/lock.h>
#include <zircon/types.h>

#include "signal_priv.h"

// ---- the herald's ----

// Exceptions on the process's channel. False: it is closed.
bool inject_faults(zx_handle_t channel);
// Suspends threads that have signals to act on and are outside of the system layer; each sends a
// packet to the port, with its index added to `key`, when it stands. True: there are some, so they
// must be looked at again.
bool inject_look_locked(zx_handle_t port, uint64_t key)
    __attribute__((exclusive_locks_required(signal_lock)));
// Such a packet has come.
void inject_halted(uint32_t index);

// ---- enter.S ----

// What the thread finds on its stack. Offsets are enter.h's.
struct signal_frame {
    struct abi_ucontext context;
    void* resume;   // enter.S's own
    uint64_t xsave; // 0: the CPU has FXSAVE only
    struct delivery delivery;
    struct abi_siginfo info;
};

// Where the thread goes on: %rsp points to its frame, 16-byte aligned. The interval up to
// signal_enter_end is not to be interrupted.
extern const char signal_enter[], signal_enter_end[];
// Called there: the handler runs.
void signal_run_frame(struct signal_frame* frame);
