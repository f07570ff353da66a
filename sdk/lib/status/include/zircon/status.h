// Status codes as text.
#pragma once

#include <zircon/compiler.h>
#include <zircon/types.h>

__BEGIN_CDECLS

// "ZX_ERR_NOT_FOUND"; for a number that is no status, "ZX_ERR_UNKNOWN".
const char* zx_status_get_string(zx_status_t status);

__END_CDECLS
