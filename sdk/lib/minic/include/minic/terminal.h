// What output streams lack for terminals (jacinth.io/Terminal): this library stands below those
// that speak protocols. //sdk/lib/io:stdio has it. In a program without, what goes to a terminal
// goes to the debug console.
#pragma once

#include <stddef.h>

#include <zircon/types.h>

// A part of the text, as much as the terminal takes at once.
[[gnu::weak]] zx_status_t minic_terminal_write(zx_handle_t terminal, const char* text, size_t len,
                                               size_t* written);
