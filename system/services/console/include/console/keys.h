// From the codes of a PS/2 keyboard (scan code set 1, as the controller translates them) to the
// bytes that a terminal sends. The layout is that of the United States; cursor and function keys
// send what xterm's do. Pure; no locks: one thread.
#pragma once

#include <stdint.h>

typedef enum keys_action : uint8_t {
    KEYS_NONE,
    KEYS_BYTES,
    KEYS_SCROLL_UP, // shift and page up: the view, not the program
    KEYS_SCROLL_DOWN,
} keys_action_t;

struct keys {
    bool shift_left, shift_right, control_left, control_right, alt, caps_lock;
    bool extended;   // after 0xe0
    uint8_t skipped; // codes of the pause key that still come
};

constexpr uint32_t KEYS_BYTES_MAX = 8;

// One code. BYTES: *count of them are in `bytes`.
keys_action_t keys_take(struct keys* k, uint8_t code, uint8_t bytes[KEYS_BYTES_MAX],
                        uint32_t* count);
