#include "image_for_tests.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lib/assert.h>

void fail_at(const char* file, int line, const char* format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

[[noreturn]] void assert_failed(const char* what, const char* file, int line) {
    fail_at(file, line, "%s", what);
}

// ---- the disk ----

static bool is_inside(struct disk* d, uint64_t first, uint32_t count) {
    bool inside =
        count != 0 && first <= d->len / EXT2_SECTOR && count <= d->len / EXT2_SECTOR - first;
    d->outside |= !inside;
    return inside;
}

static bool fails_now(struct disk* d) {
    if (d->fails_after < 0) {
        return false;
    }
    return d->fails_after == 0 || --d->fails_after == 0;
}

static zx_status_t disk_read(void* ctx, uint64_t first, uint32_t count, void* buffer) {
    struct disk* d = ctx;
    if (!is_inside(d, first, count) || fails_now(d)) {
        return ZX_ERR_IO;
    }
    memcpy(buffer, d->bytes + first * EXT2_SECTOR, (size_t)count * EXT2_SECTOR);
    d->reads++;
    d->largest_read = count > d->largest_read ? count : d->largest_read;
    return ZX_OK;
}

static void record(struct disk* d, uint64_t first, uint32_t count, const void* data) {
    if (!d->records) {
        return;
    }
    if (d->log_count == d->log_capacity) {
        d->log_capacity = d->log_capacity * 2 + 64;
        d->log = realloc(d->log, d->log_capacity * sizeof(*d->log));
    }
    struct disk_write* w = &d->log[d->log_count++];
    *w = (struct disk_write){.first = first, .count = count};
    if (count != 0) {
        w->data = malloc((size_t)count * EXT2_SECTOR);
        memcpy(w->data, data, (size_t)count * EXT2_SECTOR);
    }
}

static zx_status_t disk_write(void* ctx, uint64_t first, uint32_t count, const void* buffer) {
    struct disk* d = ctx;
    if (!is_inside(d, first, count) || fails_now(d)) {
        return ZX_ERR_IO;
    }
    memcpy(d->bytes + first * EXT2_SECTOR, buffer, (size_t)count * EXT2_SECTOR);
    record(d, first, count, buffer);
    d->writes++;
    d->largest_write = count > d->largest_write ? count : d->largest_write;
    return ZX_OK;
}

static zx_status_t disk_flush(void* ctx) {
    struct disk* d = ctx;
    if (fails_now(d)) {
        return ZX_ERR_IO;
    }
    record(d, 0, 0, nullptr);
    d->flushes++;
    return ZX_OK;
}

static int64_t disk_now(void* ctx) {
    struct disk* d = ctx;
    d->now += 1000003;
    return d->now;
}

void disk_init(struct disk* d, uint8_t* bytes, size_t len) {
    *d = (struct disk){.bytes = bytes, .len = len, .now = 1700000000000000000, .fails_after = -1};
    d->device = (struct ext2_device){.ctx = d,
                                     .sector_count = len / EXT2_SECTOR,
                                     .read_blocks = disk_read,
                                     .write_blocks = disk_write,
                                     .flush = disk_flush,
                                     .now = disk_now};
}

void disk_forget_log(struct disk* d) {
    for (size_t i = 0; i < d->log_count; i++) {
        free(d->log[i].data);
    }
    d->log_count = 0;
}

void disk_destroy(struct disk* d) {
    disk_forget_log(d);
    free(d->log);
    free(d->bytes);
}

// ---- the host's tools ----

static char folder[64];

static void remove_folder(void) {
    (void)image_run("rm -rf %s", folder);
}

const char* image_folder(void) {
    if (folder[0] == 0) {
        const char* base = getenv("TMPDIR");
        snprintf(folder, sizeof(folder), "%s/ext2-test-XXXXXX", base != nullptr ? base : "/tmp");
        MUST(mkdtemp(folder) != nullptr);
        atexit(remove_folder);
    }
    return folder;
}

const char* image_path(void) {
    static char path[80];
    snprintf(path, sizeof(path), "%s/image", image_folder());
    return path;
}

int image_run(const char* format, ...) {
    char command[4096] = "PATH=$PATH:/usr/sbin:/sbin; ";
    size_t len = strlen(command);
    va_list args;
    va_start(args, format);
    vsnprintf(command + len, sizeof(command) - len, format, args);
    va_end(args);
    int code = system(command);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

void image_save(const uint8_t* bytes, size_t len) {
    FILE* f = fopen(image_path(), "wb");
    MUST(f != nullptr && fwrite(bytes, 1, len, f) == len);
    MUST(fclose(f) == 0);
}

uint8_t* image_load(size_t len) {
    uint8_t* bytes = malloc(len);
    FILE* f = fopen(image_path(), "rb");
    MUST(f != nullptr && fread(bytes, 1, len, f) == len);
    fclose(f);
    return bytes;
}

// What is free is not empty: who reads a block before it was written shall notice.
static void save_rubbish(size_t len) {
    uint8_t* bytes = malloc(len);
    uint32_t x = 2463534242;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (uint8_t)(x >> 11);
    }
    image_save(bytes, len);
    free(bytes);
}

uint8_t* image_make(const char* arguments, uint64_t kib) {
    save_rubbish(kib * 1024);
    MUST(image_run("mke2fs -q -F -t ext2 -E nodiscard %s %s %lluk >/dev/null", arguments,
                   image_path(), (unsigned long long)kib) == 0);
    return image_load(kib * 1024);
}

void image_must_be_sound(const struct disk* d) {
    image_save(d->bytes, d->len);
    int code = image_run("e2fsck -fn %s >%s/log 2>&1", image_path(), folder);
    int lines = image_run("grep -v -e '^Pass [1-5][A-Z]*: ' -e '^e2fsck 1' -e '^[^ ]*image: [0-9]*/"
                          "[0-9]* files ' -e '^$' %s/log 1>&2",
                          folder);
    if (code != 0 || lines != 1) {
        (void)image_run("cat %s/log 1>&2", folder);
        FAIL("e2fsck -fn answers %d", code);
    }
}

int image_repair(uint8_t* bytes, size_t len) {
    image_save(bytes, len);
    int code = image_run("e2fsck -fp %s >%s/log 2>&1", image_path(), folder);
    uint8_t* after = image_load(len);
    memcpy(bytes, after, len);
    free(after);
    return code;
}

// ---- the model ----

uint32_t model_random(struct model* m, uint32_t below) {
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 20) % below;
}

static struct mnode* mnode_new(struct model* m, enum ext2_kind kind) {
    struct mnode* n = calloc(1, sizeof(*n));
    n->kind = kind;
    n->id = ++m->next_id;
    return n;
}

static void mnode_free(struct mnode* n) {
    free(n->data);
    free(n->entries);
    free(n);
}

// The model takes what is in the image already.
static void adopt(struct model* m, struct mnode* d, struct ext2_node* node);

struct adoption {
    struct model* model;
    struct mnode* directory;
};

static bool adopt_entry(void* ctx, struct ext2_name name, uint32_t ino, enum ext2_kind kind,
                        uint64_t) {
    struct adoption* a = ctx;
    struct mnode* d = a->directory;
    struct mnode* n = nullptr;
    for (size_t i = 0; i < a->model->all_count && kind != EXT2_DIRECTORY; i++) {
        n = a->model->all[i]->ino == ino ? a->model->all[i] : n;
    }
    if (n == nullptr) {
        n = mnode_new(a->model, kind);
        n->ino = ino;
        MUST(a->model->all_count < sizeof(a->model->all) / sizeof(a->model->all[0]));
        a->model->all[a->model->all_count++] = n;
    }
    d->entries = realloc(d->entries, (d->count + 1) * sizeof(*d->entries));
    struct mentry* e = &d->entries[d->count++];
    memcpy(e->name, name.text, name.len);
    e->name[name.len] = 0;
    e->node = n;
    return true;
}

static void adopt(struct model* m, struct mnode* d, struct ext2_node* node) {
    struct adoption a = {m, d};
    MUST_OK(ext2_list(m->fs, node, 0, adopt_entry, &a));
    for (size_t i = 0; i < d->count; i++) {
        struct mentry* e = &d->entries[i];
        struct ext2_node* child;
        struct ext2_attributes attributes;
        MUST_OK(ext2_lookup(m->fs, node, (struct ext2_name){e->name, strlen(e->name)}, &child));
        MUST(child->kind == e->node->kind);
        ext2_get_attributes(child, &attributes);
        e->node->mode = attributes.mode;
        e->node->links = attributes.links;
        if (e->node->data != nullptr) {
            ext2_unref(m->fs, child); // another name of what was read
            continue;
        }
        if (child->kind == EXT2_DIRECTORY) {
            e->node->parent = d;
            adopt(m, e->node, child);
        } else if (child->kind == EXT2_FILE) {
            size_t actual;
            e->node->size = attributes.size;
            e->node->data = malloc(attributes.size + 1);
            MUST_OK(ext2_read(m->fs, child, 0, e->node->data, attributes.size, &actual));
            MUST(actual == attributes.size);
        } else if (child->kind == EXT2_SYMLINK) {
            e->node->data = malloc(4096);
            MUST_OK(ext2_read_link(m->fs, child, (char*)e->node->data, &e->node->size));
        }
        ext2_unref(m->fs, child);
    }
}

void model_init(struct model* m, struct ext2* fs, uint64_t seed) {
    *m = (struct model){.fs = fs, .random = seed * 0x9e3779b97f4a7c15 + 1, .size_max = 300000};
    m->root = mnode_new(m, EXT2_DIRECTORY);
    m->all[m->all_count++] = m->root;
    struct ext2_node* root;
    MUST_OK(ext2_root(fs, &root));
    adopt(m, m->root, root);
    ext2_unref(fs, root);
}

void model_let_go(struct model* m) {
    while (m->held_count != 0) {
        struct mnode* n = m->held[--m->held_count];
        ext2_unref(m->fs, n->held);
        n->held = nullptr;
        if (n->links == 0) {
            mnode_free(n);
        }
    }
}

void model_destroy(struct model* m) {
    for (size_t i = 0; i < m->all_count; i++) {
        mnode_free(m->all[i]);
    }
}

void model_path(const struct mnode* directory, const char* name, char* out, size_t capacity) {
    char rest[4096];
    snprintf(rest, sizeof(rest), "/%s", name);
    for (const struct mnode* d = directory; d->parent != nullptr; d = d->parent) {
        for (size_t i = 0; i < d->parent->count; i++) {
            if (d->parent->entries[i].node == d) {
                char longer[4096];
                snprintf(longer, sizeof(longer), "/%.255s%.3800s", d->parent->entries[i].name,
                         rest);
                strcpy(rest, longer);
                break;
            }
        }
    }
    snprintf(out, capacity, "%s", rest);
}

static void told(struct model* m, const struct mnode* d, const char* name) {
    char path[4096];
    if (m->changed != nullptr) {
        model_path(d, name, path, sizeof(path));
        m->changed(m, path);
    }
}

static void told_contents(struct model* m, struct mnode* n) {
    if (m->changed_contents != nullptr) {
        m->changed_contents(m, n);
    }
}

static struct ext2_node* open_node(struct ext2* fs, const struct mnode* d) {
    struct ext2_node* node;
    if (d->parent == nullptr) {
        MUST_OK(ext2_root(fs, &node));
        return node;
    }
    struct ext2_node* above = open_node(fs, d->parent);
    const struct mentry* e = d->parent->entries;
    while (e->node != d) {
        e++;
    }
    MUST_OK(ext2_lookup(fs, above, (struct ext2_name){e->name, strlen(e->name)}, &node));
    ext2_unref(fs, above);
    return node;
}

static struct mnode* any_directory(struct model* m) {
    for (unsigned i = 0; i < 50; i++) {
        struct mnode* n = m->all[model_random(m, (uint32_t)m->all_count)];
        if (n->kind == EXT2_DIRECTORY) {
            return n;
        }
    }
    return m->root;
}

static struct mentry* any_entry(struct model* m, struct mnode** directory) {
    for (unsigned i = 0; i < 50; i++) {
        struct mnode* d = any_directory(m);
        if (d->count != 0) {
            struct mentry* e = &d->entries[model_random(m, (uint32_t)d->count)];
            if (d != m->root || strcmp(e->name, "lost+found") != 0) {
                *directory = d;
                return e;
            }
        }
    }
    return nullptr;
}

static void any_name(struct model* m, char* out) {
    static const unsigned char odd[] = {' ', 0xc3, 0xa4, '\'', '-'};
    unsigned len = model_random(m, 20) == 0 ? 1 + model_random(m, 255) : 4 + model_random(m, 10);
    for (unsigned i = 0; i < len; i++) {
        uint32_t r = model_random(m, 200);
        out[i] = (char)(r < 5 && i != 0 ? odd[r] : 'a' + r % 26);
    }
    out[len] = 0;
}

static struct mentry* find(struct mnode* d, const char* name) {
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->entries[i].name, name) == 0) {
            return &d->entries[i];
        }
    }
    return nullptr;
}

// A name that is there, now and then.
static void any_target(struct model* m, struct mnode* d, char* out) {
    if (d->count != 0 && model_random(m, 4) == 0) {
        strcpy(out, d->entries[model_random(m, (uint32_t)d->count)].name);
    } else {
        any_name(m, out);
    }
}

static void add_entry(struct mnode* d, const char* name, struct mnode* n) {
    d->entries = realloc(d->entries, (d->count + 1) * sizeof(*d->entries));
    strcpy(d->entries[d->count].name, name);
    d->entries[d->count++].node = n;
}

static void remove_entry(struct model* m, struct mnode* d, struct mentry* e) {
    struct mnode* n = e->node;
    *e = d->entries[--d->count];
    n->links = n->kind == EXT2_DIRECTORY ? 0 : n->links - 1;
    if (n->links == 0) {
        for (size_t i = 0; i < m->all_count; i++) {
            if (m->all[i] == n) {
                m->all[i] = m->all[--m->all_count];
                break;
            }
        }
        if (n->held == nullptr) {
            mnode_free(n);
        }
    }
}

static bool full(zx_status_t status) {
    return status == ZX_ERR_NO_SPACE;
}

static void step_create(struct model* m, enum ext2_kind kind) {
    struct mnode* d = any_directory(m);
    char name[256];
    char target[1024];
    any_target(m, d, name);
    uint32_t len = 1 + model_random(m, model_random(m, 2) ? 59 : 1000);
    memset(target, 't', len);
    struct ext2_node* node;
    struct ext2_node* above = open_node(m->fs, d);
    uint32_t mode = model_random(m, 01000) | 0400;
    zx_status_t status = ext2_create(
        m->fs, above, name_of(name), kind, mode,
        kind == EXT2_SYMLINK ? (struct ext2_name){target, len} : (struct ext2_name){}, &node);
    if (find(d, name) != nullptr) {
        MUST(status == ZX_ERR_ALREADY_EXISTS);
    } else if (!full(status)) {
        MUST_OK(status);
        told(m, d, name);
        struct mnode* n = mnode_new(m, kind);
        n->mode = mode;
        n->links = kind == EXT2_DIRECTORY ? 2 : 1;
        n->parent = kind == EXT2_DIRECTORY ? d : nullptr;
        if (kind == EXT2_SYMLINK) {
            n->size = len;
            n->data = malloc(len);
            memcpy(n->data, target, len);
        }
        add_entry(d, name, n);
        m->all[m->all_count++] = n;
        ext2_unref(m->fs, node);
    }
    ext2_unref(m->fs, above);
}

static void write_file(struct model* m, struct mnode* n, struct ext2_node* node) {
    uint32_t at = model_random(m, 3) == 0 ? model_random(m, (uint32_t)m->size_max)
                                          : model_random(m, (uint32_t)n->size + 1);
    uint32_t len = model_random(m, model_random(m, 2) ? 5000 : 60000);
    if (at + len > m->size_max) {
        return;
    }
    uint8_t* data = malloc(len + 1);
    memset(data, (int)model_random(m, 256), len);
    for (uint32_t i = 0; i < len; i += 97) {
        data[i] = (uint8_t)model_random(m, 256);
    }
    told_contents(m, n);
    zx_status_t status = ext2_write(m->fs, node, at, data, len);
    if (status == ZX_OK) {
        size_t end = at + len > n->size && len != 0 ? at + len : at > n->size ? at : n->size;
        n->data = realloc(n->data, end + 1);
        if (end > n->size) {
            memset(n->data + n->size, 0, end - n->size);
        }
        memcpy(n->data + at, data, len);
        n->size = end;
    } else {
        // What was written of it is for the file system to say.
        struct ext2_attributes attributes;
        size_t actual;
        MUST(full(status));
        ext2_get_attributes(node, &attributes);
        n->size = attributes.size;
        n->data = realloc(n->data, n->size + 1);
        MUST_OK(ext2_read(m->fs, node, 0, n->data, n->size, &actual));
    }
    free(data);
}

static void resize_file(struct model* m, struct mnode* n, struct ext2_node* node) {
    uint32_t size = model_random(m, model_random(m, 2) ? 3000 : (uint32_t)m->size_max);
    told_contents(m, n);
    MUST_OK(ext2_resize(m->fs, node, size));
    n->data = realloc(n->data, size + 1);
    if (size > n->size) {
        memset(n->data + n->size, 0, size - n->size);
    }
    n->size = size;
}

static void step_contents(struct model* m) {
    if (m->held_count != 0 && model_random(m, 4) == 0) {
        struct mnode* n = m->held[model_random(m, (uint32_t)m->held_count)];
        write_file(m, n, n->held);
        return;
    }
    struct mnode* d;
    struct mentry* e = any_entry(m, &d);
    if (e == nullptr || e->node->kind != EXT2_FILE) {
        return;
    }
    struct ext2_node* above = open_node(m->fs, d);
    struct ext2_node* node;
    MUST_OK(ext2_lookup(m->fs, above, name_of(e->name), &node));
    if (model_random(m, 4) == 0) {
        resize_file(m, e->node, node);
    } else {
        write_file(m, e->node, node);
    }
    if (e->node->held == nullptr && m->held_count < 8 && model_random(m, 8) == 0) {
        e->node->held = ext2_ref(node);
        m->held[m->held_count++] = e->node;
    }
    ext2_unref(m->fs, node);
    ext2_unref(m->fs, above);
}

static void step_unlink(struct model* m) {
    struct mnode* d;
    struct mentry* e = any_entry(m, &d);
    if (e == nullptr) {
        return;
    }
    struct ext2_node* above = open_node(m->fs, d);
    told(m, d, e->name);
    zx_status_t status = ext2_unlink(m->fs, above, name_of(e->name));
    if (e->node->kind == EXT2_DIRECTORY && e->node->count != 0) {
        MUST(status == ZX_ERR_NOT_EMPTY);
    } else {
        MUST_OK(status);
        remove_entry(m, d, e);
    }
    ext2_unref(m->fs, above);
}

static void step_link(struct model* m) {
    struct mnode* d;
    struct mentry* e = any_entry(m, &d);
    struct mnode* to = any_directory(m);
    char name[256];
    any_target(m, to, name);
    if (e == nullptr) {
        return;
    }
    struct ext2_node* from = open_node(m->fs, d);
    struct ext2_node* into = open_node(m->fs, to);
    struct ext2_node* node;
    MUST_OK(ext2_lookup(m->fs, from, name_of(e->name), &node));
    zx_status_t status = ext2_link(m->fs, into, name_of(name), node);
    if (e->node->kind == EXT2_DIRECTORY) {
        MUST(status == ZX_ERR_NOT_FILE);
    } else if (find(to, name) != nullptr) {
        MUST(status == ZX_ERR_ALREADY_EXISTS);
    } else if (!full(status)) {
        MUST_OK(status);
        told(m, to, name);
        e->node->links++;
        add_entry(to, name, e->node);
    }
    ext2_unref(m->fs, node);
    ext2_unref(m->fs, from);
    ext2_unref(m->fs, into);
}

static bool is_above(const struct mnode* n, const struct mnode* d) {
    while (d != nullptr && d != n) {
        d = d->parent;
    }
    return d != nullptr;
}

static zx_status_t expected_of_rename(const struct mnode* n, const struct mnode* to,
                                      const struct mentry* target) {
    if (target != nullptr && target->node == n) {
        return ZX_OK;
    }
    if (n->kind == EXT2_DIRECTORY && is_above(n, to)) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (target == nullptr) {
        return ZX_OK;
    }
    if ((target->node->kind == EXT2_DIRECTORY) != (n->kind == EXT2_DIRECTORY)) {
        return n->kind == EXT2_DIRECTORY ? ZX_ERR_NOT_DIR : ZX_ERR_NOT_FILE;
    }
    return target->node->count != 0 ? ZX_ERR_NOT_EMPTY : ZX_OK;
}

static void rename_entry(struct model* m, struct mnode* d, struct mentry* e) {
    struct mnode* to = model_random(m, 2) ? any_directory(m) : d;
    char name[256];
    char old[256];
    any_target(m, to, name);
    if (to == m->root && strcmp(name, "lost+found") == 0) {
        return;
    }
    strcpy(old, e->name);
    struct mnode* n = e->node;
    struct mentry* target = find(to, name);
    struct ext2_node* from = open_node(m->fs, d);
    struct ext2_node* into = open_node(m->fs, to);
    told(m, d, old);
    told(m, to, name);
    zx_status_t status = ext2_rename(m->fs, from, name_of(old), into, name_of(name));
    zx_status_t expected = expected_of_rename(n, to, target);
    if (status == ZX_ERR_NOT_SUPPORTED && n->kind == EXT2_DIRECTORY) {
        m->refused++;
    } else if (!full(status)) {
        if (status != expected) {
            FAIL("rename answers %d, not %d", status, expected);
        }
        if (status == ZX_OK && (target == nullptr || target->node != n)) {
            if (target != nullptr) {
                remove_entry(m, to, target);
            }
            n->links++;
            add_entry(to, name, n);
            uint32_t links = n->links - 1;
            n->links = n->kind == EXT2_DIRECTORY ? 9 : n->links;
            struct mentry* gone = find(d, old);
            *gone = d->entries[--d->count];
            n->links = links;
            if (n->kind == EXT2_DIRECTORY) {
                n->parent = to;
            }
        }
    }
    ext2_unref(m->fs, from);
    ext2_unref(m->fs, into);
}

static void step_rename(struct model* m) {
    struct mnode* d;
    struct mentry* e = any_entry(m, &d);
    if (e != nullptr) {
        rename_entry(m, d, e);
    }
}

void model_move_directory(struct model* m) {
    for (unsigned i = 0; i < 100; i++) {
        struct mnode* d;
        struct mentry* e = any_entry(m, &d);
        if (e != nullptr && e->node->kind == EXT2_DIRECTORY) {
            rename_entry(m, d, e);
            return;
        }
    }
}

static void step_mode(struct model* m) {
    struct mnode* d;
    struct mentry* e = any_entry(m, &d);
    if (e == nullptr || e->node->kind == EXT2_SYMLINK) {
        return;
    }
    struct ext2_node* above = open_node(m->fs, d);
    struct ext2_node* node;
    struct ext2_changes changes = {.has_mode = true, .mode = model_random(m, 01000) | 0400};
    MUST_OK(ext2_lookup(m->fs, above, name_of(e->name), &node));
    MUST_OK(ext2_set_attributes(m->fs, node, &changes));
    told_contents(m, e->node);
    e->node->mode = changes.mode;
    ext2_unref(m->fs, node);
    ext2_unref(m->fs, above);
}

void model_step(struct model* m) {
    uint32_t r = model_random(m, 100);
    bool many = m->all_count > sizeof(m->all) / sizeof(m->all[0]) - 10;
    if (r < 20 && !many) {
        step_create(m, EXT2_FILE);
    } else if (r < 27 && !many) {
        step_create(m, EXT2_DIRECTORY);
    } else if (r < 32 && !many) {
        step_create(m, EXT2_SYMLINK);
    } else if (r < 55) {
        step_contents(m);
    } else if (r < 72) {
        step_unlink(m);
    } else if (r < 78) {
        step_link(m);
    } else if (r < 94) {
        step_rename(m);
    } else if (r < 97) {
        step_mode(m);
    } else if (r < 98) {
        model_let_go(m);
    }
}

// ---- comparing ----

static bool count_entry(void* ctx, struct ext2_name, uint32_t, enum ext2_kind, uint64_t) {
    ++*(size_t*)ctx;
    return true;
}

static void compare_contents(struct ext2* fs, const struct mnode* n, struct ext2_node* node,
                             const char* name) {
    struct ext2_attributes attributes;
    ext2_get_attributes(node, &attributes);
    if (node->kind != n->kind || attributes.size != n->size || attributes.links != n->links) {
        FAIL("%s: kind %u, %llu bytes, %u links; not %u, %zu, %u", name, node->kind,
             (unsigned long long)attributes.size, attributes.links, n->kind, n->size, n->links);
    }
    uint8_t* data = malloc(n->size + 4096);
    size_t len = 0;
    if (n->kind == EXT2_FILE) {
        MUST(attributes.mode == n->mode);
        MUST_OK(ext2_read(fs, node, 0, data, n->size, &len));
    } else if (n->kind == EXT2_SYMLINK) {
        MUST_OK(ext2_read_link(fs, node, (char*)data, &len));
    }
    if (len != n->size || (len != 0 && memcmp(data, n->data, len) != 0)) {
        FAIL("%s: other contents", name);
    }
    free(data);
}

static void compare_directory(const struct model* m, struct ext2* fs, const struct mnode* d,
                              struct ext2_node* node) {
    size_t count = 0;
    MUST_OK(ext2_list(fs, node, 0, count_entry, &count));
    if (count != d->count) {
        FAIL("%zu names, not %zu", count, d->count);
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct mentry* e = &d->entries[i];
        struct ext2_node* child;
        zx_status_t status = ext2_lookup(fs, node, name_of(e->name), &child);
        if (status != ZX_OK) {
            FAIL("%s: %d", e->name, status);
        }
        if (e->node->kind == EXT2_DIRECTORY) {
            MUST(child->kind == EXT2_DIRECTORY);
            compare_directory(m, fs, e->node, child);
        } else {
            compare_contents(fs, e->node, child, e->name);
        }
        ext2_unref(fs, child);
    }
}

void model_must_be_in(const struct model* m, struct ext2* fs) {
    struct ext2_node* root;
    MUST_OK(ext2_root(fs, &root));
    compare_directory(m, fs, m->root, root);
    ext2_unref(fs, root);
}

static void compare_dump(const struct mnode* d, const char* path) {
    size_t count = 0;
    DIR* dir = opendir(path);
    MUST(dir != nullptr);
    while (readdir(dir) != nullptr) {
        count++;
    }
    closedir(dir);
    if (count - 2 != d->count) {
        FAIL("%s: %zu names, not %zu", path, count - 2, d->count);
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct mentry* e = &d->entries[i];
        char child[8192];
        struct stat st;
        snprintf(child, sizeof(child), "%s/%s", path, e->name);
        MUST(lstat(child, &st) == 0);
        uint8_t* data = malloc(e->node->size + 4096);
        size_t len = 0;
        if (e->node->kind == EXT2_DIRECTORY) {
            MUST(S_ISDIR(st.st_mode));
            compare_dump(e->node, child);
        } else if (e->node->kind == EXT2_SYMLINK) {
            len = (size_t)readlink(child, (char*)data, e->node->size + 4096);
        } else {
            MUST(S_ISREG(st.st_mode) && (st.st_mode & 07777) == e->node->mode);
            FILE* f = fopen(child, "rb");
            MUST(f != nullptr);
            len = fread(data, 1, e->node->size + 1, f);
            fclose(f);
        }
        if (e->node->kind != EXT2_DIRECTORY &&
            (len != e->node->size || (len != 0 && memcmp(data, e->node->data, len) != 0))) {
            FAIL("%s: dumped with other contents", child);
        }
        free(data);
    }
}

void model_must_be_dumped(const struct model* m) {
    MUST(image_run("rm -rf %s/dump && mkdir %s/dump && debugfs -R 'rdump / %s/dump' %s "
                   ">%s/log 2>&1",
                   folder, folder, folder, image_path(), folder) == 0);
    char path[96];
    snprintf(path, sizeof(path), "%s/dump", folder);
    compare_dump(m->root, path);
}

struct ext2_node* root_of(struct ext2* fs) {
    struct ext2_node* root;
    MUST_OK(ext2_root(fs, &root));
    return root;
}
