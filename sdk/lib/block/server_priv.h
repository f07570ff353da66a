// Sessions, for connections to make them.
#pragma once

#include <block/server.h>

// The part of a device that a connection is about, in blocks.
struct block_range {
    uint64_t first, count;
};

// Serves jacinth.block/Session; the channel is gone whatever the outcome. *fifo is the client's.
zx_status_t block_session_begin(struct block_device* device, struct block_range range,
                                zx_handle_t channel, zx_handle_t* fifo);
void block_session_end(struct block_session* session);
struct block_session* block_session_of(struct list_node* node);
