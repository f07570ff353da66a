// What a journal has, in place: ours after a cut of power or a disk that failed, and what another
// system left, with many transactions and blocks that they revoke. Everything in it may be a lie;
// no more than its blocks are looked at, and nothing outside of the file system is written.
#include <stdio.h>
#include <stdlib.h>

#include "journal.h"

constexpr uint32_t REVOKED_MAX = 1 << 20;
struct revoked {
    struct revoked* next;
    uint32_t block, sequence; // nothing older is written
};

enum pass : uint8_t { PASS_SCAN, PASS_REVOKE, PASS_WRITE };

constexpr uint32_t REVOKED_BUCKETS = 1024;
struct replay {
    struct ext2* fs;
    enum pass pass;
    uint32_t at, left;      // blocks
    uint32_t sequence, end; // the first that was not committed
    uint8_t *block, *data;
    struct revoked* revoked[REVOKED_BUCKETS];
    uint32_t revoked_count;
};

// The next block of the log; false: all of it was seen.
static bool next_block(struct replay* r, uint8_t* data, zx_status_t* status) {
    const struct journal* j = &r->fs->journal;
    if (r->left == 0) {
        return false;
    }
    r->left--;
    *status = data != nullptr ? journal_read(r->fs, r->at, data) : ZX_OK;
    r->at = r->at + 1 == j->len ? j->first : r->at + 1;
    return *status == ZX_OK;
}

static struct revoked* find_revoked(struct replay* r, uint32_t block) {
    struct revoked* v = r->revoked[block % REVOKED_BUCKETS];
    while (v != nullptr && v->block != block) {
        v = v->next;
    }
    return v;
}

static zx_status_t revoke(struct replay* r, uint32_t block) {
    struct revoked* v = find_revoked(r, block);
    if (v == nullptr) {
        v = r->revoked_count++ < REVOKED_MAX ? malloc(sizeof(*v)) : nullptr;
        if (v == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        *v = (struct revoked){r->revoked[block % REVOKED_BUCKETS], block, 0};
        r->revoked[block % REVOKED_BUCKETS] = v;
    }
    v->sequence = r->sequence; // they only grow
    return ZX_OK;
}

static zx_status_t revoke_all(struct replay* r) {
    const struct journal_revoke* head = (const struct journal_revoke*)r->block;
    uint32_t end = be(head->len);
    if (end > r->fs->block_size) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    for (uint32_t at = sizeof(*head); at + 4 <= end; at += 4) {
        zx_status_t status = revoke(r, be(*(const uint32_t*)(r->block + at)));
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static zx_status_t replay_block(struct replay* r, uint32_t block, uint32_t flags) {
    struct ext2* fs = r->fs;
    const struct revoked* v = find_revoked(r, block);
    if (v != nullptr && (int32_t)(v->sequence - r->sequence) >= 0) {
        return ZX_OK;
    }
    if (block >= fs->super.blocks_count) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    if ((flags & TAG_ESCAPED) != 0) {
        *(uint32_t*)r->data = be(JOURNAL_MAGIC);
    }
    fs->cache.unflushed = true;
    return fs->device.write_blocks(fs->device.ctx, (uint64_t)block * fs->sectors_per_block,
                                   fs->sectors_per_block, r->data);
}

// The blocks that a descriptor names.
static zx_status_t replay_blocks(struct replay* r) {
    uint32_t at = sizeof(struct journal_head);
    zx_status_t status = ZX_OK;
    uint32_t flags = 0;
    bool writes = r->pass == PASS_WRITE;
    while (status == ZX_OK && (flags & TAG_LAST) == 0 &&
           at + sizeof(struct journal_tag) <= r->fs->block_size) {
        const struct journal_tag* tag = (const struct journal_tag*)(r->block + at);
        flags = be(tag->flags) & 0xffff;
        at += sizeof(*tag) + ((flags & TAG_SAME_UUID) == 0 ? UUID_LEN : 0);
        if (next_block(r, writes ? r->data : nullptr, &status) && writes) {
            status = replay_block(r, be(tag->block), flags);
        }
    }
    return status;
}

static zx_status_t walk(struct replay* r, enum pass pass) {
    const struct journal* j = &r->fs->journal;
    zx_status_t status = ZX_OK;
    r->pass = pass;
    r->at = be(journal_super_of(j)->start);
    r->left = j->len - j->first;
    r->sequence = be(journal_super_of(j)->sequence);
    while (status == ZX_OK && (pass == PASS_SCAN || r->sequence != r->end) &&
           next_block(r, r->block, &status)) {
        const struct journal_head* head = (const struct journal_head*)r->block;
        if (head->magic != be(JOURNAL_MAGIC) || head->sequence != be(r->sequence)) {
            break;
        }
        if (head->type == be(TYPE_DESCRIPTOR)) {
            status = replay_blocks(r);
        } else if (head->type == be(TYPE_COMMIT)) {
            r->sequence++;
        } else if (head->type != be(TYPE_REVOKE)) {
            break;
        } else if (pass == PASS_REVOKE) {
            status = revoke_all(r);
        }
    }
    if (pass == PASS_SCAN) {
        r->end = r->sequence;
    }
    return status;
}

static zx_status_t replay_all(struct replay* r) {
    zx_status_t status = walk(r, PASS_SCAN);
    if (status == ZX_OK) {
        status = walk(r, PASS_REVOKE);
    }
    if (status == ZX_OK) {
        status = walk(r, PASS_WRITE);
    }
    for (uint32_t i = 0; i < REVOKED_BUCKETS; i++) {
        while (r->revoked[i] != nullptr) {
            struct revoked* v = r->revoked[i];
            r->revoked[i] = v->next;
            free(v);
        }
    }
    return status;
}

// What the journal has, in place; then it is empty.
static zx_status_t replay(struct ext2* fs) {
    const struct journal_super* s = journal_super_of(&fs->journal);
    uint32_t sequence = be(s->sequence);
    struct replay* r = calloc(1, sizeof(*r) + 2 * (size_t)fs->block_size);
    if (r == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    r->fs = fs;
    r->block = (uint8_t*)(r + 1);
    r->data = r->block + fs->block_size;
    zx_status_t status = ZX_OK;
    if (s->start != 0) {
        status = replay_all(r);
        sequence = r->end + 1; // of that one there may be remains
    }
    free(r);
    if (status == ZX_OK) {
        status = cache_flush(fs);
    }
    return status == ZX_OK ? journal_set_start(fs, 0, sequence) : status;
}

zx_status_t journal_recover(struct ext2* fs, char why[EXT2_WHY_MAX]) {
    zx_status_t status = journal_load(fs);
    if (status == ZX_OK) {
        status = replay(fs);
    }
    // The superblock may be among what was replayed.
    if (status == ZX_OK) {
        status = fs->device.read_blocks(fs->device.ctx, SUPERBLOCK_OFFSET / EXT2_SECTOR,
                                        sizeof(fs->super) / EXT2_SECTOR, &fs->super);
    }
    if (status == ZX_OK) {
        fs->super.feature_incompat &= ~INCOMPAT_RECOVER;
        fs->super.state |= journal_super_of(&fs->journal)->error != 0 ? STATE_ERROR : 0;
        status = write_super(fs);
    }
    if (status == ZX_OK) {
        status = cache_flush(fs);
    }
    if (status != ZX_OK) {
        snprintf(why, EXT2_WHY_MAX, "needs_recovery, and its journal %s",
                 status == ZX_ERR_NOT_SUPPORTED ? "is of an unknown kind" : "cannot be replayed");
    }
    return status;
}

zx_status_t journal_finish(struct ext2* fs) {
    zx_status_t status = fs->journal.is_pending ? replay(fs) : ZX_OK;
    fs->journal.is_pending &= status != ZX_OK;
    return status;
}
