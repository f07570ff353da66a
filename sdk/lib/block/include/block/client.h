// The client's side of jacinth.block: calls of any length on a device, waited for or delivered on
// a loop.
//
//     struct block_client c;
//     block_client_open(&c, channel);          // to jacinth.block/Block; the client's from here on
//     block_client_attach(&c, vmo, &id);
//     block_run(&c, BLOCK_READ, id, 0, sector, 8);
//
// Calls are cut into requests as long as the device takes, and as many requests are under way as
// the fifo holds. They may be carried out in any order: who needs one call before another waits
// for its end. FLUSH is about writes and discards that ended before it was started.
//
// A server that dies ends all calls with PEER_CLOSED, and so it ends later ones: the client is
// closed then, and may be opened anew. Attached VMOs are to be attached anew.
//
// One thread at a time; no locks. Structures are the caller's.
#pragma once

#include <stdint.h>

#include <async/loop.h>
#include <block/request.h>
#include <fidl/jacinth.block.h>
#include <lib/list.h>
#include <zircon/types.h>

// From block_start until it ends, which is said exactly once unless the client is closed before:
// to `handler`, or, if that is null, to block_wait.
struct block_call {
    uint8_t opcode;
    uint16_t vmoid;
    uint64_t vmo_offset; // blocks, as the next two
    uint64_t device_offset;
    uint64_t length;
    // The call is no longer known: it may be started again, or freed.
    void (*handler)(struct block_call* call, zx_status_t status);
    // The library's:
    zx_status_t status;
    uint64_t sent;
    uint32_t under_way; // requests
    bool is_done;
    struct list_node node;
};

struct block_client {
    struct jacinth_block_info info;
    // The library's:
    zx_handle_t device, session, fifo;
    zx_status_t broken; // OK: it works
    struct async_loop* loop;
    struct async_wait wait;
    struct async_task task;
    struct list waiting; // calls that are not sent to their end
    struct list done;    // whose handlers have not run
    bool* closed;        // set if a handler closes the client
    uint32_t free_count;
    uint8_t free[BLOCK_FIFO_DEPTH]; // ids of requests
    struct block_call* calls[BLOCK_FIFO_DEPTH];
    union {
        struct block_request requests[BLOCK_FIFO_DEPTH];
        struct block_response responses[BLOCK_FIFO_DEPTH];
    } batch;
};

// Asks for a session; waits. On failure nothing is left, and the channel is closed.
zx_status_t block_client_open(struct block_client* client, zx_handle_t device);
// Calls that are under way are forgotten. (The device may still work on them: what VMOs of such
// calls hold is not known until they are detached, or the session's end has come through.)
void block_client_close(struct block_client* client);

// The handle stays the caller's. Without options its pages are pinned until it is detached.
zx_status_t block_client_attach(struct block_client* client, zx_handle_t vmo, uint16_t* id);
zx_status_t block_client_attach_as(struct block_client* client, zx_handle_t vmo,
                                   jacinth_block_vmo_options_t options, uint16_t* id);
// Waits for calls that use it; no thread but the server's has anything to do for that.
zx_status_t block_client_detach(struct block_client* client, uint16_t id);

// Handlers run on this loop, from now on until block_client_close.
zx_status_t block_client_watch(struct block_client* client, struct async_loop* loop);

// Takes the call; it goes out with the next block_kick, block_wait or answer.
void block_start(struct block_client* client, struct block_call* call);
void block_kick(struct block_client* client);
// Until this call, which has no handler, has ended. Handlers do not run here.
zx_status_t block_wait(struct block_client* client, struct block_call* call);
// A call from its start to its end.
zx_status_t block_run(struct block_client* client, block_opcode_t opcode, uint16_t vmoid,
                      uint64_t vmo_offset, uint64_t device_offset, uint64_t length);
