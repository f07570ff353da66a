// A new, empty file system: as mke2fs makes them, without the parts that only it needs (blocks in
// reserve for growing). Groups of as many blocks as a bitmap has bits; copies of the superblock
// where sparse_super wants them.
#include <stdlib.h>
#include <string.h>

#include "core.h"

constexpr uint32_t BYTES_PER_INODE = 16384;
constexpr uint32_t FORMAT_INODE_SIZE = 256;
constexpr uint32_t LOST_INO = 11;
constexpr uint32_t SPARE_BLOCKS = 50; // a last group with less room is left out

struct plan {
    const struct ext2_device* device;
    struct superblock_raw super;
    uint32_t block_size, sectors_per_block;
    uint32_t groups, group_blocks, table_blocks;
    struct group_raw* table;
    uint8_t* block;
};

static bool is_power(uint32_t n, uint32_t base) {
    while (n > 1 && n % base == 0) {
        n /= base;
    }
    return n == 1;
}

static bool has_copy(uint32_t group) {
    return group <= 1 || is_power(group, 3) || is_power(group, 5) || is_power(group, 7);
}

static uint32_t overhead_of(const struct plan* p, uint32_t group) {
    return (has_copy(group) ? 1 + p->group_blocks : 0) + 2 + p->table_blocks;
}

static uint32_t first_of(const struct plan* p, uint32_t group) {
    return p->super.first_data_block + group * p->super.blocks_per_group;
}

static uint32_t len_of(const struct plan* p, uint32_t group) {
    uint32_t left = p->super.blocks_count - first_of(p, group);
    return left < p->super.blocks_per_group ? left : p->super.blocks_per_group;
}

static zx_status_t write_block(struct plan* p, uint32_t block, const void* data) {
    return p->device->write_blocks(p->device->ctx, (uint64_t)block * p->sectors_per_block,
                                   p->sectors_per_block, data);
}

// ---- the plan ----

static zx_status_t make_plan(struct plan* p, const struct ext2_format* options) {
    uint64_t bytes = p->device->sector_count * EXT2_SECTOR;
    uint32_t size = options->block_size != 0  ? options->block_size
                    : bytes >= (512ull << 20) ? 4096
                                              : 1024;
    uint64_t blocks = bytes / size;
    struct superblock_raw* s = &p->super;
    if (size != 1024 && size != 2048 && size != 4096) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (blocks > UINT32_MAX) {
        blocks = UINT32_MAX;
    }
    p->block_size = size;
    p->sectors_per_block = size / EXT2_SECTOR;
    s->log_block_size = s->log_frag_size = size == 1024 ? 0 : size == 2048 ? 1 : 2;
    s->first_data_block = size == 1024 ? 1 : 0;
    s->blocks_per_group = s->frags_per_group = size * 8;
    s->blocks_count = (uint32_t)blocks;
    p->groups =
        (uint32_t)((blocks - s->first_data_block + s->blocks_per_group - 1) / s->blocks_per_group);
    p->group_blocks = (uint32_t)((p->groups * sizeof(struct group_raw) + size - 1) / size);
    uint64_t inodes = bytes / BYTES_PER_INODE / (p->groups != 0 ? p->groups : 1);
    uint32_t step = size / FORMAT_INODE_SIZE < 8 ? 8 : size / FORMAT_INODE_SIZE;
    s->inodes_per_group = (uint32_t)((inodes + step - 1) / step * step);
    s->inodes_per_group = s->inodes_per_group < 32 ? 32 : s->inodes_per_group;
    p->table_blocks = s->inodes_per_group * FORMAT_INODE_SIZE / size;
    if (p->groups > 1 && len_of(p, p->groups - 1) < overhead_of(p, p->groups - 1) + SPARE_BLOCKS) {
        p->groups--;
        s->blocks_count = first_of(p, p->groups);
    }
    if (p->groups == 0 || len_of(p, 0) < overhead_of(p, 0) + 8) {
        return ZX_ERR_NO_SPACE;
    }
    s->inodes_count = p->groups * s->inodes_per_group;
    return ZX_OK;
}

static void fill_super(struct plan* p, const struct ext2_format* options) {
    struct superblock_raw* s = &p->super;
    uint32_t now = (uint32_t)(p->device->now(p->device->ctx) / 1000000000);
    s->wtime = s->lastcheck = now;
    s->max_mnt_count = UINT16_MAX;
    s->magic = EXT2_MAGIC;
    s->state = STATE_VALID;
    s->errors = 1; // go on
    s->rev_level = 1;
    s->first_ino = INO_FIRST_REV0;
    s->inode_size = FORMAT_INODE_SIZE;
    s->feature_incompat = INCOMPAT_FILETYPE;
    s->feature_ro_compat = RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE;
    memcpy(s->uuid, options->uuid, sizeof(s->uuid));
    for (uint32_t i = 0; i < p->groups; i++) {
        struct group_raw* g = &p->table[i];
        uint32_t at = first_of(p, i) + (has_copy(i) ? 1 + p->group_blocks : 0);
        g->block_bitmap = at;
        g->inode_bitmap = at + 1;
        g->inode_table = at + 2;
        g->free_blocks_count = (uint16_t)(len_of(p, i) - overhead_of(p, i) - (i == 0 ? 2 : 0));
        g->free_inodes_count = (uint16_t)(s->inodes_per_group - (i == 0 ? LOST_INO : 0));
        g->used_dirs_count = i == 0 ? 2 : 0;
        s->free_blocks_count += g->free_blocks_count;
        s->free_inodes_count += g->free_inodes_count;
    }
}

// ---- writing ----

static void set_bits(uint8_t* map, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        map[i / 8] |= (uint8_t)(1 << i % 8);
    }
}

static uint32_t root_block(const struct plan* p) {
    return first_of(p, 0) + overhead_of(p, 0);
}

static zx_status_t write_bitmaps(struct plan* p, uint32_t group) {
    uint32_t bits = p->block_size * 8;
    memset(p->block, 0, p->block_size);
    set_bits(p->block, 0, overhead_of(p, group) + (group == 0 ? 2 : 0));
    set_bits(p->block, len_of(p, group), bits);
    zx_status_t status = write_block(p, p->table[group].block_bitmap, p->block);
    if (status != ZX_OK) {
        return status;
    }
    memset(p->block, 0, p->block_size);
    set_bits(p->block, 0, group == 0 ? LOST_INO : 0);
    set_bits(p->block, p->super.inodes_per_group, bits);
    return write_block(p, p->table[group].inode_bitmap, p->block);
}

static void fill_inode(const struct plan* p, uint8_t* table, uint32_t ino, uint16_t mode,
                       uint16_t links, uint32_t block) {
    struct inode_raw* raw = (struct inode_raw*)(table + (ino - 1) * FORMAT_INODE_SIZE);
    raw->mode = MODE_DIRECTORY | mode;
    raw->links_count = links;
    raw->size = p->block_size;
    raw->blocks = p->sectors_per_block;
    raw->block[0] = block;
    raw->atime = raw->ctime = raw->mtime = raw->crtime = p->super.wtime;
    raw->extra_isize = EXTRA_ISIZE;
}

static zx_status_t write_table(struct plan* p, uint32_t group) {
    uint32_t first_blocks = 0;
    if (group == 0) {
        first_blocks = (LOST_INO * FORMAT_INODE_SIZE + p->block_size - 1) / p->block_size;
        uint8_t* table = calloc(first_blocks, p->block_size);
        if (table == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        fill_inode(p, table, INO_ROOT, 0755, 3, root_block(p));
        fill_inode(p, table, LOST_INO, 0700, 2, root_block(p) + 1);
        zx_status_t status = ZX_OK;
        for (uint32_t i = 0; status == ZX_OK && i < first_blocks; i++) {
            status = write_block(p, p->table[0].inode_table + i, table + (size_t)i * p->block_size);
        }
        free(table);
        if (status != ZX_OK) {
            return status;
        }
    }
    memset(p->block, 0, p->block_size);
    for (uint32_t i = first_blocks; i < p->table_blocks; i++) {
        zx_status_t status = write_block(p, p->table[group].inode_table + i, p->block);
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static uint32_t add_record(uint8_t* block, uint32_t at, uint32_t ino, const char* name,
                           uint32_t rec_len) {
    struct dirent_raw* r = (struct dirent_raw*)(block + at);
    *r = (struct dirent_raw){ino, (uint16_t)rec_len, (uint8_t)strlen(name), EXT2_DIRECTORY};
    memcpy(r->name, name, strlen(name));
    return at + rec_len;
}

static zx_status_t write_directories(struct plan* p) {
    memset(p->block, 0, p->block_size);
    uint32_t at = add_record(p->block, 0, INO_ROOT, ".", dirent_len(1));
    at = add_record(p->block, at, INO_ROOT, "..", dirent_len(2));
    (void)add_record(p->block, at, LOST_INO, "lost+found", p->block_size - at);
    zx_status_t status = write_block(p, root_block(p), p->block);
    if (status != ZX_OK) {
        return status;
    }
    memset(p->block, 0, p->block_size);
    at = add_record(p->block, 0, LOST_INO, ".", dirent_len(1));
    (void)add_record(p->block, at, INO_ROOT, "..", p->block_size - at);
    return write_block(p, root_block(p) + 1, p->block);
}

static zx_status_t write_copies(struct plan* p) {
    for (uint32_t group = p->groups; group-- != 0;) { // the one that counts comes last
        if (!has_copy(group)) {
            continue;
        }
        for (uint32_t i = 0; i < p->group_blocks; i++) {
            zx_status_t status = write_block(p, first_of(p, group) + 1 + i,
                                             (uint8_t*)p->table + (size_t)i * p->block_size);
            if (status != ZX_OK) {
                return status;
            }
        }
        p->super.block_group_nr = (uint16_t)group;
        uint64_t sector = group == 0 ? SUPERBLOCK_OFFSET / EXT2_SECTOR
                                     : (uint64_t)first_of(p, group) * p->sectors_per_block;
        zx_status_t status = p->device->write_blocks(p->device->ctx, sector,
                                                     sizeof(p->super) / EXT2_SECTOR, &p->super);
        if (status != ZX_OK) {
            return status;
        }
    }
    return p->device->flush(p->device->ctx);
}

static zx_status_t write_all(struct plan* p) {
    for (uint32_t i = 0; i < p->groups; i++) {
        zx_status_t status = write_bitmaps(p, i);
        if (status == ZX_OK) {
            status = write_table(p, i);
        }
        if (status != ZX_OK) {
            return status;
        }
    }
    zx_status_t status = write_directories(p);
    if (status == ZX_OK) {
        status = p->device->flush(p->device->ctx);
    }
    return status == ZX_OK ? write_copies(p) : status;
}

zx_status_t ext2_format(const struct ext2_device* device, const struct ext2_format* options) {
    struct plan p = {.device = device};
    zx_status_t status = make_plan(&p, options);
    if (status != ZX_OK) {
        return status;
    }
    p.table = calloc(p.group_blocks, p.block_size);
    p.block = malloc(p.block_size);
    status = ZX_ERR_NO_MEMORY;
    if (p.table != nullptr && p.block != nullptr) {
        fill_super(&p, options);
        status = write_all(&p);
    }
    free(p.table);
    free(p.block);
    return status;
}
