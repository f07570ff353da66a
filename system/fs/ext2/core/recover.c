// After a cut of power: what the order of writes allows to be wrong is put right
// (docs/design/ext2.md). The tree is walked once, then the tables of inodes: names of the dead go,
// a directory that was on its way between two others is in one of them, link counts become what
// they should be, and what is taken in the bitmaps and nobody's is given back. Changes are made as
// any others are, and reach the disk by one sync, so a cut during recovery is like any other.
#include <stdlib.h>
#include <string.h>

#include "core.h"

struct recovery {
    struct ext2* fs;
    uint16_t* names; // of each inode
    uint16_t* below; // directories in each directory
    uint32_t* queue; // directories to look into
    uint32_t queued, looked;
    uint8_t* used;    // blocks
    uint64_t seen;    // blocks met, against loops
    bool is_doubtful; // two owners, or what is no block: the bitmaps stay as they are
};

// ---- reading ahead ----

// The blocks of a directory, as long as they lie beside each other.
static void fetch_directory(struct ext2* fs, struct node* d) {
    uint64_t blocks = (node_size(d) + fs->block_size - 1) >> fs->block_shift;
    uint32_t max = fs->cache.max / 2;
    blocks = blocks < max ? blocks : max;
    for (uint64_t at = 0; at < blocks;) {
        uint32_t first, count;
        if (map_find(fs, d, at, (uint32_t)(blocks - at), &first, &count) != ZX_OK || count == 0) {
            return;
        }
        if (first != 0) {
            cache_fetch(fs, first, count);
        }
        at += count;
    }
}

// Blocks of pointers that lie beside each other, as those of the resize inode do.
static void fetch_listed(struct ext2* fs, const uint32_t* slots) {
    uint32_t count;
    for (uint32_t i = 0; i < fs->pointers; i += count) {
        count = 1;
        while (i + count < fs->pointers && slots[i + count] == slots[i] + count) {
            count++;
        }
        if (count > 1) {
            cache_fetch(fs, slots[i], count);
        }
    }
}

// ---- names ----

// What ".." says; 0: nothing sound.
static uint32_t dotdot_of(struct ext2* fs, struct node* d) {
    uint32_t first, count;
    struct block* b;
    if (map_find(fs, d, 0, 1, &first, &count) != ZX_OK || first == 0 ||
        block_get(fs, first, &b) != ZX_OK) {
        return 0;
    }
    const struct dirent_raw* dot = (const struct dirent_raw*)b->data;
    uint32_t ino = 0;
    if (dot->rec_len == dirent_len(1)) {
        ino = ((const struct dirent_raw*)(b->data + dirent_len(1)))->inode;
    }
    block_put(fs, b);
    return ino;
}

// A name of a directory that has one already. The one that stays is where its ".." leads; the move
// has happened, or it has not.
static zx_status_t name_one_directory(struct recovery* r, struct node* d, struct dname* e,
                                      struct node* child) {
    struct ext2* fs = r->fs;
    if (child->parent_ino == d->base.ino || dotdot_of(fs, child) != d->base.ino) {
        directory_touch(fs, d);
        return directory_erase(fs, d, e);
    }
    struct node* other;
    zx_status_t status = node_get(fs, child->parent_ino, &other);
    if (status != ZX_OK) {
        return status;
    }
    struct names* t = &other->names;
    struct dname* found = nullptr;
    for (uint32_t i = 0; i < t->bucket_count && found == nullptr; i++) {
        found = t->buckets[i];
        while (found != nullptr && found->ino != child->base.ino) {
            found = found->next;
        }
    }
    if (found != nullptr) {
        directory_touch(fs, other);
        status = directory_erase(fs, other, found);
    }
    if (status == ZX_OK) {
        r->below[other->base.ino - 1]--;
        r->below[d->base.ino - 1]++;
        child->parent_ino = d->base.ino;
    }
    node_unref(fs, other);
    return status;
}

static zx_status_t count_name(struct recovery* r, struct node* d, struct dname* e) {
    struct ext2* fs = r->fs;
    struct node* n;
    zx_status_t status = node_get(fs, e->ino, &n);
    if (status != ZX_OK) {
        return status == ZX_ERR_NOT_FOUND ? ZX_OK : status;
    }
    uint16_t* names = &r->names[e->ino - 1];
    if (!is_directory(n)) {
        *names = (uint16_t)(*names + (*names != UINT16_MAX));
    } else if (n == fs->root) {
        status = ZX_ERR_IO_DATA_INTEGRITY;
    } else if (*names != 0) {
        status = name_one_directory(r, d, e, n);
    } else {
        *names = 1;
        n->parent_ino = d->base.ino;
        node_dirty(fs, n); // it stays in memory, and its parent with it
        r->below[d->base.ino - 1]++;
        r->queue[r->queued++] = e->ino;
    }
    node_unref(fs, n);
    return status;
}

static zx_status_t look_into(struct recovery* r, uint32_t ino) {
    struct ext2* fs = r->fs;
    struct node* d;
    zx_status_t status = node_get(fs, ino, &d);
    if (status != ZX_OK) {
        return status;
    }
    fetch_directory(fs, d);
    status = directory_load(fs, d); // names of the dead go here
    for (uint32_t i = 0; status == ZX_OK && i < d->names.bucket_count; i++) {
        struct dname* next;
        for (struct dname* e = d->names.buckets[i]; status == ZX_OK && e != nullptr; e = next) {
            next = e->next;
            status = count_name(r, d, e);
        }
    }
    node_unref(fs, d);
    return status;
}

// ---- blocks ----

static bool is_set(const uint8_t* bits, uint32_t i) {
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static bool test_and_set(uint8_t* bits, uint32_t i) {
    bool was = is_set(bits, i);
    bits[i / 8] |= (uint8_t)(1 << i % 8);
    return was;
}

static void own(struct recovery* r, uint32_t block, unsigned level, bool is_shared) {
    struct ext2* fs = r->fs;
    if (block == 0 || r->is_doubtful) {
        return;
    }
    if (!fs_block_valid(fs, block) || ++r->seen > fs->super.blocks_count ||
        (test_and_set(r->used, block) && !is_shared)) {
        r->is_doubtful = true;
        return;
    }
    struct block* b;
    if (level == 0) {
        return;
    }
    if (block_get(fs, block, &b) != ZX_OK) {
        r->is_doubtful = true;
        return;
    }
    const uint32_t* slots = (const uint32_t*)b->data;
    if (level > 1) {
        fetch_listed(fs, slots);
    }
    for (uint32_t i = 0; i < fs->pointers; i++) {
        own(r, slots[i], level - 1, false);
    }
    block_put(fs, b);
}

static void own_all(struct recovery* r, const struct inode_raw* raw) {
    uint16_t type = raw->mode & MODE_TYPE;
    uint32_t attributes = raw->file_acl != 0 ? r->fs->sectors_per_block : 0;
    bool has_blocks = type == MODE_FILE || type == MODE_DIRECTORY || type == 0 ||
                      (type == MODE_SYMLINK && raw->blocks != attributes);
    own(r, raw->file_acl, 0, true);
    for (uint32_t i = 0; has_blocks && i < POINTERS; i++) {
        own(r, raw->block[i], i < DIRECT_BLOCKS ? 0 : i - DIRECT_BLOCKS + 1, false);
    }
}

// ---- inodes ----

static zx_status_t fix_links(struct recovery* r, uint32_t ino, uint16_t links) {
    uint32_t names = r->names[ino - 1];
    struct node* n;
    if (ino != INO_ROOT && names == 0) {
        return ZX_OK; // alive without a name: not by us
    }
    zx_status_t status = node_get(r->fs, ino, &n);
    if (status != ZX_OK) {
        return status;
    }
    uint16_t right = (uint16_t)(is_directory(n) ? r->below[ino - 1] + 2u : names);
    if (right != links) {
        n->raw.links_count = right;
        node_dirty(r->fs, n);
    }
    status = r->is_doubtful ? ZX_OK : map_trim(r->fs, n);
    node_unref(r->fs, n);
    return status;
}

// A journal that was made and is not named: its blocks are nobody's.
static void clear_inode(struct ext2* fs, struct block* b, struct inode_raw* at) {
    if (at->mode != 0) {
        memset(at, 0, fs->inode_size);
        block_dirty(fs, b, CLASS_TABLE);
    }
}

static zx_status_t look_at_inode(struct recovery* r, uint32_t ino) {
    struct ext2* fs = r->fs;
    struct block* b;
    struct inode_raw* at;
    zx_status_t status = node_table(fs, ino, &b, &at);
    if (status != ZX_OK) {
        return status;
    }
    if (ino == INO_JOURNAL && fs->super.journal_inum == 0) {
        clear_inode(fs, b, at);
    }
    struct inode_raw raw = {};
    memcpy(&raw, at, INODE_SIZE_REV0);
    block_put(fs, b);
    bool is_reserved = ino < fs->first_ino;
    if (raw.links_count != 0 || is_reserved) {
        own_all(r, &raw);
    }
    if (is_reserved && ino != INO_ROOT) {
        return ZX_OK;
    }
    if (raw.links_count == 0) {
        return runs_add(&fs->freed_inodes, fs->freed_inodes.count, ino, 1);
    }
    if ((raw.mode & MODE_TYPE) == MODE_DIRECTORY) {
        fs->groups[(ino - 1) / fs->super.inodes_per_group].used_dirs_count++;
    }
    return fix_links(r, ino, raw.links_count);
}

static zx_status_t look_at_inodes_of(struct recovery* r, uint32_t group, const uint8_t* bits) {
    uint32_t per_group = r->fs->super.inodes_per_group;
    r->fs->groups[group].used_dirs_count = 0; // counted anew
    for (uint32_t i = 0; i < per_group; i++) {
        zx_status_t status = is_set(bits, i) ? look_at_inode(r, group * per_group + i + 1) : ZX_OK;
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static zx_status_t look_at_inodes(struct recovery* r) {
    struct ext2* fs = r->fs;
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; status == ZX_OK && i < fs->group_count; i++) {
        struct block* map;
        status = block_get(fs, fs->groups[i].inode_bitmap, &map);
        if (status == ZX_OK) {
            status = look_at_inodes_of(r, i, map->data);
            block_put(fs, map);
        }
    }
    return status;
}

// ---- what nobody has ----

static void own_range(struct recovery* r, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count && first + i < r->fs->super.blocks_count; i++) {
        (void)test_and_set(r->used, first + i);
    }
}

static bool is_power_of(uint32_t n, uint32_t base) {
    while (n > 1 && n % base == 0) {
        n /= base;
    }
    return n == 1;
}

static bool has_super(const struct ext2* fs, uint32_t group) {
    return (fs->super.feature_ro_compat & RO_COMPAT_SPARSE_SUPER) == 0 || group <= 1 ||
           is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

static void own_tables(struct recovery* r) {
    struct ext2* fs = r->fs;
    uint32_t table = table_blocks(fs);
    own_range(r, 0, fs->super.first_data_block);
    for (uint32_t i = 0; i < fs->group_count; i++) {
        const struct group_raw* g = &fs->groups[i];
        uint32_t first = fs->super.first_data_block + i * fs->super.blocks_per_group;
        if (has_super(fs, i)) {
            // What is reserved for more groups belongs to inode 7, if it says so.
            own_range(r, first, 1 + fs->group_blocks + fs->super.reserved_gdt_blocks);
        }
        own_range(r, g->block_bitmap, 1);
        own_range(r, g->inode_bitmap, 1);
        own_range(r, g->inode_table, table);
    }
}

static zx_status_t free_leaked_of(struct recovery* r, uint32_t group, struct block* map) {
    struct ext2* fs = r->fs;
    uint32_t first = fs->super.first_data_block + group * fs->super.blocks_per_group;
    uint32_t left = fs->super.blocks_count - first;
    uint32_t len = left < fs->super.blocks_per_group ? left : fs->super.blocks_per_group;
    for (uint32_t bit = 0; bit < len; bit++) {
        bool is_taken = is_set(map->data, bit);
        bool is_used = is_set(r->used, first + bit);
        zx_status_t status = ZX_OK;
        if (is_used && !is_taken) {
            (void)test_and_set(map->data, bit);
            block_dirty(fs, map, CLASS_BITMAP);
        } else if (is_taken && !is_used) {
            status = runs_add(&fs->freed_blocks, 0, first + bit, 1);
        }
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static zx_status_t free_leaked(struct recovery* r) {
    struct ext2* fs = r->fs;
    zx_status_t status = ZX_OK;
    own_tables(r);
    for (uint32_t i = 0; status == ZX_OK && i < fs->group_count; i++) {
        struct block* map;
        status = block_get(fs, fs->groups[i].block_bitmap, &map);
        if (status == ZX_OK) {
            status = free_leaked_of(r, i, map);
            block_put(fs, map);
        }
    }
    return status;
}

// ---- all of it ----

static zx_status_t run(struct recovery* r) {
    r->queue[r->queued++] = INO_ROOT;
    while (r->looked < r->queued) {
        zx_status_t status = look_into(r, r->queue[r->looked++]);
        if (status != ZX_OK) {
            return status;
        }
    }
    // What was put right in directories comes first: then all that is alive has a name.
    zx_status_t status = sync_batch(r->fs);
    if (status == ZX_OK) {
        status = look_at_inodes(r);
    }
    if (status == ZX_OK && !r->is_doubtful) {
        status = free_leaked(r);
    }
    return status == ZX_OK ? sync_batch(r->fs) : status;
}

zx_status_t recover(struct ext2* fs) {
    struct recovery r = {.fs = fs};
    r.names = calloc(fs->super.inodes_count, sizeof(uint16_t));
    r.below = calloc(fs->super.inodes_count, sizeof(uint16_t));
    r.queue = calloc(fs->super.inodes_count + 1, sizeof(uint32_t));
    r.used = calloc(fs->super.blocks_count / 8 + 1, 1);
    zx_status_t status = ZX_ERR_NO_MEMORY;
    if (r.names != nullptr && r.below != nullptr && r.queue != nullptr && r.used != nullptr) {
        status = run(&r);
    }
    fs->is_doubtful = r.is_doubtful;
    free(r.names);
    free(r.below);
    free(r.queue);
    free(r.used);
    return status == ZX_OK ? alloc_recount(fs) : status;
}
