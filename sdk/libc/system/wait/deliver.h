// Who interrupts threads. All are weak here: a program without signals or without cancellation
// does not get them by waiting.
#pragma once

#include <signal/signal.h>

[[gnu::weak]] signal_outcome_t signal_deliver(void);
// The calling thread's mask; what it lets through is still to be delivered.
[[gnu::weak]] void signal_set_mask(abi_sigset_t mask);
// musl's side (sdk/libc/overlay/src/thread/pthread_cancel.c): the calling thread is to end.
[[gnu::weak]] int __jx_cancel_wanted(void);
