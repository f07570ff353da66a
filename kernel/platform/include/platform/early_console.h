#pragma once

#include <stddef.h>

struct handoff_uart;

// The console before there is a console: polled output to the boot UART and port 0xE9, no
// formatting, no allocation, no lock. Any context; output of several CPUs may interleave. Every
// wait is bounded.

// Boot CPU, once. Before it (and without a port UART) output goes to port 0xE9 only.
void early_console_init(const struct handoff_uart* uart);
void early_console_write(const char* text, size_t length);
void early_console_puts(const char* text);
// To port 0xE9 only.
void early_console_write_debug(const char* text, size_t length);
