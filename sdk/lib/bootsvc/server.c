// The boot image's files as nodes of a jacinth.io server. The tree is made once, from the image's
// list of paths; nothing in it changes, and its nodes are never freed.
//
// A file has up to two VMOs, made when they are first asked for and then shared by everybody, since
// nobody can change them: a window on the image, with EXECUTE, whose size is whole pages; and, for
// streams, a copy made lazily (no page of it is ever copied) that ends where the file does.
#include <stdlib.h>
#include <string.h>

#include <bootsvc/server.h>
#include <lib/compiler.h>
#include <zircon/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "image_priv.h"

struct bootsvc_node {
    struct io_node io;
    struct bootsvc* svc;
    struct io_name name; // in the image's directory
    struct bootsvc_node* parent;
    struct rbtree children;     // DIRECTORY: by name
    struct rbtree_node by_name; // in the parent's
    uint32_t data_offset, data_len;
    zx_handle_t window, contents;
};

static struct bootsvc_node* node_of(struct io_node* node) {
    return container_of(node, struct bootsvc_node, io);
}

static struct bootsvc_node* by_name(const struct rbtree_node* n) {
    return container_of(n, struct bootsvc_node, by_name);
}

static bool is_directory(const struct bootsvc_node* n) {
    return n->io.kind == JACINTH_IO_KIND_DIRECTORY;
}

// ---- the tree ----

static int compare_names(struct io_name a, struct io_name b) {
    int order = memcmp(a.text, b.text, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int compare_nodes(const struct rbtree_node* a, const struct rbtree_node* b) {
    return compare_names(by_name(a)->name, by_name(b)->name);
}

static int compare_key(const void* key, const struct rbtree_node* node) {
    return compare_names(*(const struct io_name*)key, by_name(node)->name);
}

static struct bootsvc_node* find(const struct bootsvc_node* directory, struct io_name name) {
    struct rbtree_node* n = rbtree_find(&directory->children, &name, compare_key);
    return n != nullptr ? by_name(n) : nullptr;
}

static struct bootsvc_node* add(struct bootsvc* svc, struct bootsvc_node* parent,
                                struct io_name name, jacinth_io_kind_t kind) {
    static const struct rbtree_ops tree_ops = {.compare = compare_nodes};
    struct bootsvc_node* n = &svc->nodes[svc->node_count++];
    *n = (struct bootsvc_node){.svc = svc, .name = name, .parent = parent};
    io_node_init(&n->io, kind);
    rbtree_init(&n->children, &tree_ops);
    if (parent != nullptr) {
        rbtree_insert(&parent->children, &n->by_name);
    }
    return n;
}

// A path that clashes with another (a file where a directory is, twice the same) is left out.
static void add_file(struct bootsvc* svc, const struct bootfs_file* file) {
    struct bootsvc_node* at = &svc->nodes[0];
    const char* text = file->name;
    const char* slash;
    while ((slash = strchr(text, '/')) != nullptr) {
        struct io_name name = {text, (size_t)(slash - text)};
        struct bootsvc_node* next = find(at, name);
        at = next != nullptr ? next : add(svc, at, name, JACINTH_IO_KIND_DIRECTORY);
        if (!is_directory(at)) {
            return;
        }
        text = slash + 1;
    }
    struct io_name name = {text, strlen(text)};
    if (find(at, name) == nullptr) {
        struct bootsvc_node* n = add(svc, at, name, JACINTH_IO_KIND_FILE);
        n->data_offset = file->data_offset;
        n->data_len = file->data_len;
    }
}

// As many as there are components: more than needed.
static uint32_t count_components(const struct bootfs* fs) {
    uint32_t count = 1;
    struct bootfs_file file;
    for (uint32_t cursor = 0; bootfs_next(fs, &cursor, &file);) {
        count++;
        for (uint32_t i = 0; i < file.name_len; i++) {
            count += file.name[i] == '/';
        }
    }
    return count;
}

bool bootsvc_make_tree(struct bootsvc* svc) {
    svc->nodes = calloc(count_components(&svc->fs), sizeof(*svc->nodes));
    if (svc->nodes == nullptr) {
        return false;
    }
    (void)add(svc, nullptr, (struct io_name){}, JACINTH_IO_KIND_DIRECTORY);
    struct bootfs_file file;
    for (uint32_t cursor = 0; bootfs_next(&svc->fs, &cursor, &file);) {
        add_file(svc, &file);
    }
    return true;
}

// ---- operations ----

static void op_release(struct io_server*, struct io_node*) {
    // The tree's own references never go.
}

static uint64_t node_id(const struct bootsvc_node* n) {
    return (uint64_t)(n - n->svc->nodes) + 1;
}

// Whether it can be started: an ELF file or a script.
static bool is_program(const struct bootsvc_node* n) {
    char head[4] = {};
    return n->data_len >= sizeof(head) &&
           zx_vmo_read(n->svc->vmo, head, n->data_offset, sizeof(head)) == ZX_OK &&
           (memcmp(head,
                   "\x7f"
                   "ELF",
                   4) == 0 ||
            memcmp(head, "#!", 2) == 0);
}

static void op_get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    const struct bootsvc_node* n = node_of(node);
    out->mode = is_directory(n) || is_program(n) ? 0555 : 0444;
    out->link_count = is_directory(n) ? 2 : 1;
    out->id = node_id(n);
    out->size = n->data_len;
    out->storage_size = bootsvc_round_up(n->data_len);
    out->access_time = out->modification_time = out->change_time = ZX_SEC(PA_CLOCK_UTC_AT_BOOT);
}

static zx_status_t make_window(struct bootsvc_node* n) {
    if (n->window != ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    return bootsvc_window(n->svc, n->data_offset, n->data_len, n->name.text, n->name.len,
                          &n->window);
}

static zx_status_t make_contents(struct bootsvc_node* n) {
    if (n->contents != ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    zx_status_t status =
        n->data_len == 0 ? zx_vmo_create(0, 0, &n->contents)
                         : zx_vmo_create_child(n->svc->vmo, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE,
                                               n->data_offset, n->data_len, &n->contents);
    if (status == ZX_OK) {
        (void)zx_object_set_property(n->contents, ZX_PROP_NAME, n->name.text, n->name.len);
    }
    return status;
}

static zx_status_t op_open_file(struct io_node* node, jacinth_io_flags_t flags,
                                zx_handle_t* stream) {
    struct bootsvc_node* n = node_of(node);
    if ((flags & JACINTH_IO_FLAGS_READ) == 0) {
        return ZX_OK;
    }
    zx_status_t status = make_contents(n);
    return status == ZX_OK ? zx_stream_create(ZX_STREAM_MODE_READ, n->contents, 0, stream) : status;
}

static zx_status_t op_get_vmo(struct io_node* node, jacinth_io_flags_t flags, zx_handle_t* vmo,
                              uint64_t* size) {
    struct bootsvc_node* n = node_of(node);
    zx_rights_t rights = ZX_RIGHTS_BASIC | ZX_RIGHT_MAP | ZX_RIGHT_READ | ZX_RIGHT_GET_PROPERTY;
    if ((flags & JACINTH_IO_FLAGS_EXECUTE) != 0) {
        rights |= ZX_RIGHT_EXECUTE;
    }
    zx_status_t status = make_window(n);
    if (status == ZX_OK) {
        status = zx_handle_duplicate(n->window, rights, vmo);
    }
    *size = n->data_len;
    return status;
}

static zx_status_t op_lookup(struct io_node* directory, struct io_name name, struct io_node** out) {
    struct bootsvc_node* n = find(node_of(directory), name);
    if (n == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    *out = io_node_ref(&n->io);
    return ZX_OK;
}

static struct io_node* op_parent(struct io_node* directory) {
    struct bootsvc_node* parent = node_of(directory)->parent;
    return parent != nullptr ? io_node_ref(&parent->io) : nullptr;
}

// A cookie is the number of the last node that was shown; a made-up one shows nothing.
static const struct rbtree_node* entry_behind(const struct bootsvc_node* directory,
                                              uint64_t cookie) {
    const struct bootsvc* svc = directory->svc;
    if (cookie == 0) {
        return rbtree_first(&directory->children);
    }
    if (cookie > svc->node_count || svc->nodes[cookie - 1].parent != directory) {
        return nullptr;
    }
    return rbtree_next(&svc->nodes[cookie - 1].by_name);
}

static zx_status_t op_read_entries(struct io_node* directory, uint64_t cookie,
                                   struct io_listing* listing) {
    for (const struct rbtree_node* n = entry_behind(node_of(directory), cookie); n != nullptr;
         n = rbtree_next(n)) {
        const struct bootsvc_node* child = by_name(n);
        uint64_t id = node_id(child);
        if (!io_listing_add(listing, id, child->io.kind, child->name, id)) {
            break;
        }
    }
    return ZX_OK;
}

static void op_query_usage(struct io_node* directory, struct jacinth_io_usage* out) {
    static uint8_t name[] = "bootfs";
    const struct bootsvc* svc = node_of(directory)->svc;
    out->total_bytes = out->used_bytes = svc->fs.image_len;
    out->total_nodes = out->used_nodes = svc->node_count;
    out->block_size = bootfs_page_len;
    out->max_name = IO_SERVER_NAME_MAX;
    out->read_only = true;
    out->name = (struct fidl_vector_of_uint8){sizeof(name) - 1, name};
}

zx_status_t bootsvc_serve(struct bootsvc* svc, struct async_loop* loop, uint32_t connections_max,
                          zx_handle_t channel) {
    static const struct io_ops ops = {
        IO_OPS_UNCHANGING,
        .release = op_release,
        .get_attributes = op_get_attributes,
        .open_file = op_open_file,
        .get_vmo = op_get_vmo,
        .read_at = io_no_read_at,
        .lookup = op_lookup,
        .parent = op_parent,
        .read_entries = op_read_entries,
        .query_usage = op_query_usage,
        .open_other = io_no_open_other,
        .connect = io_no_connect,
    };
    svc->server = (struct io_server){
        .loop = loop, .ops = &ops, .connections_max = connections_max, .watchers_max = 0};
    io_server_init(&svc->server);
    return io_server_serve(&svc->server, channel, &svc->nodes[0].io,
                           JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_EXECUTE);
}
