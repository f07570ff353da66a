// Many requests of many clients at once.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

// `count` is a multiple of 32. `connect` gives a new connection to the disk.
zx_status_t storm(zx_handle_t (*connect)(void), uint64_t count);
