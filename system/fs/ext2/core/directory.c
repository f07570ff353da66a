// Directories: a table of names in memory, made when it is first needed, over blocks of records
// that never move. What is removed leaves a gap; the largest of each block is remembered, so a new
// name finds its place without reading.
//
// A ghost is in the table, too: its name is gone for everybody but the disk.
#include <stdlib.h>
#include <string.h>

#include "core.h"

constexpr uint32_t GAP_WORTH_A_LOOK = 32;

static uint32_t hash_name(struct ext2_name name) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.len; i++) {
        h = (h ^ (uint8_t)name.text[i]) * 16777619u;
    }
    return h ^ h >> 15;
}

// ---- blocks of records ----

// The record at `offset`; false: there is none, or it is not sound.
static bool record_at(const struct ext2* fs, const struct block* b, uint32_t offset,
                      struct dirent_raw** out) {
    if (offset > fs->block_size - sizeof(struct dirent_raw)) {
        return false;
    }
    struct dirent_raw* r = (struct dirent_raw*)(b->data + offset);
    if (r->rec_len < dirent_len(1) || r->rec_len % 4 != 0 || r->rec_len > fs->block_size - offset ||
        (r->inode != 0 && dirent_len(r->name_len) > r->rec_len)) {
        return false;
    }
    *out = r;
    return true;
}

static uint32_t gap_of(const struct dirent_raw* r) {
    return r->inode == 0 ? r->rec_len : r->rec_len - dirent_len(r->name_len);
}

static uint16_t largest_gap(const struct ext2* fs, const struct block* b) {
    uint32_t gap = 0;
    struct dirent_raw* r;
    for (uint32_t at = 0; at < fs->block_size; at += r->rec_len) {
        if (!record_at(fs, b, at, &r)) {
            return 0;
        }
        gap = gap_of(r) > gap ? gap_of(r) : gap;
    }
    return (uint16_t)gap;
}

// Pinned. INTEGRITY: a hole; directories have none.
static zx_status_t directory_block(struct ext2* fs, struct node* d, uint32_t index,
                                   struct block** out) {
    uint32_t first, count;
    zx_status_t status = map_find(fs, d, index, 1, &first, &count);
    if (status != ZX_OK) {
        return status;
    }
    return first != 0 ? block_get(fs, first, out) : ZX_ERR_IO_DATA_INTEGRITY;
}

// ---- the table ----

static struct dname** bucket_of(struct names* t, uint32_t hash) {
    return &t->buckets[hash & (t->bucket_count - 1)];
}

static void grow(struct names* t) {
    uint32_t count = t->bucket_count * 4;
    struct dname** buckets = calloc(count, sizeof(struct dname*));
    if (buckets == nullptr) {
        return; // slower, not wrong
    }
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        struct dname* next;
        for (struct dname* e = t->buckets[i]; e != nullptr; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = count;
}

static struct dname* dname_new(struct ext2_name name, uint32_t ino, uint8_t type,
                               uint32_t position) {
    struct dname* e = calloc(1, sizeof(*e) + name.len);
    if (e != nullptr) {
        e->hash = hash_name(name);
        e->ino = ino;
        e->type = type;
        e->position = position;
        e->len = (uint8_t)name.len;
        memcpy(e->text, name.text, name.len);
    }
    return e;
}

static void table_add(struct ext2* fs, struct names* t, struct dname* e) {
    if (t->count >= t->bucket_count) {
        grow(t);
    }
    struct dname** bucket = bucket_of(t, e->hash);
    e->next = *bucket;
    *bucket = e;
    t->count++;
    t->live++;
    fs->name_count++;
}

static void table_remove(struct ext2* fs, struct names* t, struct dname* e) {
    struct dname** at = bucket_of(t, e->hash);
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    t->count--;
    fs->name_count--;
}

static bool is_dots(const char* text, size_t len) {
    return (len == 1 && text[0] == '.') || (len == 2 && text[0] == '.' && text[1] == '.');
}

struct dname* directory_find(struct node* d, struct ext2_name name) {
    uint32_t hash = hash_name(name);
    struct dname* e = *bucket_of(&d->names, hash);
    while (e != nullptr &&
           (e->hash != hash || e->len != name.len || memcmp(e->text, name.text, name.len) != 0)) {
        e = e->next;
    }
    return e;
}

static zx_status_t load_block(struct ext2* fs, struct node* d, uint32_t index) {
    struct names* t = &d->names;
    struct block* b;
    zx_status_t status = directory_block(fs, d, index, &b);
    if (status != ZX_OK) {
        return status;
    }
    struct dirent_raw* r;
    for (uint32_t at = 0; status == ZX_OK && at < fs->block_size; at += r->rec_len) {
        if (!record_at(fs, b, at, &r)) {
            status = ZX_ERR_IO_DATA_INTEGRITY;
            break;
        }
        struct ext2_name name = {r->name, r->name_len};
        if (r->inode == 0 || is_dots(name.text, name.len)) {
            continue;
        }
        if (name.len == 0 || memchr(name.text, '/', name.len) != nullptr ||
            memchr(name.text, 0, name.len) != nullptr || directory_find(d, name) != nullptr) {
            status = ZX_ERR_IO_DATA_INTEGRITY;
            break;
        }
        struct dname* e = dname_new(name, r->inode, fs->has_filetype ? r->type : 0,
                                    index << fs->block_shift | at);
        if (e == nullptr) {
            status = ZX_ERR_NO_MEMORY;
        } else {
            table_add(fs, t, e);
        }
    }
    t->gaps[index] = largest_gap(fs, b);
    block_put(fs, b);
    return status;
}

// After a cut of power a name may be there whose inode was still to live, or is dead already.
static zx_status_t drop_the_dead(struct ext2* fs, struct node* d) {
    struct names* t = &d->names;
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        struct dname* next;
        for (struct dname* e = t->buckets[i]; e != nullptr; e = next) {
            next = e->next;
            struct node* n;
            zx_status_t status = node_get(fs, e->ino, &n);
            if (status == ZX_OK) {
                node_unref(fs, n);
            } else if (status == ZX_ERR_NOT_FOUND && fs->read_only) {
                directory_forget(fs, d, e);
            } else if (status == ZX_ERR_NOT_FOUND) {
                directory_touch(fs, d);
                status = directory_erase(fs, d, e);
                if (status != ZX_OK) {
                    return status;
                }
            }
        }
    }
    return ZX_OK;
}

zx_status_t directory_load(struct ext2* fs, struct node* d) {
    struct names* t = &d->names;
    if (t->buckets != nullptr) {
        return ZX_OK;
    }
    uint64_t blocks = node_size(d) >> fs->block_shift;
    if (blocks == 0 || blocks > fs->super.blocks_count ||
        (node_size(d) & (fs->block_size - 1)) != 0) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    *t = (struct names){.bucket_count = 16, .block_count = (uint32_t)blocks};
    t->gap_capacity = t->block_count;
    t->buckets = calloc(t->bucket_count, sizeof(struct dname*));
    t->gaps = malloc(t->gap_capacity * sizeof(uint16_t));
    zx_status_t status = t->buckets != nullptr && t->gaps != nullptr ? ZX_OK : ZX_ERR_NO_MEMORY;
    for (uint32_t i = 0; status == ZX_OK && i < t->block_count; i++) {
        status = load_block(fs, d, i);
    }
    if (status == ZX_OK && !fs->was_clean) {
        status = drop_the_dead(fs, d);
    }
    if (status != ZX_OK) {
        directory_unload(fs, d);
    }
    return status;
}

void directory_unload(struct ext2* fs, struct node* d) {
    struct names* t = &d->names;
    fs->name_count -= t->count;
    for (uint32_t i = 0; t->buckets != nullptr && i < t->bucket_count; i++) {
        while (t->buckets[i] != nullptr) {
            struct dname* e = t->buckets[i];
            t->buckets[i] = e->next;
            free(e);
        }
    }
    free(t->buckets);
    free(t->gaps);
    *t = (struct names){};
}

// ---- changes ----

void directory_touch(struct ext2* fs, struct node* d) {
    d->raw.flags &= ~FLAG_INDEX;
    node_stamp(fs, d, true);
}

static void put_record(const struct ext2* fs, struct dirent_raw* r, const struct dname* e) {
    r->inode = e->ino;
    r->name_len = e->len;
    r->type = fs->has_filetype ? e->type : 0;
    memcpy(r->name, e->text, e->len);
    // The bytes up to the next multiple of four.
    memset(r->name + e->len, 0, dirent_len(e->len) - 8 - e->len);
}

// Puts the entry into a gap of the block; false: there is none.
static bool put_into_gap(const struct ext2* fs, struct block* b, struct dname* e, uint32_t index) {
    uint32_t need = dirent_len(e->len);
    struct dirent_raw* r;
    for (uint32_t at = 0; at < fs->block_size; at += r->rec_len) {
        if (!record_at(fs, b, at, &r)) {
            return false;
        }
        if (gap_of(r) < need) {
            continue;
        }
        if (r->inode != 0) { // its tail becomes a record
            uint32_t used = dirent_len(r->name_len);
            struct dirent_raw* tail = (struct dirent_raw*)(b->data + at + used);
            tail->rec_len = (uint16_t)(r->rec_len - used);
            r->rec_len = (uint16_t)used;
            r = tail;
            at += used;
        }
        put_record(fs, r, e);
        e->position = index << fs->block_shift | at;
        return true;
    }
    return false;
}

static zx_status_t append_block(struct ext2* fs, struct node* d, struct block** out) {
    struct names* t = &d->names;
    uint32_t first, count;
    bool is_new;
    if ((uint64_t)(t->block_count + 1) << fs->block_shift > INT32_MAX) {
        return ZX_ERR_NO_SPACE;
    }
    if (t->block_count == t->gap_capacity) {
        uint32_t capacity = t->gap_capacity * 2;
        uint16_t* gaps = realloc(t->gaps, capacity * sizeof(uint16_t));
        if (gaps == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        t->gaps = gaps;
        t->gap_capacity = capacity;
    }
    zx_status_t status = map_make(fs, d, t->block_count, 1, &first, &count, &is_new);
    if (status == ZX_OK) {
        status = block_new(fs, first, out);
    }
    if (status != ZX_OK) {
        return status;
    }
    struct dirent_raw* r = (struct dirent_raw*)(*out)->data;
    r->rec_len = (uint16_t)fs->block_size;
    t->gaps[t->block_count++] = (uint16_t)fs->block_size;
    node_set_size(fs, d, (uint64_t)t->block_count << fs->block_shift);
    return ZX_OK;
}

static zx_status_t block_with_gap(struct ext2* fs, struct node* d, uint32_t need,
                                  struct block** out, uint32_t* index) {
    struct names* t = &d->names;
    while (t->first_gap < t->block_count && t->gaps[t->first_gap] < GAP_WORTH_A_LOOK) {
        t->first_gap++;
    }
    for (uint32_t i = need < GAP_WORTH_A_LOOK ? 0 : t->first_gap; i < t->block_count; i++) {
        // Small names may go where the others do not look; but not so that all is looked through.
        if (i < t->first_gap && t->first_gap - i > 64) {
            i = t->first_gap - 64;
        }
        if (t->gaps[i] >= need) {
            *index = i;
            return directory_block(fs, d, i, out);
        }
    }
    *index = t->block_count;
    return append_block(fs, d, out);
}

zx_status_t directory_add(struct ext2* fs, struct node* d, struct ext2_name name, uint32_t ino,
                          uint8_t type, struct dname** out) {
    struct names* t = &d->names;
    struct dname* e = dname_new(name, ino, type, 0);
    if (e == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    struct block* b;
    uint32_t index;
    zx_status_t status = block_with_gap(fs, d, dirent_len(e->len), &b, &index);
    if (status != ZX_OK) {
        free(e);
        return status;
    }
    bool is_put = put_into_gap(fs, b, e, index);
    if (is_put) {
        block_dirty(fs, b, CLASS_LINKS);
        t->gaps[index] = largest_gap(fs, b);
    }
    block_put(fs, b);
    if (!is_put) { // the block is not what it was when it was read
        free(e);
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    e->batch = fs->batch;
    table_add(fs, t, e);
    directory_touch(fs, d);
    *out = e;
    return ZX_OK;
}

// The record of the name, pinned, and the one before it in its block (or null).
static zx_status_t find_record(struct ext2* fs, struct node* d, const struct dname* e,
                               struct block** out, struct dirent_raw** before,
                               struct dirent_raw** record) {
    struct block* b;
    zx_status_t status = directory_block(fs, d, e->position >> fs->block_shift, &b);
    if (status != ZX_OK) {
        return status;
    }
    uint32_t goal = e->position & (fs->block_size - 1);
    struct dirent_raw* r = nullptr;
    *before = nullptr;
    for (uint32_t at = 0; at <= goal; at += r->rec_len) {
        *before = r;
        if (!record_at(fs, b, at, &r)) {
            break;
        }
        if (at == goal) {
            *out = b;
            *record = r;
            return ZX_OK;
        }
    }
    block_put(fs, b);
    return ZX_ERR_IO_DATA_INTEGRITY;
}

void directory_forget(struct ext2* fs, struct node* d, struct dname* e) {
    if (e->state != NAME_GHOST) {
        d->names.live--;
    }
    table_remove(fs, &d->names, e);
    free(e);
}

static void erase_record(struct dirent_raw* before, struct dirent_raw* r) {
    if (before != nullptr) {
        before->rec_len = (uint16_t)(before->rec_len + r->rec_len);
    } else {
        r->inode = 0;
    }
}

zx_status_t directory_erase(struct ext2* fs, struct node* d, struct dname* e) {
    struct names* t = &d->names;
    struct block* b;
    struct dirent_raw *before, *r;
    zx_status_t status = find_record(fs, d, e, &b, &before, &r);
    if (status != ZX_OK) {
        return status;
    }
    erase_record(before, r);
    block_dirty(fs, b, CLASS_LINKS);
    uint32_t index = e->position >> fs->block_shift;
    t->gaps[index] = largest_gap(fs, b);
    block_put(fs, b);
    if (index < t->first_gap && t->gaps[index] >= GAP_WORTH_A_LOOK) {
        t->first_gap = index;
    }
    directory_forget(fs, d, e);
    return ZX_OK;
}

zx_status_t directory_store(struct ext2* fs, struct node* d, const struct dname* e) {
    struct block* b;
    struct dirent_raw *before, *r;
    zx_status_t status = find_record(fs, d, e, &b, &before, &r);
    if (status == ZX_OK) {
        put_record(fs, r, e);
        block_dirty(fs, b, CLASS_LINKS);
        block_put(fs, b);
    }
    return status;
}

// Either the record takes the new name, or another gap of its block does.
zx_status_t directory_rename_in_place(struct ext2* fs, struct node* d, struct dname* e,
                                      struct ext2_name name, bool* done) {
    struct names* t = &d->names;
    struct block* b;
    struct dirent_raw *before, *r;
    uint32_t index = e->position >> fs->block_shift;
    *done = false;
    zx_status_t status = find_record(fs, d, e, &b, &before, &r);
    if (status != ZX_OK) {
        return status;
    }
    struct dname* fresh = dname_new(name, e->ino, e->type, e->position);
    if (fresh == nullptr) {
        block_put(fs, b);
        return ZX_ERR_NO_MEMORY;
    }
    if (dirent_len(fresh->len) <= r->rec_len) {
        put_record(fs, r, fresh);
        *done = true;
    } else if (put_into_gap(fs, b, fresh, index)) {
        // The new record may lie right before the old one.
        block_dirty(fs, b, CLASS_LINKS);
        block_put(fs, b);
        status = find_record(fs, d, e, &b, &before, &r);
        if (status != ZX_OK) {
            free(fresh);
            return status;
        }
        erase_record(before, r);
        *done = true;
    }
    if (*done) {
        block_dirty(fs, b, CLASS_LINKS);
        t->gaps[index] = largest_gap(fs, b);
        fresh->batch = e->batch;
        directory_forget(fs, d, e);
        table_add(fs, t, fresh);
        directory_touch(fs, d);
    } else {
        free(fresh);
    }
    block_put(fs, b);
    return ZX_OK;
}

// ---- "." and ".." ----

zx_status_t directory_init(struct ext2* fs, struct node* d, uint32_t parent) {
    struct names* t = &d->names;
    *t = (struct names){.bucket_count = 16, .gap_capacity = 4};
    t->buckets = calloc(t->bucket_count, sizeof(struct dname*));
    t->gaps = malloc(t->gap_capacity * sizeof(uint16_t));
    struct block* b;
    zx_status_t status = t->buckets != nullptr && t->gaps != nullptr ? ZX_OK : ZX_ERR_NO_MEMORY;
    if (status == ZX_OK) {
        status = append_block(fs, d, &b);
    }
    if (status != ZX_OK) {
        directory_unload(fs, d);
        return status;
    }
    uint8_t type = fs->has_filetype ? EXT2_DIRECTORY : 0;
    struct dirent_raw* dot = (struct dirent_raw*)b->data;
    *dot = (struct dirent_raw){d->base.ino, (uint16_t)dirent_len(1), 1, type};
    memcpy(dot->name, ".", 1);
    struct dirent_raw* dotdot = (struct dirent_raw*)(b->data + dirent_len(1));
    *dotdot = (struct dirent_raw){parent, (uint16_t)(fs->block_size - dirent_len(1)), 2, type};
    memcpy(dotdot->name, "..", 2);
    t->gaps[0] = largest_gap(fs, b);
    block_put(fs, b);
    d->parent_ino = parent;
    return ZX_OK;
}

zx_status_t directory_set_dotdot(struct ext2* fs, struct node* d, uint32_t ino) {
    struct block* b;
    zx_status_t status = directory_block(fs, d, 0, &b);
    if (status != ZX_OK) {
        return status;
    }
    struct dirent_raw *dot, *dotdot;
    if (!record_at(fs, b, 0, &dot) || !record_at(fs, b, dot->rec_len, &dotdot) ||
        dotdot->name_len != 2 || memcmp(dotdot->name, "..", 2) != 0) {
        block_put(fs, b);
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    dotdot->inode = ino;
    block_dirty(fs, b, CLASS_LINKS);
    block_put(fs, b);
    return ZX_OK;
}

// ---- listing ----

static enum ext2_kind kind_of(struct ext2* fs, const struct dname* e) {
    struct node* n;
    if (e->type >= EXT2_FILE && e->type <= EXT2_SYMLINK) {
        return (enum ext2_kind)e->type;
    }
    if (node_get(fs, e->ino, &n) != ZX_OK) {
        return EXT2_FILE;
    }
    enum ext2_kind kind = n->base.kind;
    node_unref(fs, n);
    return kind;
}

static bool emit(struct ext2* fs, struct node* d, const struct dirent_raw* r, uint32_t position,
                 ext2_list_fn entry, void* ctx) {
    struct ext2_name name = {r->name, r->name_len};
    const struct dname* e = directory_find(d, name);
    if (e == nullptr || e->position != position || e->state == NAME_GHOST) {
        return true;
    }
    enum ext2_kind kind = kind_of(fs, e);
    return entry(ctx, (struct ext2_name){e->text, e->len}, e->ino, kind,
                 (uint64_t)position + r->rec_len);
}

// A cookie is the place behind an entry. Records may have been joined since: the search begins at
// the start of the block.
zx_status_t ext2_list(struct ext2* fs, struct ext2_node* directory, uint64_t cookie,
                      ext2_list_fn entry, void* ctx) {
    struct node* d = node_of(directory);
    if (d->raw.links_count == 0) {
        return ZX_OK;
    }
    zx_status_t status = directory_load(fs, d);
    if (status != ZX_OK) {
        return status;
    }
    if (cookie > UINT32_MAX) {
        return ZX_OK;
    }
    bool more = true;
    for (uint32_t i = (uint32_t)(cookie >> fs->block_shift); more && i < d->names.block_count;
         i++) {
        struct block* b;
        status = directory_block(fs, d, i, &b);
        if (status != ZX_OK) {
            return status;
        }
        struct dirent_raw* r;
        for (uint32_t at = 0; more && at < fs->block_size && record_at(fs, b, at, &r);
             at += r->rec_len) {
            uint32_t position = i << fs->block_shift | at;
            if (r->inode != 0 && position >= cookie) {
                more = emit(fs, d, r, position, entry, ctx);
            }
        }
        block_put(fs, b);
    }
    return ZX_OK;
}
