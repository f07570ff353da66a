#include <async/channel.h>

#include <stdlib.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

// Shared by all channels of a loop: one message at a time is looked at, one answer made.
struct async_buffers {
    alignas(8) uint8_t in[ZX_CHANNEL_MAX_MSG_BYTES];
    alignas(8) uint8_t out[ZX_CHANNEL_MAX_MSG_BYTES];
    zx_handle_info_t handles[ZX_CHANNEL_MAX_MSG_HANDLES];
};

struct fidl_storage async_loop_storage(struct async_loop* loop) {
    return (struct fidl_storage){loop->buffers->out, sizeof(loop->buffers->out)};
}

void async_channel_end(struct async_channel* c) {
    async_wait_cancel(&c->wait);
    (void)zx_handle_close(c->handle);
    c->handle = ZX_HANDLE_INVALID;
    if (c->ended != nullptr) {
        *c->ended = true;
        c->ended = nullptr;
    }
}

static void fail(struct async_channel* c, zx_status_t why) {
    async_channel_end(c);
    c->closed(c, why);
}

static zx_status_t take_message(struct async_channel* c, struct async_buffers* buffers) {
    struct fidl_message m = {.bytes = buffers->in, .handles = buffers->handles};
    uint32_t len = 0;
    zx_status_t status =
        zx_channel_read_etc(c->handle, 0, buffers->in, buffers->handles, sizeof(buffers->in),
                            ZX_CHANNEL_MAX_MSG_HANDLES, &len, &m.handle_count);
    m.len = len;
    if (status == ZX_OK) {
        return c->message(c, &m);
    }
    return status == ZX_ERR_SHOULD_WAIT ? ZX_OK : status; // somebody else has read it
}

static void channel_ready(struct async_wait* wait, const zx_packet_signal_t*);

static zx_status_t watch(struct async_loop* loop, struct async_channel* c) {
    c->wait.object = c->handle;
    c->wait.trigger = ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED;
    c->wait.handler = channel_ready;
    return async_wait_begin(loop, &c->wait);
}

static void channel_ready(struct async_wait* wait, const zx_packet_signal_t*) {
    struct async_channel* c = container_of(wait, struct async_channel, wait);
    struct async_loop* loop = c->loop;
    bool ended = false;
    c->ended = &ended;
    zx_status_t status = take_message(c, loop->buffers);
    if (ended) {
        return;
    }
    c->ended = nullptr;
    if (status == ZX_OK) {
        status = watch(loop, c);
    }
    if (status != ZX_OK) {
        fail(c, status);
    }
}

zx_status_t async_channel_begin(struct async_loop* loop, struct async_channel* c) {
    if (loop->buffers == nullptr) {
        loop->buffers = malloc(sizeof(*loop->buffers));
    }
    c->loop = loop;
    c->ended = nullptr;
    zx_status_t status = loop->buffers != nullptr ? watch(loop, c) : ZX_ERR_NO_MEMORY;
    if (status != ZX_OK) {
        (void)zx_handle_close(c->handle);
        c->handle = ZX_HANDLE_INVALID;
    }
    return status;
}
