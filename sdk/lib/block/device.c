// Connections to a device. See <block/server.h>.
#include <stdlib.h>

#include <async/channel.h>
#include <lib/compiler.h>
#include <zircon/syscalls.h>

#include "server_priv.h"

constexpr uint32_t CONNECTIONS_MAX = 64;

struct connection {
    struct async_channel channel;
    struct list_node node;
    struct block_device* device;
    struct block_range range;
};

static zx_status_t serve(struct block_device* d, struct block_range range, zx_handle_t channel);

static zx_status_t get_info(void* ctx, struct fidl_txn* txn) {
    const struct connection* c = ctx;
    struct jacinth_block_block_get_info_response response = {.info = c->device->info};
    response.info.block_count = c->range.count;
    return jacinth_block_block_get_info_reply(txn, &response);
}

static zx_status_t get_stats(void* ctx, struct fidl_txn* txn) {
    const struct connection* c = ctx;
    struct jacinth_block_block_get_stats_response response = {.stats = c->device->stats};
    return jacinth_block_block_get_stats_reply(txn, &response);
}

static zx_status_t open_session(void* ctx, struct jacinth_block_block_open_session_request* request,
                                struct fidl_txn* txn) {
    const struct connection* c = ctx;
    struct jacinth_block_block_open_session_response response = {};
    zx_status_t status =
        block_session_begin(c->device, c->range, fidl_take(&request->session), &response.fifo);
    return status == ZX_OK ? jacinth_block_block_open_session_reply(txn, &response)
                           : jacinth_block_block_open_session_reply_error(txn, status);
}

static zx_status_t open_range(void* ctx, struct jacinth_block_block_open_range_request* request,
                              struct fidl_txn* txn) {
    const struct connection* c = ctx;
    if (request->first > c->range.count || request->count > c->range.count - request->first) {
        return jacinth_block_block_open_range_reply_error(txn, ZX_ERR_OUT_OF_RANGE);
    }
    const struct block_range range = {c->range.first + request->first, request->count};
    const zx_status_t status = serve(c->device, range, fidl_take(&request->block));
    return status == ZX_OK ? jacinth_block_block_open_range_reply(txn)
                           : jacinth_block_block_open_range_reply_error(txn, status);
}

static const struct jacinth_block_block_ops ops = {.get_info = get_info,
                                                   .get_stats = get_stats,
                                                   .open_session = open_session,
                                                   .open_range = open_range};

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    struct connection* c = container_of(channel, struct connection, channel);
    return jacinth_block_block_dispatch(&ops, c, channel->handle, message,
                                        async_loop_storage(channel->loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    struct connection* c = container_of(channel, struct connection, channel);
    list_remove(&c->node);
    c->device->connection_count--;
    free(c);
}

void block_device_init(struct block_device* d) {
    d->stats = (struct jacinth_block_stats){};
    list_init(&d->connections);
    list_init(&d->sessions);
    list_init(&d->ready);
    list_init(&d->answering);
    d->connection_count = 0;
    d->is_pumping = false;
}

static zx_status_t serve(struct block_device* d, struct block_range range, zx_handle_t channel) {
    struct connection* c = d->connection_count < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : nullptr;
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_RESOURCES;
    }
    *c = (struct connection){
        .channel = {.handle = channel, .message = on_message, .closed = on_closed},
        .device = d,
        .range = range};
    zx_status_t status = async_channel_begin(d->loop, &c->channel);
    if (status != ZX_OK) {
        free(c);
        return status;
    }
    list_push_back(&d->connections, &c->node);
    d->connection_count++;
    return ZX_OK;
}

zx_status_t block_device_serve(struct block_device* d, zx_handle_t channel) {
    return serve(d, (struct block_range){0, d->info.block_count}, channel);
}

void block_device_end(struct block_device* d) {
    for (struct list_node* n; (n = list_first(&d->connections)) != nullptr;) {
        struct connection* c = container_of(n, struct connection, node);
        async_channel_end(&c->channel);
        on_closed(&c->channel, ZX_OK);
    }
    for (struct list_node* n; (n = list_first(&d->sessions)) != nullptr;) {
        block_session_end(block_session_of(n));
    }
}
