// The serial console as init reads it.
#pragma once

#include <stddef.h>

#include <zircon/types.h>

struct console {
    zx_handle_t debug;
    size_t begin, end; // what was read and not used yet: pending[begin, end)
    char pending[256];
};

typedef enum console_result : uint8_t {
    CONSOLE_LINE,
    CONSOLE_EMPTY, // the line was given up (control-C)
    CONSOLE_END,   // control-D on an empty line
} console_result_t;

// Reads a line with echo: backspace, control-U (all of it), control-C, control-D. What does not fit
// is not taken (and not echoed).
console_result_t console_read_line(struct console* c, char* line, size_t capacity);

// Looks for a control-C in what was typed meanwhile; other characters wait for the next line.
bool console_interrupted(struct console* c);
