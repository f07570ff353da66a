// What a service offers: a flat directory whose entries are reached by Connect. It is served on
// PA_DIRECTORY_REQUEST, to whoever started the service (docs/design/system.md).
#pragma once

#include <io/server.h>

struct io_offer {
    const char* name;
    // The channel is the callee's.
    void (*connect)(void* ctx, zx_handle_t request);
    void* ctx;           // null: what io_offers says
    struct io_node node; // the library's
};

struct io_offers {
    struct async_loop* loop;
    struct io_offer* offers;
    uint32_t count;
    void* ctx;
    // May be null: whoever started the service is gone (his connections are closed).
    void (*abandoned)(void* ctx);
    // The library's:
    struct io_node root;
    struct io_server server;
};

// `channel` is gone whatever the outcome. The structure is large and stays until the end.
zx_status_t io_offers_begin(struct io_offers* offers, zx_handle_t channel);
