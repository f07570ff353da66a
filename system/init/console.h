// The serial console as init reads it: a thread of its own takes what is typed, so that control-C
// is seen while a program runs.
#pragma once

#include <stddef.h>

#include <zircon/types.h>

// Starts the reading thread. Once.
zx_status_t console_start(zx_handle_t debug_resource);

typedef enum console_result : uint8_t {
    CONSOLE_LINE,
    CONSOLE_EMPTY, // the line was given up (control-C)
    CONSOLE_END,   // control-D on an empty line
} console_result_t;

// Reads a line with echo: backspace, control-U (all of it), control-C, control-D. What does not fit
// is not taken (and not echoed).
console_result_t console_read_line(char* line, size_t capacity);

// An event that is SIGNALED when control-C is typed while no line is being read; whoever acts on it
// clears it. Stays the console's.
zx_handle_t console_interrupt(void);
