// Mounting: what is accepted, and the numbers that everything else relies on. After a mount all of
// `struct ext2` up to the cache is sound, whatever the image says.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

constexpr uint32_t CACHE_DEFAULT = 4096;
constexpr uint32_t DIRTY_NODES_MAX = 8192;

// ---- what is accepted ----

struct feature {
    uint32_t bit;
    const char* name;
};

static const struct feature incompatible[] = {
    {0x1, "compression"},
    {0x4, "needs_recovery"},
    {0x8, "journal_dev"},
    {0x10, "meta_bg"},
    {0x40, "extent"},
    {0x80, "64bit"},
    {0x100, "mmp"},
    {0x200, "flex_bg"},
    {0x400, "ea_inode"},
    {0x1000, "dirdata"},
    {0x2000, "metadata_csum_seed"},
    {0x4000, "large_dir"},
    {0x8000, "inline_data"},
    {0x10000, "encrypt"},
    {0x20000, "casefold"},
};

static const struct feature read_only[] = {
    {0x4, "btree_dir"},       {0x8, "huge_file"},       {0x10, "uninit_bg"},   {0x20, "dir_nlink"},
    {0x40, "extra_isize"},    {0x80, "snapshot"},       {0x100, "quota"},      {0x200, "bigalloc"},
    {0x400, "metadata_csum"}, {0x800, "replica"},       {0x1000, "read-only"}, {0x2000, "project"},
    {0x8000, "verity"},       {0x10000, "orphan_file"},
};

static void name_feature(char why[EXT2_WHY_MAX], const char* what, const struct feature* known,
                         size_t count, uint32_t bits) {
    const char* name = "of an unknown name";
    for (size_t i = 0; i < count; i++) {
        if ((known[i].bit & bits) != 0) {
            name = known[i].name;
            break;
        }
    }
    snprintf(why, EXT2_WHY_MAX, "%s feature %s (0x%x)", what, name, bits);
}

static bool needs_recovery(const struct ext2* fs) {
    return fs->super.rev_level != 0 && (fs->super.feature_incompat & INCOMPAT_RECOVER) != 0;
}

static zx_status_t check_features(struct ext2* fs, char why[EXT2_WHY_MAX]) {
    const struct superblock_raw* s = &fs->super;
    uint32_t refused = s->feature_incompat & ~(INCOMPAT_FILETYPE | INCOMPAT_RECOVER);
    uint32_t limits = s->feature_ro_compat & ~(RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE);
    if (s->rev_level == 0) {
        return ZX_OK; // it has none
    }
    if (refused != 0) {
        name_feature(why, "incompatible", incompatible,
                     sizeof(incompatible) / sizeof(incompatible[0]), refused);
        return ZX_ERR_NOT_SUPPORTED;
    }
    if (limits != 0) {
        name_feature(why, "read-only", read_only, sizeof(read_only) / sizeof(read_only[0]), limits);
        fs->read_only = true;
    }
    bool has_journal =
        (s->feature_compat & COMPAT_HAS_JOURNAL) != 0 && s->journal_inum == INO_JOURNAL;
    if (needs_recovery(fs) && (fs->read_only || !has_journal)) {
        name_feature(why, "incompatible", incompatible,
                     sizeof(incompatible) / sizeof(incompatible[0]), INCOMPAT_RECOVER);
        return ZX_ERR_NOT_SUPPORTED;
    }
    return ZX_OK;
}

static zx_status_t contradiction(char why[EXT2_WHY_MAX], const char* what) {
    snprintf(why, EXT2_WHY_MAX, "%s", what);
    return ZX_ERR_IO_DATA_INTEGRITY;
}

static zx_status_t check_super(struct ext2* fs, char why[EXT2_WHY_MAX]) {
    const struct superblock_raw* s = &fs->super;
    if (s->magic != EXT2_MAGIC) {
        return contradiction(why, "no ext2 superblock");
    }
    if (s->rev_level > 1) {
        snprintf(why, EXT2_WHY_MAX, "revision %u", s->rev_level);
        return ZX_ERR_NOT_SUPPORTED;
    }
    if (s->log_block_size > 2) {
        snprintf(why, EXT2_WHY_MAX, "blocks of 2^%u KiB", s->log_block_size);
        return ZX_ERR_NOT_SUPPORTED;
    }
    fs->block_shift = 10 + s->log_block_size;
    fs->block_size = 1u << fs->block_shift;
    fs->sectors_per_block = fs->block_size / EXT2_SECTOR;
    fs->pointer_shift = fs->block_shift - 2;
    fs->pointers = 1u << fs->pointer_shift;
    fs->inode_size = s->rev_level == 0 ? INODE_SIZE_REV0 : s->inode_size;
    fs->first_ino = s->rev_level == 0 ? INO_FIRST_REV0 : s->first_ino;
    uint32_t bits = fs->block_size * 8;
    if (s->blocks_per_group == 0 || s->blocks_per_group > bits || s->inodes_per_group == 0 ||
        s->inodes_per_group > bits || s->first_data_block != (s->log_block_size == 0 ? 1 : 0) ||
        s->blocks_count <= s->first_data_block ||
        (uint64_t)s->blocks_count * fs->sectors_per_block > fs->device.sector_count) {
        return contradiction(why, "impossible sizes");
    }
    if (fs->inode_size < INODE_SIZE_REV0 || fs->inode_size > fs->block_size ||
        (fs->inode_size & (fs->inode_size - 1)) != 0) {
        return contradiction(why, "impossible size of inodes");
    }
    uint64_t groups = ((uint64_t)s->blocks_count - s->first_data_block + s->blocks_per_group - 1) /
                      s->blocks_per_group;
    if (groups * s->inodes_per_group != s->inodes_count || fs->first_ino <= INO_ROOT ||
        fs->first_ino > s->inodes_count || fs->first_ino > s->inodes_per_group) {
        return contradiction(why, "impossible number of inodes");
    }
    fs->group_count = (uint32_t)groups;
    fs->has_filetype = s->rev_level != 0 && (s->feature_incompat & INCOMPAT_FILETYPE) != 0;
    return check_features(fs, why);
}

static zx_status_t read_groups(struct ext2* fs, char why[EXT2_WHY_MAX]) {
    const struct superblock_raw* s = &fs->super;
    uint32_t per_block = fs->block_size / sizeof(struct group_raw);
    fs->group_blocks = (fs->group_count + per_block - 1) / per_block;
    uint64_t first = (uint64_t)s->first_data_block + 1;
    uint32_t table = table_blocks(fs);
    uint64_t tables_from = first + fs->group_blocks;
    if (tables_from >= s->blocks_count) {
        return contradiction(why, "no room for the groups");
    }
    size_t len = (size_t)fs->group_blocks * fs->block_size;
    fs->groups = malloc(len);
    fs->groups_on_disk = malloc(len);
    if (fs->groups == nullptr || fs->groups_on_disk == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_status_t status =
        fs->device.read_blocks(fs->device.ctx, first * fs->sectors_per_block,
                               fs->group_blocks * fs->sectors_per_block, fs->groups);
    if (status != ZX_OK) {
        return status;
    }
    memcpy(fs->groups_on_disk, fs->groups, len);
    uint32_t free_blocks = 0;
    uint32_t free_inodes = 0;
    for (uint32_t i = 0; i < fs->group_count; i++) {
        const struct group_raw* g = &fs->groups[i];
        if (g->block_bitmap < tables_from || g->block_bitmap >= s->blocks_count ||
            g->inode_bitmap < tables_from || g->inode_bitmap >= s->blocks_count ||
            g->inode_table < tables_from || g->inode_table >= s->blocks_count ||
            table > s->blocks_count - g->inode_table) {
            return contradiction(why, "tables outside of the image");
        }
        free_blocks += g->free_blocks_count;
        free_inodes += g->free_inodes_count;
    }
    fs->super.free_blocks_count = free_blocks;
    fs->super.free_inodes_count = free_inodes;
    return ZX_OK;
}

// ---- writing ----

zx_status_t write_super(struct ext2* fs) {
    fs->super.wtime = fs_now(fs);
    fs->cache.unflushed = true;
    return fs->device.write_blocks(fs->device.ctx, SUPERBLOCK_OFFSET / EXT2_SECTOR,
                                   sizeof(fs->super) / EXT2_SECTOR, &fs->super);
}

zx_status_t write_groups(struct ext2* fs) {
    for (uint32_t i = 0; i < fs->group_blocks; i++) {
        uint8_t* now = (uint8_t*)fs->groups + (size_t)i * fs->block_size;
        uint8_t* before = (uint8_t*)fs->groups_on_disk + (size_t)i * fs->block_size;
        if (memcmp(now, before, fs->block_size) == 0) {
            continue;
        }
        fs->cache.unflushed = true;
        zx_status_t status = fs->device.write_blocks(
            fs->device.ctx, ((uint64_t)fs->super.first_data_block + 1 + i) * fs->sectors_per_block,
            fs->sectors_per_block, now);
        if (status != ZX_OK) {
            return status;
        }
        memcpy(before, now, fs->block_size);
    }
    return ZX_OK;
}

// ---- the mark ----

bool fs_has_changes(const struct ext2* fs) {
    return ext2_is_dirty(fs) || fs->freed_inodes.count != 0 || fs->freed_attributes.count != 0 ||
           fs->journal.is_pending || !list_empty(&fs->pending);
}

zx_status_t mark_unclean(struct ext2* fs) {
    if (!fs->is_marked) {
        return ZX_OK;
    }
    fs->super.state = (uint16_t)(fs->super.state & ~STATE_VALID);
    if (!fs->is_counted) {
        fs->is_counted = true;
        fs->super.mnt_count++;
        fs->super.mtime = fs_now(fs);
    }
    zx_status_t status = write_super(fs);
    if (status == ZX_OK) {
        status = cache_flush(fs);
    }
    fs->is_marked = status != ZX_OK;
    return status;
}

// An open file without a name: after a cut of power its blocks are nobody's.
static bool has_nameless(const struct ext2* fs) {
    for (uint32_t i = 0; i < NODE_BUCKETS; i++) {
        for (const struct node* n = fs->nodes[i]; n != nullptr; n = n->hash_next) {
            if (n->raw.links_count == 0 && !n->is_released) {
                return true;
            }
        }
    }
    return false;
}

// What the last sync wrote last comes before the mark, so it is flushed first.
zx_status_t ext2_mark_clean(struct ext2* fs) {
    if (fs->read_only || fs->is_marked || fs->is_doubtful || fs_has_changes(fs) ||
        has_nameless(fs)) {
        return ZX_OK;
    }
    zx_status_t status = cache_flush(fs);
    if (status == ZX_OK) {
        fs->super.state |= STATE_VALID;
        fs->is_marked = true; // whatever becomes of the write
        status = write_super(fs);
    }
    return status;
}

uint32_t fs_now(const struct ext2* fs) {
    int64_t seconds = fs->device.now(fs->device.ctx) / 1000000000;
    return seconds > 0 && seconds < UINT32_MAX ? (uint32_t)seconds : 0;
}

zx_status_t fs_writable(const struct ext2* fs) {
    return fs->read_only ? ZX_ERR_ACCESS_DENIED : ZX_OK;
}

zx_status_t fs_prepare(struct ext2* fs, uint64_t blocks) {
    zx_status_t status = fs_writable(fs);
    if (status != ZX_OK) {
        return status;
    }
    bool is_full = fs->super.free_blocks_count < blocks + 64 && fs->freed_blocks.total != 0;
    bool has_no_inode = fs->super.free_inodes_count == 0 && fs->freed_inodes.count != 0;
    bool has_much =
        fs->cache.dirty_count > fs->cache.max / 2 || fs->dirty_node_count > DIRTY_NODES_MAX;
    has_much |= fs->needs_journal && !journal_has_room(fs);
    return is_full || has_no_inode || has_much ? sync_batch(fs) : ZX_OK;
}

// ---- mounting ----

static zx_status_t release_orphans(struct ext2* fs) {
    uint32_t ino = fs->super.last_orphan;
    if (ino == 0) {
        return ZX_OK;
    }
    zx_status_t status = mark_unclean(fs);
    fs->super.last_orphan = 0; // first: a list is not to be begun in the middle
    if (status == ZX_OK) {
        status = write_super(fs);
    }
    if (status == ZX_OK) {
        status = cache_flush(fs);
    }
    for (uint32_t i = 0; status == ZX_OK && ino != 0 && i < fs->super.inodes_count; i++) {
        if (node_orphan(fs, ino, &ino) != ZX_OK) {
            break; // what is behind it is lost until the next check
        }
    }
    return status == ZX_OK ? sync_batch(fs) : status;
}

static zx_status_t begin_writing(struct ext2* fs) {
    fs->is_marked = fs->was_clean;
    zx_status_t status = fs->was_clean ? ZX_OK : alloc_recount(fs);
    if (status == ZX_OK) {
        status = release_orphans(fs);
    }
    return status == ZX_OK && !fs->was_clean ? recover(fs) : status;
}

// `*again`: what the journal had is in place, and all has to be read anew.
static zx_status_t mount(struct ext2* fs, const struct ext2_options* options,
                         char why[EXT2_WHY_MAX], bool* again) {
    *again = false;
    list_init(&fs->node_lru);
    list_init(&fs->dirty_nodes);
    list_init(&fs->pending);
    fs->batch = 1;
    fs->read_only = options->read_only;
    if (fs->device.sector_count < 4) {
        return contradiction(why, "too small");
    }
    zx_status_t status = fs->device.read_blocks(fs->device.ctx, SUPERBLOCK_OFFSET / EXT2_SECTOR,
                                                sizeof(fs->super) / EXT2_SECTOR, &fs->super);
    if (status == ZX_OK) {
        status = check_super(fs, why);
    }
    if (status == ZX_OK) {
        status = cache_init(fs, options->cache_blocks != 0 ? options->cache_blocks : CACHE_DEFAULT);
    }
    if (status == ZX_OK) {
        status = read_groups(fs, why);
    }
    if (status == ZX_OK && needs_recovery(fs)) {
        status = journal_recover(fs, why);
        *again = status == ZX_OK;
        return status;
    }
    if (status != ZX_OK) {
        return status;
    }
    fs->was_clean = (fs->super.state & STATE_VALID) != 0;
    fs->next_generation = fs_now(fs);
    if ((fs->super.state & STATE_ERROR) != 0 && !fs->read_only) {
        fs->read_only = true;
        snprintf(why, EXT2_WHY_MAX, "marked as having errors");
    }
    status = node_get(fs, INO_ROOT, &fs->root);
    if (status == ZX_OK && !is_directory(fs->root)) {
        status = ZX_ERR_IO_DATA_INTEGRITY;
    }
    if (status != ZX_OK) {
        snprintf(why, EXT2_WHY_MAX, "no root directory");
        return status == ZX_ERR_NOT_FOUND ? ZX_ERR_IO_DATA_INTEGRITY : status;
    }
    return fs->read_only ? ZX_OK : begin_writing(fs);
}

void ext2_abandon(struct ext2* fs) {
    nodes_destroy(fs);
    cache_destroy(fs);
    free(fs->groups);
    free(fs->groups_on_disk);
    free(fs->freed_blocks.items);
    free(fs->freed_inodes.items);
    free(fs->freed_attributes.items);
    free(fs->journal.super);
    free(fs);
}

zx_status_t ext2_mount(const struct ext2_device* device, const struct ext2_options* options,
                       struct ext2** out, char why[EXT2_WHY_MAX]) {
    char unused[EXT2_WHY_MAX];
    why = why != nullptr ? why : unused;
    why[0] = 0;
    bool again = true;
    for (unsigned i = 0; again && i < 2; i++) {
        struct ext2* fs = calloc(1, sizeof(*fs));
        if (fs == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        fs->device = *device;
        zx_status_t status = mount(fs, options, why, &again);
        if (status == ZX_OK && !again) {
            *out = fs;
            return ZX_OK;
        }
        ext2_abandon(fs);
        if (status != ZX_OK) {
            return status;
        }
    }
    return contradiction(why, "a journal without an end");
}

static void release_nameless(struct ext2* fs) {
    for (uint32_t i = 0; i < NODE_BUCKETS; i++) {
        for (struct node* n = fs->nodes[i]; n != nullptr; n = n->hash_next) {
            if (n->raw.links_count == 0) {
                node_release(fs, n);
            }
        }
    }
}

zx_status_t ext2_unmount(struct ext2* fs) {
    zx_status_t status = ZX_OK;
    if (!fs->read_only) {
        release_nameless(fs);
        status = sync_batch(fs);
        if (status == ZX_OK) {
            status = ext2_mark_clean(fs);
        }
        if (status == ZX_OK) {
            status = cache_flush(fs);
        }
    }
    ext2_abandon(fs);
    return status;
}

bool ext2_is_read_only(const struct ext2* fs) {
    return fs->read_only;
}

void ext2_set_aside(struct ext2* fs, uint64_t blocks) {
    fs->set_aside = blocks;
}

void ext2_query_usage(const struct ext2* fs, struct ext2_usage* out) {
    *out = (struct ext2_usage){
        .blocks = fs->super.blocks_count,
        .free_blocks = fs->super.free_blocks_count + fs->freed_blocks.total,
        .inodes = fs->super.inodes_count,
        .free_inodes = fs->super.free_inodes_count + fs->freed_inodes.count,
        .block_size = fs->block_size,
    };
}
