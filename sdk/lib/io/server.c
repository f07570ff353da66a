#include <stdlib.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "server_priv.h"

void io_node_unref(struct io_server* server, struct io_node* node) {
    if (--node->refs == 0) {
        server->ops->release(server, node);
    }
}

// ---- accounts ----

constexpr uint32_t SHARE_MIN = 64;

static struct io_account* account_ref(struct io_account* account) {
    account->refs++;
    return account;
}

void io_account_unref(struct io_account* account) {
    while (account != nullptr && --account->refs == 0) {
        struct io_account* parent = account->parent;
        free(account);
        account = parent;
    }
}

static struct io_account* account_new(struct io_account* parent, uint32_t max) {
    struct io_account* account = malloc(sizeof(*account));
    if (account != nullptr) {
        *account = (struct io_account){.refs = 1, .max = max, .parent = parent};
        if (parent != nullptr) {
            (void)account_ref(parent);
        }
    }
    return account;
}

// For a clone; with a reference, null: no memory.
static struct io_account* account_share(struct io_account* of) {
    uint32_t share = of->max / 4 * 3;
    return share < SHARE_MIN ? account_ref(of) : account_new(of, share);
}

zx_status_t io_account_charge(struct io_account* account) {
    for (const struct io_account* a = account; a != nullptr; a = a->parent) {
        if (a->used >= a->max) {
            return ZX_ERR_NO_RESOURCES;
        }
    }
    for (struct io_account* a = account; a != nullptr; a = a->parent) {
        a->used++;
    }
    return ZX_OK;
}

void io_account_give_back(struct io_account* account) {
    for (struct io_account* a = account; a != nullptr; a = a->parent) {
        a->used--;
    }
}

// ---- connections ----

static void connection_free(struct io_connection* c) {
    struct io_server* s = c->server;
    for (struct list_node* n = list_first(&s->answers); n != nullptr;
         n = list_next(&s->answers, n)) {
        struct io_answer* answer = container_of(n, struct io_answer, node);
        if (answer->connection == c) {
            answer->connection = nullptr;
        }
    }
    if (c->node->kind == JACINTH_IO_KIND_FILE) {
        s->ops->close_file(c->node, c->flags);
    }
    (void)zx_handle_close(c->token);
    list_remove(&c->link);
    s->connection_count--;
    io_node_unref(s, c->root);
    io_node_unref(s, c->node);
    io_account_give_back(c->account);
    io_account_unref(c->account);
    free(c);
    if (s->connection_count == 0 && s->idle != nullptr) {
        s->idle(s);
    }
}

static void connection_closed(struct async_channel* channel, zx_status_t) {
    connection_free(container_of(channel, struct io_connection, channel));
}

static zx_status_t connection_message(struct async_channel* channel, struct fidl_message* m) {
    struct io_connection* c = container_of(channel, struct io_connection, channel);
    struct fidl_storage storage = async_loop_storage(channel->loop);
    return c->node->kind == JACINTH_IO_KIND_DIRECTORY
               ? jacinth_io_directory_dispatch(&io_directory_ops, c, channel->handle, m, storage)
               : jacinth_io_file_dispatch(&io_file_ops, c, channel->handle, m, storage);
}

zx_status_t io_connection_begin(struct io_server* server, zx_handle_t channel,
                                const struct io_connection* like) {
    zx_status_t status = io_account_charge(like->account);
    if (status != ZX_OK) {
        (void)zx_handle_close(channel);
        return status;
    }
    struct io_connection* c = malloc(sizeof(*c));
    if (c != nullptr) {
        *c = (struct io_connection){.server = server,
                                    .account = like->account,
                                    .node = like->node,
                                    .root = like->root,
                                    .rights = like->rights,
                                    .flags = like->flags};
        c->channel = (struct async_channel){
            .handle = channel, .message = connection_message, .closed = connection_closed};
        status = async_channel_begin(server->loop, &c->channel);
    } else {
        (void)zx_handle_close(channel);
        status = ZX_ERR_NO_MEMORY;
    }
    if (status != ZX_OK) {
        io_account_give_back(like->account);
        free(c);
        return status;
    }
    (void)account_ref(c->account);
    (void)io_node_ref(c->node);
    (void)io_node_ref(c->root);
    list_push_back(&server->connections, &c->link);
    server->connection_count++;
    return ZX_OK;
}

zx_status_t io_connection_open(struct io_server* server, const struct io_connection* like,
                               zx_handle_t* out) {
    zx_handle_t ours;
    zx_status_t status = zx_channel_create(0, out, &ours);
    if (status == ZX_OK) {
        status = io_connection_begin(server, ours, like);
        if (status != ZX_OK) {
            (void)zx_handle_close(*out);
        }
    }
    return status;
}

// ---- what all connections answer ----

zx_status_t io_reply_status(struct fidl_txn* txn, zx_status_t status) {
    uint8_t empty = 0; // the response of all methods that only succeed or fail
    return status == ZX_OK ? fidl_reply_response(txn, &empty)
                           : fidl_reply_error(txn, (uint32_t)status);
}

// Nobody is told of a failure but by the closed channel.
zx_status_t io_handle_clone(void* ctx, struct jacinth_io_node_clone_request* request) {
    struct io_connection* c = ctx;
    bool is_file = c->node->kind == JACINTH_IO_KIND_FILE;
    struct io_connection like = *c;
    like.account = is_file ? account_ref(c->account) : account_share(c->account);
    if (like.account == nullptr) {
        return ZX_OK; // what was not taken is closed
    }
    zx_status_t status = io_connection_begin(c->server, fidl_take(&request->request), &like);
    if (status == ZX_OK && is_file) {
        c->server->ops->clone_file(c->node, c->flags);
    }
    io_account_unref(like.account);
    return ZX_OK;
}

void io_fill_attributes(struct io_server* server, struct io_node* node,
                        struct jacinth_io_attributes* out) {
    *out = (struct jacinth_io_attributes){};
    server->ops->get_attributes(node, out);
    out->kind = node->kind;
}

zx_status_t io_handle_get_attributes(void* ctx, struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct jacinth_io_node_get_attributes_response r;
    io_fill_attributes(c->server, c->node, &r.attributes);
    return fidl_reply_response(txn, &r);
}

zx_status_t io_apply_changes(struct io_connection* c, struct io_node* node,
                             struct jacinth_io_attribute_changes* changes) {
    const uint32_t* mode = jacinth_io_attribute_changes_get_mode(changes);
    const zx_time_t* access_time = jacinth_io_attribute_changes_get_access_time(changes);
    const zx_time_t* modification_time =
        jacinth_io_attribute_changes_get_modification_time(changes);
    struct io_node_changes n = {.has_mode = mode != nullptr,
                                .has_access_time = access_time != nullptr,
                                .has_modification_time = modification_time != nullptr,
                                .mode = mode != nullptr ? *mode & 07777 : 0,
                                .access_time = access_time != nullptr ? *access_time : 0,
                                .modification_time =
                                    modification_time != nullptr ? *modification_time : 0};
    if ((c->rights & JACINTH_IO_FLAGS_WRITE) == 0) {
        return ZX_ERR_ACCESS_DENIED;
    }
    return c->server->ops->set_attributes(node, &n);
}

zx_status_t io_handle_set_attributes(void* ctx, struct jacinth_io_node_set_attributes_request* r,
                                     struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    return io_reply_status(txn, io_apply_changes(c, c->node, &r->changes));
}

zx_status_t io_handle_sync(void* ctx, struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    return io_reply_status(txn, c->server->ops->sync(c->node));
}

// ---- answers that come later ----

void io_answer_keep(struct io_connection* connection, const struct fidl_txn* txn,
                    struct io_answer* answer) {
    *answer = (struct io_answer){.connection = connection, .txn = *txn};
    list_push_back(&connection->server->answers, &answer->node);
}

void io_answer_send(struct io_answer* answer, zx_status_t status,
                    struct jacinth_io_opened* opened) {
    struct io_connection* c = answer->connection;
    list_remove(&answer->node);
    if (c != nullptr) {
        answer->txn.storage = async_loop_storage(c->server->loop);
        zx_status_t sent = status == ZX_OK ? fidl_reply_response(&answer->txn, opened)
                                           : fidl_reply_error(&answer->txn, (uint32_t)status);
        if (sent != ZX_OK) {
            async_channel_end(&c->channel);
            connection_free(c);
        }
    }
    if (opened != nullptr && (c == nullptr || status != ZX_OK)) {
        fidl_close_handles(&jacinth_io_opened_type, opened);
    }
}

// ---- the server ----

void io_server_init(struct io_server* server) {
    server->connection_count = server->watcher_count = 0;
    server->account = nullptr;
    list_init(&server->connections);
    list_init(&server->watchers);
    list_init(&server->answers);
}

void io_server_end(struct io_server* server) {
    for (struct list_node* n; (n = list_first(&server->connections)) != nullptr;) {
        struct io_connection* c = container_of(n, struct io_connection, link);
        async_channel_end(&c->channel);
        connection_free(c);
    }
    io_watchers_end(server);
    io_account_unref(server->account);
    server->account = nullptr;
}

zx_status_t io_server_serve(struct io_server* server, zx_handle_t channel, struct io_node* node,
                            jacinth_io_flags_t rights) {
    if (server->account == nullptr) {
        server->account = account_new(nullptr, server->connections_max);
    }
    struct io_connection like = {.account = server->account,
                                 .node = node,
                                 .root = node,
                                 .rights = rights & IO_RIGHTS,
                                 .flags = rights & IO_RIGHTS};
    if (like.account == nullptr) {
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_MEMORY;
    }
    return io_connection_begin(server, channel, &like);
}

// ---- for file systems without some of it ----

zx_status_t io_no_set_attributes(struct io_node*, const struct io_node_changes*) {
    return ZX_ERR_ACCESS_DENIED;
}
zx_status_t io_no_sync(struct io_node*) {
    return ZX_OK;
}
zx_status_t io_no_open_file(struct io_node*, jacinth_io_flags_t, zx_handle_t*) {
    return ZX_ERR_NOT_SUPPORTED;
}
void io_no_use_of_file(struct io_node*, jacinth_io_flags_t) {}
zx_status_t io_no_resize(struct io_node*, uint64_t) {
    return ZX_ERR_ACCESS_DENIED;
}
zx_status_t io_no_get_vmo(struct io_node*, jacinth_io_flags_t, zx_handle_t*, uint64_t*) {
    return ZX_ERR_NOT_SUPPORTED;
}
zx_status_t io_no_read_at(struct io_node*, uint64_t, uint32_t, const uint8_t**, uint32_t*) {
    return ZX_ERR_NOT_SUPPORTED;
}
zx_status_t io_no_create(struct io_node*, struct io_name, jacinth_io_kind_t, uint32_t,
                         struct io_name, struct io_node**) {
    return ZX_ERR_ACCESS_DENIED;
}
zx_status_t io_no_unlink(struct io_node*, struct io_name, struct io_node*) {
    return ZX_ERR_ACCESS_DENIED;
}
zx_status_t io_no_rename(struct io_node*, struct io_name, struct io_node*, struct io_node*,
                         struct io_name, struct io_node*) {
    return ZX_ERR_ACCESS_DENIED;
}
zx_status_t io_no_link(struct io_node*, struct io_name, struct io_node*) {
    return ZX_ERR_ACCESS_DENIED;
}
struct io_name io_no_read_link(struct io_node*) {
    return (struct io_name){};
}
zx_status_t io_no_open_other(struct io_node*, jacinth_io_flags_t, struct io_connection*,
                             struct fidl_txn*, struct jacinth_io_opened*) {
    return ZX_ERR_NOT_SUPPORTED;
}
void io_no_connect(struct io_node*, zx_handle_t request) {
    (void)zx_handle_close(request);
}
