// Operations on names. Each looks first, makes what may fail, and changes counts last.
//
// What is on disk and loses its name becomes a ghost, or is replaced later (docs/design/ext2.md);
// what came in this batch is not on disk, and is changed at once. Where two changes of one batch
// would get into each other's way, the batch is ended first.
#include <stdio.h>
#include <string.h>

#include "core.h"

constexpr uint16_t LINKS_MAX = 32000;

// Without a journal each level of a tree that is made or removed takes a flush: a batch has no
// more.
constexpr uint32_t NESTED_MAX = 16;

static bool is_sound(struct ext2_name name) {
    bool is_dots = name.len <= 2 && memcmp(name.text, "..", name.len) == 0;
    return name.len != 0 && name.len <= EXT2_NAME_MAX && !is_dots &&
           memchr(name.text, '/', name.len) == nullptr && memchr(name.text, 0, name.len) == nullptr;
}

// Not on disk yet, for sure.
static bool is_new_name(const struct ext2* fs, const struct dname* e) {
    return e->batch == fs->batch;
}

// Where there is a journal it takes all levels at once.
static void set_nested(struct ext2* fs, struct node* d, uint32_t nested) {
    d->nested = d->nested > nested ? d->nested : nested;
    if (nested > 1 && !fs->needs_journal) {
        fs->needs_journal = journal_is_there(fs) && journal_has_room(fs);
    }
}

// Before there is one level more.
static zx_status_t check_nested(struct ext2* fs, const struct node* n) {
    return n->nested >= NESTED_MAX && !fs->needs_journal ? sync_batch(fs) : ZX_OK;
}

static void put_off(struct ext2* fs, struct node* d, struct dname* e, enum name_state state) {
    if (state == NAME_GHOST) {
        d->names.live--;
    }
    e->state = state;
    e->directory = node_ref(d);
    list_push_back(&fs->pending, &e->pending);
    fs->pending_count++;
    directory_touch(fs, d);
}

static void make_ghost(struct ext2* fs, struct node* d, struct dname* e, bool is_needed) {
    put_off(fs, d, e, NAME_GHOST);
    e->is_needed = is_needed;
    d->names.needed += is_needed;
}

// The name is gone for everybody; `n` is what it stands for.
static zx_status_t remove_name(struct ext2* fs, struct node* d, struct dname* e, struct node* n) {
    if (is_new_name(fs, e)) {
        zx_status_t status = directory_erase(fs, d, e);
        if (status == ZX_OK) {
            directory_touch(fs, d);
        }
        return status;
    }
    make_ghost(fs, d, e, false);
    n->ghosts++;
    return ZX_OK;
}

// A name that is there, with its node. One that is about to be replaced is replaced first.
static zx_status_t find_name(struct ext2* fs, struct node* d, struct ext2_name name, bool change,
                             struct dname** out, struct node** node) {
    if (!is_directory(d)) {
        return ZX_ERR_NOT_DIR;
    }
    if (d->raw.links_count == 0 || name.len > EXT2_NAME_MAX) {
        return ZX_ERR_NOT_FOUND;
    }
    zx_status_t status = directory_load(fs, d);
    if (status != ZX_OK) {
        return status;
    }
    struct dname* e = directory_find(d, name);
    if (e == nullptr || e->state == NAME_GHOST) {
        return ZX_ERR_NOT_FOUND;
    }
    if (change && e->state == NAME_REPLACED) {
        status = sync_batch(fs);
        if (status != ZX_OK) {
            return status;
        }
    }
    struct node* n;
    status = node_get(fs, e->ino, &n);
    if (status == ZX_ERR_NOT_FOUND && !fs->read_only && e->state == NAME_LIVE) {
        make_ghost(fs, d, e, false); // the power was cut when it was on its way to live or to die
    }
    if (status != ZX_OK) {
        return status;
    }
    if (is_directory(n)) {
        // The first way to a directory is the only one.
        if (n == fs->root || n == d || (n->parent != nullptr && n->parent != d)) {
            node_unref(fs, n);
            return ZX_ERR_IO_DATA_INTEGRITY;
        }
        if (n->parent == nullptr) {
            node_set_parent(fs, n, d);
        }
    }
    *out = e;
    *node = n;
    return ZX_OK;
}

// The name can be given away: it is not there, nor about to go.
static zx_status_t name_is_free(struct ext2* fs, struct node* d, struct ext2_name name) {
    if (!is_directory(d)) {
        return ZX_ERR_NOT_DIR;
    }
    if (!is_sound(name)) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (d->raw.links_count == 0) {
        return ZX_ERR_NOT_FOUND;
    }
    struct dname* e;
    struct node* n;
    zx_status_t status = find_name(fs, d, name, false, &e, &n); // ends names of the dead, too
    if (status == ZX_OK) {
        node_unref(fs, n);
        return ZX_ERR_ALREADY_EXISTS;
    }
    if (status != ZX_ERR_NOT_FOUND) {
        return status;
    }
    return directory_find(d, name) != nullptr ? sync_batch(fs) : ZX_OK;
}

zx_status_t ext2_lookup(struct ext2* fs, struct ext2_node* directory, struct ext2_name name,
                        struct ext2_node** out) {
    struct dname* e;
    struct node* n;
    zx_status_t status = find_name(fs, node_of(directory), name, false, &e, &n);
    if (status == ZX_OK) {
        *out = &n->base;
    }
    return status;
}

// ---- making ----

static zx_status_t set_target(struct ext2* fs, struct node* n, struct ext2_name target) {
    if (target.len < FAST_LINK_MAX) {
        memcpy(n->raw.block, target.text, target.len);
    } else {
        uint32_t first, count;
        bool is_new;
        struct block* b;
        zx_status_t status = map_make(fs, n, 0, 1, &first, &count, &is_new);
        if (status == ZX_OK) {
            status = block_new(fs, first, &b);
        }
        if (status != ZX_OK) {
            return status;
        }
        memcpy(b->data, target.text, target.len);
        block_put(fs, b);
    }
    node_set_size(fs, n, target.len);
    return ZX_OK;
}

static zx_status_t make_node(struct ext2* fs, struct node* d, enum ext2_kind kind, uint32_t mode,
                             struct ext2_name target, struct node** out) {
    uint16_t type = kind == EXT2_DIRECTORY ? MODE_DIRECTORY
                    : kind == EXT2_SYMLINK ? MODE_SYMLINK
                                           : MODE_FILE;
    uint32_t ino;
    struct node* n;
    zx_status_t status = alloc_inode(fs, d->base.ino, kind == EXT2_DIRECTORY, &ino);
    if (status != ZX_OK) {
        return status;
    }
    status = node_new(fs, ino, (uint16_t)(type | (mode & 07777)), &n);
    if (status != ZX_OK) {
        (void)runs_add(&fs->freed_inodes, fs->freed_inodes.count, ino,
                       kind == EXT2_DIRECTORY ? 2 : 1);
        return status;
    }
    if (kind == EXT2_DIRECTORY) {
        status = directory_init(fs, n, d->base.ino);
    } else if (kind == EXT2_SYMLINK) {
        status = set_target(fs, n, target);
    }
    if (status != ZX_OK) {
        node_unref(fs, n); // without links: it is given back
        return status;
    }
    *out = n;
    return ZX_OK;
}

zx_status_t ext2_create(struct ext2* fs, struct ext2_node* directory, struct ext2_name name,
                        enum ext2_kind kind, uint32_t mode, struct ext2_name target,
                        struct ext2_node** out) {
    struct node* d = node_of(directory);
    if (kind != EXT2_FILE && kind != EXT2_DIRECTORY && kind != EXT2_SYMLINK) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    if (kind == EXT2_SYMLINK && (target.len == 0 || target.len >= fs->block_size)) {
        return ZX_ERR_BAD_PATH;
    }
    zx_status_t status = fs_prepare(fs, 8);
    if (status == ZX_OK) {
        status = name_is_free(fs, d, name);
    }
    if (status == ZX_OK && kind == EXT2_DIRECTORY && d->raw.links_count >= LINKS_MAX) {
        status = ZX_ERR_NO_SPACE;
    }
    if (status == ZX_OK && kind == EXT2_DIRECTORY) {
        status = check_nested(fs, d);
    }
    struct node* n;
    if (status == ZX_OK) {
        status = make_node(fs, d, kind, mode, target, &n);
    }
    if (status != ZX_OK) {
        return status;
    }
    struct dname* e;
    status = directory_add(fs, d, name, n->base.ino, (uint8_t)kind, &e);
    if (status != ZX_OK) {
        node_unref(fs, n);
        return status;
    }
    n->raw.links_count = 1;
    if (kind == EXT2_DIRECTORY) {
        n->raw.links_count = 2;
        d->raw.links_count++;
        node_set_parent(fs, n, d);
        set_nested(fs, n, d->is_fresh ? d->nested + 1 : 0);
    }
    *out = &n->base;
    return ZX_OK;
}

zx_status_t ext2_link(struct ext2* fs, struct ext2_node* directory, struct ext2_name name,
                      struct ext2_node* node) {
    struct node* d = node_of(directory);
    struct node* n = node_of(node);
    if (is_directory(n)) {
        return ZX_ERR_NOT_FILE;
    }
    zx_status_t status = fs_prepare(fs, 8);
    if (status == ZX_OK) {
        status = name_is_free(fs, d, name);
    }
    if (status == ZX_OK && n->raw.links_count == 0) {
        status = ZX_ERR_NOT_FOUND;
    }
    if (status == ZX_OK && n->raw.links_count >= LINKS_MAX) {
        status = ZX_ERR_NO_SPACE;
    }
    struct dname* e;
    if (status == ZX_OK) {
        status = directory_add(fs, d, name, n->base.ino, (uint8_t)n->base.kind, &e);
    }
    if (status == ZX_OK) {
        n->raw.links_count++;
        node_stamp(fs, n, false);
    }
    return status;
}

// ---- taking away ----

// NOT_EMPTY. What the disk still needs in it is seen to first.
static zx_status_t check_empty(struct ext2* fs, struct node* d) {
    zx_status_t status = directory_load(fs, d);
    if (status != ZX_OK) {
        return status;
    }
    if (d->names.live != 0) {
        return ZX_ERR_NOT_EMPTY;
    }
    return d->names.needed != 0 ? sync_batch(fs) : ZX_OK;
}

// `n` has lost a name in `d`.
static void lost_a_name(struct ext2* fs, struct node* d, struct node* n) {
    if (is_directory(n)) {
        set_nested(fs, d, n->nested + 1);
        n->raw.links_count = 0;
        d->raw.links_count = (uint16_t)(d->raw.links_count - (d->raw.links_count > 2));
        node_set_parent(fs, n, nullptr);
    } else {
        n->raw.links_count--;
    }
    node_stamp(fs, n, false);
}

static zx_status_t unlink_found(struct ext2* fs, struct node* d, struct dname* e, struct node* n) {
    zx_status_t status = is_directory(n) ? check_empty(fs, n) : ZX_OK;
    if (status == ZX_OK) {
        status = check_nested(fs, n);
    }
    if (status == ZX_OK) {
        status = remove_name(fs, d, e, n);
    }
    if (status == ZX_OK) {
        lost_a_name(fs, d, n);
    }
    return status;
}

zx_status_t ext2_unlink(struct ext2* fs, struct ext2_node* directory, struct ext2_name name) {
    struct node* d = node_of(directory);
    struct dname* e;
    struct node* n;
    zx_status_t status = fs_prepare(fs, 0);
    if (status == ZX_OK) {
        status = find_name(fs, d, name, true, &e, &n);
    }
    if (status != ZX_OK) {
        return status;
    }
    status = unlink_found(fs, d, e, n);
    node_unref(fs, n);
    return status;
}

// ---- rename ----

struct rename {
    struct node *from, *to;
    struct dname* old;
    struct node* node;
    struct ext2_name name;
    struct dname* target; // null: the name is free
    struct node* victim;
};

static bool is_above(const struct node* n, const struct node* directory) {
    while (directory != nullptr && directory != n) {
        directory = directory->parent;
    }
    return directory != nullptr;
}

// lost+found, or the root if there is none. With a reference.
static zx_status_t open_lost(struct ext2* fs, struct node** out) {
    struct dname* e;
    zx_status_t status =
        find_name(fs, fs->root, (struct ext2_name){"lost+found", 10}, false, &e, out);
    if (status == ZX_OK && !is_directory(*out)) {
        node_unref(fs, *out);
        status = ZX_ERR_NOT_FOUND;
    }
    if (status == ZX_ERR_NOT_FOUND) {
        *out = node_ref(fs->root);
        status = ZX_OK;
    }
    return status;
}

// A name for what is about to lose its last one, until it is dead: nobody but the disk sees it.
static zx_status_t name_in_lost(struct ext2* fs, struct node* n) {
    struct node* lost;
    zx_status_t status = open_lost(fs, &lost);
    if (status != ZX_OK) {
        return status;
    }
    char text[16];
    struct ext2_name name = {text, (size_t)snprintf(text, sizeof(text), "#%u", n->base.ino)};
    status = name_is_free(fs, lost, name);
    while (status == ZX_ERR_ALREADY_EXISTS && name.len < sizeof(text)) {
        text[name.len++] = '~';
        status = name_is_free(fs, lost, name);
    }
    struct dname* e;
    if (status == ZX_OK) {
        status = directory_add(fs, lost, name, n->base.ino, (uint8_t)n->base.kind, &e);
    }
    if (status == ZX_OK) {
        make_ghost(fs, lost, e, true);
        n->ghosts++;
    }
    node_unref(fs, lost);
    return status;
}

static zx_status_t replace_name(struct ext2* fs, struct rename* r) {
    struct dname* t = r->target;
    zx_status_t status = ZX_OK;
    if (r->victim->replaced != 0 || r->node->replaced != 0) {
        status = sync_batch(fs);
    }
    if (status != ZX_OK) {
        return status;
    }
    if (is_new_name(fs, t)) {
        struct dname changed = *t; // without its text
        t->ino = r->node->base.ino;
        t->type = (uint8_t)r->node->base.kind;
        status = directory_store(fs, r->to, t);
        if (status == ZX_OK) {
            directory_touch(fs, r->to);
            status = remove_name(fs, r->from, r->old, r->node);
        }
        if (status != ZX_OK) {
            t->ino = changed.ino;
            t->type = changed.type;
            (void)directory_store(fs, r->to, t);
            return status;
        }
    } else {
        if (r->victim->raw.links_count == 1) {
            // It may end the batch, and with it what is new.
            status = name_in_lost(fs, r->victim);
        }
        if (status != ZX_OK) {
            return status;
        }
        t->ino = r->node->base.ino;
        t->type = (uint8_t)r->node->base.kind;
        put_off(fs, r->to, t, NAME_REPLACED);
        r->node->replaced++;
        r->victim->ghosts++;
        make_ghost(fs, r->from, r->old, true);
        r->node->ghosts++;
    }
    lost_a_name(fs, r->to, r->victim);
    return ZX_OK;
}

// A directory is in another one.
static zx_status_t change_parent(struct ext2* fs, struct rename* r) {
    struct node* n = r->node;
    if (r->from == r->to) {
        return ZX_OK;
    }
    r->from->raw.links_count = (uint16_t)(r->from->raw.links_count - 1);
    r->to->raw.links_count++;
    node_set_parent(fs, n, r->to);
    if (n->is_fresh) {
        return directory_set_dotdot(fs, n, n->parent_ino);
    }
    n->dotdot = true;
    return ZX_OK;
}

static zx_status_t move_name(struct ext2* fs, struct rename* r) {
    struct dname* e;
    struct node* n = r->node;
    zx_status_t status = directory_add(fs, r->to, r->name, n->base.ino, (uint8_t)n->base.kind, &e);
    if (status != ZX_OK) {
        return status;
    }
    status = remove_name(fs, r->from, r->old, n);
    if (status != ZX_OK) {
        (void)directory_erase(fs, r->to, e);
        return status;
    }
    return is_directory(n) ? change_parent(fs, r) : ZX_OK;
}

// Its own batch: nothing else may be on its way while a name changes within a block.
static zx_status_t rename_in_place(struct ext2* fs, struct rename* r, bool* done) {
    zx_status_t status = sync_batch(fs);
    if (status == ZX_OK) {
        status = directory_rename_in_place(fs, r->from, r->old, r->name, done);
    }
    if (status == ZX_OK && *done) {
        (void)sync_batch(fs); // it has happened; what fails now fails the next sync, too
    }
    return status;
}

// Two names and "..", which no order of writes changes at once: the journal does. Where there is
// none, and none is needed, none is made.
static zx_status_t move_directory(struct ext2* fs, struct rename* r) {
    bool done = false;
    zx_status_t status = ZX_OK;
    if (!fs->journal.is_open && r->from == r->to && r->target == nullptr) {
        status = rename_in_place(fs, r, &done);
    }
    if (status == ZX_OK && r->target != nullptr) {
        status = check_empty(fs, r->victim);
    }
    if (status == ZX_OK && !done) {
        status = journal_open(fs);
    }
    if (status != ZX_OK || done) {
        return status;
    }
    status = journal_has_room(fs) ? ZX_OK : sync_batch(fs);
    if (status != ZX_OK) {
        return status;
    }
    fs->needs_journal = true;
    if (r->target == nullptr) {
        return move_name(fs, r);
    }
    status = replace_name(fs, r);
    return status == ZX_OK ? change_parent(fs, r) : status;
}

static zx_status_t rename_found(struct ext2* fs, struct rename* r) {
    struct node* n = r->node;
    zx_status_t status = ZX_OK;
    if (is_directory(n) && is_above(n, r->to)) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (r->target != nullptr && is_directory(n) != is_directory(r->victim)) {
        return is_directory(n) ? ZX_ERR_NOT_DIR : ZX_ERR_NOT_FILE;
    }
    if (is_directory(n)) {
        if (r->from != r->to && r->target == nullptr && r->to->raw.links_count >= LINKS_MAX) {
            return ZX_ERR_NO_SPACE;
        }
        status = n->is_fresh && r->target == nullptr ? move_name(fs, r) : move_directory(fs, r);
    } else {
        status = r->target != nullptr ? replace_name(fs, r) : move_name(fs, r);
    }
    if (status == ZX_OK) {
        node_stamp(fs, n, false);
    }
    return status;
}

zx_status_t ext2_rename(struct ext2* fs, struct ext2_node* from, struct ext2_name name,
                        struct ext2_node* to, struct ext2_name to_name) {
    struct rename r = {.from = node_of(from), .to = node_of(to), .name = to_name};
    if (!is_directory(r.to)) {
        return ZX_ERR_NOT_DIR;
    }
    if (!is_sound(to_name)) {
        return ZX_ERR_INVALID_ARGS;
    }
    zx_status_t status = fs_prepare(fs, 16);
    if (status == ZX_OK) {
        status = find_name(fs, r.from, name, true, &r.old, &r.node);
    }
    if (status != ZX_OK) {
        return status;
    }
    status = r.to->raw.links_count == 0 ? ZX_ERR_NOT_FOUND
                                        : find_name(fs, r.to, to_name, true, &r.target, &r.victim);
    if (status == ZX_ERR_NOT_FOUND && r.to->raw.links_count != 0) {
        status = name_is_free(fs, r.to, to_name); // a ghost goes first
    }
    if (status == ZX_OK && r.victim != r.node) { // else two names of one: both stay
        status = rename_found(fs, &r);
    }
    if (r.victim != nullptr) {
        node_unref(fs, r.victim);
    }
    node_unref(fs, r.node);
    return status;
}

zx_status_t ext2_read_link(struct ext2* fs, struct ext2_node* link, char* buffer, size_t* len) {
    struct node* n = node_of(link);
    uint64_t size = node_size(n);
    bool has_blocks = n->raw.blocks != (n->raw.file_acl != 0 ? fs->sectors_per_block : 0);
    if (n->base.kind != EXT2_SYMLINK) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (!has_blocks) {
        if (size >= FAST_LINK_MAX) {
            return ZX_ERR_IO_DATA_INTEGRITY;
        }
        memcpy(buffer, n->raw.block, size);
    } else {
        uint32_t first, count;
        struct block* b;
        if (size >= fs->block_size) {
            return ZX_ERR_IO_DATA_INTEGRITY;
        }
        zx_status_t status = map_find(fs, n, 0, 1, &first, &count);
        if (status == ZX_OK) {
            status = first != 0 ? block_get(fs, first, &b) : ZX_ERR_IO_DATA_INTEGRITY;
        }
        if (status != ZX_OK) {
            return status;
        }
        memcpy(buffer, b->data, size);
        block_put(fs, b);
    }
    *len = size;
    return ZX_OK;
}
