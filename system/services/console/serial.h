// The serial line, as the kernel's debug console gives it. The kernel puts CR before each LF by
// itself, so CR LF goes to it as LF.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <async/loop.h>
#include <zircon/types.h>

struct serial {
    struct async_loop* loop;
    zx_handle_t debug; // the resource
    void (*typed)(void* ctx, const uint8_t* bytes, size_t count);
    void* ctx;

    struct async_receiver receiver;
    uint32_t in_port; // packets that the loop has not taken yet; atomic
    bool reading;     // the thread has been started
    alignas(16) uint8_t stack[8192];
};

void serial_write(const uint8_t* bytes, size_t count);
// Starts reading, if it has not begun: a thread of its own waits for input and posts it to the
// loop. Not before somebody wants it: others may read the debug console, and who reads takes it
// away from them.
void serial_start_reading(struct serial* s);
