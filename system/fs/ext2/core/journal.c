// The journal: a transaction that the disk carries out whole or not at all, in the format of JBD
// (inode 8), so that every system that knows ext3 can finish it. It is made when it is first needed
// and holds one transaction at a time, never longer than it takes to write its blocks in place:
//
//   blocks, commit; the superblock says RECOVER    flush
//   the journal says where it begins               flush   (it has happened)
//   the blocks in place                            flush
//   the journal says that it is empty              flush
//   the superblock does not say RECOVER
//
// At no moment does a journal with something in it meet a superblock that does not say so.
#include <stdlib.h>
#include <string.h>

#include "journal.h"

static void put_head(void* block, uint32_t type, uint32_t sequence) {
    *(struct journal_head*)block = (struct journal_head){be(JOURNAL_MAGIC), be(type), be(sequence)};
}

// ---- its blocks ----

// Where `at` and what follows it lie.
static zx_status_t locate(struct ext2* fs, uint32_t at, uint32_t max, uint32_t* first,
                          uint32_t* count) {
    zx_status_t status = map_find(fs, &fs->journal.inode, at, max, first, count);
    return status == ZX_OK && *first == 0 ? ZX_ERR_IO_DATA_INTEGRITY : status;
}

zx_status_t journal_read(struct ext2* fs, uint32_t at, void* data) {
    uint32_t first, count;
    zx_status_t status = locate(fs, at, 1, &first, &count);
    return status != ZX_OK
               ? status
               : fs->device.read_blocks(fs->device.ctx, (uint64_t)first * fs->sectors_per_block,
                                        fs->sectors_per_block, data);
}

static zx_status_t write_blocks(struct ext2* fs, uint32_t at, uint32_t count, const uint8_t* data) {
    while (count != 0) {
        uint32_t first, n;
        zx_status_t status = locate(fs, at, count, &first, &n);
        if (status == ZX_OK) {
            fs->cache.unflushed = true;
            status =
                fs->device.write_blocks(fs->device.ctx, (uint64_t)first * fs->sectors_per_block,
                                        n * fs->sectors_per_block, data);
        }
        if (status != ZX_OK) {
            return status;
        }
        at += n;
        count -= n;
        data += (size_t)n * fs->block_size;
    }
    return ZX_OK;
}

zx_status_t journal_set_start(struct ext2* fs, uint32_t start, uint32_t sequence) {
    journal_super_of(&fs->journal)->start = be(start);
    journal_super_of(&fs->journal)->sequence = be(sequence);
    zx_status_t status = write_blocks(fs, 0, 1, fs->journal.super);
    return status == ZX_OK ? cache_flush(fs) : status;
}

// Blocks one behind the other, many in one request.
struct writer {
    struct ext2* fs;
    uint32_t at, count; // blocks in cache.run belong at `at`
};

static zx_status_t writer_end(struct writer* w) {
    zx_status_t status = write_blocks(w->fs, w->at, w->count, w->fs->cache.run);
    w->at += w->count;
    w->count = 0;
    return status;
}

// Returns the copy.
static zx_status_t writer_add(struct writer* w, const uint8_t* data, uint8_t** copy) {
    uint32_t size = w->fs->block_size;
    zx_status_t status = w->count == WRITE_RUN / size ? writer_end(w) : ZX_OK;
    *copy = w->fs->cache.run + (size_t)w->count++ * size;
    if (data != nullptr) {
        memcpy(*copy, data, size);
    } else {
        memset(*copy, 0, size);
    }
    return status;
}

// ---- what is there ----

static zx_status_t load_inode(struct ext2* fs) {
    struct node* n = &fs->journal.inode;
    struct block* b;
    struct inode_raw* at;
    zx_status_t status = node_table(fs, INO_JOURNAL, &b, &at);
    if (status != ZX_OK) {
        return status;
    }
    *n = (struct node){.base = {.ino = INO_JOURNAL, .kind = EXT2_FILE}};
    memcpy(&n->raw, at, INODE_SIZE_REV0);
    block_put(fs, b);
    uint64_t blocks = node_size(n) >> fs->block_shift;
    bool is_sound = (n->raw.mode & MODE_TYPE) == MODE_FILE && n->raw.links_count != 0 &&
                    blocks >= JOURNAL_LEN && blocks <= fs->super.blocks_count;
    return is_sound ? ZX_OK : ZX_ERR_NOT_SUPPORTED;
}

// NOT_SUPPORTED: it is of another kind, or none.
zx_status_t journal_load(struct ext2* fs) {
    struct journal* j = &fs->journal;
    zx_status_t status = fs->super.journal_dev == 0 ? load_inode(fs) : ZX_ERR_NOT_SUPPORTED;
    if (status == ZX_OK && j->super == nullptr) {
        j->super = malloc(fs->block_size);
        status = j->super != nullptr ? ZX_OK : ZX_ERR_NO_MEMORY;
    }
    if (status == ZX_OK) {
        status = journal_read(fs, 0, j->super);
    }
    if (status != ZX_OK) {
        return status;
    }
    const struct journal_super* s = journal_super_of(j);
    bool is_second = s->head.type == be(TYPE_SUPER_2);
    if (s->head.magic != be(JOURNAL_MAGIC) || (!is_second && s->head.type != be(TYPE_SUPER_1)) ||
        (is_second && (s->incompat & ~be(JOURNAL_INCOMPAT_REVOKE)) != 0) ||
        (is_second && (s->compat | s->ro_compat) != 0)) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    j->first = be(s->first);
    j->len = be(s->len);
    bool is_sound = be(s->block_size) == fs->block_size && j->len >= JOURNAL_LEN &&
                    j->len <= node_size(&j->inode) >> fs->block_shift && j->first != 0 &&
                    j->first < j->len && be(s->start) < j->len;
    return is_sound ? ZX_OK : ZX_ERR_IO_DATA_INTEGRITY;
}

// What is in one that the superblock says nothing of is not for us.
static zx_status_t load_empty(struct ext2* fs) {
    zx_status_t status = journal_load(fs);
    bool is_full = status == ZX_OK && journal_super_of(&fs->journal)->start != 0;
    return status == ZX_ERR_IO_DATA_INTEGRITY || is_full ? ZX_ERR_NOT_SUPPORTED : status;
}

// ---- making one ----

static zx_status_t fill(struct ext2* fs, struct node* n) {
    for (uint32_t at = 0, count; at < JOURNAL_LEN; at += count) {
        uint32_t first;
        bool is_new;
        zx_status_t status = map_make(fs, n, at, JOURNAL_LEN - at, &first, &count, &is_new);
        if (status != ZX_OK) {
            return status;
        }
    }
    node_set_size(fs, n, (uint64_t)JOURNAL_LEN << fs->block_shift);
    fs->journal.inode.raw = n->raw;
    // What was in these blocks before could look like a transaction.
    struct writer w = {.fs = fs};
    for (uint32_t i = 0; i < JOURNAL_LEN; i++) {
        uint8_t* copy;
        zx_status_t status = writer_add(&w, nullptr, &copy);
        if (status != ZX_OK) {
            return status;
        }
        if (i == 0) {
            struct journal_super* s = (struct journal_super*)copy;
            put_head(s, TYPE_SUPER_2, 0);
            s->block_size = be(fs->block_size);
            s->len = be(JOURNAL_LEN);
            s->first = s->sequence = s->users = be(1);
        }
    }
    return writer_end(&w);
}

// All of it is on disk before the inode, and the inode before the superblock names it.
static zx_status_t make_inode(struct ext2* fs) {
    struct journal* j = &fs->journal;
    struct node* n;
    zx_status_t status = sync_batch(fs); // what was given back can be taken
    if (status == ZX_OK && fs->super.free_blocks_count < 2 * JOURNAL_LEN + fs->set_aside) {
        return ZX_ERR_NOT_SUPPORTED; // it would take most of what is left
    }
    if (status == ZX_OK) {
        status = node_new(fs, INO_JOURNAL, MODE_FILE | 0600, &n);
    }
    if (status != ZX_OK) {
        return status;
    }
    j->is_given_up = true; // unless all goes well: there is no second attempt
    j->inode = (struct node){.base = n->base};
    status = fill(fs, n);
    if (status == ZX_OK) {
        n->raw.links_count = 1;
        fs->is_doubtful = true; // until it is named: else the next mount clears it
        status = sync_batch(fs);
    } else {
        (void)map_cut(fs, n, 0);
        n->is_released = true; // the number stays taken
    }
    node_unref(fs, n);
    j->is_given_up = status != ZX_OK;
    return status;
}

static zx_status_t make(struct ext2* fs) {
    struct superblock_raw* s = &fs->super;
    bool was_doubtful = fs->is_doubtful;
    if (s->rev_level == 0 || s->journal_inum != 0) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    zx_status_t status = load_inode(fs);
    if (status == ZX_ERR_NOT_SUPPORTED && fs->journal.inode.raw.mode == 0) { // nobody uses it
        status = make_inode(fs);
        status = status == ZX_OK ? load_inode(fs) : status;
    } else if (status == ZX_OK) {
        status = ZX_ERR_NOT_SUPPORTED;
    }
    if (status != ZX_OK) {
        return status;
    }
    const struct inode_raw* raw = &fs->journal.inode.raw;
    s->journal_inum = INO_JOURNAL;
    s->journal_backup_type = 1;
    memset(s->journal_uuid, 0, sizeof(s->journal_uuid));
    memcpy(s->journal_blocks, raw->block, sizeof(raw->block));
    s->journal_blocks[POINTERS] = raw->size_high;
    s->journal_blocks[POINTERS + 1] = raw->size;
    s->feature_compat |= COMPAT_HAS_JOURNAL;
    fs->is_doubtful = was_doubtful; // should this fail, each later superblock names it
    status = write_super(fs);
    return status == ZX_OK ? cache_flush(fs) : status;
}

zx_status_t journal_open(struct ext2* fs) {
    struct journal* j = &fs->journal;
    bool is_named = (fs->super.feature_compat & COMPAT_HAS_JOURNAL) != 0;
    if (j->is_open || j->is_given_up) {
        return j->is_open ? ZX_OK : ZX_ERR_NOT_SUPPORTED;
    }
    zx_status_t status = is_named ? ZX_OK : make(fs);
    if (status == ZX_OK) {
        status = fs->super.journal_inum == INO_JOURNAL ? load_empty(fs) : ZX_ERR_NOT_SUPPORTED;
    }
    j->is_open = status == ZX_OK;
    j->is_given_up |= is_named && status == ZX_ERR_NOT_SUPPORTED;
    return status;
}

bool journal_is_there(struct ext2* fs) {
    return (fs->super.feature_compat & COMPAT_HAS_JOURNAL) != 0 && journal_open(fs) == ZX_OK;
}

// ---- a transaction ----

bool journal_has_room(const struct ext2* fs) {
    // What the sync adds: each inode and its "..", each name's block. At least 64 blocks of each
    // descriptor; some more for the next operation.
    uint32_t blocks = fs->cache.dirty_count + 2 * fs->dirty_node_count + fs->pending_count + 32;
    return blocks + blocks / 64 + 2 <= fs->journal.len - fs->journal.first;
}

static zx_status_t write_some(struct writer* w, struct block* const* blocks, uint32_t count) {
    uint8_t* copy;
    zx_status_t status = writer_add(w, nullptr, &copy);
    put_head(copy, TYPE_DESCRIPTOR, be(journal_super_of(&w->fs->journal)->sequence));
    uint8_t* at = copy + sizeof(struct journal_head);
    for (uint32_t i = 0; i < count; i++) {
        bool is_escaped = *(const uint32_t*)blocks[i]->data == be(JOURNAL_MAGIC);
        uint32_t flags = (i != 0 ? TAG_SAME_UUID : 0) | (i == count - 1 ? TAG_LAST : 0) |
                         (is_escaped ? TAG_ESCAPED : 0);
        *(struct journal_tag*)at = (struct journal_tag){be(blocks[i]->number), be(flags)};
        at += sizeof(struct journal_tag) + (i == 0 ? UUID_LEN : 0);
    }
    for (uint32_t i = 0; status == ZX_OK && i < count; i++) {
        status = writer_add(w, blocks[i]->data, &copy);
        if (*(uint32_t*)copy == be(JOURNAL_MAGIC)) {
            *(uint32_t*)copy = 0;
        }
    }
    return status;
}

static zx_status_t write_log(struct ext2* fs, struct block* const* blocks, uint32_t count) {
    uint32_t most = (uint32_t)((fs->block_size - sizeof(struct journal_head) - UUID_LEN) /
                               sizeof(struct journal_tag));
    struct writer w = {.fs = fs, .at = fs->journal.first};
    uint8_t* copy;
    if (count + count / most + 2 > fs->journal.len - fs->journal.first) {
        return ZX_ERR_NO_RESOURCES; // journal_has_room was not asked
    }
    for (uint32_t i = 0; i < count; i += most) {
        zx_status_t status = write_some(&w, blocks + i, count - i < most ? count - i : most);
        if (status != ZX_OK) {
            return status;
        }
    }
    zx_status_t status = writer_add(&w, nullptr, &copy);
    put_head(copy, TYPE_COMMIT, be(journal_super_of(&fs->journal)->sequence));
    return status == ZX_OK ? writer_end(&w) : status;
}

zx_status_t journal_write(struct ext2* fs, struct block* const* blocks, uint32_t count) {
    zx_status_t status = write_log(fs, blocks, count);
    if (status == ZX_OK) {
        fs->super.feature_incompat |= INCOMPAT_RECOVER;
        status = write_super(fs);
    }
    if (status == ZX_OK) {
        status = cache_flush(fs);
    }
    if (status == ZX_OK) {
        fs->journal.is_pending = true;
        status =
            journal_set_start(fs, fs->journal.first, be(journal_super_of(&fs->journal)->sequence));
    }
    return status;
}

zx_status_t journal_end(struct ext2* fs) {
    zx_status_t status = cache_flush(fs);
    if (status == ZX_OK) {
        status = journal_set_start(fs, 0, be(journal_super_of(&fs->journal)->sequence) + 1);
    }
    if (status == ZX_OK) {
        fs->journal.is_pending = false;
        fs->super.feature_incompat &= ~INCOMPAT_RECOVER;
        fs->counts_dirty = true; // so that the superblock is written
    }
    return status;
}
