// Job control of a terminal: which group is in front, and what Ctrl-C does to it
// (docs/design/system.md, "Signals").
//
// The terminal only knows its leader, the process that called SetController last; that one keeps in
// mind which of its groups is in front. So each program that asks finds itself in front until it
// says otherwise.
#pragma once

#include <fidl/jacinth.io.h>
#include <zircon/types.h>

constexpr zx_signals_t foreground_events = JACINTH_IO_EVENT_INTERRUPT | JACINTH_IO_EVENT_QUIT |
                                           JACINTH_IO_EVENT_SUSPEND | JACINTH_IO_EVENT_RESIZED |
                                           ZX_EVENTPAIR_PEER_CLOSED;

// Weak: in a program that starts no others nobody sets a controller.
// Passes on what the terminal has told. False: it has another leader now.
[[gnu::weak]] bool foreground_hear(zx_handle_t controller);
