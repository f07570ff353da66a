// What of the signals survives exec().
#pragma once

#include <libc/abi.h>
#include <zircon/types.h>

// The calling thread's mask, the signals whose action is SIG_IGN, and what is pending (may be null:
// a child has nothing pending). Returns the channel from the parent, which stays the signal
// module's, or ZX_HANDLE_INVALID.
zx_handle_t signal_for_exec(abi_sigset_t* blocked, abi_sigset_t* ignored, abi_sigset_t* pending);
// From now on every signal that comes to the process goes there instead, in any thread.
void signal_divert(void (*to)(int signal));
