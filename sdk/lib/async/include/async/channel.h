// A channel on a loop: its messages one after the other, and its end.
//
// The structure is the user's and lives from async_channel_begin until async_channel_end or
// `closed`, whichever comes first; in both the handle is closed, and after either the structure may
// be freed, also within `message`. Each turn takes one message, so that a client that never pauses
// stands in line behind the others.
#pragma once

#include <stdint.h>

#include <async/loop.h>
#include <fidl/channel.h>
#include <fidl/message.h>
#include <zircon/types.h>

struct async_channel {
    zx_handle_t handle; // the channel's own from begin on
    // Bytes and handles are the callee's to use up; the bytes are valid until it returns. Any
    // status but ZX_OK ends the channel.
    zx_status_t (*message)(struct async_channel* channel, struct fidl_message* message);
    // PEER_CLOSED, the status of `message`, or why the channel failed.
    void (*closed)(struct async_channel* channel, zx_status_t why);
    struct async_loop* loop;
    struct async_wait wait;
    bool* ended; // set by the end of the channel while `message` runs
};

// On failure the handle is closed and `closed` is not called.
zx_status_t async_channel_begin(struct async_loop* loop, struct async_channel* channel);
void async_channel_end(struct async_channel* channel);

// For an answer, while it is made: ZX_CHANNEL_MAX_MSG_BYTES. One for the whole loop; needs a
// channel that has begun.
struct fidl_storage async_loop_storage(struct async_loop* loop);
