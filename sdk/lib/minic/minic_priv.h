// Between the parts of the small C library.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// A lock of user mode. Zero is unlocked.
struct minic_lock {
    zx_futex_t state; // 0 free, 1 held, 2 held and waited for
};
void minic_lock(struct minic_lock* lock);
void minic_unlock(struct minic_lock* lock);

// Where an output stream ends: what the descriptor is (docs/design/system.md, "Descriptors").
typedef enum minic_sink_kind : uint8_t {
    MINIC_SINK_DEBUG, // the debug console
    MINIC_SINK_SOCKET,
    MINIC_SINK_FILE,
    MINIC_SINK_TERMINAL,
    MINIC_SINK_NOTHING,
    MINIC_SINK_FULL,
} minic_sink_kind_t;

struct minic_sink {
    minic_sink_kind_t kind;
    zx_handle_t handle; // the socket, the file's stream, the terminal's connection
    zx_handle_t events; // the terminal's
};
// Takes the handles of the descriptor. Without any it is the debug console.
void minic_sink_find(struct minic_sink* sink, uint16_t fd);
bool minic_sink_write(struct minic_sink* sink, const char* text, size_t len);

// Names the reason on the debug console, and ends the program by an exception.
[[noreturn]] void minic_die(const char* reason);
