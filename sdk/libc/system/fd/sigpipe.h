// The signal that goes with EPIPE.
#pragma once

#include <libc/operations.h>

// SIGPIPE for the calling thread: kill and gettid of the signal module, which see the action.
static inline void fd_broken_pipe(void) {
    (void)sys_tkill((int)sys_gettid(), ABI_SIGPIPE);
}
