// What of the signals survives exec().
#pragma once

#include <libc/abi.h>
#include <zircon/types.h>

// The calling thread's mask, the signals whose action is SIG_IGN, and what is pending (null: a
// child has nothing pending). Returns the channel from the parent, which stays the signal module's,
// or ZX_HANDLE_INVALID. With `pending` nobody reads that channel from then on: what is in it is for
// the process that takes this one's place.
zx_handle_t signal_for_exec(abi_sigset_t* blocked, abi_sigset_t* ignored, abi_sigset_t* pending);
// There is none: the channel is read again.
void signal_exec_failed(void);
// How many messages of the channel were read.
uint64_t signal_heard(void);
// From now on every signal that comes to the process goes there instead, in any thread.
void signal_divert(void (*to)(int signal));
