// The terminal as the prompt uses it: /dev/console, opened like any program would. While a line is
// edited the terminal is raw and the prompt echoes; while a program runs it is as programs expect
// it, and control-C raises a signal.
//
// One thread. If the console's server ends, the terminal is opened again.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// `dev`: the directory /dev. Waits until the console's server answers.
zx_status_t console_start(zx_handle_t dev);

typedef enum console_result : uint8_t {
    CONSOLE_LINE,
    CONSOLE_EMPTY, // the line was given up (control-C)
    CONSOLE_END,   // control-D on an empty line
    CONSOLE_LOST,  // (inside only) the terminal went away
} console_result_t;

// Writes the prompt and reads a line with echo: backspace, control-U (all of it), control-C,
// control-D. What does not fit is not taken (and not echoed). Afterwards the terminal is a
// program's.
console_result_t console_read_line(const char* prompt, char* line, size_t capacity);

// On what, and by which signal, control-C is told while no line is being read. The handle stays the
// console's, and changes when the terminal is opened again.
zx_handle_t console_controller(zx_signals_t* signal);

// Descriptors 0 to 2 of a program: the prompt's own terminal. Nothing if there is none.
struct given;
void console_give(struct given* given);
