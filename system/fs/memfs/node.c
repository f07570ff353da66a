#include <stdlib.h>
#include <string.h>

#include <zircon/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <memfs/memfs.h>

zx_time_t memfs_now(const struct memfs* fs) {
    zx_time_t now;
    if (fs->utc_clock != ZX_HANDLE_INVALID && zx_clock_read(fs->utc_clock, &now) == ZX_OK) {
        return now;
    }
    return ZX_SEC(PA_CLOCK_UTC_AT_BOOT) + zx_clock_get_monotonic();
}

zx_status_t memfs_node_new(struct memfs* fs, jacinth_io_kind_t kind, uint32_t mode,
                           struct memfs_node** out) {
    if (fs->nodes_used >= fs->nodes_max) {
        return ZX_ERR_NO_SPACE;
    }
    struct memfs_node* node = calloc(1, sizeof(*node));
    if (node == nullptr) {
        return ZX_ERR_NO_SPACE;
    }
    io_node_init(&node->io, kind);
    node->fs = fs;
    node->id = ++fs->next_id;
    node->mode = mode;
    node->access_time = node->modification_time = node->change_time = memfs_now(fs);
    if (kind == JACINTH_IO_KIND_DIRECTORY) {
        memfs_directory_init(node);
    }
    fs->nodes_used++;
    *out = node;
    return ZX_OK;
}

void memfs_node_free(struct memfs_node* node) {
    if (node->io.kind == JACINTH_IO_KIND_FILE) {
        io_windows_end(&node->windows);
        (void)zx_handle_close(node->vmo);
        node->fs->bytes_used -= node->counted;
    } else if (node->io.kind == JACINTH_IO_KIND_SYMLINK) {
        node->fs->bytes_used -= node->target_len;
        free(node->target);
    }
    node->fs->nodes_used--;
    free(node);
}

void memfs_file_refresh(struct memfs_node* file) {
    zx_info_vmo_t info;
    uint64_t size;
    if (file->vmo == ZX_HANDLE_INVALID ||
        zx_object_get_info(file->vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr) !=
            ZX_OK ||
        zx_vmo_get_stream_size(file->vmo, &size) != ZX_OK) {
        return;
    }
    file->fs->bytes_used += info.committed_bytes - file->counted;
    file->counted = info.committed_bytes;
    if (size != file->seen_size) {
        file->seen_size = size;
        file->modification_time = file->change_time = memfs_now(file->fs);
    }
}

zx_status_t memfs_init(struct memfs* fs) {
    zx_status_t status = memfs_node_new(fs, JACINTH_IO_KIND_DIRECTORY, 01777, &fs->root);
    if (status == ZX_OK) {
        fs->root->links = 2;
    }
    return status;
}

// Without recursion: goes down to a directory that holds none, empties it, and comes back.
void memfs_destroy(struct memfs* fs) {
    struct memfs_node* at = fs->root;
    while (at != nullptr) {
        struct memfs_entry* entry = memfs_next(at, 0);
        if (entry == nullptr) {
            struct memfs_node* parent = at->parent;
            at->parent = nullptr;
            at->links = 0;
            if (at == fs->root) {
                io_node_unref(&fs->server, &at->io);
            }
            at = parent;
        } else if (entry->node->io.kind == JACINTH_IO_KIND_DIRECTORY && entry->node->links != 0) {
            at = entry->node;
        } else {
            memfs_remove(at, entry);
        }
    }
}
