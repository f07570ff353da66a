// The server's side of jacinth.io: connections, paths, rights, watchers, answers. A file system
// supplies nodes and a table of operations on them; it sees neither messages nor paths.
//
// Everything runs on one loop (async/loop.h), so operations are never concurrent, and none may
// wait. A client can do no more than use up the limits: messages are checked in full before
// anything happens, what is wrong with a request is answered, what is no request ends its
// connection, and a client that does not read its answers loses the connection. The limit on
// connections is divided: a clone of a directory's connection, and all that comes from it, may use
// three quarters of what the one may that it was cloned from (server_priv.h: io_account).
//
// Nodes. The file system embeds `struct io_node` and creates it with one reference, its own; the
// library has one for each connection, watcher and step of a walk. `release` is called when the
// last is gone. An operation is called only for nodes of the kind that it is for, only by
// connections with the rights for it, and names are never "", "." or "..", never longer than
// IO_NAME_MAX and without slash and NUL.
//
// Rights. A connection has READ, WRITE and EXECUTE as its server was told (io_server_serve).
// Directories are opened with all rights of the connection through which they are opened; files
// with those that the request names, which must be among them. CREATE, and every change of names
// and attributes, needs WRITE of the directory's (or file's) connection.
//
// Paths that leave the server by an absolute symbolic link: Open and Stat answer where to, other
// requests ZX_ERR_NEXT. More than 40 links on a path: ZX_ERR_IO_OVERRUN.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <async/channel.h>
#include <async/loop.h>
#include <fidl/channel.h>
#include <fidl/jacinth.io.h>
#include <lib/list.h>
#include <zircon/types.h>

constexpr size_t IO_SERVER_PATH_MAX = JACINTH_IO_MAX_PATH;
constexpr size_t IO_SERVER_NAME_MAX = JACINTH_IO_MAX_NAME;

struct io_node {
    jacinth_io_kind_t kind;
    uint32_t refs;
    struct list_node watchers; // the library's
};

static inline void io_node_init(struct io_node* node, jacinth_io_kind_t kind) {
    *node = (struct io_node){.kind = kind, .refs = 1};
}

// Not terminated.
struct io_name {
    const char* text;
    size_t len;
};

struct io_node_changes {
    bool has_mode, has_access_time, has_modification_time;
    uint32_t mode; // 07777
    zx_time_t access_time, modification_time;
};

struct io_server;
struct io_account;
struct io_connection;
struct io_listing;

// All slots are filled. Results through pointers are written on success only; nodes that come out
// carry a reference.
struct io_ops {
    void (*release)(struct io_server* server, struct io_node* node);
    // Zeroed before the call; `kind` is filled in afterwards.
    void (*get_attributes)(struct io_node* node, struct jacinth_io_attributes* out);
    zx_status_t (*set_attributes)(struct io_node* node, const struct io_node_changes* changes);
    zx_status_t (*sync)(struct io_node* node);

    // FILE. `stream` is wanted if the flags have READ or WRITE, but for a file that is read by
    // read_at. TRUNCATE is among the flags.
    zx_status_t (*open_file)(struct io_node* file, jacinth_io_flags_t flags, zx_handle_t* stream);
    // Once for each open_file, and for each clone of one, that went well.
    void (*clone_file)(struct io_node* file, jacinth_io_flags_t flags);
    void (*close_file)(struct io_node* file, jacinth_io_flags_t flags);
    zx_status_t (*resize)(struct io_node* file, uint64_t length);
    zx_status_t (*get_vmo)(struct io_node* file, jacinth_io_flags_t flags, zx_handle_t* vmo,
                           uint64_t* size);
    // *data stays valid until the next operation; *actual is at most `count`.
    zx_status_t (*read_at)(struct io_node* file, uint64_t offset, uint32_t count,
                           const uint8_t** data, uint32_t* actual);

    // DIRECTORY. NOT_FOUND: no such name.
    zx_status_t (*lookup)(struct io_node* directory, struct io_name name, struct io_node** out);
    struct io_node* (*parent)(struct io_node* directory); // null: it has none
    // A file, a directory or, with its target, a link. The name is not there.
    zx_status_t (*create)(struct io_node* directory, struct io_name name, jacinth_io_kind_t kind,
                          uint32_t mode, struct io_name target, struct io_node** out);
    // The name is there and is `node`'s. Directories: NOT_EMPTY.
    zx_status_t (*unlink)(struct io_node* directory, struct io_name name, struct io_node* node);
    // `node` moves; `replaced` is what has the new name, of a fitting kind, or null. No directory
    // becomes its own ancestor: the library has looked.
    zx_status_t (*rename)(struct io_node* directory, struct io_name name, struct io_node* node,
                          struct io_node* to, struct io_name to_name, struct io_node* replaced);
    // Another name, which is not there, for what is no directory.
    zx_status_t (*link)(struct io_node* directory, struct io_name name, struct io_node* node);
    // Adds entries (io_listing_add) behind the cookie.
    zx_status_t (*read_entries)(struct io_node* directory, uint64_t cookie,
                                struct io_listing* listing);
    void (*query_usage)(struct io_node* directory, struct jacinth_io_usage* out);

    // SYMLINK. Valid until the next operation.
    struct io_name (*read_link)(struct io_node* link);

    // TERMINAL, DEVICE. ASYNC: the answer comes later (io_answer_keep).
    zx_status_t (*open_other)(struct io_node* node, jacinth_io_flags_t flags,
                              struct io_connection* connection, struct fidl_txn* txn,
                              struct jacinth_io_opened* out);
    // SERVICE. The channel is the callee's.
    void (*connect)(struct io_node* service, zx_handle_t request);
};

// For tables of file systems that never change, or lack a kind: they answer ACCESS_DENIED or
// NOT_SUPPORTED.
zx_status_t io_no_set_attributes(struct io_node*, const struct io_node_changes*);
zx_status_t io_no_sync(struct io_node*); // OK: there is nothing to do
zx_status_t io_no_open_file(struct io_node*, jacinth_io_flags_t, zx_handle_t*);
void io_no_use_of_file(struct io_node*, jacinth_io_flags_t);
zx_status_t io_no_resize(struct io_node*, uint64_t);
zx_status_t io_no_get_vmo(struct io_node*, jacinth_io_flags_t, zx_handle_t*, uint64_t*);
zx_status_t io_no_read_at(struct io_node*, uint64_t, uint32_t, const uint8_t**, uint32_t*);
zx_status_t io_no_create(struct io_node*, struct io_name, jacinth_io_kind_t, uint32_t,
                         struct io_name, struct io_node**);
zx_status_t io_no_unlink(struct io_node*, struct io_name, struct io_node*);
zx_status_t io_no_rename(struct io_node*, struct io_name, struct io_node*, struct io_node*,
                         struct io_name, struct io_node*);
zx_status_t io_no_link(struct io_node*, struct io_name, struct io_node*);
struct io_name io_no_read_link(struct io_node*);
zx_status_t io_no_open_other(struct io_node*, jacinth_io_flags_t, struct io_connection*,
                             struct fidl_txn*, struct jacinth_io_opened*);
void io_no_connect(struct io_node*, zx_handle_t);

// The slots of such tables: nothing can be changed, and a file that is open is nobody's business.
#define IO_OPS_UNCHANGING                                                                        \
    .set_attributes = io_no_set_attributes, .sync = io_no_sync, .clone_file = io_no_use_of_file, \
    .close_file = io_no_use_of_file, .resize = io_no_resize, .create = io_no_create,             \
    .unlink = io_no_unlink, .rename = io_no_rename, .link = io_no_link,                          \
    .read_link = io_no_read_link
// Those that have no files either.
#define IO_OPS_NO_FILES                                                        \
    IO_OPS_UNCHANGING, .open_file = io_no_open_file, .get_vmo = io_no_get_vmo, \
        .read_at = io_no_read_at

// ---- the server ----

struct io_server {
    struct async_loop* loop;
    const struct io_ops* ops;
    uint32_t connections_max, watchers_max;
    // May be null: called when the last connection is gone. Frees nothing of the server.
    void (*idle)(struct io_server* server);
    // The library's:
    uint32_t connection_count, watcher_count;
    struct io_account* account; // of all; null until the first connection
    struct list connections;
    struct list watchers;
    struct list answers; // kept for later
    uint32_t path_in_use;
    char paths[2][IO_SERVER_PATH_MAX]; // of the walk under way
    struct jacinth_io_entry entries[JACINTH_IO_MAX_ENTRIES];
};

// The structure is large: static, or of malloc. `loop`, `ops` and both limits are set.
void io_server_init(struct io_server* server);
// Ends all connections and watchers.
void io_server_end(struct io_server* server);

// Serves a directory or file over the channel, which is gone whatever the outcome. ".." stops at
// this node. `rights`: READ, WRITE, EXECUTE. NO_RESOURCES: as many connections as allowed.
zx_status_t io_server_serve(struct io_server* server, zx_handle_t channel, struct io_node* node,
                            jacinth_io_flags_t rights);

void io_node_unref(struct io_server* server, struct io_node* node);
static inline struct io_node* io_node_ref(struct io_node* node) {
    node->refs++;
    return node;
}

// For file systems that change by themselves: tells the watchers. Changes that come from requests
// are told by the library.
void io_server_changed(struct io_server* server, struct io_node* directory,
                       jacinth_io_change_t change, struct io_name name);

// ---- for operations ----

// False: the listing is full, the entry is not in it. `next`: the cookie behind this entry. The
// name must stay until the operation has returned.
bool io_listing_add(struct io_listing* listing, uint64_t id, jacinth_io_kind_t kind,
                    struct io_name name, uint64_t next);

// An open whose answer comes later. Kept by the file system until io_answer_send, whatever becomes
// of the connection in between.
struct io_answer {
    struct list_node node;
    struct io_connection* connection; // null: it is gone
    struct fidl_txn txn;
};
void io_answer_keep(struct io_connection* connection, const struct fidl_txn* txn,
                    struct io_answer* answer);
// Handles in `opened` are gone whatever the outcome; it may be null if the status is not OK.
void io_answer_send(struct io_answer* answer, zx_status_t status, struct jacinth_io_opened* opened);
