// What sdk/lib/io asks for: it has checked names, kinds and rights.
#include <string.h>

#include <zircon/syscalls.h>

#include <ext2fs/ext2fs.h>

static struct ext2_name name_of(struct io_name name) {
    return (struct ext2_name){name.text, name.len};
}

// After a change of metadata that may have gone well.
static zx_status_t changed(struct ext2fs* fs, zx_status_t status) {
    ext2fs_changed(fs);
    return status;
}

static void op_release(struct io_server*, struct io_node* node) {
    ext2fs_node_release(ext2fs_node_of(node));
}

// ---- attributes ----

// What the file takes of the disk: blocks that it has, and of those that are set aside for what is
// to be saved as many as its contents can need (more is set aside, for blocks of pointers).
static uint64_t storage_of(const struct ext2fs_node* n, const struct ext2_attributes* a) {
    uint64_t block_size = ext2_block_size(n->fs->core);
    uint64_t has = (uint64_t)a->blocks_512 * 512;
    uint64_t most = (a->size + block_size - 1) / block_size * block_size;
    uint64_t soon = has + n->reserved * block_size;
    soon = soon < most ? soon : most;
    return has > soon ? has : soon;
}

static void op_get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    struct ext2fs_node* n = ext2fs_node_of(node);
    struct ext2_attributes a;
    ext2fs_file_refresh(n);
    ext2_get_attributes(n->core, &a);
    out->mode = a.mode;
    out->link_count = a.links;
    out->id = n->core->ino;
    out->size = a.size;
    out->storage_size = storage_of(n, &a);
    out->access_time = a.access_ns;
    out->modification_time = a.modification_ns;
    out->change_time = a.change_ns;
}

static zx_status_t op_set_attributes(struct io_node* node, const struct io_node_changes* changes) {
    struct ext2fs_node* n = ext2fs_node_of(node);
    struct ext2_changes c = {.has_mode = changes->has_mode,
                             .has_access = changes->has_access_time,
                             .has_modification = changes->has_modification_time,
                             .mode = changes->mode,
                             .access_ns = changes->access_time,
                             .modification_ns = changes->modification_time};
    ext2fs_file_refresh(n); // what was written before counts as before
    return changed(n->fs, ext2_set_attributes(n->fs->core, n->core, &c));
}

// Of the root: who asks for all of it (sync, the supervisor before the power goes) wants no check
// of it afterwards.
static zx_status_t op_sync(struct io_node* node) {
    struct ext2fs_node* n = ext2fs_node_of(node);
    return n->core->ino == EXT2_INO_ROOT ? ext2fs_settle(n->fs) : ext2fs_sync(n->fs);
}

// ---- files ----

static zx_status_t make_stream(struct ext2fs_node* file, jacinth_io_flags_t flags,
                               zx_handle_t* out) {
    uint32_t mode = 0;
    zx_handle_t window;
    mode |= (flags & JACINTH_IO_FLAGS_READ) != 0 ? ZX_STREAM_MODE_READ : 0;
    mode |= (flags & JACINTH_IO_FLAGS_WRITE) != 0 ? ZX_STREAM_MODE_WRITE : 0;
    mode |= (flags & JACINTH_IO_FLAGS_APPEND) != 0 ? ZX_STREAM_MODE_APPEND : 0;
    zx_status_t status = ext2fs_file_window(file, flags & JACINTH_IO_FLAGS_WRITE, &window);
    if (status == ZX_OK) {
        status = zx_stream_create(mode, window, 0, out);
        (void)zx_handle_close(window); // the stream has it
    }
    return status;
}

static zx_status_t op_open_file(struct io_node* node, jacinth_io_flags_t flags,
                                zx_handle_t* stream) {
    struct ext2fs_node* file = ext2fs_node_of(node);
    if ((flags & (JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE)) == 0) {
        return ZX_OK;
    }
    if ((flags & JACINTH_IO_FLAGS_WRITE) != 0 && ext2_is_read_only(file->fs->core)) {
        return ZX_ERR_ACCESS_DENIED;
    }
    zx_handle_t made;
    zx_status_t status = ext2fs_file_need(file);
    if (status == ZX_OK) {
        status = make_stream(file, flags, &made);
    }
    if (status != ZX_OK) {
        return status;
    }
    if ((flags & JACINTH_IO_FLAGS_TRUNCATE) != 0) {
        status = ext2fs_file_resize(file, 0);
        if (status != ZX_OK) {
            (void)zx_handle_close(made);
            return status;
        }
    }
    *stream = made;
    return ZX_OK;
}

static void op_close_file(struct io_node* node, jacinth_io_flags_t) {
    ext2fs_file_refresh(ext2fs_node_of(node));
}

static zx_status_t op_resize(struct io_node* node, uint64_t length) {
    return ext2fs_file_resize(ext2fs_node_of(node), length);
}

static zx_status_t op_get_vmo(struct io_node* node, jacinth_io_flags_t flags, zx_handle_t* vmo,
                              uint64_t* size) {
    struct ext2fs_node* file = ext2fs_node_of(node);
    zx_status_t status = ext2fs_file_need(file);
    if (status != ZX_OK) {
        return status;
    }
    bool writes = (flags & JACINTH_IO_FLAGS_WRITE) != 0;
    zx_rights_t rights = ZX_RIGHTS_BASIC | ZX_RIGHT_MAP | ZX_RIGHT_READ | ZX_RIGHT_GET_PROPERTY |
                         (writes ? ZX_RIGHT_WRITE : 0);
    zx_handle_t made;
    status = ext2fs_file_window(file, flags & (JACINTH_IO_FLAGS_WRITE | JACINTH_IO_FLAGS_EXECUTE),
                                &made);
    if (status == ZX_OK) {
        status = zx_handle_replace(made, rights, &made);
    }
    if (status == ZX_OK && (flags & JACINTH_IO_FLAGS_EXECUTE) != 0) {
        // Whether this is allowed is the policy of the job that we run in.
        status = zx_vmo_replace_as_executable(made, ZX_HANDLE_INVALID, &made);
        status = status == ZX_OK ? ZX_OK : ZX_ERR_ACCESS_DENIED;
    }
    if (status == ZX_OK) {
        struct ext2_attributes a;
        ext2fs_file_refresh(file);
        ext2_get_attributes(file->core, &a);
        *vmo = made;
        *size = a.size;
    }
    return status;
}

// ---- directories ----

static zx_status_t op_lookup(struct io_node* directory, struct io_name name, struct io_node** out) {
    struct ext2fs_node* d = ext2fs_node_of(directory);
    struct ext2_node* core;
    zx_status_t status = ext2_lookup(d->fs->core, d->core, name_of(name), &core);
    return status == ZX_OK ? ext2fs_node_get(d->fs, core, out) : status;
}

static struct io_node* op_parent(struct io_node* directory) {
    struct ext2fs_node* d = ext2fs_node_of(directory);
    struct ext2_node* core = ext2_parent(d->core);
    struct io_node* parent;
    return core != nullptr && ext2fs_node_get(d->fs, core, &parent) == ZX_OK ? parent : nullptr;
}

static zx_status_t op_create(struct io_node* directory, struct io_name name, jacinth_io_kind_t kind,
                             uint32_t mode, struct io_name target, struct io_node** out) {
    struct ext2fs_node* d = ext2fs_node_of(directory);
    struct ext2_node* core;
    enum ext2_kind made = kind == JACINTH_IO_KIND_DIRECTORY ? EXT2_DIRECTORY
                          : kind == JACINTH_IO_KIND_SYMLINK ? EXT2_SYMLINK
                                                            : EXT2_FILE;
    zx_status_t status = changed(d->fs, ext2_create(d->fs->core, d->core, name_of(name), made, mode,
                                                    name_of(target), &core));
    return status == ZX_OK ? ext2fs_node_get(d->fs, core, out) : status;
}

static zx_status_t op_unlink(struct io_node* directory, struct io_name name, struct io_node*) {
    struct ext2fs_node* d = ext2fs_node_of(directory);
    return changed(d->fs, ext2_unlink(d->fs->core, d->core, name_of(name)));
}

static zx_status_t op_rename(struct io_node* directory, struct io_name name, struct io_node*,
                             struct io_node* to, struct io_name to_name, struct io_node*) {
    struct ext2fs_node* from = ext2fs_node_of(directory);
    struct ext2fs_node* into = ext2fs_node_of(to);
    ext2_set_aside(from->fs->core, from->fs->reserved); // it may take a thousand
    return changed(from->fs, ext2_rename(from->fs->core, from->core, name_of(name), into->core,
                                         name_of(to_name)));
}

static zx_status_t op_link(struct io_node* directory, struct io_name name, struct io_node* node) {
    struct ext2fs_node* d = ext2fs_node_of(directory);
    return changed(d->fs,
                   ext2_link(d->fs->core, d->core, name_of(name), ext2fs_node_of(node)->core));
}

static bool list_entry(void* ctx, struct ext2_name name, uint32_t ino, enum ext2_kind kind,
                       uint64_t next) {
    jacinth_io_kind_t k = kind == EXT2_FILE        ? JACINTH_IO_KIND_FILE
                          : kind == EXT2_DIRECTORY ? JACINTH_IO_KIND_DIRECTORY
                          : kind == EXT2_SYMLINK   ? JACINTH_IO_KIND_SYMLINK
                                                   : JACINTH_IO_KIND_DEVICE;
    return io_listing_add(ctx, ino, k, (struct io_name){name.text, name.len}, next);
}

static zx_status_t op_read_entries(struct io_node* directory, uint64_t cookie,
                                   struct io_listing* listing) {
    struct ext2fs_node* d = ext2fs_node_of(directory);
    return ext2_list(d->fs->core, d->core, cookie, list_entry, listing);
}

static void op_query_usage(struct io_node* directory, struct jacinth_io_usage* out) {
    static uint8_t name[] = "ext2";
    const struct ext2fs* fs = ext2fs_node_of(directory)->fs;
    struct ext2_usage u;
    ext2_query_usage(fs->core, &u);
    *out = (struct jacinth_io_usage){.total_bytes = u.blocks * u.block_size,
                                     .used_bytes = (u.blocks - u.free_blocks) * u.block_size,
                                     .total_nodes = u.inodes,
                                     .used_nodes = u.inodes - u.free_inodes,
                                     .block_size = u.block_size,
                                     .max_name = IO_SERVER_NAME_MAX,
                                     .read_only = ext2_is_read_only(fs->core),
                                     .name = {sizeof(name) - 1, name}};
}

static struct io_name op_read_link(struct io_node* link) {
    struct ext2fs_node* n = ext2fs_node_of(link);
    size_t len;
    zx_status_t status = ext2_read_link(n->fs->core, n->core, n->fs->link_text, &len);
    return status == ZX_OK ? (struct io_name){n->fs->link_text, len} : (struct io_name){};
}

const struct io_ops ext2fs_ops = {
    .release = op_release,
    .get_attributes = op_get_attributes,
    .set_attributes = op_set_attributes,
    .sync = op_sync,
    .open_file = op_open_file,
    .clone_file = io_no_use_of_file,
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
