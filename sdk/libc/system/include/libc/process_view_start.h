// For the code that starts the process.
#pragma once

#include <libc/process_view.h>

// Starts each module's part.
void process_view_start(struct process_view* view);
