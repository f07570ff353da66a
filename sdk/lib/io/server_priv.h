// Between the parts of the server: connections (server.c), requests on directories (directory.c)
// and files (file.c), walks along paths (walk.c), watchers (watch.c).
#pragma once

#include <io/server.h>

constexpr jacinth_io_flags_t IO_RIGHTS =
    JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE | JACINTH_IO_FLAGS_EXECUTE;

// What connections and watchers are charged to. A clone of a directory's connection is what a
// program is given by its parent, so it has an account of its own: its share of the one it was
// cloned from, to which everything is charged as well. So whoever uses up his share leaves a
// quarter to the one who gave it to him. Shares too small to divide are not divided, which bounds
// the depth.
struct io_account {
    struct io_account* parent;
    uint32_t refs; // connections and shares
    uint32_t used, max;
};

struct io_connection {
    struct io_account* account; // with a reference
    struct async_channel channel;
    struct io_server* server;
    struct list_node link; // of all connections
    struct io_node* node;
    struct io_node* root;      // where ".." stops
    jacinth_io_flags_t rights; // the most that can be asked for here
    jacinth_io_flags_t flags;  // of a file: how it was opened
    zx_handle_t token;         // of a directory; ZX_HANDLE_INVALID: nobody has asked
    zx_koid_t token_koid;
};

zx_status_t io_account_charge(struct io_account* account); // NO_RESOURCES
void io_account_give_back(struct io_account* account);
void io_account_unref(struct io_account* account);

// A connection with account, nodes, rights and flags of its own; takes references. The channel is
// gone whatever the outcome.
zx_status_t io_connection_begin(struct io_server* server, zx_handle_t channel,
                                const struct io_connection* like);
// The same for a new channel, whose other end goes to the client.
zx_status_t io_connection_open(struct io_server* server, const struct io_connection* like,
                               zx_handle_t* out);

extern const struct jacinth_io_directory_ops io_directory_ops;
extern const struct jacinth_io_file_ops io_file_ops;

// What all connections answer.
zx_status_t io_handle_clone(void* ctx, struct jacinth_io_node_clone_request* request);
zx_status_t io_handle_get_attributes(void* ctx, struct fidl_txn* txn);
zx_status_t io_handle_set_attributes(void* ctx, struct jacinth_io_node_set_attributes_request* r,
                                     struct fidl_txn* txn);
zx_status_t io_handle_sync(void* ctx, struct fidl_txn* txn);

void io_fill_attributes(struct io_server* server, struct io_node* node,
                        struct jacinth_io_attributes* out);
zx_status_t io_apply_changes(struct io_connection* c, struct io_node* node,
                             struct jacinth_io_attribute_changes* changes);
// An answer without content.
zx_status_t io_reply_status(struct fidl_txn* txn, zx_status_t status);

// ---- walks ----

// Where a path leads. Exactly one of: `node` is there; it is missing, and could be made as `name`
// in `directory`; the path leaves the server (`rest`).
struct io_walk {
    struct io_node* directory; // with a reference; null if the path ends in ".", ".." or nothing
    struct io_node* node;      // with a reference
    char name[IO_SERVER_NAME_MAX];
    size_t name_len;
    bool must_be_directory; // a slash at the end
    bool leaves;
    struct io_name rest; // in the server's buffers until the next walk
};
// OK: one of the three. Follows a link at the end if `follow`, or if there is a slash behind it.
zx_status_t io_walk(struct io_connection* c, const struct fidl_vector_of_uint8* path, bool follow,
                    struct io_walk* out);
void io_walk_end(struct io_server* server, struct io_walk* walk);
static inline struct io_name io_walk_name(const struct io_walk* walk) {
    return (struct io_name){walk->name, walk->name_len};
}

// ---- watchers ----

zx_status_t io_watcher_new(struct io_connection* c, zx_handle_t channel);
void io_watchers_end(struct io_server* server);

// ---- listings ----

struct io_listing {
    struct jacinth_io_entry* entries;
    uint32_t count;
    size_t encoded_len;
    uint64_t cookie;
};
