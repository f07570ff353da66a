// A directory's names, in two trees: by name for look-ups, and in the order in which they came for
// listings. A name's place in a listing never changes, so a listing that is read in pieces shows
// every name that stays, exactly once, whatever else comes and goes.
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>

#include <memfs/memfs.h>

static int compare_names(const char* a, size_t a_len, const char* b, size_t b_len) {
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : a_len < b_len ? -1 : a_len > b_len;
}

static struct memfs_entry* by_name(const struct rbtree_node* n) {
    return container_of(n, struct memfs_entry, by_name);
}

static struct memfs_entry* by_cookie(const struct rbtree_node* n) {
    return container_of(n, struct memfs_entry, by_cookie);
}

static int compare_by_name(const struct rbtree_node* a, const struct rbtree_node* b) {
    return compare_names(by_name(a)->name, by_name(a)->name_len, by_name(b)->name,
                         by_name(b)->name_len);
}

static int compare_by_cookie(const struct rbtree_node* a, const struct rbtree_node* b) {
    uint64_t x = by_cookie(a)->cookie;
    uint64_t y = by_cookie(b)->cookie;
    return x < y ? -1 : x > y;
}

static int compare_name_key(const void* key, const struct rbtree_node* node) {
    const struct io_name* name = key;
    return compare_names(name->text, name->len, by_name(node)->name, by_name(node)->name_len);
}

static int compare_cookie_key(const void* key, const struct rbtree_node* node) {
    uint64_t cookie = *(const uint64_t*)key;
    return cookie < by_cookie(node)->cookie ? -1 : cookie > by_cookie(node)->cookie;
}

void memfs_directory_init(struct memfs_node* directory) {
    static const struct rbtree_ops name_ops = {.compare = compare_by_name};
    static const struct rbtree_ops cookie_ops = {.compare = compare_by_cookie};
    rbtree_init(&directory->by_name, &name_ops);
    rbtree_init(&directory->by_cookie, &cookie_ops);
}

struct memfs_entry* memfs_find(struct memfs_node* directory, struct io_name name) {
    struct rbtree_node* n = rbtree_find(&directory->by_name, &name, compare_name_key);
    return n != nullptr ? by_name(n) : nullptr;
}

zx_status_t memfs_add(struct memfs_node* directory, struct io_name name, struct memfs_node* node) {
    struct memfs* fs = directory->fs;
    if (fs->names_used >= fs->nodes_max) {
        return ZX_ERR_NO_SPACE;
    }
    struct memfs_entry* entry = malloc(sizeof(*entry) + name.len);
    if (entry == nullptr) {
        return ZX_ERR_NO_SPACE;
    }
    entry->node = memfs_node_of(io_node_ref(&node->io));
    entry->cookie = ++directory->next_cookie;
    entry->name_len = name.len;
    memcpy(entry->name, name.text, name.len);
    rbtree_insert(&directory->by_name, &entry->by_name);
    rbtree_insert(&directory->by_cookie, &entry->by_cookie);
    directory->entry_count++;
    fs->names_used++;
    return ZX_OK;
}

void memfs_remove(struct memfs_node* directory, struct memfs_entry* entry) {
    struct memfs* fs = directory->fs;
    rbtree_erase(&directory->by_name, &entry->by_name);
    rbtree_erase(&directory->by_cookie, &entry->by_cookie);
    directory->entry_count--;
    fs->names_used--;
    io_node_unref(&fs->server, &entry->node->io);
    free(entry);
}

void memfs_replace(struct memfs_entry* entry, struct memfs_node* node) {
    struct memfs_node* old = entry->node;
    entry->node = memfs_node_of(io_node_ref(&node->io));
    io_node_unref(&old->fs->server, &old->io);
}

struct memfs_entry* memfs_next(struct memfs_node* directory, uint64_t cookie) {
    struct rbtree_node* n = rbtree_upper_bound(&directory->by_cookie, &cookie, compare_cookie_key);
    return n != nullptr ? by_cookie(n) : nullptr;
}
