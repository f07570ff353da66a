// Requests on directories. Each walks, looks at kinds and rights, then lets the file system act:
// after the operation nothing can fail but the answer.
#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "server_priv.h"

static bool has(jacinth_io_flags_t flags, jacinth_io_flags_t flag) {
    return (flags & flag) != 0;
}

static bool is_directory(const struct io_node* node) {
    return node->kind == JACINTH_IO_KIND_DIRECTORY;
}

// ---- open ----

// Taken from the encoder's point of view: where the link goes on.
static struct fidl_vector_of_uint8 rest_of(struct io_name rest) {
    return (struct fidl_vector_of_uint8){rest.len, (uint8_t*)rest.text};
}

static zx_status_t open_file(struct io_connection* c, struct io_node* node,
                             jacinth_io_flags_t flags, struct jacinth_io_opened* out) {
    const struct io_ops* ops = c->server->ops;
    jacinth_io_flags_t kept = flags & (IO_RIGHTS | JACINTH_IO_FLAGS_APPEND);
    if ((flags & IO_RIGHTS & ~c->rights) != 0) {
        return ZX_ERR_ACCESS_DENIED;
    }
    zx_status_t status =
        ops->open_file(node, kept | (flags & JACINTH_IO_FLAGS_TRUNCATE), &out->stream);
    if (status != ZX_OK) {
        return status;
    }
    struct io_connection like = {
        .account = c->account, .node = node, .root = c->root, .rights = c->rights, .flags = kept};
    status = io_connection_open(c->server, &like, &out->connection);
    if (status != ZX_OK) {
        ops->close_file(node, kept);
        (void)zx_handle_close(fidl_take(&out->stream));
    }
    return status;
}

static zx_status_t open_directory(struct io_connection* c, struct io_node* node,
                                  jacinth_io_flags_t flags, struct jacinth_io_opened* out) {
    bool makes = has(flags, JACINTH_IO_FLAGS_CREATE) && !has(flags, JACINTH_IO_FLAGS_DIRECTORY);
    if (makes || has(flags, JACINTH_IO_FLAGS_WRITE | JACINTH_IO_FLAGS_TRUNCATE)) {
        return ZX_ERR_NOT_FILE;
    }
    struct io_connection like = {
        .account = c->account, .node = node, .root = c->root, .rights = c->rights};
    return io_connection_open(c->server, &like, &out->connection);
}

static zx_status_t open_node(struct io_connection* c, struct io_node* node,
                             jacinth_io_flags_t flags, struct fidl_txn* txn,
                             struct jacinth_io_opened* out) {
    out->kind = node->kind;
    if (has(flags, JACINTH_IO_FLAGS_DIRECTORY) && !is_directory(node)) {
        return ZX_ERR_NOT_DIR;
    }
    switch (node->kind) {
    case JACINTH_IO_KIND_FILE:
        return open_file(c, node, flags, out);
    case JACINTH_IO_KIND_DIRECTORY:
        return open_directory(c, node, flags, out);
    case JACINTH_IO_KIND_SYMLINK:
        out->rest = rest_of(c->server->ops->read_link(node));
        return ZX_OK;
    case JACINTH_IO_KIND_TERMINAL:
    case JACINTH_IO_KIND_DEVICE:
        if ((flags & IO_RIGHTS & ~c->rights) != 0) {
            return ZX_ERR_ACCESS_DENIED;
        }
        return c->server->ops->open_other(node, flags, c, txn, out);
    case JACINTH_IO_KIND_SERVICE:
        return ZX_OK; // there is nothing to open: see Connect
    }
    return ZX_ERR_INTERNAL;
}

// What the name stands for from now on; the caller has looked that it is not there.
static zx_status_t create(struct io_connection* c, const struct io_walk* walk,
                          jacinth_io_kind_t kind, uint32_t mode, struct io_name target,
                          struct io_node** out) {
    if (!has(c->rights, JACINTH_IO_FLAGS_WRITE)) {
        return ZX_ERR_ACCESS_DENIED;
    }
    if (walk->must_be_directory && kind != JACINTH_IO_KIND_DIRECTORY) {
        return ZX_ERR_NOT_DIR;
    }
    struct io_name name = io_walk_name(walk);
    zx_status_t status =
        c->server->ops->create(walk->directory, name, kind, mode & 07777, target, out);
    if (status == ZX_OK) {
        io_server_changed(c->server, walk->directory, JACINTH_IO_CHANGE_ADDED, name);
    }
    return status;
}

static zx_status_t open_walked(struct io_connection* c, struct io_walk* walk,
                               const struct jacinth_io_directory_open_request* r,
                               struct fidl_txn* txn, struct jacinth_io_opened* out) {
    bool creates = has(r->flags, JACINTH_IO_FLAGS_CREATE);
    if (walk->leaves) {
        out->kind = JACINTH_IO_KIND_SYMLINK;
        out->rest = rest_of(walk->rest);
        return ZX_OK;
    }
    if (walk->node != nullptr) {
        return creates && has(r->flags, JACINTH_IO_FLAGS_EXCLUSIVE)
                   ? ZX_ERR_ALREADY_EXISTS
                   : open_node(c, walk->node, r->flags, txn, out);
    }
    if (!creates) {
        return ZX_ERR_NOT_FOUND;
    }
    jacinth_io_kind_t kind = has(r->flags, JACINTH_IO_FLAGS_DIRECTORY) ? JACINTH_IO_KIND_DIRECTORY
                                                                       : JACINTH_IO_KIND_FILE;
    if (kind == JACINTH_IO_KIND_FILE && (r->flags & IO_RIGHTS & ~c->rights) != 0) {
        return ZX_ERR_ACCESS_DENIED; // before anything is made
    }
    zx_status_t status = io_account_charge(c->account); // nor if it could not be opened
    if (status != ZX_OK) {
        return status;
    }
    io_account_give_back(c->account);
    status = create(c, walk, kind, r->mode, (struct io_name){}, &walk->node);
    return status == ZX_OK ? open_node(c, walk->node, r->flags, txn, out) : status;
}

static zx_status_t check_open_flags(jacinth_io_flags_t flags) {
    bool is_dir = has(flags, JACINTH_IO_FLAGS_DIRECTORY);
    bool writes = has(flags, JACINTH_IO_FLAGS_WRITE);
    if (has(flags, JACINTH_IO_FLAGS_TRUNCATE | JACINTH_IO_FLAGS_APPEND) && !writes) {
        return ZX_ERR_INVALID_ARGS;
    }
    return is_dir && writes ? ZX_ERR_NOT_FILE : ZX_OK;
}

static zx_status_t handle_open(void* ctx, struct jacinth_io_directory_open_request* r,
                               struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct io_server* s = c->server;
    struct jacinth_io_directory_open_response response = {};
    struct io_walk walk;
    bool makes_new =
        has(r->flags, JACINTH_IO_FLAGS_CREATE) && has(r->flags, JACINTH_IO_FLAGS_EXCLUSIVE);
    zx_status_t status = check_open_flags(r->flags);
    if (status == ZX_OK) {
        bool follow = !has(r->flags, JACINTH_IO_FLAGS_NO_FOLLOW) && !makes_new;
        status = io_walk(c, &r->path, follow, &walk);
    }
    if (status != ZX_OK) {
        return io_reply_status(txn, status);
    }
    status = open_walked(c, &walk, r, txn, &response.opened);
    zx_status_t sent = ZX_OK;
    if (status == ZX_OK) {
        sent = fidl_reply_response(txn, &response); // before the walk ends: `rest` may be a node's
    } else if (status != ZX_ERR_ASYNC) {
        sent = io_reply_status(txn, status);
    }
    io_walk_end(s, &walk);
    return sent;
}

static zx_status_t handle_connect(void* ctx, struct jacinth_io_directory_connect_request* r) {
    struct io_connection* c = ctx;
    struct io_server* s = c->server;
    struct io_walk walk;
    if (io_walk(c, &r->path, true, &walk) == ZX_OK) {
        if (walk.node != nullptr && walk.node->kind == JACINTH_IO_KIND_SERVICE) {
            s->ops->connect(walk.node, fidl_take(&r->request));
        }
        io_walk_end(s, &walk);
    }
    return ZX_OK; // what was not taken is closed
}

// ---- attributes ----

// A walk to something that is there; links that lead out: NEXT.
static zx_status_t walk_to_node(struct io_connection* c, const struct fidl_vector_of_uint8* path,
                                jacinth_io_flags_t flags, struct io_walk* walk) {
    zx_status_t status = io_walk(c, path, !has(flags, JACINTH_IO_FLAGS_NO_FOLLOW), walk);
    if (status != ZX_OK) {
        return status;
    }
    status = walk->leaves            ? ZX_ERR_NEXT
             : walk->node == nullptr ? ZX_ERR_NOT_FOUND
             : has(flags, JACINTH_IO_FLAGS_DIRECTORY) && !is_directory(walk->node) ? ZX_ERR_NOT_DIR
                                                                                   : ZX_OK;
    if (status != ZX_OK) {
        io_walk_end(c->server, walk);
    }
    return status;
}

static zx_status_t handle_stat(void* ctx, struct jacinth_io_directory_stat_request* r,
                               struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct jacinth_io_directory_stat_response response = {};
    struct io_walk walk;
    zx_status_t status = walk_to_node(c, &r->path, r->flags, &walk);
    if (status == ZX_ERR_NEXT) {
        response.attributes.kind = JACINTH_IO_KIND_SYMLINK;
        response.rest = rest_of(walk.rest);
        return fidl_reply_response(txn, &response);
    }
    if (status != ZX_OK) {
        return io_reply_status(txn, status);
    }
    io_fill_attributes(c->server, walk.node, &response.attributes);
    io_walk_end(c->server, &walk);
    return fidl_reply_response(txn, &response);
}

static zx_status_t handle_change(void* ctx, struct jacinth_io_directory_change_request* r,
                                 struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct io_walk walk;
    zx_status_t status = walk_to_node(c, &r->path, r->flags, &walk);
    if (status == ZX_OK) {
        status = io_apply_changes(c, walk.node, &r->changes);
        io_walk_end(c->server, &walk);
    }
    return io_reply_status(txn, status);
}

// ---- names ----

// A walk to a name that can be changed, be it there or not. "", "." and ".." are none.
static zx_status_t walk_to_name(struct io_connection* c, const struct fidl_vector_of_uint8* path,
                                struct io_walk* walk) {
    zx_status_t status = io_walk(c, path, false, walk);
    if (status != ZX_OK) {
        return status;
    }
    status = walk->leaves                              ? ZX_ERR_NEXT
             : walk->directory == nullptr              ? ZX_ERR_INVALID_ARGS
             : !has(c->rights, JACINTH_IO_FLAGS_WRITE) ? ZX_ERR_ACCESS_DENIED
                                                       : ZX_OK;
    if (status != ZX_OK) {
        io_walk_end(c->server, walk);
    }
    return status;
}

static zx_status_t unlink_walked(struct io_connection* c, const struct io_walk* walk,
                                 jacinth_io_flags_t flags) {
    if (walk->node == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    if (has(flags, JACINTH_IO_FLAGS_DIRECTORY) != is_directory(walk->node)) {
        return is_directory(walk->node) ? ZX_ERR_NOT_FILE : ZX_ERR_NOT_DIR;
    }
    struct io_name name = io_walk_name(walk);
    zx_status_t status = c->server->ops->unlink(walk->directory, name, walk->node);
    if (status == ZX_OK) {
        io_server_changed(c->server, walk->directory, JACINTH_IO_CHANGE_REMOVED, name);
    }
    return status;
}

static zx_status_t handle_unlink(void* ctx, struct jacinth_io_directory_unlink_request* r,
                                 struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct io_walk walk;
    zx_status_t status = walk_to_name(c, &r->path, &walk);
    if (status == ZX_OK) {
        status = unlink_walked(c, &walk, r->flags);
        io_walk_end(c->server, &walk);
    }
    return io_reply_status(txn, status);
}

static zx_status_t handle_symlink(void* ctx, struct jacinth_io_directory_symlink_request* r,
                                  struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct io_walk walk;
    struct io_name target = {(const char*)r->target.data, r->target.count};
    if (target.len == 0) {
        return io_reply_status(txn, ZX_ERR_NOT_FOUND); // as POSIX has it
    }
    if (memchr(target.text, 0, target.len) != nullptr) {
        return io_reply_status(txn, ZX_ERR_INVALID_ARGS);
    }
    zx_status_t status = walk_to_name(c, &r->path, &walk);
    if (status == ZX_OK) {
        status = walk.node != nullptr
                     ? ZX_ERR_ALREADY_EXISTS
                     : create(c, &walk, JACINTH_IO_KIND_SYMLINK, 0777, target, &walk.node);
        io_walk_end(c->server, &walk);
    }
    return io_reply_status(txn, status);
}

static zx_status_t handle_read_link(void* ctx, struct jacinth_io_directory_read_link_request* r,
                                    struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct io_walk walk;
    zx_status_t status = walk_to_node(c, &r->path, JACINTH_IO_FLAGS_NO_FOLLOW, &walk);
    if (status != ZX_OK) {
        return io_reply_status(txn, status);
    }
    if (walk.node->kind == JACINTH_IO_KIND_SYMLINK) {
        struct jacinth_io_directory_read_link_response response = {
            .target = rest_of(c->server->ops->read_link(walk.node))};
        status = fidl_reply_response(txn, &response);
    } else {
        status = io_reply_status(txn, ZX_ERR_INVALID_ARGS);
    }
    io_walk_end(c->server, &walk);
    return status;
}

// ---- tokens, and what needs two directories ----

static zx_koid_t koid_of(zx_handle_t handle) {
    zx_info_handle_basic_t info;
    zx_status_t status =
        zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr);
    return status == ZX_OK ? info.koid : ZX_KOID_INVALID;
}

static zx_status_t make_token(struct io_connection* c) {
    if (c->token != ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    zx_status_t status = zx_event_create(0, &c->token);
    if (status == ZX_OK) {
        c->token_koid = koid_of(c->token);
    }
    return status;
}

static zx_status_t handle_get_token(void* ctx, struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct jacinth_io_directory_get_token_response response = {};
    zx_status_t status = make_token(c);
    if (status == ZX_OK) {
        // It only has to be the same object: nothing can be done with it but hand it back.
        status = zx_handle_duplicate(c->token, ZX_RIGHTS_BASIC, &response.token);
    }
    return status == ZX_OK ? fidl_reply_response(txn, &response) : io_reply_status(txn, status);
}

// The connection of a token; `c` itself without one. Null: none of this server's.
static struct io_connection* find_token(struct io_connection* c, zx_handle_t token) {
    if (token == ZX_HANDLE_INVALID) {
        return c;
    }
    zx_koid_t koid = koid_of(token);
    for (struct list_node* n = list_first(&c->server->connections); n != nullptr;
         n = list_next(&c->server->connections, n)) {
        struct io_connection* other = container_of(n, struct io_connection, link);
        if (other->token_koid == koid && koid != ZX_KOID_INVALID) {
            return other;
        }
    }
    return nullptr;
}

// Whether `node` is `directory` or above it.
static bool is_above(struct io_server* s, const struct io_node* node, struct io_node* directory) {
    struct io_node* at = io_node_ref(directory);
    while (at != nullptr && at != node) {
        struct io_node* parent = s->ops->parent(at);
        io_node_unref(s, at);
        at = parent;
    }
    if (at == nullptr) {
        return false;
    }
    io_node_unref(s, at);
    return true;
}

// Whether `from` may take the place of what `to` says.
static zx_status_t check_rename(struct io_server* s, const struct io_walk* from,
                                const struct io_walk* to) {
    if (from->node == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    if (is_directory(from->node)) {
        if (to->node != nullptr && !is_directory(to->node)) {
            return ZX_ERR_NOT_DIR;
        }
        return is_above(s, from->node, to->directory) ? ZX_ERR_INVALID_ARGS : ZX_OK;
    }
    if (to->must_be_directory) {
        return ZX_ERR_NOT_DIR;
    }
    return to->node != nullptr && is_directory(to->node) ? ZX_ERR_NOT_FILE : ZX_OK;
}

static zx_status_t rename_walked(struct io_server* s, const struct io_walk* from,
                                 const struct io_walk* to) {
    zx_status_t status = check_rename(s, from, to);
    if (status != ZX_OK || from->node == to->node) {
        return status; // two names of one file: POSIX leaves both
    }
    struct io_name old_name = io_walk_name(from);
    struct io_name new_name = io_walk_name(to);
    status =
        s->ops->rename(from->directory, old_name, from->node, to->directory, new_name, to->node);
    if (status == ZX_OK) {
        io_server_changed(s, from->directory, JACINTH_IO_CHANGE_REMOVED, old_name);
        if (to->node != nullptr) {
            io_server_changed(s, to->directory, JACINTH_IO_CHANGE_REMOVED, new_name);
        }
        io_server_changed(s, to->directory, JACINTH_IO_CHANGE_ADDED, new_name);
    }
    return status;
}

static zx_status_t link_walked(struct io_server* s, const struct io_walk* from,
                               const struct io_walk* to) {
    if (from->node == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    if (to->node != nullptr) {
        return ZX_ERR_ALREADY_EXISTS;
    }
    if (is_directory(from->node)) {
        return ZX_ERR_NOT_FILE;
    }
    if (to->must_be_directory) {
        return ZX_ERR_NOT_DIR;
    }
    struct io_name name = io_walk_name(to);
    zx_status_t status = s->ops->link(to->directory, name, from->node);
    if (status == ZX_OK) {
        io_server_changed(s, to->directory, JACINTH_IO_CHANGE_ADDED, name);
    }
    return status;
}

typedef zx_status_t (*two_names_fn)(struct io_server* s, const struct io_walk* from,
                                    const struct io_walk* to);

static zx_status_t with_two_names(struct io_connection* c, const struct fidl_vector_of_uint8* path,
                                  zx_handle_t token, const struct fidl_vector_of_uint8* to_path,
                                  two_names_fn act) {
    struct io_connection* other = find_token(c, token);
    if (other == nullptr) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    struct io_walk from, to;
    zx_status_t status = walk_to_name(c, path, &from);
    if (status != ZX_OK) {
        return status;
    }
    status = walk_to_name(other, to_path, &to);
    if (status == ZX_OK) {
        status = act(c->server, &from, &to);
        io_walk_end(c->server, &to);
    }
    io_walk_end(c->server, &from);
    return status;
}

static zx_status_t handle_rename(void* ctx, struct jacinth_io_directory_rename_request* r,
                                 struct fidl_txn* txn) {
    return io_reply_status(txn, with_two_names(ctx, &r->path, r->token, &r->to, rename_walked));
}

static zx_status_t handle_link(void* ctx, struct jacinth_io_directory_link_request* r,
                               struct fidl_txn* txn) {
    return io_reply_status(txn, with_two_names(ctx, &r->path, r->token, &r->to, link_walked));
}

// ---- the rest ----

// What one answer holds besides entries, generously.
constexpr size_t LISTING_HEAD = 128;

bool io_listing_add(struct io_listing* listing, uint64_t id, jacinth_io_kind_t kind,
                    struct io_name name, uint64_t next) {
    size_t len = sizeof(struct jacinth_io_entry) + ((name.len + 7) & ~(size_t)7);
    if (listing->count == JACINTH_IO_MAX_ENTRIES ||
        listing->encoded_len + len > ZX_CHANNEL_MAX_MSG_BYTES) {
        return false;
    }
    listing->encoded_len += len;
    listing->entries[listing->count++] =
        (struct jacinth_io_entry){.id = id, .kind = kind, .name = {name.len, (uint8_t*)name.text}};
    listing->cookie = next;
    return true;
}

static zx_status_t handle_read_entries(void* ctx,
                                       struct jacinth_io_directory_read_entries_request* r,
                                       struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct io_listing listing = {
        .entries = c->server->entries, .encoded_len = LISTING_HEAD, .cookie = r->cookie};
    zx_status_t status = c->server->ops->read_entries(c->node, r->cookie, &listing);
    if (status != ZX_OK) {
        return io_reply_status(txn, status);
    }
    struct jacinth_io_directory_read_entries_response response = {
        .cookie = listing.cookie, .entries = {listing.count, listing.entries}};
    return fidl_reply_response(txn, &response);
}

static zx_status_t handle_watch(void* ctx, struct jacinth_io_directory_watch_request* r,
                                struct fidl_txn* txn) {
    return io_reply_status(txn, io_watcher_new(ctx, fidl_take(&r->watcher)));
}

static zx_status_t handle_query_usage(void* ctx, struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct jacinth_io_directory_query_usage_response response = {};
    c->server->ops->query_usage(c->node, &response.usage);
    return fidl_reply_response(txn, &response);
}

const struct jacinth_io_directory_ops io_directory_ops = {
    .open = handle_open,
    .connect = handle_connect,
    .read_entries = handle_read_entries,
    .stat = handle_stat,
    .change = handle_change,
    .unlink = handle_unlink,
    .get_token = handle_get_token,
    .rename = handle_rename,
    .link = handle_link,
    .symlink = handle_symlink,
    .read_link = handle_read_link,
    .watch = handle_watch,
    .query_usage = handle_query_usage,
    .clone = io_handle_clone,
    .get_attributes = io_handle_get_attributes,
    .set_attributes = io_handle_set_attributes,
    .sync = io_handle_sync,
};
