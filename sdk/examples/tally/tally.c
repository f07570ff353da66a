// A service: a sum that all clients share. See docs/writing-a-service.md.
#include <stdckdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <async/channel.h>
#include <async/loop.h>
#include <fidl/example.tally.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <zircon/syscalls.h>

constexpr uint32_t CLIENTS_MAX = 100;

static struct {
    struct async_loop loop;
    struct list clients;
    uint32_t client_count;
    int64_t sum;
} tally; // the loop's thread alone

struct client {
    struct async_channel channel;
    struct list_node node;
    bool follows;
};

static void client_free(struct client* c) {
    list_remove(&c->node);
    tally.client_count--;
    free(c);
}

// ---- what clients ask for ----

// A client that does not keep up is not waited for: it is told by its closed channel.
static void tell(struct client* c) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct example_tally_tally_on_sum_event event = {.sum = tally.sum};
    if (example_tally_tally_on_sum_send(c->channel.handle, storage, &event) != ZX_OK) {
        async_channel_end(&c->channel);
        client_free(c);
    }
}

static zx_status_t add(void*, struct example_tally_tally_add_request* request,
                       struct fidl_txn* txn) {
    int64_t sum;
    if (ckd_add(&sum, tally.sum, request->number)) {
        return example_tally_tally_add_reply_error(txn, ZX_ERR_OUT_OF_RANGE);
    }
    tally.sum = sum;
    struct example_tally_tally_add_response response = {.sum = sum};
    zx_status_t status = example_tally_tally_add_reply(txn, &response);
    for (struct list_node* n = list_first(&tally.clients); n != nullptr;) {
        struct client* c = container_of(n, struct client, node);
        n = list_next(&tally.clients, n); // `tell` may free this one
        if (c->follows) {
            tell(c);
        }
    }
    return status;
}

static zx_status_t follow(void* ctx, struct fidl_txn* txn) {
    struct client* c = ctx;
    c->follows = true;
    return example_tally_tally_follow_reply(txn);
}

static const struct example_tally_tally_ops ops = {.add = add, .follow = follow};

// ---- connections ----

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    struct client* c = container_of(channel, struct client, channel);
    return example_tally_tally_dispatch(&ops, c, channel->handle, message,
                                        async_loop_storage(&tally.loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    client_free(container_of(channel, struct client, channel));
}

static void connect(void*, zx_handle_t request) {
    struct client* c = tally.client_count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : nullptr;
    if (c == nullptr) {
        (void)zx_handle_close(request);
        return;
    }
    c->channel =
        (struct async_channel){.handle = request, .message = on_message, .closed = on_closed};
    if (async_channel_begin(&tally.loop, &c->channel) != ZX_OK) {
        free(c);
        return;
    }
    list_push_back(&tally.clients, &c->node);
    tally.client_count++;
}

// ---- the program ----

static void abandoned(void*) {
    async_loop_quit(&tally.loop);
}

int main(int, char**) {
    static struct io_offer offer[] = {{.name = "example.tally.Tally", .connect = connect}};
    static struct io_offers offers = {
        .loop = &tally.loop, .offers = offer, .count = 1, .abandoned = abandoned};
    list_init(&tally.clients);
    zx_handle_t request = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    if (async_loop_init(&tally.loop) != ZX_OK || io_offers_begin(&offers, request) != ZX_OK ||
        async_loop_run(&tally.loop) != ZX_OK) {
        fprintf(stderr, "tally: cannot serve\n");
        return EXIT_FAILURE;
    }
    printf("tally: the sum was %lld\n", (long long)tally.sum);
    return EXIT_SUCCESS;
}
