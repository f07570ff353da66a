// Calls on a loop that do not wait: the answer comes to a handler.
//
// A client is the user's and lives from async_client_begin until async_client_end or `closed`. A
// call is the user's, too: from async_client_call until its handler runs, which happens exactly
// once unless the call is cancelled or the client ended by its user. Handlers may free the call,
// make others, or end the client.
#pragma once

#include <async/channel.h>
#include <fidl/channel.h>
#include <lib/list.h>

struct async_call {
    // ZX_OK: `response` is the decoded body (null if the method has none), valid until this
    // returns; its handles are the handler's, to keep or to close (fidl_close_handles). IO_INVALID:
    // the answer was malformed. Any other status: why the client was closed.
    void (*handler)(struct async_call* call, zx_status_t status, void* response);
    const struct fidl_method* method;
    uint32_t txid;
    struct list_node node; // in the client's list; unlinked: not under way
};

struct async_client {
    // Messages that nobody asked for; null: they end the client. Handles are the callee's.
    zx_status_t (*event)(struct async_client* client, struct fidl_message* message);
    // After the calls that were under way have ended. May free the client.
    void (*closed)(struct async_client* client, zx_status_t why);
    struct async_channel channel;
    struct list calls;
    uint32_t next_txid;
};

// The channel is the client's from here on; on failure it is closed.
zx_status_t async_client_begin(struct async_loop* loop, struct async_client* client,
                               zx_handle_t channel);
// Forgets the calls that are under way; their handlers do not run.
void async_client_end(struct async_client* client);

// Sends; handles in the request are gone from it whatever the outcome. On failure the handler does
// not run. SHOULD_WAIT: the server does not keep up.
zx_status_t async_client_call(struct async_client* client, struct async_call* call,
                              const struct fidl_method* method, void* request);
// The answer will be dropped.
void async_call_cancel(struct async_call* call);
