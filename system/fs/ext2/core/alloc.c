// Bitmaps. A bit is set when something is taken, at once; it is cleared by the sync after which
// nothing on disk points there (free_pending). So a set bit means: owned, on disk or in memory.
#include <stdlib.h>
#include <string.h>

#include "core.h"

static bool bit(const uint8_t* map, uint32_t i) {
    return (map[i / 8] >> (i % 8) & 1) != 0;
}

static uint32_t group_first(const struct ext2* fs, uint32_t group) {
    return fs->super.first_data_block + group * fs->super.blocks_per_group;
}

static uint32_t group_len(const struct ext2* fs, uint32_t group) {
    uint32_t left = fs->super.blocks_count - group_first(fs, group);
    return left < fs->super.blocks_per_group ? left : fs->super.blocks_per_group;
}

// The tables are where no file can be. Copies of superblock and groups are left to the bitmaps:
// which groups have them is the format's business at creation only.
bool fs_block_valid(const struct ext2* fs, uint32_t block) {
    if (block <= fs->super.first_data_block + fs->group_blocks || block >= fs->super.blocks_count) {
        return false;
    }
    uint32_t group = (block - fs->super.first_data_block) / fs->super.blocks_per_group;
    const struct group_raw* g = &fs->groups[group];
    return block != g->block_bitmap && block != g->inode_bitmap &&
           (block < g->inode_table || block - g->inode_table >= table_blocks(fs));
}

uint32_t alloc_goal(const struct ext2* fs, uint32_t ino) {
    return group_first(fs, (ino - 1) / fs->super.inodes_per_group);
}

// ---- blocks ----

// The first free bit in [from, end); end: none.
static uint32_t first_free(const uint8_t* map, uint32_t from, uint32_t end) {
    while (from < end) {
        if (from % 8 == 0 && map[from / 8] == 0xff) {
            from += 8;
        } else if (bit(map, from)) {
            from++;
        } else {
            return from;
        }
    }
    return end;
}

static uint32_t free_len(const uint8_t* map, uint32_t from, uint32_t end, uint32_t max) {
    uint32_t n = 0;
    while (n < max && from + n < end && !bit(map, from + n)) {
        n++;
    }
    return n;
}

// The first run in [from, end) of at least `least` bits, cut at `want`. 0: none.
static uint32_t find_run(const uint8_t* map, uint32_t from, uint32_t end, uint32_t least,
                         uint32_t want, uint32_t* at) {
    while ((from = first_free(map, from, end)) < end) {
        uint32_t n = free_len(map, from, end, want);
        if (n >= least) {
            *at = from;
            return n;
        }
        from += n;
    }
    return 0;
}

static zx_status_t take_blocks(struct ext2* fs, struct block* map, uint32_t group, uint32_t at,
                               uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!fs_block_valid(fs, group_first(fs, group) + at + i)) {
            return ZX_ERR_IO_DATA_INTEGRITY; // the bitmap says that a table is free
        }
    }
    for (uint32_t i = at; i < at + count; i++) {
        map->data[i / 8] |= (uint8_t)(1 << i % 8);
    }
    block_dirty(fs, map, CLASS_BITMAP);
    fs->groups[group].free_blocks_count = (uint16_t)(fs->groups[group].free_blocks_count - count);
    fs->super.free_blocks_count -= count;
    fs->counts_dirty = true;
    return ZX_OK;
}

// NO_SPACE: not in this group, from `from` on.
static zx_status_t alloc_in_group(struct ext2* fs, uint32_t group, uint32_t from, uint32_t least,
                                  uint32_t want, uint32_t* first, uint32_t* count) {
    struct group_raw* g = &fs->groups[group];
    if (g->free_blocks_count == 0) {
        return ZX_ERR_NO_SPACE;
    }
    struct block* map;
    zx_status_t status = block_get(fs, g->block_bitmap, &map);
    if (status != ZX_OK) {
        return status;
    }
    uint32_t at = 0;
    uint32_t end = group_len(fs, group);
    if (want > g->free_blocks_count) {
        want = g->free_blocks_count;
    }
    uint32_t n = from < end ? free_len(map->data, from, end, want) : 0;
    if (n != 0) {
        at = from; // right behind what was there
    } else {
        n = find_run(map->data, from, end, least < want ? least : want, want, &at);
    }
    status = n == 0 ? ZX_ERR_NO_SPACE : take_blocks(fs, map, group, at, n);
    block_put(fs, map);
    if (status == ZX_OK) {
        *first = group_first(fs, group) + at;
        *count = n;
    }
    return status;
}

constexpr uint32_t GOOD_RUN = 64;

zx_status_t alloc_blocks(struct ext2* fs, uint32_t goal, uint32_t want, uint32_t* first,
                         uint32_t* count) {
    if (goal < fs->super.first_data_block || goal >= fs->super.blocks_count) {
        goal = fs->super.first_data_block;
    }
    uint32_t start = (goal - fs->super.first_data_block) / fs->super.blocks_per_group;
    uint32_t offset = goal - group_first(fs, start);
    // First what is long enough, then anything; the group of the goal once more at the end, for
    // what is before the goal.
    for (uint32_t least = want < GOOD_RUN ? want : GOOD_RUN;; least = 1) {
        for (uint32_t i = 0; i <= fs->group_count; i++) {
            zx_status_t status = alloc_in_group(fs, (start + i) % fs->group_count,
                                                i == 0 ? offset : 0, least, want, first, count);
            if (status != ZX_ERR_NO_SPACE) {
                return status;
            }
        }
        if (least == 1) {
            return ZX_ERR_NO_SPACE;
        }
    }
}

// ---- inodes ----

static zx_status_t alloc_inode_in(struct ext2* fs, uint32_t group, bool directory, uint32_t* out) {
    struct group_raw* g = &fs->groups[group];
    if (g->free_inodes_count == 0) {
        return ZX_ERR_NO_SPACE;
    }
    struct block* map;
    zx_status_t status = block_get(fs, g->inode_bitmap, &map);
    if (status != ZX_OK) {
        return status;
    }
    uint32_t base = group * fs->super.inodes_per_group + 1;
    uint32_t from = base < fs->first_ino ? fs->first_ino - base : 0;
    uint32_t at = first_free(map->data, from, fs->super.inodes_per_group);
    if (at < fs->super.inodes_per_group) {
        map->data[at / 8] |= (uint8_t)(1 << at % 8);
        block_dirty(fs, map, CLASS_BITMAP);
        g->free_inodes_count--;
        g->used_dirs_count = (uint16_t)(g->used_dirs_count + directory);
        fs->super.free_inodes_count--;
        fs->counts_dirty = true;
        *out = base + at;
    } else {
        status = ZX_ERR_NO_SPACE;
    }
    block_put(fs, map);
    return status;
}

// Directories are spread over the groups, with room for what they will hold; files are near theirs.
static uint32_t group_for_directory(struct ext2* fs, uint32_t parent) {
    uint32_t average = fs->super.free_blocks_count / fs->group_count;
    uint32_t group = (parent - 1) / fs->super.inodes_per_group;
    for (uint32_t i = 0; i < fs->group_count; i++) {
        const struct group_raw* g = &fs->groups[(group + i) % fs->group_count];
        if (g->free_inodes_count > fs->super.inodes_per_group / 4 &&
            g->free_blocks_count >= average) {
            return (group + i) % fs->group_count;
        }
    }
    return group;
}

zx_status_t alloc_inode(struct ext2* fs, uint32_t parent, bool directory, uint32_t* out) {
    uint32_t start =
        directory ? group_for_directory(fs, parent) : (parent - 1) / fs->super.inodes_per_group;
    for (uint32_t i = 0; i < fs->group_count; i++) {
        zx_status_t status = alloc_inode_in(fs, (start + i) % fs->group_count, directory, out);
        if (status != ZX_ERR_NO_SPACE) {
            return status;
        }
    }
    return ZX_ERR_NO_SPACE;
}

// ---- giving back ----

// Items before `mark` stay as they are, so that what is behind it can be dropped again.
zx_status_t runs_add(struct runs* runs, size_t mark, uint32_t first, uint32_t count) {
    struct run* last = runs->count > mark ? &runs->items[runs->count - 1] : nullptr;
    if (last != nullptr && last->first + last->count == first) {
        last->count += count;
    } else {
        if (runs->count == runs->capacity) {
            size_t capacity = runs->capacity == 0 ? 64 : runs->capacity * 2;
            struct run* items = realloc(runs->items, capacity * sizeof(*items));
            if (items == nullptr) {
                return ZX_ERR_NO_MEMORY;
            }
            runs->items = items;
            runs->capacity = capacity;
        }
        runs->items[runs->count++] = (struct run){first, count};
    }
    runs->total += count;
    return ZX_OK;
}

// Clears bits of one bitmap; how many were set.
static zx_status_t clear_bits(struct ext2* fs, uint32_t map_block, uint32_t at, uint32_t count,
                              uint32_t* cleared) {
    struct block* map;
    zx_status_t status = block_get(fs, map_block, &map);
    if (status != ZX_OK) {
        return status;
    }
    *cleared = 0;
    for (uint32_t i = at; i < at + count; i++) {
        *cleared += bit(map->data, i);
        map->data[i / 8] &= (uint8_t)~(1 << i % 8);
    }
    block_dirty(fs, map, CLASS_BITMAP);
    block_put(fs, map);
    return ZX_OK;
}

static zx_status_t free_blocks(struct ext2* fs, uint32_t first, uint32_t count) {
    while (count != 0) {
        uint32_t group = (first - fs->super.first_data_block) / fs->super.blocks_per_group;
        uint32_t at = first - group_first(fs, group);
        uint32_t n = fs->super.blocks_per_group - at;
        uint32_t cleared;
        n = n < count ? n : count;
        zx_status_t status = clear_bits(fs, fs->groups[group].block_bitmap, at, n, &cleared);
        if (status != ZX_OK) {
            return status;
        }
        fs->groups[group].free_blocks_count =
            (uint16_t)(fs->groups[group].free_blocks_count + cleared);
        fs->super.free_blocks_count += cleared;
        first += n;
        count -= n;
    }
    return ZX_OK;
}

static zx_status_t free_inode(struct ext2* fs, uint32_t ino) {
    uint32_t group = (ino - 1) / fs->super.inodes_per_group;
    uint32_t cleared;
    zx_status_t status = clear_bits(fs, fs->groups[group].inode_bitmap,
                                    (ino - 1) % fs->super.inodes_per_group, 1, &cleared);
    if (status == ZX_OK) {
        fs->groups[group].free_inodes_count =
            (uint16_t)(fs->groups[group].free_inodes_count + cleared);
        fs->super.free_inodes_count += cleared;
    }
    return status;
}

// One owner less of a block of attributes.
static zx_status_t free_attributes(struct ext2* fs, uint32_t block) {
    struct block* b;
    zx_status_t status = block_get(fs, block, &b);
    if (status != ZX_OK) {
        return status;
    }
    struct attributes_raw* head = (struct attributes_raw*)b->data;
    bool is_last = head->magic == ATTRIBUTES_MAGIC && head->refcount <= 1;
    if (head->magic == ATTRIBUTES_MAGIC && !is_last) {
        head->refcount--;
        block_dirty(fs, b, CLASS_BITMAP);
    }
    block_put(fs, b);
    if (!is_last) {
        return ZX_OK;
    }
    block_forget(fs, block);
    return runs_add(&fs->freed_blocks, 0, block, 1);
}

zx_status_t free_pending(struct ext2* fs) {
    fs->counts_dirty |= fs->freed_blocks.count != 0 || fs->freed_inodes.count != 0;
    while (fs->freed_attributes.count != 0) {
        struct run r = fs->freed_attributes.items[fs->freed_attributes.count - 1];
        zx_status_t status = free_attributes(fs, r.first);
        if (status != ZX_OK) {
            return status;
        }
        fs->freed_attributes.count--;
    }
    while (fs->freed_blocks.count != 0) {
        struct run r = fs->freed_blocks.items[fs->freed_blocks.count - 1];
        zx_status_t status = free_blocks(fs, r.first, r.count);
        if (status != ZX_OK) {
            return status;
        }
        fs->freed_blocks.count--;
        fs->freed_blocks.total -= r.count;
    }
    while (fs->freed_inodes.count != 0) {
        struct run r = fs->freed_inodes.items[fs->freed_inodes.count - 1];
        zx_status_t status = free_inode(fs, r.first);
        if (status != ZX_OK) {
            return status;
        }
        if (r.count == 2) { // a directory: see node_release
            struct group_raw* g = &fs->groups[(r.first - 1) / fs->super.inodes_per_group];
            g->used_dirs_count = (uint16_t)(g->used_dirs_count - (g->used_dirs_count != 0));
        }
        fs->freed_inodes.count--;
    }
    return ZX_OK;
}

static zx_status_t count_clear(struct ext2* fs, uint32_t map_block, uint32_t len, uint16_t* out) {
    struct block* map;
    zx_status_t status = block_get(fs, map_block, &map);
    if (status != ZX_OK) {
        return status;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < len; i++) {
        n += !bit(map->data, i);
    }
    block_put(fs, map);
    *out = (uint16_t)n;
    return ZX_OK;
}

zx_status_t alloc_recount(struct ext2* fs) {
    uint32_t blocks = 0;
    uint32_t inodes = 0;
    for (uint32_t i = 0; i < fs->group_count; i++) {
        struct group_raw* g = &fs->groups[i];
        cache_fetch(fs, g->block_bitmap, g->inode_bitmap == g->block_bitmap + 1 ? 2 : 1);
        zx_status_t status =
            count_clear(fs, g->block_bitmap, group_len(fs, i), &g->free_blocks_count);
        if (status == ZX_OK) {
            status =
                count_clear(fs, g->inode_bitmap, fs->super.inodes_per_group, &g->free_inodes_count);
        }
        if (status != ZX_OK) {
            return status;
        }
        blocks += g->free_blocks_count;
        inodes += g->free_inodes_count;
    }
    fs->super.free_blocks_count = blocks;
    fs->super.free_inodes_count = inodes;
    fs->counts_dirty = true;
    return ZX_OK;
}
