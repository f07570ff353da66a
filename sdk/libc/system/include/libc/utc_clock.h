// The clock of the world (PA_CLOCK_UTC), for those who read it and those who pass it on.
#pragma once

#include <zircon/types.h>

// Any thread. The handle stays the library's; ZX_HANDLE_INVALID: this program was given none.
zx_handle_t libc_utc_clock(void);
