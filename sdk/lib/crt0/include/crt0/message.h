// The first message of a process, for the code that starts it.
#pragma once

#include <zircon/types.h>

#include <processargs/processargs.h>

// Reads it and closes the channel; the strings stay where they are. Null: *problem says why.
const struct processargs* crt0_message_read(zx_handle_t bootstrap, const char** problem);
