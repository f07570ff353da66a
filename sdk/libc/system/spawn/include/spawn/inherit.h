// What this process was given by the one that started it.
#pragma once

#include <spawn/record.h>

// Read from the bootstrap message's names at the first call; record_none's values if it has none.
const struct record* spawn_inherited(void);
// True: the starter was this library, which knows what exec() leaves behind.
bool spawn_has_parent(void);
// The program's path; null: unknown.
const char* spawn_program_path(void);
