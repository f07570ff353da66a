// The end of a batch: everything that was changed reaches the disk, in the waves that
// docs/design/ext2.md describes. Between two waves the device is flushed, if anything was written.
//
// If the disk fails the batch stays as it is, and the next sync begins again: what was written
// already is written again or found clean, and no wave undoes an earlier one.
#include <stdlib.h>
#include <string.h>

#include "core.h"

static bool is_dying(const struct node* n) {
    return n->raw.links_count == 0 && !n->is_fresh && !n->is_dead;
}

static bool lives_on(const struct node* n) {
    return n->raw.links_count != 0 && !n->is_fresh;
}

typedef zx_status_t (*node_fn)(struct ext2* fs, struct node* n);

static zx_status_t for_each_node(struct ext2* fs, node_fn act) {
    list_for_each(at, &fs->dirty_nodes) {
        zx_status_t status = act(fs, container_of(at, struct node, dirty));
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static zx_status_t write_and_flush(struct ext2* fs, enum block_class class) {
    zx_status_t status = cache_write(fs, class);
    if (status == ZX_OK) {
        status = cache_write(fs, CLASS_TABLE);
    }
    return status == ZX_OK ? cache_flush(fs) : status;
}

// ---- inodes into their tables ----

static uint16_t links_needed(const struct node* n, const struct inode_raw* at) {
    uint32_t links = n->raw.links_count + n->ghosts;
    links = links > UINT16_MAX ? UINT16_MAX : links;
    return at->links_count > links ? at->links_count : (uint16_t)links;
}

// A: only what must not come later than a name.
static zx_status_t put_early(struct ext2* fs, struct node* n) {
    struct block* b;
    struct inode_raw* at;
    if (!lives_on(n)) {
        return ZX_OK;
    }
    zx_status_t status = node_table(fs, n->base.ino, &b, &at);
    if (status != ZX_OK) {
        return status;
    }
    uint16_t links = links_needed(n, at);
    uint32_t flags = at->flags & ~(n->raw.flags & FLAG_INDEX ? 0 : FLAG_INDEX);
    if (links != at->links_count || flags != at->flags) {
        at->links_count = links;
        at->flags = flags;
        block_dirty(fs, b, CLASS_TABLE);
    }
    block_put(fs, b);
    return ZX_OK;
}

static zx_status_t put(struct ext2* fs, struct node* n, bool final) {
    struct block* b;
    struct inode_raw* at;
    zx_status_t status = node_table(fs, n->base.ino, &b, &at);
    if (status != ZX_OK) {
        return status;
    }
    size_t len = fs->inode_size < sizeof(n->raw) ? fs->inode_size : sizeof(n->raw);
    uint16_t links = n->raw.links_count;
    if (n->is_fresh) {
        memset(at, 0, fs->inode_size);
    }
    if (!final) {
        n->raw.links_count = links_needed(n, at);
    }
    if (n->is_fresh || memcmp(at, &n->raw, len) != 0) {
        memcpy(at, &n->raw, len);
        block_dirty(fs, b, CLASS_TABLE);
    }
    n->raw.links_count = links;
    block_put(fs, b);
    return ZX_OK;
}

static zx_status_t put_living(struct ext2* fs, struct node* n) {
    return lives_on(n) ? put(fs, n, false) : ZX_OK;
}

static zx_status_t put_final(struct ext2* fs, struct node* n) {
    return lives_on(n) ? put(fs, n, true) : ZX_OK;
}

// Only that it is dead; the rest is what it was, and nobody's.
static zx_status_t put_dead(struct ext2* fs, struct node* n) {
    struct block* b;
    struct inode_raw* at;
    zx_status_t status = node_table(fs, n->base.ino, &b, &at);
    if (status != ZX_OK) {
        return status;
    }
    // Small numbers stand for the next orphan.
    uint32_t now = fs_now(fs);
    at->links_count = 0;
    at->dtime = now > fs->super.inodes_count ? now : UINT32_MAX;
    block_dirty(fs, b, CLASS_TABLE);
    block_put(fs, b);
    return ZX_OK;
}

// ---- C: births ----

static struct node* find_dirty(struct ext2* fs, uint32_t ino) {
    struct node* n = fs->nodes[(ino * 2654435761u) >> 20];
    while (n != nullptr && n->base.ino != ino) {
        n = n->hash_next;
    }
    return n != nullptr && n->is_dirty ? n : nullptr;
}

enum : uint32_t { NOT_CHOSEN, CHOSEN };

// The directories whose own name is on disk. Returns whether there are any.
static zx_status_t birth_of_directories(struct ext2* fs, bool* any) {
    *any = false;
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        n->level = NOT_CHOSEN;
        if (!n->is_fresh || n->raw.links_count == 0 || !is_directory(n)) {
            continue;
        }
        const struct node* parent = find_dirty(fs, n->parent_ino);
        if (parent != nullptr && parent->is_fresh) {
            continue;
        }
        zx_status_t status = put(fs, n, false);
        if (status != ZX_OK) {
            return status;
        }
        n->level = CHOSEN;
        *any = true;
    }
    if (!*any) {
        return ZX_OK;
    }
    zx_status_t status = write_and_flush(fs, CLASS_TABLE);
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        if (status == ZX_OK && n->level == CHOSEN) {
            n->is_fresh = false;
        }
    }
    return status;
}

static zx_status_t birth_of_others(struct ext2* fs) {
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        if (n->is_fresh && n->raw.links_count != 0) {
            zx_status_t status = put(fs, n, false);
            if (status != ZX_OK) {
                return status;
            }
        }
    }
    zx_status_t status = write_and_flush(fs, CLASS_TABLE);
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        if (status == ZX_OK && n->raw.links_count != 0) {
            n->is_fresh = false;
        }
    }
    return status;
}

static zx_status_t births(struct ext2* fs) {
    bool any = true;
    while (any) {
        zx_status_t status = birth_of_directories(fs, &any);
        if (status != ZX_OK) {
            return status;
        }
    }
    return birth_of_others(fs);
}

// ---- R, E: names that were put off ----

static zx_status_t replacements(struct ext2* fs) {
    list_for_each_safe(at, &fs->pending) {
        struct dname* e = container_of(at, struct dname, pending);
        struct node* d = e->directory;
        if (e->state != NAME_REPLACED) {
            continue;
        }
        zx_status_t status = directory_store(fs, d, e);
        if (status != ZX_OK) {
            return status;
        }
        e->state = NAME_LIVE;
        e->batch = 0;
        list_remove(&e->pending);
        fs->pending_count--;
        node_unref(fs, d);
    }
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        if (n->dotdot) {
            zx_status_t status =
                n->raw.links_count != 0 ? directory_set_dotdot(fs, n, n->parent_ino) : ZX_OK;
            if (status != ZX_OK) {
                return status;
            }
            n->dotdot = false;
        }
        n->replaced = 0;
    }
    return ZX_OK;
}

static zx_status_t ghosts(struct ext2* fs) {
    list_for_each_safe(at, &fs->pending) {
        struct dname* e = container_of(at, struct dname, pending);
        struct node* d = e->directory;
        bool is_needed = e->is_needed;
        if (d->raw.links_count == 0) {
            list_remove(&e->pending);
            directory_forget(fs, d, e); // its block goes with the directory
        } else {
            // The node of the list goes with the entry.
            list_remove(&e->pending);
            zx_status_t status = directory_erase(fs, d, e);
            if (status != ZX_OK) {
                list_push_front(&fs->pending, &e->pending);
                return status;
            }
        }
        d->names.needed -= is_needed;
        fs->pending_count--;
        node_unref(fs, d);
    }
    return ZX_OK;
}

// ---- D: deaths ----

static zx_status_t deaths_of_others(struct ext2* fs) {
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        n->level = NOT_CHOSEN;
        if (is_dying(n) && !is_directory(n)) {
            zx_status_t status = put_dead(fs, n);
            if (status != ZX_OK) {
                return status;
            }
            n->level = CHOSEN;
        }
    }
    return write_and_flush(fs, CLASS_TABLE);
}

// The directories in which no directory is left that is still alive on disk.
static zx_status_t deaths_of_directories(struct ext2* fs, bool* any) {
    *any = false;
    list_for_each(at, &fs->dirty_nodes) {
        container_of(at, struct node, dirty)->level = CHOSEN;
    }
    list_for_each(at, &fs->dirty_nodes) {
        const struct node* n = container_of(at, struct node, dirty);
        struct node* parent =
            is_dying(n) && is_directory(n) ? find_dirty(fs, n->parent_ino) : nullptr;
        if (parent != nullptr) {
            parent->level = NOT_CHOSEN;
        }
    }
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        if (!is_dying(n) || !is_directory(n)) {
            n->level = NOT_CHOSEN;
        } else if (n->level == CHOSEN) {
            zx_status_t status = put_dead(fs, n);
            if (status != ZX_OK) {
                return status;
            }
            *any = true;
        }
    }
    return *any ? write_and_flush(fs, CLASS_TABLE) : ZX_OK;
}

static void bury_chosen(struct ext2* fs) {
    list_for_each(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        n->is_dead |= n->level == CHOSEN;
    }
}

static zx_status_t deaths(struct ext2* fs) {
    zx_status_t status = deaths_of_others(fs);
    bool any = true;
    if (status == ZX_OK) {
        bury_chosen(fs);
    }
    while (status == ZX_OK && any) {
        status = deaths_of_directories(fs, &any);
        if (status == ZX_OK) {
            bury_chosen(fs);
        }
    }
    return status;
}

// ---- B to E, one after the other or all at once ----

static zx_status_t sync_by_waves(struct ext2* fs) {
    zx_status_t status = for_each_node(fs, put_living);
    if (status == ZX_OK) {
        status = write_and_flush(fs, CLASS_LINKS);
    }
    if (status == ZX_OK) {
        status = births(fs);
    }
    if (status == ZX_OK) {
        status = replacements(fs);
    }
    if (status == ZX_OK) {
        status = write_and_flush(fs, CLASS_LINKS);
    }
    if (status == ZX_OK) {
        status = deaths(fs);
    }
    if (status == ZX_OK) {
        status = ghosts(fs);
    }
    return status == ZX_OK ? write_and_flush(fs, CLASS_LINKS) : status;
}

static zx_status_t put_as_it_is(struct ext2* fs, struct node* n) {
    if (n->raw.links_count != 0) {
        return put(fs, n, true);
    }
    return is_dying(n) ? put_dead(fs, n) : ZX_OK;
}

static zx_status_t is_as_put(struct ext2*, struct node* n) {
    n->is_dead |= is_dying(n);
    n->is_fresh &= n->raw.links_count == 0;
    return ZX_OK;
}

static zx_status_t write_transaction(struct ext2* fs) {
    static const enum block_class classes[] = {CLASS_LINKS, CLASS_TABLE};
    struct block** blocks = calloc(fs->cache.dirty_count + 1, sizeof(struct block*));
    uint32_t count = 0;
    if (blocks == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < 2; i++) {
        list_for_each(at, &fs->cache.dirty[classes[i]]) {
            blocks[count++] = container_of(at, struct block, dirty);
        }
    }
    zx_status_t status = journal_write(fs, blocks, count);
    free(blocks);
    for (unsigned i = 0; status == ZX_OK && i < 2; i++) {
        status = cache_write(fs, classes[i]);
    }
    return status == ZX_OK ? journal_end(fs) : status;
}

static zx_status_t sync_by_journal(struct ext2* fs) {
    zx_status_t status = replacements(fs);
    if (status == ZX_OK) {
        status = ghosts(fs);
    }
    if (status == ZX_OK) {
        status = for_each_node(fs, put_as_it_is);
    }
    if (status == ZX_OK) {
        status = write_transaction(fs);
    }
    return status == ZX_OK ? for_each_node(fs, is_as_put) : status;
}

// ---- F: what is given back ----

static zx_status_t accounts(struct ext2* fs) {
    zx_status_t status = for_each_node(fs, put_final);
    if (status == ZX_OK) {
        status = free_pending(fs);
    }
    if (status == ZX_OK) {
        status = cache_write(fs, CLASS_BITMAP);
    }
    if (status == ZX_OK) {
        status = cache_write(fs, CLASS_TABLE);
    }
    if (status == ZX_OK && fs->counts_dirty) {
        status = write_groups(fs);
        if (status == ZX_OK) {
            status = write_super(fs);
        }
        fs->counts_dirty = status != ZX_OK;
    }
    return status;
}

// An open file without a name stays on the list: its blocks are still to come.
static void end_batch(struct ext2* fs) {
    list_for_each_safe(at, &fs->dirty_nodes) {
        struct node* n = container_of(at, struct node, dirty);
        n->ghosts = 0;
        n->nested = 0;
        node_clean(fs, n);
    }
    fs->needs_journal = false;
}

zx_status_t sync_batch(struct ext2* fs) {
    if (fs->read_only) {
        return ZX_OK;
    }
    fs->cache.unflushed = true; // contents were written by others
    zx_status_t status = fs_has_changes(fs) ? mark_unclean(fs) : ZX_OK;
    if (status == ZX_OK) {
        status = journal_finish(fs);
    }
    // A
    if (status == ZX_OK && !fs->needs_journal) {
        status = for_each_node(fs, put_early);
    }
    if (status == ZX_OK) {
        status = cache_write(fs, CLASS_FRESH);
    }
    if (status == ZX_OK) {
        status = fs->needs_journal ? cache_write(fs, CLASS_BITMAP) // it flushes
                                   : write_and_flush(fs, CLASS_BITMAP);
    }
    if (status != ZX_OK) {
        return status;
    }
    fs->batch++; // from here on what was new may be on disk
    status = fs->needs_journal ? sync_by_journal(fs) : sync_by_waves(fs);
    if (status == ZX_OK) {
        status = accounts(fs);
    }
    if (status == ZX_OK) {
        end_batch(fs);
    }
    return status;
}

zx_status_t ext2_sync(struct ext2* fs) {
    return sync_batch(fs);
}

bool ext2_is_dirty(const struct ext2* fs) {
    return fs->dirty_node_count != 0 || fs->cache.dirty_count != 0 || fs->counts_dirty ||
           fs->freed_blocks.count != 0;
}
