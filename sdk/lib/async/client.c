#include <async/client.h>

#include <lib/compiler.h>

static struct async_call* find_call(struct async_client* client, uint32_t txid) {
    for (struct list_node* n = list_first(&client->calls); n != nullptr;
         n = list_next(&client->calls, n)) {
        struct async_call* call = container_of(n, struct async_call, node);
        if (call->txid == txid) {
            return call;
        }
    }
    return nullptr;
}

void async_call_cancel(struct async_call* call) {
    if (list_linked(&call->node)) {
        list_remove(&call->node);
    }
}

static zx_status_t client_message(struct async_channel* channel, struct fidl_message* message) {
    struct async_client* client = container_of(channel, struct async_client, channel);
    struct fidl_header header;
    if (fidl_message_header(message, &header) != FIDL_OK) {
        fidl_message_discard(message);
        return ZX_ERR_IO_INVALID;
    }
    if (header.txid == 0 && client->event != nullptr) {
        return client->event(client, message);
    }
    struct async_call* call = find_call(client, header.txid);
    if (call == nullptr) {
        // Of a call that was cancelled, or nonsense that claims to be one.
        fidl_message_discard(message);
        return header.txid != 0 ? ZX_OK : ZX_ERR_IO_INVALID;
    }
    async_call_cancel(call);
    fidl_error_t error =
        fidl_decode_message(message, call->method->ordinal, call->method->response);
    call->handler(call, error == FIDL_OK ? ZX_OK : ZX_ERR_IO_INVALID, message->body);
    return ZX_OK;
}

static void client_closed(struct async_channel* channel, zx_status_t why) {
    struct async_client* client = container_of(channel, struct async_client, channel);
    // Those that are under way now: a handler may try further calls, which fail at once.
    for (struct list_node* n; (n = list_first(&client->calls)) != nullptr;) {
        struct async_call* call = container_of(n, struct async_call, node);
        async_call_cancel(call);
        call->handler(call, why, nullptr);
    }
    client->closed(client, why);
}

zx_status_t async_client_begin(struct async_loop* loop, struct async_client* client,
                               zx_handle_t channel) {
    list_init(&client->calls);
    client->next_txid = 0;
    client->channel = (struct async_channel){
        .handle = channel, .message = client_message, .closed = client_closed};
    return async_channel_begin(loop, &client->channel);
}

void async_client_end(struct async_client* client) {
    async_channel_end(&client->channel);
    for (struct list_node* n; (n = list_first(&client->calls)) != nullptr;) {
        list_remove(n);
    }
}

// Below 0x80000000: those above are the kernel's, for zx_channel_call on the same channel.
static uint32_t new_txid(struct async_client* client) {
    do {
        client->next_txid = (client->next_txid + 1) & 0x7fffffff;
    } while (client->next_txid == 0 || find_call(client, client->next_txid) != nullptr);
    return client->next_txid;
}

zx_status_t async_client_call(struct async_client* client, struct async_call* call,
                              const struct fidl_method* method, void* request) {
    call->method = method;
    call->txid = new_txid(client);
    call->node = (struct list_node){};
    zx_status_t status = fidl_request(client->channel.handle, call->txid, method,
                                      async_loop_storage(client->channel.loop), request);
    if (status == ZX_OK) {
        list_push_back(&client->calls, &call->node);
    }
    return status;
}
