// What sdk/lib/io asks for: it has checked names, kinds and rights.
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <memfs/memfs.h>

constexpr uint64_t PAGE_LEN = 4096;

static void touch(struct memfs_node* node) {
    node->modification_time = node->change_time = memfs_now(node->fs);
}

static bool is_directory(const struct memfs_node* node) {
    return node->io.kind == JACINTH_IO_KIND_DIRECTORY;
}

static void op_release(struct io_server*, struct io_node* node) {
    memfs_node_free(memfs_node_of(node));
}

// ---- attributes ----

static void op_get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    struct memfs_node* n = memfs_node_of(node);
    if (node->kind == JACINTH_IO_KIND_FILE) {
        memfs_file_refresh(n);
        out->size = n->seen_size;
        out->storage_size = n->counted;
    } else if (node->kind == JACINTH_IO_KIND_SYMLINK) {
        out->size = out->storage_size = n->target_len;
    } else {
        out->size = n->entry_count;
    }
    out->mode = n->mode;
    out->link_count = n->links;
    out->id = n->id;
    out->access_time = n->access_time;
    out->modification_time = n->modification_time;
    out->change_time = n->change_time;
}

static zx_status_t op_set_attributes(struct io_node* node, const struct io_node_changes* changes) {
    struct memfs_node* n = memfs_node_of(node);
    if (node->kind == JACINTH_IO_KIND_FILE) {
        memfs_file_refresh(n); // what was written before counts as before
    }
    if (changes->has_mode) {
        n->mode = changes->mode;
    }
    if (changes->has_access_time) {
        n->access_time = changes->access_time;
    }
    if (changes->has_modification_time) {
        n->modification_time = changes->modification_time;
        if (node->kind == JACINTH_IO_KIND_FILE) {
            n->touched = false;
        }
    }
    n->change_time = memfs_now(n->fs);
    return ZX_OK;
}

// ---- files ----

static zx_status_t need_vmo(struct memfs_node* file) {
    if (file->vmo != ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    zx_status_t status = zx_vmo_create(0, ZX_VMO_RESIZABLE, &file->vmo);
    if (status == ZX_OK) {
        (void)zx_object_set_property(file->vmo, ZX_PROP_NAME, "memfs-file", 10);
    }
    return status == ZX_ERR_NO_MEMORY ? ZX_ERR_NO_SPACE : status;
}

static zx_status_t set_size(struct memfs_node* file, uint64_t length) {
    zx_status_t status = zx_vmo_set_size(file->vmo, length);
    if (status == ZX_OK) {
        touch(file);
        file->seen_size = length;
        memfs_file_refresh(file);
    }
    return status == ZX_ERR_OUT_OF_RANGE ? ZX_ERR_FILE_BIG
           : status == ZX_ERR_NO_MEMORY  ? ZX_ERR_NO_SPACE
                                         : status;
}

static zx_status_t make_stream(struct memfs_node* file, jacinth_io_flags_t flags,
                               zx_handle_t* out) {
    uint32_t mode = 0;
    mode |= (flags & JACINTH_IO_FLAGS_READ) != 0 ? ZX_STREAM_MODE_READ : 0;
    mode |= (flags & JACINTH_IO_FLAGS_WRITE) != 0 ? ZX_STREAM_MODE_WRITE : 0;
    mode |= (flags & JACINTH_IO_FLAGS_APPEND) != 0 ? ZX_STREAM_MODE_APPEND : 0;
    if ((flags & JACINTH_IO_FLAGS_WRITE) == 0) {
        return zx_stream_create(mode, file->vmo, 0, out);
    }
    zx_handle_t window;
    zx_status_t status = io_window_open(&file->windows, file->vmo, JACINTH_IO_FLAGS_WRITE, &window);
    if (status == ZX_OK) {
        status = zx_stream_create(mode, window, 0, out);
        (void)zx_handle_close(window); // the stream has it
    }
    return status;
}

static zx_status_t op_open_file(struct io_node* node, jacinth_io_flags_t flags,
                                zx_handle_t* stream) {
    struct memfs_node* file = memfs_node_of(node);
    bool writes = (flags & JACINTH_IO_FLAGS_WRITE) != 0;
    if ((flags & (JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE)) == 0) {
        return ZX_OK;
    }
    zx_status_t status = need_vmo(file);
    if (status != ZX_OK) {
        return status;
    }
    memfs_file_refresh(file);
    bool truncates = (flags & JACINTH_IO_FLAGS_TRUNCATE) != 0;
    if (writes && !truncates && file->fs->bytes_used >= file->fs->bytes_max) {
        return ZX_ERR_NO_SPACE;
    }
    zx_handle_t made;
    status = make_stream(file, flags, &made);
    if (status == ZX_OK && truncates) {
        status = set_size(file, 0);
        if (status == ZX_OK && file->fs->bytes_used >= file->fs->bytes_max) {
            status = ZX_ERR_NO_SPACE;
        }
        if (status != ZX_OK) {
            (void)zx_handle_close(made);
        }
    }
    if (status != ZX_OK) {
        return status;
    }
    if (writes) {
        file->writers++;
        file->touched = true;
    }
    *stream = made;
    return ZX_OK;
}

static void op_clone_file(struct io_node* node, jacinth_io_flags_t flags) {
    memfs_node_of(node)->writers += (flags & JACINTH_IO_FLAGS_WRITE) != 0;
}

// Nobody tells of what was written in place, so the last writer's leaving counts as a change,
// unless somebody has set the time by hand.
static void op_close_file(struct io_node* node, jacinth_io_flags_t flags) {
    struct memfs_node* file = memfs_node_of(node);
    memfs_file_refresh(file);
    if ((flags & JACINTH_IO_FLAGS_WRITE) != 0 && --file->writers == 0 && file->touched) {
        file->touched = false;
        touch(file);
    }
}

static zx_status_t op_resize(struct io_node* node, uint64_t length) {
    struct memfs_node* file = memfs_node_of(node);
    zx_status_t status = need_vmo(file);
    if (status != ZX_OK) {
        return status;
    }
    if (io_windows_are_run(&file->windows)) {
        return ZX_ERR_UNAVAILABLE;
    }
    memfs_file_refresh(file);
    // Zeros take no memory until they are written; but what does not fit at all is refused here.
    uint64_t grows = length > file->seen_size ? length - file->seen_size : 0;
    uint64_t used = file->fs->bytes_used;
    if (grows != 0 && (used >= file->fs->bytes_max || grows > file->fs->bytes_max - used)) {
        return ZX_ERR_NO_SPACE;
    }
    return set_size(file, length);
}

static zx_status_t op_get_vmo(struct io_node* node, jacinth_io_flags_t flags, zx_handle_t* vmo,
                              uint64_t* size) {
    struct memfs_node* file = memfs_node_of(node);
    zx_status_t status = need_vmo(file);
    if (status != ZX_OK) {
        return status;
    }
    bool writes = (flags & JACINTH_IO_FLAGS_WRITE) != 0;
    zx_rights_t rights = ZX_RIGHTS_BASIC | ZX_RIGHT_MAP | ZX_RIGHT_READ | ZX_RIGHT_GET_PROPERTY |
                         (writes ? ZX_RIGHT_WRITE : 0);
    jacinth_io_flags_t window = flags & (JACINTH_IO_FLAGS_WRITE | JACINTH_IO_FLAGS_EXECUTE);
    zx_handle_t made;
    if (window == 0) {
        status = zx_handle_duplicate(file->vmo, rights, &made);
    } else {
        status = io_window_open(&file->windows, file->vmo, window, &made);
        status = status == ZX_OK ? zx_handle_replace(made, rights, &made) : status;
    }
    if (status != ZX_OK) {
        return status;
    }
    if ((flags & JACINTH_IO_FLAGS_EXECUTE) != 0) {
        // Whether this is allowed is the policy of the job that we run in.
        status = zx_vmo_replace_as_executable(made, ZX_HANDLE_INVALID, &made);
        if (status != ZX_OK) {
            return ZX_ERR_ACCESS_DENIED;
        }
    }
    memfs_file_refresh(file);
    *vmo = made;
    *size = file->seen_size;
    return ZX_OK;
}

// ---- directories ----

static zx_status_t op_lookup(struct io_node* directory, struct io_name name, struct io_node** out) {
    const struct memfs_entry* entry = memfs_find(memfs_node_of(directory), name);
    if (entry == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    *out = io_node_ref(&entry->node->io);
    return ZX_OK;
}

static struct io_node* op_parent(struct io_node* directory) {
    struct memfs_node* parent = memfs_node_of(directory)->parent;
    return parent != nullptr ? io_node_ref(&parent->io) : nullptr;
}

// What a name more or less means to the directory it is in and, for a directory, who is above it.
static void arrived(struct memfs_node* directory, struct memfs_node* node) {
    if (is_directory(node)) {
        node->parent = directory;
        directory->links++;
    }
    node->change_time = memfs_now(node->fs);
    touch(directory);
}

static void departed(struct memfs_node* directory, struct memfs_node* node) {
    if (is_directory(node)) {
        node->parent = nullptr;
        directory->links--;
    }
    node->change_time = memfs_now(node->fs);
    touch(directory);
}

static void lost_a_name(struct memfs_node* node) {
    node->links = is_directory(node) ? 0 : node->links - 1;
}

static zx_status_t copy_target(struct memfs_node* link, struct io_name target) {
    struct memfs* fs = link->fs;
    bool fits = fs->bytes_used < fs->bytes_max && target.len <= fs->bytes_max - fs->bytes_used;
    link->target = fits ? malloc(target.len) : nullptr;
    if (link->target == nullptr) {
        return ZX_ERR_NO_SPACE;
    }
    memcpy(link->target, target.text, target.len);
    link->target_len = target.len;
    fs->bytes_used += target.len;
    return ZX_OK;
}

static zx_status_t op_create(struct io_node* directory, struct io_name name, jacinth_io_kind_t kind,
                             uint32_t mode, struct io_name target, struct io_node** out) {
    struct memfs_node* d = memfs_node_of(directory);
    if (d->links == 0) {
        return ZX_ERR_NOT_FOUND; // it was removed
    }
    struct memfs_node* node;
    zx_status_t status = memfs_node_new(d->fs, kind, mode, &node);
    if (status != ZX_OK) {
        return status;
    }
    if (kind == JACINTH_IO_KIND_SYMLINK) {
        status = copy_target(node, target);
    }
    if (status == ZX_OK) {
        status = memfs_add(d, name, node);
    }
    if (status != ZX_OK) {
        io_node_unref(&d->fs->server, &node->io);
        return status;
    }
    node->links = kind == JACINTH_IO_KIND_DIRECTORY ? 2 : 1;
    arrived(d, node);
    *out = &node->io;
    return ZX_OK;
}

static bool is_empty(const struct memfs_node* directory) {
    return directory->entry_count == 0;
}

static zx_status_t op_unlink(struct io_node* directory, struct io_name name, struct io_node* node) {
    struct memfs_node* d = memfs_node_of(directory);
    struct memfs_node* n = memfs_node_of(node);
    if (is_directory(n) && !is_empty(n)) {
        return ZX_ERR_NOT_EMPTY;
    }
    memfs_remove(d, memfs_find(d, name));
    departed(d, n);
    lost_a_name(n);
    return ZX_OK;
}

static zx_status_t op_rename(struct io_node* directory, struct io_name name, struct io_node* node,
                             struct io_node* to, struct io_name to_name, struct io_node* replaced) {
    struct memfs_node* from = memfs_node_of(directory);
    struct memfs_node* into = memfs_node_of(to);
    struct memfs_node* n = memfs_node_of(node);
    struct memfs_node* old = replaced != nullptr ? memfs_node_of(replaced) : nullptr;
    if (into->links == 0) {
        return ZX_ERR_NOT_FOUND;
    }
    if (old != nullptr && is_directory(old) && !is_empty(old)) {
        return ZX_ERR_NOT_EMPTY;
    }
    if (old == nullptr) {
        zx_status_t status = memfs_add(into, to_name, n);
        if (status != ZX_OK) {
            return status;
        }
    } else {
        memfs_replace(memfs_find(into, to_name), n);
        departed(into, old);
        lost_a_name(old);
    }
    memfs_remove(from, memfs_find(from, name));
    departed(from, n);
    arrived(into, n);
    return ZX_OK;
}

static zx_status_t op_link(struct io_node* directory, struct io_name name, struct io_node* node) {
    struct memfs_node* d = memfs_node_of(directory);
    if (d->links == 0) {
        return ZX_ERR_NOT_FOUND;
    }
    zx_status_t status = memfs_add(d, name, memfs_node_of(node));
    if (status == ZX_OK) {
        memfs_node_of(node)->links++;
        arrived(d, memfs_node_of(node));
    }
    return status;
}

static zx_status_t op_read_entries(struct io_node* directory, uint64_t cookie,
                                   struct io_listing* listing) {
    struct memfs_node* d = memfs_node_of(directory);
    const struct memfs_entry* e = memfs_next(d, cookie);
    while (e != nullptr && io_listing_add(listing, e->node->id, e->node->io.kind,
                                          (struct io_name){e->name, e->name_len}, e->cookie)) {
        const struct rbtree_node* next = rbtree_next(&e->by_cookie);
        e = next != nullptr ? container_of(next, struct memfs_entry, by_cookie) : nullptr;
    }
    d->access_time = memfs_now(d->fs);
    return ZX_OK;
}

static void op_query_usage(struct io_node* directory, struct jacinth_io_usage* out) {
    static uint8_t name[] = "memfs";
    const struct memfs* fs = memfs_node_of(directory)->fs;
    *out = (struct jacinth_io_usage){.total_bytes = fs->bytes_max,
                                     .used_bytes = fs->bytes_used,
                                     .total_nodes = fs->nodes_max,
                                     .used_nodes = fs->nodes_used,
                                     .block_size = PAGE_LEN,
                                     .max_name = IO_SERVER_NAME_MAX,
                                     .name = {sizeof(name) - 1, name}};
}

static struct io_name op_read_link(struct io_node* link) {
    const struct memfs_node* n = memfs_node_of(link);
    return (struct io_name){n->target, n->target_len};
}

const struct io_ops memfs_ops = {
    .release = op_release,
    .get_attributes = op_get_attributes,
    .set_attributes = op_set_attributes,
    .sync = io_no_sync,
    .open_file = op_open_file,
    .clone_file = op_clone_file,
    .close_file = op_close_file,
    .resize = op_resize,
    .get_vmo = op_get_vmo,
    .read_at = io_no_read_at,
    .lookup = op_lookup,
    .parent = op_parent,
    .create = op_create,
    .unlink = op_unlink,
    .rename = op_rename,
    .link = op_link,
    .read_entries = op_read_entries,
    .query_usage = op_query_usage,
    .read_link = op_read_link,
    .open_other = io_no_open_other,
    .connect = io_no_connect,
};
