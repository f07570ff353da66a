// Waiting with another mask.
#pragma once

#include <libc/abi.h>
#include <zircon/types.h>

// Calls `wait` with the mask in the place of the thread's; null: as it is. A signal that the mask
// lets through ends the call (-ABI_EINTR), be it pending before or sent during the wait.
long wait_masked(long (*wait)(void* ctx, zx_time_t deadline), void* ctx, zx_time_t deadline,
                 const abi_sigset_t* mask);
