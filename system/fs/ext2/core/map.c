// From a file's blocks to the disk's: 12 pointers in the inode, then one, two and three levels of
// blocks of pointers. Every pointer is checked before it is used; a walk that meets more blocks
// than there are is a loop.
#include <stdlib.h>
#include <string.h>

#include "core.h"

// The way to a block: level 0 is a slot of the inode, the others slots of blocks of pointers.
struct path {
    unsigned depth; // 0: a direct block
    uint32_t slots[4];
};

static bool path_to(const struct ext2* fs, uint64_t block, struct path* out) {
    if (block < DIRECT_BLOCKS) {
        *out = (struct path){.slots = {(uint32_t)block}};
        return true;
    }
    block -= DIRECT_BLOCKS;
    for (unsigned depth = 1; depth <= 3; depth++) {
        unsigned bits = fs->pointer_shift * depth;
        if (block >> bits == 0) {
            out->depth = depth;
            out->slots[0] = DIRECT_BLOCKS + depth - 1;
            for (unsigned i = 1; i <= depth; i++) {
                out->slots[i] =
                    (uint32_t)(block >> fs->pointer_shift * (depth - i)) & (fs->pointers - 1);
            }
            return true;
        }
        block -= (uint64_t)1 << bits;
    }
    return false;
}

uint32_t ext2_block_size(const struct ext2* fs) {
    return fs->block_size;
}

// What the pointers reach and i_blocks can count, blocks of pointers included.
uint64_t ext2_file_max(const struct ext2* fs) {
    uint64_t p = fs->pointers;
    uint64_t reach = DIRECT_BLOCKS + p + p * p + p * p * p;
    uint64_t counted = UINT32_MAX / fs->sectors_per_block;
    uint64_t overhead = 4 + p + counted / p + counted / p / p;
    uint64_t blocks = reach < counted - overhead ? reach : counted - overhead;
    uint64_t bytes = blocks << fs->block_shift;
    return fs->super.rev_level == 0 && bytes > INT32_MAX ? INT32_MAX : bytes;
}

// How many of `slots` from `slot` on continue one run (or one hole).
static zx_status_t run_len(const struct ext2* fs, const uint32_t* slots, uint32_t slot,
                           uint32_t end, uint32_t max, uint32_t* count) {
    uint32_t first = slots[slot];
    uint32_t n = 0;
    while (n < max && slot + n < end && slots[slot + n] == (first == 0 ? 0 : first + n)) {
        if (first != 0 && !fs_block_valid(fs, first + n)) {
            return ZX_ERR_IO_DATA_INTEGRITY;
        }
        n++;
    }
    *count = n;
    return ZX_OK;
}

zx_status_t map_find(struct ext2* fs, struct node* n, uint64_t block, uint32_t max, uint32_t* first,
                     uint32_t* count) {
    struct path path;
    if (!path_to(fs, block, &path)) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    if (path.depth == 0) {
        *first = n->raw.block[path.slots[0]];
        return run_len(fs, n->raw.block, path.slots[0], DIRECT_BLOCKS, max, count);
    }
    uint32_t at = n->raw.block[path.slots[0]];
    for (unsigned i = 1; i <= path.depth; i++) {
        if (at == 0) { // nothing below here: a hole up to the end of the subtree
            uint64_t below = (uint64_t)1 << fs->pointer_shift * (path.depth - i + 1);
            uint64_t from = (block - DIRECT_BLOCKS);
            for (unsigned d = 1; d < path.depth; d++) {
                from -= (uint64_t)1 << fs->pointer_shift * d;
            }
            uint64_t left = below - (from & (below - 1));
            *first = 0;
            *count = left < max ? (uint32_t)left : max;
            return ZX_OK;
        }
        if (!fs_block_valid(fs, at)) {
            return ZX_ERR_IO_DATA_INTEGRITY;
        }
        struct block* b;
        zx_status_t status = block_get(fs, at, &b);
        if (status != ZX_OK) {
            return status;
        }
        const uint32_t* slots = (const uint32_t*)b->data;
        at = slots[path.slots[i]];
        if (i == path.depth) {
            *first = at;
            status = run_len(fs, slots, path.slots[i], fs->pointers, max, count);
        }
        block_put(fs, b);
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

// ---- making room ----

static void count_blocks(struct ext2* fs, struct node* n, int64_t blocks) {
    n->raw.blocks = (uint32_t)(n->raw.blocks + blocks * fs->sectors_per_block);
    node_dirty(fs, n);
}

// Where the next block of this file would best be: behind the one before it.
static uint32_t goal_for(struct ext2* fs, struct node* n, uint64_t block) {
    uint32_t first, count;
    if (block != 0 && map_find(fs, n, block - 1, 1, &first, &count) == ZX_OK && first != 0) {
        return first + 1;
    }
    return alloc_goal(fs, n->base.ino);
}

// Fills `slot` and what follows it with up to `max` new blocks.
static zx_status_t fill_slots(struct ext2* fs, struct node* n, uint32_t* slots, uint32_t slot,
                              uint32_t end, uint32_t goal, uint32_t max, uint32_t* first,
                              uint32_t* count) {
    uint32_t hole = 0;
    while (hole < max && slot + hole < end && slots[slot + hole] == 0) {
        hole++;
    }
    zx_status_t status = alloc_blocks(fs, goal, hole, first, count);
    if (status != ZX_OK) {
        return status;
    }
    for (uint32_t i = 0; i < *count; i++) {
        slots[slot + i] = *first + i;
    }
    count_blocks(fs, n, *count);
    return ZX_OK;
}

// The block of pointers that *slot names, made if there is none. `above`: whose slot it is.
static zx_status_t descend(struct ext2* fs, struct node* n, struct block* above, uint32_t* slot,
                           uint32_t* goal, struct block** out) {
    if (*slot != 0) {
        return fs_block_valid(fs, *slot) ? block_get(fs, *slot, out) : ZX_ERR_IO_DATA_INTEGRITY;
    }
    uint32_t made, count;
    zx_status_t status = alloc_blocks(fs, *goal, 1, &made, &count);
    if (status != ZX_OK) {
        return status;
    }
    status = block_new(fs, made, out);
    if (status != ZX_OK) {
        // Nobody has it: the next sync gives it back.
        (void)runs_add(&fs->freed_blocks, 0, made, 1);
        return status;
    }
    *slot = made;
    *goal = made + 1;
    if (above != nullptr) {
        block_dirty(fs, above, CLASS_LINKS);
    }
    count_blocks(fs, n, 1);
    return ZX_OK;
}

zx_status_t map_make(struct ext2* fs, struct node* n, uint64_t block, uint32_t max, uint32_t* first,
                     uint32_t* count, bool* is_new) {
    zx_status_t status = map_find(fs, n, block, max, first, count);
    if (status != ZX_OK) {
        return status;
    }
    *is_new = *first == 0;
    if (!*is_new) {
        return ZX_OK;
    }
    struct path path;
    (void)path_to(fs, block, &path); // map_find has been there
    uint32_t goal = goal_for(fs, n, block);
    node_dirty(fs, n);
    if (path.depth == 0) {
        return fill_slots(fs, n, n->raw.block, path.slots[0], DIRECT_BLOCKS, goal, max, first,
                          count);
    }
    struct block* above = nullptr;
    uint32_t* slot = &n->raw.block[path.slots[0]];
    for (unsigned i = 1; i <= path.depth; i++) {
        struct block* b;
        status = descend(fs, n, above, slot, &goal, &b);
        if (above != nullptr) {
            block_put(fs, above);
        }
        if (status != ZX_OK) {
            return status;
        }
        above = b;
        slot = (uint32_t*)b->data + path.slots[i];
    }
    status = fill_slots(fs, n, (uint32_t*)above->data, path.slots[path.depth], fs->pointers, goal,
                        max, first, count);
    if (status == ZX_OK) {
        block_dirty(fs, above, CLASS_LINKS);
    }
    block_put(fs, above);
    return status;
}

// ---- giving back ----

struct cutter {
    struct ext2* fs;
    struct node* node;
    struct runs freed;
    size_t mark; // what is before it is certain
    uint64_t seen;
};

static zx_status_t cut_block(struct cutter* c, uint32_t block) {
    if (!fs_block_valid(c->fs, block) || ++c->seen > c->fs->super.blocks_count) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    return runs_add(&c->freed, c->mark, block, 1);
}

// Everything below a block of pointers, and it; nothing is changed.
static zx_status_t cut_all(struct cutter* c, uint32_t block, unsigned level) {
    if (level != 0) {
        struct block* b;
        zx_status_t status =
            fs_block_valid(c->fs, block) ? block_get(c->fs, block, &b) : ZX_ERR_IO_DATA_INTEGRITY;
        if (status != ZX_OK) {
            return status;
        }
        const uint32_t* slots = (const uint32_t*)b->data;
        for (uint32_t i = 0; status == ZX_OK && i < c->fs->pointers; i++) {
            if (slots[i] != 0) {
                status = cut_all(c, slots[i], level - 1);
            }
        }
        block_put(c->fs, b);
        if (status != ZX_OK) {
            return status;
        }
    }
    return cut_block(c, block);
}

// Clears one slot with all below it. Either all of it is given back, or nothing.
static zx_status_t cut_slot(struct cutter* c, uint32_t* slot, unsigned level) {
    c->mark = c->freed.count;
    zx_status_t status = cut_all(c, *slot, level);
    if (status != ZX_OK) {
        c->freed.count = c->mark;
        return status;
    }
    *slot = 0;
    return ZX_OK;
}

static bool all_zero(const uint32_t* slots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] != 0) {
            return false;
        }
    }
    return true;
}

// What is behind the first `keep` blocks below *slot, which is at `level`; *slot, too, if nothing
// is left below it.
static zx_status_t cut_behind(struct cutter* c, uint32_t* slot, unsigned level, uint64_t keep) {
    if (*slot == 0) {
        return ZX_OK;
    }
    if (keep == 0) {
        return cut_slot(c, slot, level);
    }
    if (level == 0) {
        return ZX_OK;
    }
    struct ext2* fs = c->fs;
    struct block* b;
    zx_status_t status =
        fs_block_valid(fs, *slot) ? block_get(fs, *slot, &b) : ZX_ERR_IO_DATA_INTEGRITY;
    if (status != ZX_OK) {
        return status;
    }
    uint32_t* slots = (uint32_t*)b->data;
    unsigned shift = fs->pointer_shift * (level - 1);
    for (uint32_t i = (uint32_t)(keep >> shift); status == ZX_OK && i < fs->pointers; i++) {
        uint64_t before = (uint64_t)i << shift;
        uint32_t old = slots[i];
        status = cut_behind(c, &slots[i], level - 1, keep > before ? keep - before : 0);
        if (slots[i] != old) {
            block_dirty(fs, b, CLASS_LINKS);
        }
    }
    bool is_empty = all_zero(slots, fs->pointers);
    block_put(fs, b);
    if (status == ZX_OK && is_empty) {
        status = cut_slot(c, slot, 0); // the block of pointers alone
    }
    return status;
}

static zx_status_t cut_tree(struct cutter* c, uint64_t keep) {
    struct node* n = c->node;
    for (uint32_t i = 0; i < DIRECT_BLOCKS; i++) {
        if (i >= keep && n->raw.block[i] != 0) {
            zx_status_t status = cut_slot(c, &n->raw.block[i], 0);
            if (status != ZX_OK) {
                return status;
            }
        }
    }
    uint64_t before = DIRECT_BLOCKS;
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t span = (uint64_t)1 << c->fs->pointer_shift * level;
        if (keep < before + span) {
            zx_status_t status = cut_behind(c, &n->raw.block[DIRECT_BLOCKS + level - 1], level,
                                            keep > before ? keep - before : 0);
            if (status != ZX_OK) {
                return status;
            }
        }
        before += span;
    }
    return ZX_OK;
}

zx_status_t map_cut(struct ext2* fs, struct node* n, uint64_t keep) {
    struct cutter c = {.fs = fs, .node = n};
    zx_status_t status = cut_tree(&c, keep);
    uint64_t blocks = 0;
    for (size_t i = 0; i < c.freed.count; i++) {
        struct run r = c.freed.items[i];
        for (uint32_t k = 0; k < r.count; k++) {
            block_forget(fs, r.first + k);
        }
        blocks += r.count;
        // Without memory to remember them they are lost until the next check, not owned twice.
        (void)runs_add(&fs->freed_blocks, 0, r.first, r.count);
    }
    free(c.freed.items);
    uint64_t counted = n->raw.blocks / fs->sectors_per_block;
    count_blocks(fs, n, -(int64_t)(blocks < counted ? blocks : counted));
    return status;
}

zx_status_t map_trim(struct ext2* fs, struct node* n) {
    if (fs->was_clean || n->is_trimmed || n->base.kind != EXT2_FILE) {
        return ZX_OK;
    }
    n->is_trimmed = true;
    return map_cut(fs, n, (node_size(n) + fs->block_size - 1) >> fs->block_shift);
}

static void release_attributes(struct ext2* fs, struct node* n) {
    if (n->raw.file_acl != 0 && fs_block_valid(fs, n->raw.file_acl)) {
        (void)runs_add(&fs->freed_attributes, fs->freed_attributes.count, n->raw.file_acl, 1);
    }
    n->raw.file_acl = 0;
}

void node_release(struct ext2* fs, struct node* n) {
    if (n->is_released || fs->read_only) {
        return;
    }
    n->is_released = true;
    // Short links have their text where others have pointers.
    bool has_text = n->base.kind == EXT2_SYMLINK && node_size(n) < FAST_LINK_MAX &&
                    n->raw.blocks == (n->raw.file_acl != 0 ? fs->sectors_per_block : 0);
    bool has_blocks = n->base.kind == EXT2_FILE || n->base.kind == EXT2_DIRECTORY ||
                      (n->base.kind == EXT2_SYMLINK && !has_text);
    if (has_blocks) {
        (void)map_cut(fs, n, 0); // what cannot be read is lost until the next check
    }
    release_attributes(fs, n);
    n->raw.blocks = 0;
    node_set_size(fs, n, 0);
    // Two stand for a directory (free_pending).
    (void)runs_add(&fs->freed_inodes, fs->freed_inodes.count, n->base.ino, is_directory(n) ? 2 : 1);
}
