// The clock of the world (UTC), which programs are given to read.
#pragma once

#include <zircon/types.h>

// A clock that was set from the machine's own; without one, or if that says nonsense, it counts
// from PA_CLOCK_UTC_AT_BOOT. ZX_HANDLE_INVALID: no memory. The caller has all rights to it.
zx_handle_t clock_make(zx_handle_t ioport);
