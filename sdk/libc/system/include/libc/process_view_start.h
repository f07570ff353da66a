// For the code that starts the process.
#pragma once

#include <libc/process_view.h>

// argv[0], as the starter gave it; may be null.
const char* libc_start_name(void);
// Starts each module's part.
void process_view_start(struct process_view* view);
