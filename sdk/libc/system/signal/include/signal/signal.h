// Signals, for the other modules of the system layer.
//
// The kernel has none: masks, pending sets and actions are kept here (docs/design/libc.md). A
// signal is posted, to the process or to a thread, and acts when a thread that does not block it
// notices: where it enters or leaves certain operations, and where it waits. So:
//
// A thread that calls nothing does not notice: the herald makes it (inject.h), but never inside the
// system layer.
//
//  - Whoever blocks on handles does it by wait_many(), which asks signal_interrupted() when the
//    thread is interrupted, and goes on waiting, or returns.
//  - Whoever blocks otherwise does the same.
//  - Nobody holds a lock there: a handler may run, and it may not come back (siglongjmp).
#pragma once

#include <stdint.h>

#include <libc/abi.h>

// What a signal did to a wait.
typedef enum signal_outcome {
    SIGNAL_NOTHING, // no handler ran: go on
    SIGNAL_RESTART, // handlers ran, all with SA_RESTART: operations that can be restarted go on
    SIGNAL_STOP,    // the operation ends with -ABI_EINTR
} signal_outcome_t;

// Lets act what is pending for the calling thread. Does not return if that ends the process.
signal_outcome_t signal_deliver(void);

// Who sent it, for a handler that wants to know.
struct signal_info {
    int32_t code; // ABI_SI_*, ABI_CLD_*
    int32_t pid, status;
    void* value; // of a fault: its address
};
// To the process: a thread that does not block it is interrupted. Any thread may call it, also one
// that is not the library's (it allocates nothing).
// False: it is one of those that are queued with what they bring, and there is no room; one without
// a value (any code but ABI_SI_QUEUE) is posted all the same.
bool signal_post(int signal, const struct signal_info* info);
