// A terminal: a line discipline, what stands behind it (the serial line, a screen), and everybody
// who has opened it.
//
// An open is an eventpair that says whether Read and Write would do something, and one or more
// connections (each clone is one). Requests never wait: who finds nothing is told so and watches
// the events. The controller's own open, with whoever it was handed on to, may set another one, and
// others may not while it is there. So a client that does not read, or never comes back, is in
// nobody's way; whoever does not take his answers loses his connection.
//
// Everything runs on one loop (async/loop.h).
#pragma once

#include <async/channel.h>
#include <async/loop.h>
#include <console/line.h>
#include <fidl/jacinth.io.h>
#include <lib/list.h>
#include <zircon/types.h>

constexpr uint32_t TERMINAL_CONNECTIONS_MAX = 1024;

struct open;

struct terminal {
    struct async_loop* loop;
    // Shows text: all of it, now.
    void (*show)(void* ctx, const uint8_t* bytes, size_t count);
    // Somebody wants to read: from now on input is needed.
    void (*want_input)(void* ctx);
    void* ctx;

    struct line line;
    struct list opens;
    uint32_t connection_count;
    struct async_task timer; // of VTIME
    zx_handle_t controller;  // or ZX_HANDLE_INVALID
    struct async_wait controller_wait;
    const struct open* controller_open; // by which it came; null: that has been closed
    struct jacinth_io_window_size size;
    uint8_t pending[1024]; // output on its way to show()
    size_t pending_count;
};

// `loop`, `show`, `want_input`, `ctx` and `size` are set.
void terminal_init(struct terminal* t);
// What was typed.
void terminal_type(struct terminal* t, const uint8_t* bytes, size_t count);
// The screen has another size.
void terminal_resize(struct terminal* t, const struct jacinth_io_window_size* size);

// An open with these rights (READ, WRITE). On success the handles are the caller's; `events` may be
// null for a connection without them.
zx_status_t terminal_open(struct terminal* t, jacinth_io_flags_t flags, zx_handle_t* connection,
                          zx_handle_t* events);
// The same over a channel that is there already; it is gone whatever the outcome.
zx_status_t terminal_serve(struct terminal* t, jacinth_io_flags_t flags, zx_handle_t channel);
