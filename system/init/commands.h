// The run list, and the prompt: a thread of init that runs commands and waits for each. To
// everything that is served it is a client like any program.
#pragma once

#include <zircon/types.h>

#include "authority.h"

// The text of etc/run, terminated, in memory of its own. NOT_FOUND: there is none.
zx_status_t commands_read_list(const struct authority* a, char** text);
// Starts the thread, which ends the machine when it is done. `list` null: the prompt, with what its
// paragraph gives it. There is one such thread: a second call is ALREADY_EXISTS.
zx_status_t commands_start(const struct authority* a, char* list, uint32_t prompt);
