// From the kernel's statuses to what musl understands.
#pragma once

#include <zircon/types.h>

// ZX_OK: 0; else an errno, negated. The only place that translates: a status that means something
// else in a certain operation is looked at before it comes here. Unknown ones are -EIO.
long errno_from_status(zx_status_t status);
