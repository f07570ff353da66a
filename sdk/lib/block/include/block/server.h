// The server's side of jacinth.block, for drivers: connections, sessions, registered VMOs, checks,
// fairness and statistics, over a table of operations that a driver supplies. One device on one
// loop; a driver may have several.
//
// A driver sees only requests that are sound (block/check.h), at most `depth` of them at a time,
// taken from the sessions in turn. Each stays the driver's until block_op_done, whatever becomes
// of its client: VMOs of requests that are under way are not detached, and sessions that have ended
// go when their last request has.
//
// Limits: a session has BLOCK_FIFO_DEPTH requests between its fifo and its answers. One that does
// not read its answers stops being read itself, and nobody waits for it.
//
// Everything on the loop's thread; no locks.
#pragma once

#include <stdint.h>

#include <async/loop.h>
#include <block/check.h>
#include <block/request.h>
#include <fidl/jacinth.block.h>
#include <lib/list.h>
#include <zircon/types.h>

struct block_device;
struct block_session;

// A registered VMO.
struct block_vmo {
    zx_handle_t handle;
    struct block_window window;
    bool is_unpinned; // its pages are the client's but while a request uses them
    void* driver;     // the driver's: set in `attach`
    // The library's:
    uint32_t uses; // requests
    bool is_gone;  // from its session's table: it goes with its last request
    struct block_departure* departure;
};

struct block_op {
    struct block_request request;
    struct block_vmo* vmo; // READ, WRITE
    struct list_node node; // the driver's, while it has the request
    uint64_t driver[2];    // the driver's
    // The library's:
    struct block_session* session;
    zx_time_t start;
    zx_status_t status;
    uint32_t blocks;
    bool is_grouped;
};

struct block_driver {
    // Prepares the VMO for requests, unless it is unpinned: it can be read as its rights say. May
    // be null. Any status but ZX_OK refuses it.
    zx_status_t (*attach)(struct block_device* device, struct block_vmo* vmo);
    // No request uses it. May be null.
    void (*detach)(struct block_device* device, struct block_vmo* vmo);
    // Begins the request, and calls block_op_done when it has ended, here or later.
    void (*submit)(struct block_device* device, struct block_op* op);
    // After a number of `submit`. May be null.
    void (*kick)(struct block_device* device);
};

struct block_device {
    // The driver's, before block_device_init:
    struct async_loop* loop;
    const struct block_driver* driver;
    struct jacinth_block_info info;
    uint32_t depth;
    // The library's:
    struct jacinth_block_stats stats;
    struct list connections;
    struct list sessions;
    struct list ready;     // those with requests that wait for the driver
    struct list answering; // those with answers that were not sent
    uint32_t connection_count;
    bool is_pumping;
    union {
        struct block_request requests[BLOCK_FIFO_DEPTH];
        struct block_response responses[BLOCK_FIFO_DEPTH];
    } batch; // on its way through a fifo
};

void block_device_init(struct block_device* device);
// Serves jacinth.block/Block on the channel, which is gone whatever the outcome.
zx_status_t block_device_serve(struct block_device* device, zx_handle_t channel);
// Ends all connections and sessions. The driver has no request.
void block_device_end(struct block_device* device);

void block_op_done(struct block_op* op, zx_status_t status);
// Sends the answers of what has ended, and hands on what waits: after each round of block_op_done
// outside of `submit`.
void block_device_pump(struct block_device* device);
