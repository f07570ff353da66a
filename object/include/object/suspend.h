// Suspend tokens: a thread, or all of a process, stands still while one exists.
#pragma once

#include <object/object.h>

// `task`: a thread or a process. NOT_SUPPORTED: the caller itself, or its process. BAD_STATE: it
// has ended, or was killed. NO_MEMORY.
status_t suspend_token_create(struct object* task, struct object** out);
