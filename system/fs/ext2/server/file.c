// A file's pages: granted before they are written to, saved. (read.c gives those that are missing.)
//
// How long the file is, is what its VMO says: streams make it longer by themselves. The core learns
// of it here, before it is asked where something lies.
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/port.h>

#include <ext2fs/ext2fs.h>

constexpr uint64_t PAGE = 4096;

uint64_t ext2fs_file_size(const struct ext2fs_node* file) {
    struct ext2_attributes attributes;
    ext2_get_attributes(file->core, &attributes);
    return attributes.size;
}

static void mark_dirty(struct ext2fs_node* file) {
    if (!list_linked(&file->dirty)) {
        list_push_back(&file->fs->dirty, &file->dirty);
    }
    ext2fs_changed(file->fs);
}

// ---- how long it is ----

void ext2fs_file_refresh(struct ext2fs_node* file) {
    uint64_t size;
    if (file->vmo == ZX_HANDLE_INVALID || zx_vmo_get_stream_size(file->vmo, &size) != ZX_OK) {
        return;
    }
    uint64_t before = ext2fs_file_size(file);
    if (size == before) {
        return;
    }
    ext2fs_reads_cut(file, size);
    if (ext2_resize(file->fs->core, file->core, size) != ZX_OK) {
        return;
    }
    if (size > before && before % PAGE != 0) {
        // What lay behind the old end in its page may have been there before the file was longer,
        // and then it was not saved.
        (void)zx_pager_op_range(file->fs->pager, ZX_PAGER_OP_DIRTY, file->vmo,
                                ext2fs_page_down(before), PAGE, 0);
        file->fs->dirty_pages++;
    }
    mark_dirty(file);
}

zx_status_t ext2fs_file_resize(struct ext2fs_node* file, uint64_t length) {
    struct ext2fs* fs = file->fs;
    zx_status_t status = ext2fs_file_need(file);
    if (status != ZX_OK) {
        return status;
    }
    ext2fs_file_refresh(file);
    if (io_windows_are_run(&file->windows)) {
        return ZX_ERR_UNAVAILABLE;
    }
    if (length > ext2_file_max(fs->core)) {
        return ZX_ERR_FILE_BIG;
    }
    // Nobody looks in between: requests for pages wait for this thread.
    status = zx_vmo_set_size(file->vmo, length);
    if (status == ZX_OK) {
        ext2fs_reads_cut(file, length);
        status = ext2_resize(fs->core, file->core, length);
        ext2fs_changed(fs);
    }
    return status == ZX_ERR_NO_MEMORY ? ZX_ERR_NO_SPACE : status;
}

// ---- failing ----

static uint64_t status_for_pages(zx_status_t status) {
    switch (status) {
    case ZX_ERR_NO_SPACE:
    case ZX_ERR_IO_DATA_INTEGRITY:
        return (uint64_t)status;
    case ZX_ERR_FILE_BIG:
        return (uint64_t)ZX_ERR_NO_SPACE;
    default:
        return (uint64_t)ZX_ERR_IO;
    }
}

// How much of the range there still is. It may have been cut since it was asked for; then who
// waited behind the cut has been told, and the kernel takes no answer that reaches beyond it.
static uint64_t clip(const struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    uint64_t size;
    if (zx_vmo_get_size(file->vmo, &size) != ZX_OK || size <= offset) {
        return 0;
    }
    return len < size - offset ? len : size - offset;
}

void ext2fs_file_fail(struct ext2fs_node* file, uint64_t offset, uint64_t len, zx_status_t status) {
    len = clip(file, offset, len);
    (void)zx_pager_op_range(file->fs->pager, ZX_PAGER_OP_FAIL, file->vmo, offset, len,
                            status_for_pages(status));
}

// ---- granting ----

// Blocks that are missing in the range.
static zx_status_t count_holes(struct ext2fs_node* file, uint64_t offset, uint64_t len,
                               uint64_t* out) {
    struct ext2fs* fs = file->fs;
    uint32_t block_size = ext2_block_size(fs->core);
    uint64_t holes = 0;
    uint64_t end = (offset + len) / block_size;
    if (offset + len > ext2fs_page_up(ext2_file_max(fs->core))) {
        return ZX_ERR_FILE_BIG;
    }
    for (uint64_t at = offset / block_size; at < end;) {
        struct ext2_run run;
        uint32_t max = end - at < UINT32_MAX ? (uint32_t)(end - at) : UINT32_MAX;
        zx_status_t status = ext2_map(fs->core, file->core, at, max, &run);
        if (status == ZX_ERR_OUT_OF_RANGE) {
            break;
        }
        if (status != ZX_OK) {
            return status;
        }
        holes += run.is_hole ? run.count : 0;
        at += run.count;
    }
    *out = holes;
    return ZX_OK;
}

static bool has_room(const struct ext2fs* fs, uint64_t blocks) {
    struct ext2_usage usage;
    ext2_query_usage(fs->core, &usage);
    return fs->reserved + blocks <= usage.free_blocks;
}

static zx_status_t reserve(struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    struct ext2fs* fs = file->fs;
    uint64_t holes;
    zx_status_t status = count_holes(file, offset, len, &holes);
    if (status != ZX_OK || holes == 0) {
        return status;
    }
    // And blocks of pointers.
    uint64_t blocks = holes + holes / 64 + (file->reserved == 0 ? 4 : 0);
    if (!has_room(fs, blocks)) {
        (void)ext2fs_sync(fs); // what was set aside too much comes back
        if (!has_room(fs, blocks)) {
            return ZX_ERR_NO_SPACE;
        }
    }
    fs->reserved += blocks;
    file->reserved += blocks;
    return ZX_OK;
}

// So many pages more may become dirty: if that is too much, some are saved first. Where that cannot
// be done, nothing more becomes dirty.
static zx_status_t allow_dirty(struct ext2fs* fs, uint64_t pages) {
    if (fs->dirty_pages + pages <= fs->dirty_max) {
        return ZX_OK;
    }
    zx_status_t status = ext2fs_save_some(fs);
    if (status == ZX_OK && fs->dirty_pages + pages <= fs->dirty_max) {
        return ZX_OK;
    }
    status = ext2fs_sync(fs); // who syncs himself is told if it fails
    if (fs->dirty_pages <= fs->dirty_max) {
        return ZX_OK;
    }
    return status == ZX_OK ? ZX_ERR_NO_SPACE : status;
}

static void on_dirty(struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    struct ext2fs* fs = file->fs;
    ext2fs_file_refresh(file);
    len = clip(file, offset, len);
    if (len == 0) {
        return;
    }
    zx_status_t status = ext2_is_read_only(fs->core) ? ZX_ERR_IO : allow_dirty(fs, len / PAGE);
    if (status == ZX_OK) {
        status = reserve(file, offset, len);
    }
    if (status != ZX_OK) {
        ext2fs_file_fail(file, offset, len, status);
        return;
    }
    ext2_touch(fs->core, file->core);
    fs->dirty_pages += len / PAGE;
    mark_dirty(file);
    status = zx_pager_op_range(fs->pager, ZX_PAGER_OP_DIRTY, file->vmo, offset, len, 0);
    if (status != ZX_OK) {
        ext2fs_file_fail(file, offset, len, status);
    }
}

// ---- saving ----

// Pages of the range that lie before `size`.
static zx_status_t save_piece(struct ext2fs_node* file, uint64_t offset, uint64_t len,
                              uint64_t size) {
    struct ext2fs* fs = file->fs;
    uint32_t block_size = ext2_block_size(fs->core);
    zx_status_t status =
        zx_pager_op_range(fs->pager, ZX_PAGER_OP_WRITEBACK_BEGIN, file->vmo, offset, len, 0);
    if (status == ZX_OK) {
        ext2fs_reads_saved(file, offset, len);
        status = zx_vmo_read(file->vmo, fs->disk.memory, offset, len);
    }
    if (status != ZX_OK) {
        return status;
    }
    if (offset + len > size) {
        memset(fs->disk.memory + (size - offset), 0, offset + len - size);
    }
    uint64_t bytes = offset + len > size ? size - offset : len;
    uint64_t blocks = (bytes + block_size - 1) / block_size;
    for (uint64_t at = 0; at < blocks;) {
        struct ext2_run run;
        status = ext2_map_for_write(fs->core, file->core, offset / block_size + at,
                                    (uint32_t)(blocks - at), &run);
        if (status == ZX_OK) {
            status = ext2fs_disk_save(&fs->disk, run.first, run.count * (block_size / EXT2_SECTOR),
                                      at * block_size);
        }
        if (status != ZX_OK) {
            return status;
        }
        at += run.count;
    }
    return zx_pager_op_range(fs->pager, ZX_PAGER_OP_WRITEBACK_END, file->vmo, offset, len, 0);
}

static zx_status_t save_zeros(struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    zx_handle_t pager = file->fs->pager;
    zx_status_t status = zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_BEGIN, file->vmo, offset,
                                           len, ZX_VMO_DIRTY_RANGE_IS_ZERO);
    return status == ZX_OK
               ? zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_END, file->vmo, offset, len, 0)
               : status;
}

static zx_status_t save_range(struct ext2fs_node* file, const zx_vmo_dirty_range_t* r,
                              uint64_t size, uint64_t* budget) {
    if ((r->options & ZX_VMO_DIRTY_RANGE_IS_ZERO) != 0) {
        return save_zeros(file, r->offset, r->length);
    }
    struct ext2fs* fs = file->fs;
    uint64_t end = r->offset + r->length;
    for (uint64_t at = r->offset; at < end && *budget != 0;) {
        uint64_t n = end - at < EXT2FS_CONTENTS_MAX ? end - at : EXT2FS_CONTENTS_MAX;
        n = n < *budget ? n : *budget;
        zx_status_t status = save_piece(file, at, n, size);
        if (status != ZX_OK) {
            return status;
        }
        fs->dirty_pages -= n / PAGE < fs->dirty_pages ? n / PAGE : fs->dirty_pages;
        *budget -= n;
        at += n;
    }
    return ZX_OK;
}

static zx_status_t count_dirty(struct ext2fs_node* file, uint64_t at, uint64_t end, uint64_t* out) {
    zx_vmo_dirty_range_t ranges[16];
    size_t actual = 1;
    *out = 0;
    while (at < end && actual != 0) {
        zx_status_t status = zx_pager_query_dirty_ranges(file->fs->pager, file->vmo, at, end - at,
                                                         ranges, sizeof(ranges), &actual, nullptr);
        if (status != ZX_OK) {
            return status;
        }
        for (size_t i = 0; i < actual; i++) {
            bool is_zero = (ranges[i].options & ZX_VMO_DIRTY_RANGE_IS_ZERO) != 0;
            *out += is_zero ? 0 : ranges[i].length / PAGE;
            at = ranges[i].offset + ranges[i].length;
        }
    }
    return ZX_OK;
}

// What was set aside is used now, but for pages behind the end.
static void release_reserve(struct ext2fs_node* file, uint64_t behind) {
    uint64_t blocks = behind / ext2_block_size(file->fs->core);
    uint64_t kept = blocks == 0 ? 0 : blocks + blocks / 64 + 4;
    if (kept < file->reserved) {
        file->fs->reserved -= file->reserved - kept;
        file->reserved = kept;
    }
}

// Pages behind the end stay dirty: somebody is about to make the file longer.
zx_status_t ext2fs_file_save(struct ext2fs_node* file, uint64_t* budget) {
    uint64_t vmo_size = 0;
    ext2fs_file_refresh(file);
    uint64_t size = ext2fs_file_size(file);
    zx_status_t status = zx_vmo_get_size(file->vmo, &vmo_size);
    uint64_t end = ext2fs_page_up(size) < vmo_size ? ext2fs_page_up(size) : vmo_size;
    for (uint64_t at = 0; status == ZX_OK && at < end && *budget != 0;) {
        zx_vmo_dirty_range_t ranges[16];
        size_t actual;
        status = zx_pager_query_dirty_ranges(file->fs->pager, file->vmo, at, end - at, ranges,
                                             sizeof(ranges), &actual, nullptr);
        if (status != ZX_OK || actual == 0) {
            break;
        }
        for (size_t i = 0; status == ZX_OK && i < actual; i++) {
            status = save_range(file, &ranges[i], size, budget);
        }
        at = ranges[actual - 1].offset + ranges[actual - 1].length;
    }
    if (status == ZX_OK) {
        status = count_dirty(file, end, vmo_size, &file->dirty_left);
    }
    if (status != ZX_OK) {
        (void)count_dirty(file, 0, vmo_size, &file->dirty_left);
        return status == ZX_ERR_NO_SPACE ? status : ZX_ERR_IO;
    }
    if (*budget != 0) { // that was all of it
        release_reserve(file, vmo_size - end);
        if (vmo_size == end) {
            list_remove(&file->dirty);
        }
    }
    return ZX_OK;
}

// ---- the VMO ----

static void on_packet(struct async_receiver* receiver, const zx_port_packet_t* packet) {
    struct ext2fs_node* file = container_of(receiver, struct ext2fs_node, pages);
    const zx_packet_page_request_t* request = &packet->page_request;
    if (request->command == ZX_PAGER_VMO_COMPLETE) {
        async_receiver_cancel(receiver);
        if (file->is_ending) {
            file->fs->node_count--;
            free(file);
        }
    } else if (file->is_ending) {
        return; // whoever asked was told by the detachment
    } else if (request->command == ZX_PAGER_VMO_READ) {
        ext2fs_read_begin(file, request->offset, request->length);
    } else if (request->command == ZX_PAGER_VMO_DIRTY) {
        on_dirty(file, request->offset, request->length);
    }
}

zx_status_t ext2fs_file_need(struct ext2fs_node* file) {
    struct ext2fs* fs = file->fs;
    if (file->vmo != ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    list_init(&file->reads);
    file->pages = (struct async_receiver){.handler = on_packet};
    async_receiver_begin(fs->server.loop, &file->pages);
    zx_status_t status =
        zx_pager_create_vmo(fs->pager, ZX_VMO_RESIZABLE | ZX_VMO_TRAP_DIRTY, fs->server.loop->port,
                            async_receiver_key(&file->pages), ext2fs_file_size(file), &file->vmo);
    if (status != ZX_OK) {
        async_receiver_cancel(&file->pages);
        file->vmo = ZX_HANDLE_INVALID;
        return status;
    }
    (void)zx_object_set_property(file->vmo, ZX_PROP_NAME, "ext2-file", 9);
    return ZX_OK;
}

zx_status_t ext2fs_file_window(struct ext2fs_node* file, jacinth_io_flags_t flags,
                               zx_handle_t* out) {
    return flags != 0 ? io_window_open(&file->windows, file->vmo, flags, out)
                      : zx_vmo_create_child(
                            file->vmo, ZX_VMO_CHILD_REFERENCE | ZX_VMO_CHILD_RESIZABLE, 0, 0, out);
}

zx_handle_t ext2fs_file_in_use(struct ext2fs_node* file) {
    zx_handle_t windows = io_windows_close_unused(&file->windows);
    if (windows != ZX_HANDLE_INVALID) {
        return windows;
    }
    zx_status_t status = zx_object_wait_one(file->vmo, ZX_VMO_ZERO_CHILDREN, 0, nullptr);
    return status == ZX_ERR_TIMED_OUT ? file->vmo : ZX_HANDLE_INVALID;
}

// A writer that was killed may have left pages there.
void ext2fs_file_trim(struct ext2fs_node* file) {
    uint64_t size, pages;
    if (file->vmo != ZX_HANDLE_INVALID && zx_vmo_get_stream_size(file->vmo, &size) == ZX_OK &&
        zx_vmo_get_size(file->vmo, &pages) == ZX_OK && pages > ext2fs_page_up(size)) {
        (void)zx_vmo_set_size(file->vmo, size);
    }
}

void ext2fs_file_end(struct ext2fs_node* file) {
    file->is_ending = true;
    ext2fs_reads_drop(file);
    io_windows_end(&file->windows);
    (void)zx_pager_detach_vmo(file->fs->pager, file->vmo);
    (void)zx_handle_close(file->vmo);
    file->vmo = ZX_HANDLE_INVALID;
}
