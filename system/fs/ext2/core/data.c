// Contents of files: where they lie, how long they are, and moving them through memory for those
// who have no pages of their own.
#include <stdlib.h>
#include <string.h>

#include "core.h"

// Goes on from run to run as long as the disk does.
zx_status_t ext2_map(struct ext2* fs, struct ext2_node* file, uint64_t block, uint32_t max,
                     struct ext2_run* out) {
    struct node* n = node_of(file);
    uint32_t first, count;
    zx_status_t status = map_find(fs, n, block, max, &first, &count);
    if (status != ZX_OK) {
        return status;
    }
    while (count < max) {
        uint32_t next, more;
        if (map_find(fs, n, block + count, max - count, &next, &more) != ZX_OK ||
            next != (first == 0 ? 0 : first + count)) {
            break;
        }
        count += more;
    }
    *out = (struct ext2_run){
        .first = (uint64_t)first * fs->sectors_per_block, .count = count, .is_hole = first == 0};
    return ZX_OK;
}

zx_status_t ext2_map_for_write(struct ext2* fs, struct ext2_node* file, uint64_t block,
                               uint32_t max, struct ext2_run* out) {
    struct node* n = node_of(file);
    uint32_t first, count;
    bool is_new;
    if (n->base.kind != EXT2_FILE) {
        return ZX_ERR_NOT_FILE;
    }
    if (block >= ext2_file_max(fs) >> fs->block_shift) {
        return ZX_ERR_FILE_BIG;
    }
    zx_status_t status = fs_prepare(fs, (uint64_t)max + 4);
    if (status == ZX_OK) {
        status = map_trim(fs, n);
    }
    if (status == ZX_OK) {
        status = map_make(fs, n, block, max, &first, &count, &is_new);
    }
    if (status != ZX_OK) {
        return status;
    }
    while (!is_new && count < max) {
        uint32_t next, more;
        if (map_find(fs, n, block + count, max - count, &next, &more) != ZX_OK ||
            next != first + count) {
            break;
        }
        count += more;
    }
    *out = (struct ext2_run){
        .first = (uint64_t)first * fs->sectors_per_block, .count = count, .is_new = is_new};
    return ZX_OK;
}

// ---- length ----

static zx_status_t sectors(struct ext2* fs, const struct ext2_run* run, uint32_t count,
                           void* buffer) {
    return fs->device.read_blocks(fs->device.ctx, run->first, count * fs->sectors_per_block,
                                  buffer);
}

// Whoever extends a file sees zeros behind its old end.
static zx_status_t clear_tail(struct ext2* fs, struct node* n) {
    uint64_t size = node_size(n);
    uint32_t used = (uint32_t)(size & (fs->block_size - 1));
    struct ext2_run run;
    if (used == 0) {
        return ZX_OK;
    }
    zx_status_t status = ext2_map(fs, &n->base, size >> fs->block_shift, 1, &run);
    if (status != ZX_OK || run.is_hole) {
        return status;
    }
    uint8_t* block = malloc(fs->block_size);
    if (block == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    status = sectors(fs, &run, 1, block);
    if (status == ZX_OK) {
        memset(block + used, 0, fs->block_size - used);
        status = fs->device.write_blocks(fs->device.ctx, run.first, fs->sectors_per_block, block);
    }
    free(block);
    return status;
}

zx_status_t ext2_resize(struct ext2* fs, struct ext2_node* file, uint64_t size) {
    struct node* n = node_of(file);
    zx_status_t status = fs_prepare(fs, 0);
    if (status == ZX_OK && n->base.kind != EXT2_FILE) {
        status = ZX_ERR_NOT_FILE;
    }
    if (status == ZX_OK && size > ext2_file_max(fs)) {
        status = ZX_ERR_FILE_BIG;
    }
    if (status != ZX_OK || size == node_size(n)) {
        return status;
    }
    if (size > node_size(n)) {
        status = map_trim(fs, n);
        if (status == ZX_OK) {
            status = clear_tail(fs, n);
        }
    } else {
        status = map_cut(fs, n, (size + fs->block_size - 1) >> fs->block_shift);
    }
    if (status == ZX_OK) {
        node_set_size(fs, n, size);
        node_stamp(fs, n, true);
    }
    return status;
}

// ---- through memory ----

zx_status_t ext2_read(struct ext2* fs, struct ext2_node* file, uint64_t offset, void* buffer,
                      size_t len, size_t* actual) {
    struct node* n = node_of(file);
    uint64_t size = node_size(n);
    uint8_t* to = buffer;
    if (n->base.kind != EXT2_FILE) {
        return ZX_ERR_NOT_FILE;
    }
    len = offset >= size ? 0 : len < size - offset ? len : size - offset;
    size_t done = 0;
    uint8_t* bounce = nullptr;
    zx_status_t status = ZX_OK;
    while (status == ZX_OK && done < len) {
        uint64_t at = offset + done;
        uint32_t skip = (uint32_t)(at & (fs->block_size - 1));
        uint64_t blocks = (skip + (len - done) + fs->block_size - 1) >> fs->block_shift;
        struct ext2_run run;
        status = ext2_map(fs, file, at >> fs->block_shift,
                          blocks < UINT16_MAX ? (uint32_t)blocks : UINT16_MAX, &run);
        if (status != ZX_OK) {
            break;
        }
        size_t n_bytes = ((size_t)run.count << fs->block_shift) - skip;
        n_bytes = n_bytes < len - done ? n_bytes : len - done;
        if (run.is_hole) {
            memset(to + done, 0, n_bytes);
        } else if (skip == 0 && n_bytes >= fs->block_size) {
            uint32_t whole = (uint32_t)(n_bytes >> fs->block_shift);
            n_bytes = (size_t)whole << fs->block_shift;
            status = sectors(fs, &run, whole, to + done);
        } else {
            bounce = bounce != nullptr ? bounce : malloc(fs->block_size);
            n_bytes = n_bytes < fs->block_size - skip ? n_bytes : fs->block_size - skip;
            status = bounce != nullptr ? sectors(fs, &run, 1, bounce) : ZX_ERR_NO_MEMORY;
            if (status == ZX_OK) {
                memcpy(to + done, bounce + skip, n_bytes);
            }
        }
        done += n_bytes;
    }
    free(bounce);
    if (status == ZX_OK) {
        *actual = len;
    }
    return status;
}

// One block of which only a part is written.
static zx_status_t write_part(struct ext2* fs, const struct ext2_run* run, uint32_t skip,
                              const uint8_t* from, uint32_t len) {
    uint8_t* block = calloc(1, fs->block_size);
    if (block == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_status_t status = run->is_new ? ZX_OK : sectors(fs, run, 1, block);
    if (status == ZX_OK) {
        memcpy(block + skip, from, len);
        status = fs->device.write_blocks(fs->device.ctx, run->first, fs->sectors_per_block, block);
    }
    free(block);
    return status;
}

static zx_status_t write_piece(struct ext2* fs, struct ext2_node* file, uint64_t at,
                               const uint8_t* from, size_t len, size_t* done) {
    uint32_t skip = (uint32_t)(at & (fs->block_size - 1));
    bool is_part = skip != 0 || len < fs->block_size;
    uint64_t blocks = is_part ? 1 : len >> fs->block_shift;
    struct ext2_run run;
    zx_status_t status = ext2_map_for_write(
        fs, file, at >> fs->block_shift, blocks < UINT16_MAX ? (uint32_t)blocks : UINT16_MAX, &run);
    if (status != ZX_OK) {
        return status;
    }
    if (is_part) {
        *done = len < fs->block_size - skip ? len : fs->block_size - skip;
        return write_part(fs, &run, skip, from, (uint32_t)*done);
    }
    *done = (size_t)run.count << fs->block_shift;
    return fs->device.write_blocks(fs->device.ctx, run.first, run.count * fs->sectors_per_block,
                                   from);
}

zx_status_t ext2_write(struct ext2* fs, struct ext2_node* file, uint64_t offset, const void* buffer,
                       size_t len) {
    struct node* n = node_of(file);
    if (n->base.kind != EXT2_FILE) {
        return ZX_ERR_NOT_FILE;
    }
    if (offset > ext2_file_max(fs) || len > ext2_file_max(fs) - offset) {
        return ZX_ERR_FILE_BIG;
    }
    zx_status_t status = fs_writable(fs);
    if (status == ZX_OK && offset > node_size(n)) {
        status = ext2_resize(fs, file, offset);
    }
    for (size_t at = 0; status == ZX_OK && at < len;) {
        size_t done;
        status = write_piece(fs, file, offset + at, (const uint8_t*)buffer + at, len - at, &done);
        if (status == ZX_OK) {
            at += done;
            if (offset + at > node_size(n)) {
                node_set_size(fs, n, offset + at);
            }
        }
    }
    if (status == ZX_OK && len != 0) {
        node_stamp(fs, n, true);
    }
    return status;
}
