// The clients of a server that has room for so many. Who comes when it is full takes the place of
// the one who has been silent for longest: so nobody is refused because of another, and one who
// opens connections without end ends his own, and those that nobody uses.
//
// For protocols that remember little between requests: a client whose channel closes connects anew.
#pragma once

#include <async/channel.h>
#include <lib/list.h>

struct async_guests {
    uint32_t max;
    // The library's:
    uint32_t count;
    struct list order; // the silent ones first
};

// The user's structure contains it. `channel` is filled in as for async_channel_begin; its
// `message` calls async_guest_spoke, its `closed` async_guest_gone.
struct async_guest {
    struct async_channel channel;
    struct list_node node;
};

void async_guests_init(struct async_guests* guests, uint32_t max);
// On failure the handle is closed and `closed` is not called. Whoever makes room is told by his
// `closed` (NO_RESOURCES), before this returns.
zx_status_t async_guest_begin(struct async_loop* loop, struct async_guests* guests,
                              struct async_guest* guest);
void async_guest_spoke(struct async_guests* guests, struct async_guest* guest);
void async_guest_gone(struct async_guests* guests, struct async_guest* guest);
