// Nodes: inodes in memory. One without references stays for a while (the last LRU_MAX of them), and
// as long as it is dirty: it is put into its table's block by the sync, when its turn has come.
#include <stdlib.h>
#include <string.h>

#include "core.h"

constexpr uint32_t LRU_MAX = 4096;

static struct node** bucket_of(struct ext2* fs, uint32_t ino) {
    return &fs->nodes[(ino * 2654435761u) >> 20];
}
static_assert(NODE_BUCKETS == 1u << 12);

static bool kind_of_mode(uint16_t mode, enum ext2_kind* out) {
    static const struct {
        uint16_t type;
        enum ext2_kind kind;
    } kinds[] = {
        {MODE_FILE, EXT2_FILE},       {MODE_DIRECTORY, EXT2_DIRECTORY},
        {MODE_SYMLINK, EXT2_SYMLINK}, {MODE_CHARACTER, EXT2_CHARACTER},
        {MODE_BLOCK, EXT2_BLOCK},     {MODE_FIFO, EXT2_FIFO},
        {MODE_SOCKET, EXT2_SOCKET},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == (mode & MODE_TYPE)) {
            *out = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static void node_free(struct ext2* fs, struct node* n) {
    struct node** at = bucket_of(fs, n->base.ino);
    while (*at != n) {
        at = &(*at)->hash_next;
    }
    *at = n->hash_next;
    if (list_linked(&n->lru)) {
        list_remove(&n->lru);
        fs->lru_count--;
    }
    if (list_linked(&n->dirty)) {
        list_remove(&n->dirty);
        fs->dirty_node_count--;
    }
    directory_unload(fs, n);
    fs->node_count--;
    free(n);
}

void nodes_destroy(struct ext2* fs) {
    for (unsigned i = 0; i < NODE_BUCKETS; i++) {
        while (fs->nodes[i] != nullptr) {
            node_free(fs, fs->nodes[i]);
        }
    }
}

static struct node* node_make(struct ext2* fs, uint32_t ino) {
    struct node* n = calloc(1, sizeof(*n));
    if (n != nullptr) {
        n->base.ino = ino;
        n->refs = 1;
        n->hash_next = *bucket_of(fs, ino);
        *bucket_of(fs, ino) = n;
        fs->node_count++;
    }
    return n;
}

// A check looks at all inodes: those around this one come with it.
static void fetch_table(struct ext2* fs, const struct group_raw* g, uint32_t place) {
    uint32_t window = WRITE_RUN >> fs->block_shift;
    uint32_t left = table_blocks(fs) - place / window * window;
    if (!cache_has(fs, g->inode_table + place)) {
        cache_fetch(fs, g->inode_table + place / window * window, left < window ? left : window);
    }
}

zx_status_t node_table(struct ext2* fs, uint32_t ino, struct block** out, struct inode_raw** at) {
    uint32_t index = (ino - 1) % fs->super.inodes_per_group;
    const struct group_raw* g = &fs->groups[(ino - 1) / fs->super.inodes_per_group];
    uint64_t offset = (uint64_t)index * fs->inode_size;
    uint32_t place = (uint32_t)(offset >> fs->block_shift);
    struct block* b;
    if (!fs->was_clean) {
        fetch_table(fs, g, place);
    }
    zx_status_t status = block_get(fs, g->inode_table + place, &b);
    if (status == ZX_OK) {
        *at = (struct inode_raw*)(b->data + (offset & (fs->block_size - 1)));
        *out = b;
    }
    return status;
}

static zx_status_t node_read(struct ext2* fs, struct node* n) {
    struct block* b;
    struct inode_raw* at;
    zx_status_t status = node_table(fs, n->base.ino, &b, &at);
    if (status != ZX_OK) {
        return status;
    }
    memcpy(&n->raw, at, fs->inode_size < sizeof(n->raw) ? fs->inode_size : sizeof(n->raw));
    block_put(fs, b);
    if (n->raw.links_count == 0 || n->raw.mode == 0) {
        return ZX_ERR_NOT_FOUND;
    }
    return kind_of_mode(n->raw.mode, &n->base.kind) ? ZX_OK : ZX_ERR_IO_DATA_INTEGRITY;
}

zx_status_t node_get(struct ext2* fs, uint32_t ino, struct node** out) {
    if (ino == 0 || ino > fs->super.inodes_count || (ino < fs->first_ino && ino != INO_ROOT)) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    struct node* n = *bucket_of(fs, ino);
    while (n != nullptr && n->base.ino != ino) {
        n = n->hash_next;
    }
    if (n != nullptr) {
        if (n->raw.links_count == 0) {
            return ZX_ERR_NOT_FOUND;
        }
        if (list_linked(&n->lru)) {
            list_remove(&n->lru);
            fs->lru_count--;
        }
        *out = node_ref(n);
        return ZX_OK;
    }
    n = node_make(fs, ino);
    if (n == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_status_t status = node_read(fs, n);
    if (status != ZX_OK) {
        node_free(fs, n);
        return status;
    }
    *out = n;
    return ZX_OK;
}

zx_status_t node_orphan(struct ext2* fs, uint32_t ino, uint32_t* next) {
    if (ino < fs->first_ino || ino > fs->super.inodes_count || *bucket_of(fs, ino) != nullptr) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    struct node* n = node_make(fs, ino);
    if (n == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_status_t status = node_read(fs, n);
    *next = n->raw.dtime;
    if (status == ZX_ERR_NOT_FOUND && kind_of_mode(n->raw.mode, &n->base.kind)) {
        node_dirty(fs, n); // dies in the next sync, and is given back now
        node_unref(fs, n);
        return ZX_OK;
    }
    if (status != ZX_OK) {
        node_free(fs, n);
        return status;
    }
    n->raw.dtime = 0;
    node_dirty(fs, n);
    uint64_t keep = (node_size(n) + fs->block_size - 1) >> fs->block_shift;
    status = n->base.kind == EXT2_FILE ? map_cut(fs, n, keep) : ZX_OK;
    node_unref(fs, n);
    return status;
}

zx_status_t node_new(struct ext2* fs, uint32_t ino, uint16_t mode, struct node** out) {
    struct node* n = node_make(fs, ino);
    if (n == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    n->raw.mode = mode;
    n->raw.generation = fs->next_generation++;
    n->raw.extra_isize = fs->inode_size >= sizeof(n->raw) ? EXTRA_ISIZE : 0;
    n->is_fresh = true;
    (void)kind_of_mode(mode, &n->base.kind);
    node_stamp(fs, n, true);
    n->raw.atime = n->raw.mtime;
    n->raw.atime_extra = n->raw.mtime_extra;
    n->raw.crtime = n->raw.mtime;
    n->raw.crtime_extra = n->raw.mtime_extra;
    node_dirty(fs, n);
    *out = n;
    return ZX_OK;
}

static void to_lru(struct ext2* fs, struct node* n) {
    list_push_back(&fs->node_lru, &n->lru);
    fs->lru_count++;
    while (fs->lru_count > LRU_MAX || (fs->name_count > NAMES_MAX && fs->lru_count > 1)) {
        node_free(fs, container_of(list_first(&fs->node_lru), struct node, lru));
    }
}

// A directory in use holds the one above it, so giving one up may give up a chain of them.
void node_unref(struct ext2* fs, struct node* n) {
    while (n != nullptr && --n->refs == 0) {
        struct node* parent = n->parent;
        n->parent = nullptr;
        n->base.user = nullptr;
        if (n->raw.links_count == 0) {
            node_release(fs, n);
        }
        if (!n->is_dirty) {
            if (n->raw.links_count == 0) {
                node_free(fs, n);
            } else {
                to_lru(fs, n);
            }
        }
        n = parent;
    }
}

void node_dirty(struct ext2* fs, struct node* n) {
    if (n->is_dirty) {
        return;
    }
    n->is_dirty = true;
    list_push_back(&fs->dirty_nodes, &n->dirty);
    fs->dirty_node_count++;
}

void node_clean(struct ext2* fs, struct node* n) {
    n->is_dirty = false;
    list_remove(&n->dirty);
    fs->dirty_node_count--;
    if (n->refs != 0) {
        return;
    }
    if (n->raw.links_count == 0) {
        node_free(fs, n);
    } else {
        to_lru(fs, n);
    }
}

void node_set_parent(struct ext2* fs, struct node* n, struct node* parent) {
    struct node* old = n->parent;
    n->parent = parent != nullptr ? node_ref(parent) : nullptr;
    if (parent != nullptr) {
        n->parent_ino = parent->base.ino;
    }
    if (old != nullptr) {
        node_unref(fs, old);
    }
}

uint64_t node_size(const struct node* n) {
    return n->raw.size | (n->base.kind == EXT2_FILE ? (uint64_t)n->raw.size_high << 32 : 0);
}

void node_set_size(struct ext2* fs, struct node* n, uint64_t size) {
    n->raw.size = (uint32_t)size;
    if (n->base.kind == EXT2_FILE) {
        n->raw.size_high = (uint32_t)(size >> 32);
        if (size > INT32_MAX && (fs->super.feature_ro_compat & RO_COMPAT_LARGE_FILE) == 0) {
            fs->super.feature_ro_compat |= RO_COMPAT_LARGE_FILE;
            fs->counts_dirty = true;
        }
    }
    node_dirty(fs, n);
}

// ---- times: seconds, and what the longer inode adds (30 bits of nanoseconds, 2 of the epoch) ----

static bool has_extra(const struct node* n, size_t end) {
    return n->raw.extra_isize >= end - INODE_SIZE_REV0;
}
#define HAS_EXTRA(n, field) has_extra(n, offsetof(struct inode_raw, field) + sizeof((n)->raw.field))

static int64_t time_of(uint32_t seconds, uint32_t extra) {
    int64_t s = (int64_t)(int32_t)seconds + ((int64_t)(extra & 3) << 32);
    int64_t max = INT64_MAX / 1000000000 - 1; // there are 64 bits for nanoseconds: up to 2262
    return (s < max ? s : max) * 1000000000 + (extra >> 2) % 1000000000;
}

static void put_time(int64_t ns, uint32_t* seconds, uint32_t* extra) {
    int64_t s = ns / 1000000000;
    int64_t rest = ns % 1000000000;
    if (rest < 0) {
        s--;
        rest += 1000000000;
    }
    int64_t max = extra != nullptr ? ((int64_t)3 << 32) + INT32_MAX : INT32_MAX;
    s = s < INT32_MIN ? INT32_MIN : s > max ? max : s;
    *seconds = (uint32_t)s;
    if (extra != nullptr) {
        *extra = (uint32_t)(((s - (int32_t)s) >> 32) & 3) | (uint32_t)rest << 2;
    }
}

void node_stamp(struct ext2* fs, struct node* n, bool modified) {
    int64_t now = fs->device.now(fs->device.ctx);
    put_time(now, &n->raw.ctime, HAS_EXTRA(n, ctime_extra) ? &n->raw.ctime_extra : nullptr);
    if (modified) {
        put_time(now, &n->raw.mtime, HAS_EXTRA(n, mtime_extra) ? &n->raw.mtime_extra : nullptr);
    }
    node_dirty(fs, n);
}

void ext2_get_attributes(const struct ext2_node* node, struct ext2_attributes* out) {
    const struct node* n = node_of_const(node);
    const struct inode_raw* r = &n->raw;
    *out = (struct ext2_attributes){
        .mode = r->mode & 07777,
        .uid = r->uid,
        .gid = r->gid,
        .links = r->links_count,
        .blocks_512 = r->blocks,
        .size = node_size(n),
        .access_ns = time_of(r->atime, HAS_EXTRA(n, atime_extra) ? r->atime_extra : 0),
        .modification_ns = time_of(r->mtime, HAS_EXTRA(n, mtime_extra) ? r->mtime_extra : 0),
        .change_ns = time_of(r->ctime, HAS_EXTRA(n, ctime_extra) ? r->ctime_extra : 0),
    };
}

zx_status_t ext2_set_attributes(struct ext2* fs, struct ext2_node* node,
                                const struct ext2_changes* changes) {
    struct node* n = node_of(node);
    zx_status_t status = fs_prepare(fs, 0);
    if (status != ZX_OK) {
        return status;
    }
    if (changes->has_mode) {
        n->raw.mode = (uint16_t)((n->raw.mode & MODE_TYPE) | (changes->mode & 07777));
    }
    node_stamp(fs, n, false);
    if (changes->has_access) {
        put_time(changes->access_ns, &n->raw.atime,
                 HAS_EXTRA(n, atime_extra) ? &n->raw.atime_extra : nullptr);
    }
    if (changes->has_modification) {
        put_time(changes->modification_ns, &n->raw.mtime,
                 HAS_EXTRA(n, mtime_extra) ? &n->raw.mtime_extra : nullptr);
    }
    return ZX_OK;
}

void ext2_touch(struct ext2* fs, struct ext2_node* node) {
    if (fs_prepare(fs, 0) == ZX_OK) {
        node_stamp(fs, node_of(node), true);
    }
}

// ---- what callers see ----

zx_status_t ext2_root(struct ext2* fs, struct ext2_node** out) {
    *out = &node_ref(fs->root)->base;
    return ZX_OK;
}

struct ext2_node* ext2_ref(struct ext2_node* node) {
    return &node_ref(node_of(node))->base;
}

void ext2_unref(struct ext2* fs, struct ext2_node* node) {
    node_unref(fs, node_of(node));
}

struct ext2_node* ext2_parent(struct ext2_node* directory) {
    struct node* parent = node_of(directory)->parent;
    return parent != nullptr ? &node_ref(parent)->base : nullptr;
}
