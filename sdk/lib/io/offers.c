#include <io/offers.h>

#include <string.h>

#include <lib/compiler.h>

constexpr uint32_t CONNECTIONS_MAX = 64; // those of the one who started us

static struct io_offers* offers_of(struct io_server* server) {
    return container_of(server, struct io_offers, server);
}

static struct io_offers* offers_of_root(struct io_node* root) {
    return container_of(root, struct io_offers, root);
}

static void op_release(struct io_server*, struct io_node*) {
    // Nodes are members: the offers' own references never go.
}

static void op_get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    out->mode = node->kind == JACINTH_IO_KIND_DIRECTORY ? 0555 : 0666;
    out->link_count = 1;
}

static zx_status_t op_lookup(struct io_node* directory, struct io_name name, struct io_node** out) {
    struct io_offers* o = offers_of_root(directory);
    for (uint32_t i = 0; i < o->count; i++) {
        const char* offered = o->offers[i].name;
        if (strlen(offered) == name.len && memcmp(offered, name.text, name.len) == 0) {
            *out = io_node_ref(&o->offers[i].node);
            return ZX_OK;
        }
    }
    return ZX_ERR_NOT_FOUND;
}

static struct io_node* op_parent(struct io_node*) {
    return nullptr;
}

static zx_status_t op_read_entries(struct io_node* directory, uint64_t cookie,
                                   struct io_listing* listing) {
    struct io_offers* o = offers_of_root(directory);
    for (uint64_t i = cookie; i < o->count; i++) {
        struct io_name name = {o->offers[i].name, strlen(o->offers[i].name)};
        if (!io_listing_add(listing, i + 1, JACINTH_IO_KIND_SERVICE, name, i + 1)) {
            break;
        }
    }
    return ZX_OK;
}

static void op_query_usage(struct io_node* directory, struct jacinth_io_usage* out) {
    static uint8_t name[] = "services";
    out->total_nodes = out->used_nodes = offers_of_root(directory)->count;
    out->max_name = IO_SERVER_NAME_MAX;
    out->read_only = true;
    out->name = (struct fidl_vector_of_uint8){sizeof(name) - 1, name};
}

static void op_connect(struct io_node* service, zx_handle_t request) {
    struct io_offer* offer = container_of(service, struct io_offer, node);
    offer->connect(offer->ctx, request);
}

static void on_idle(struct io_server* server) {
    struct io_offers* o = offers_of(server);
    if (o->abandoned != nullptr) {
        o->abandoned(o->ctx);
    }
}

zx_status_t io_offers_begin(struct io_offers* offers, zx_handle_t channel) {
    static const struct io_ops ops = {
        IO_OPS_NO_FILES,
        .release = op_release,
        .get_attributes = op_get_attributes,
        .lookup = op_lookup,
        .parent = op_parent,
        .read_entries = op_read_entries,
        .query_usage = op_query_usage,
        .open_other = io_no_open_other,
        .connect = op_connect,
    };
    for (uint32_t i = 0; i < offers->count; i++) {
        io_node_init(&offers->offers[i].node, JACINTH_IO_KIND_SERVICE);
        if (offers->offers[i].ctx == nullptr) {
            offers->offers[i].ctx = offers->ctx;
        }
    }
    io_node_init(&offers->root, JACINTH_IO_KIND_DIRECTORY);
    offers->server = (struct io_server){
        .loop = offers->loop, .ops = &ops, .connections_max = CONNECTIONS_MAX, .idle = on_idle};
    io_server_init(&offers->server);
    return io_server_serve(&offers->server, channel, &offers->root,
                           JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE);
}
