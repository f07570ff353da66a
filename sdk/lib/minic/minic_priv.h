// Between the parts of the small C library.
#pragma once

#include <zircon/types.h>

// A lock of user mode. Zero is unlocked.
struct minic_lock {
    zx_futex_t state; // 0 free, 1 held, 2 held and waited for
};
void minic_lock(struct minic_lock* lock);
void minic_unlock(struct minic_lock* lock);

// Names the reason on the debug console, and ends the program by an exception.
[[noreturn]] void minic_die(const char* reason);
