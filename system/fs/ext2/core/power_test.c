// Cuts of power. A disk records what is written and when it is flushed; then for every flush the
// image is made that it guarantees, with some of the writes since: none, all, and random subsets,
// block by block. Each must satisfy e2fsck -fp, hold by content what was synced and not changed
// since, and bear being mounted and changed without any check; if it says that it is clean, e2fsck
// -fn must have nothing to say.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_for_tests.h"

constexpr size_t STATE_AT = 1024 + 58; // of the superblock; bit 0: clean

static bool is_soak(void) {
    const char* soak = getenv("JX_SOAK");
    return soak != nullptr && *soak == '1';
}

// ---- what was synced, and what was changed since ----

struct kept {
    char* path;
    enum ext2_kind kind;
    uint32_t id;
    uint8_t* data;
    size_t size;
};

struct snapshot {
    size_t flush; // its last one, in the log
    struct kept* items;
    size_t count;
};

struct change {
    size_t at;   // in the log, when the operation began
    char* path;  // a name, with all below it, or
    uint32_t id; // contents
};

static struct {
    struct disk disk;
    struct model model;
    struct snapshot* snapshots;
    size_t snapshot_count;
    struct change* changes;
    size_t change_count;
    size_t step_began;
    uint32_t block_size;
    unsigned images, marked, repaired;
    unsigned every; // of so many images that are cheap to check one is checked by e2fsck, too
} t;

static void note(const char* path, uint32_t id) {
    t.changes = realloc(t.changes, (t.change_count + 1) * sizeof(*t.changes));
    t.changes[t.change_count++] =
        (struct change){t.step_began, path != nullptr ? strdup(path) : nullptr, id};
}

static void on_change(struct model*, const char* path) {
    note(path, 0);
}

static void on_contents(struct model*, struct mnode* n) {
    note(nullptr, n->id);
}

static void keep_all(struct snapshot* s, const struct mnode* d) {
    for (size_t i = 0; i < d->count; i++) {
        const struct mentry* e = &d->entries[i];
        char path[4096];
        model_path(d, e->name, path, sizeof(path));
        s->items = realloc(s->items, (s->count + 1) * sizeof(*s->items));
        struct kept* k = &s->items[s->count++];
        *k = (struct kept){strdup(path), e->node->kind, e->node->id, nullptr, e->node->size};
        if (e->node->kind == EXT2_DIRECTORY) {
            k->size = 0;
            keep_all(s, e->node);
        } else {
            k->data = malloc(k->size + 1);
            memcpy(k->data, e->node->data != nullptr ? e->node->data : k->data, k->size);
        }
    }
}

static void take_snapshot(void) {
    t.snapshots = realloc(t.snapshots, (t.snapshot_count + 1) * sizeof(*t.snapshots));
    struct snapshot* s = &t.snapshots[t.snapshot_count++];
    *s = (struct snapshot){.flush = t.disk.log_count};
    while (s->flush != 0 && t.disk.log[s->flush - 1].count != 0) {
        s->flush--; // what was written after its last flush is promised by nobody
    }
    keep_all(s, t.model.root);
}

static bool is_changed(const struct kept* k, size_t from, size_t to) {
    for (size_t i = 0; i < t.change_count; i++) {
        const struct change* c = &t.changes[i];
        if (c->at < from || c->at >= to) {
            continue;
        }
        size_t len = c->path != nullptr ? strlen(c->path) : 0;
        if (c->id == k->id || (len != 0 && strncmp(c->path, k->path, len) == 0 &&
                               (k->path[len] == 0 || k->path[len] == '/'))) {
            return true;
        }
    }
    return false;
}

// ---- images ----

static uint64_t dice = 88172645463325252;

static uint32_t roll(uint32_t below) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 20) % below;
}

static void apply(uint8_t* image, const struct disk_write* w, uint32_t chance) {
    uint32_t sectors = t.block_size / EXT2_SECTOR;
    for (uint32_t at = 0; at < w->count; at += sectors) {
        uint32_t n = w->count - at < sectors ? w->count - at : sectors;
        if (roll(100) < chance) {
            memcpy(image + (w->first + at) * EXT2_SECTOR, w->data + (size_t)at * EXT2_SECTOR,
                   (size_t)n * EXT2_SECTOR);
        }
    }
}

static struct ext2* mount_image(struct disk* d, bool read_only) {
    struct ext2* fs;
    char why[EXT2_WHY_MAX];
    struct ext2_options options = {.read_only = read_only};
    zx_status_t status = ext2_mount(&d->device, &options, &fs, why);
    if (status != ZX_OK) {
        FAIL("mount answers %d: %s", status, why);
    }
    return fs;
}

static struct ext2_node* open_path(struct ext2* fs, const char* path) {
    struct ext2_node* at;
    MUST_OK(ext2_root(fs, &at));
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/");
        struct ext2_node* next;
        zx_status_t status = ext2_lookup(fs, at, (struct ext2_name){path + 1, len}, &next);
        ext2_unref(fs, at);
        if (status != ZX_OK) {
            return nullptr;
        }
        at = next;
        path += len + 1;
    }
    return at;
}

static bool is_there(struct ext2* fs, const struct kept* k) {
    struct ext2_node* n = open_path(fs, k->path);
    if (n == nullptr || n->kind != k->kind) {
        return false;
    }
    struct ext2_attributes attributes;
    size_t len = 0;
    uint8_t* data = malloc(k->size + 4096);
    ext2_get_attributes(n, &attributes);
    bool same = true;
    if (k->kind == EXT2_FILE) {
        same = attributes.size == k->size && ext2_read(fs, n, 0, data, k->size, &len) == ZX_OK &&
               len == k->size;
    } else if (k->kind == EXT2_SYMLINK) {
        same = ext2_read_link(fs, n, (char*)data, &len) == ZX_OK && len == k->size;
    }
    same = same && (len == 0 || memcmp(data, k->data, len) == 0);
    free(data);
    ext2_unref(fs, n);
    return same;
}

static void check_kept(struct ext2* fs, size_t flush, size_t end) {
    const struct snapshot* s = nullptr;
    for (size_t i = 0; i < t.snapshot_count && t.snapshots[i].flush <= flush; i++) {
        s = &t.snapshots[i];
    }
    for (size_t i = 0; s != nullptr && i < s->count; i++) {
        if (!is_changed(&s->items[i], s->flush, end) && !is_there(fs, &s->items[i])) {
            FAIL("cut between %zu and %zu: %s was synced at %zu and is not there", flush, end,
                 s->items[i].path, s->flush);
        }
    }
}

// Goes on with it as it is, without a check.
static void use_without_check(uint8_t* image, size_t flush, size_t end) {
    static struct model m;
    struct disk d;
    uint8_t* copy = malloc(t.disk.len);
    memcpy(copy, image, t.disk.len);
    disk_init(&d, copy, t.disk.len);
    struct ext2* fs = mount_image(&d, false);
    check_kept(fs, flush, end);
    model_init(&m, fs, roll(1000000) + 1);
    m.size_max = 20000;
    for (unsigned i = 0; i < 60; i++) {
        model_step(&m);
    }
    model_must_be_in(&m, fs);
    model_let_go(&m);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d); // nothing is left to be put right
    fs = mount_image(&d, true);
    model_must_be_in(&m, fs);
    ext2_abandon(fs);
    model_destroy(&m);
    disk_destroy(&d);
}

// What says that it is clean is not looked at by anybody, so it must be without fault.
static void check_mark(const uint8_t* image, size_t flush, size_t end) {
    if ((image[STATE_AT] & 1) == 0) {
        return;
    }
    t.marked++;
    image_save(image, t.disk.len);
    if (image_run("e2fsck -fn %s >%s/log 2>&1", image_path(), image_folder()) != 0) {
        (void)image_run("cat %s/log 1>&2", image_folder());
        FAIL("cut between %zu and %zu: clean, and e2fsck -fn has something to say", flush, end);
    }
}

// The image that the flush guarantees, with some of what was written up to `end`.
static void check_cut(const uint8_t* durable, size_t flush, size_t end, uint32_t chance) {
    uint8_t* image = malloc(t.disk.len);
    struct disk d;
    memcpy(image, durable, t.disk.len);
    for (size_t i = flush; i < end; i++) {
        apply(image, &t.disk.log[i], chance);
    }
    t.images++;
    check_mark(image, flush, end);
    if (t.images % 4 == 0) {
        use_without_check(image, flush, end);
    }
    int code = image_repair(image, t.disk.len);
    if (code != 0 && code != 1) {
        (void)image_run("cat %s/log 1>&2", image_folder());
        FAIL("cut between %zu and %zu: e2fsck answers %d", flush, end, code);
    }
    t.repaired += code;
    disk_init(&d, image, t.disk.len);
    struct ext2* fs = mount_image(&d, true);
    check_kept(fs, flush, end);
    ext2_abandon(fs);
    disk_destroy(&d);
}

// Whether an image of this window may say that it is clean.
static bool may_say_clean(const uint8_t* durable, size_t flush, size_t end) {
    bool may = (durable[STATE_AT] & 1) != 0;
    for (size_t i = flush; i < end; i++) {
        const struct disk_write* w = &t.disk.log[i];
        may |= w->first == 2 && (w->data[STATE_AT - 1024] & 1) != 0;
    }
    return may;
}

static void check_cuts(const uint8_t* before, unsigned every) {
    uint8_t* durable = malloc(t.disk.len);
    memcpy(durable, before, t.disk.len);
    size_t flush = 0;
    unsigned window = 0;
    for (size_t end = 0; end <= t.disk.log_count; end++) {
        if (end < t.disk.log_count && t.disk.log[end].count != 0) {
            continue;
        }
        // Up to `end` nothing was flushed since `flush`. Windows with little in them are many.
        bool is_marked = may_say_clean(durable, flush, end);
        if (end > flush && (is_soak() || is_marked || end - flush > 5 || window++ % every == 0)) {
            static const uint32_t chances[] = {50, 80, 20, 100, 0};
            unsigned count = is_soak() ? 5 : is_marked ? 3 : end - flush > 5 ? 2 : 1;
            for (unsigned i = 0; i < count; i++) {
                check_cut(durable, flush, end, chances[(window + i) % 5]);
            }
        }
        for (; flush < end; flush++) {
            apply(durable, &t.disk.log[flush], 100);
        }
        flush = end + 1;
    }
    free(durable);
}

static void forget(void) {
    for (size_t i = 0; i < t.snapshot_count; i++) {
        for (size_t k = 0; k < t.snapshots[i].count; k++) {
            free(t.snapshots[i].items[k].path);
            free(t.snapshots[i].items[k].data);
        }
        free(t.snapshots[i].items);
    }
    for (size_t i = 0; i < t.change_count; i++) {
        free(t.changes[i].path);
    }
    free(t.snapshots);
    free(t.changes);
    t.snapshots = nullptr;
    t.changes = nullptr;
    t.snapshot_count = t.change_count = 0;
}

// `moves`: of so many operations one more moves a directory.
static void cut_random_operations(const char* arguments, uint64_t kib, uint32_t block_size,
                                  unsigned operations, unsigned every, unsigned moves,
                                  uint64_t seed) {
    uint8_t* bytes = image_make(arguments, kib);
    uint8_t* before = malloc(kib * 1024);
    disk_init(&t.disk, bytes, kib * 1024);
    t.block_size = block_size;
    struct ext2* fs = mount_image(&t.disk, false);
    memcpy(before, bytes, kib * 1024);
    t.disk.records = true;
    model_init(&t.model, fs, seed);
    t.model.size_max = 20000;
    t.model.changed = on_change;
    t.model.changed_contents = on_contents;
    for (unsigned i = 0; i < operations; i++) {
        t.step_began = t.disk.log_count;
        if (model_random(&t.model, 12) == 0) {
            bool is_idle = model_random(&t.model, 2) == 0;
            if (is_idle) {
                model_let_go(&t.model); // what has no name and is open keeps it from being clean
            }
            MUST_OK(ext2_sync(fs));
            take_snapshot();
            if (is_idle) {
                MUST_OK(ext2_mark_clean(fs));
            }
        } else {
            model_step(&t.model);
        }
        if (i % moves == 0) {
            t.step_began = t.disk.log_count;
            model_move_directory(&t.model);
        }
    }
    MUST(t.model.refused == 0);
    model_let_go(&t.model);
    ext2_abandon(fs);
    check_cuts(before, every);
    print_message("%zu requests, %u images, %u say clean, %u repaired\n", t.disk.log_count,
                  t.images, t.marked, t.repaired);
    MUST(t.marked != 0 && t.marked != t.images);
    model_destroy(&t.model);
    forget();
    disk_destroy(&t.disk);
    free(before);
    t.images = t.marked = t.repaired = 0;
}

static void test_cuts_1k(void**) {
    cut_random_operations("-b 1024 -N 512", 4096, 1024, is_soak() ? 4000 : 350, is_soak() ? 1 : 12,
                          100, 11);
}
static void test_cuts_4k(void**) {
    cut_random_operations("-b 4096 -N 512", 10240, 4096, is_soak() ? 4000 : 200, is_soak() ? 1 : 12,
                          100, 12);
}
static void test_cuts_while_directories_move(void**) {
    cut_random_operations("-b 1024 -N 512", 4096, 1024, is_soak() ? 4000 : 200, is_soak() ? 1 : 12,
                          3, 13);
}
static void test_cuts_with_a_journal_of_others(void**) {
    cut_random_operations("-j -J size=1 -b 1024 -N 512", 4096, 1024, is_soak() ? 4000 : 120,
                          is_soak() ? 1 : 12, 3, 14);
}

// ---- whole trees ----

static void make_tree(struct ext2* fs, struct ext2_node* d, unsigned depth) {
    for (unsigned i = 0; i < 2; i++) {
        char name[] = {(char)('a' + i), 0};
        struct ext2_node* n;
        MUST_OK(ext2_create(fs, d, (struct ext2_name){name, 1},
                            depth != 0 ? EXT2_DIRECTORY : EXT2_FILE, 0755, (struct ext2_name){},
                            &n));
        if (depth != 0) {
            make_tree(fs, n, depth - 1);
        } else {
            MUST_OK(ext2_write(fs, n, 0, "text", 4));
        }
        ext2_unref(fs, n);
    }
}

static void remove_tree(struct ext2* fs, struct ext2_node* d, unsigned depth) {
    for (unsigned i = 0; i < 2; i++) {
        struct ext2_name name = {&"ab"[i], 1};
        struct ext2_node* n;
        MUST_OK(ext2_lookup(fs, d, name, &n));
        if (depth != 0) {
            remove_tree(fs, n, depth - 1);
        }
        ext2_unref(fs, n);
        MUST_OK(ext2_unlink(fs, d, name));
    }
}

// Made in one batch, and removed in one: births go down the tree, deaths up; or all at once, where
// there is a journal.
static void cut_trees(const char* arguments, size_t len) {
    memset(&t.model, 0, sizeof(t.model));
    disk_init(&t.disk, image_make(arguments, len / 1024), len);
    t.block_size = 1024;
    struct ext2* fs = mount_image(&t.disk, false);
    struct ext2_node* root;
    uint8_t* before = malloc(len);
    memcpy(before, t.disk.bytes, len);
    t.disk.records = true;
    MUST_OK(ext2_root(fs, &root));
    for (unsigned i = 0; i < 2; i++) {
        make_tree(fs, root, 3);
        MUST_OK(ext2_sync(fs));
        remove_tree(fs, root, 3);
        MUST_OK(ext2_sync(fs));
    }
    ext2_abandon(fs);
    check_cuts(before, 1);
    free(before);
    disk_destroy(&t.disk);
    t.images = t.marked = t.repaired = 0;
}

static void test_cuts_of_trees(void**) {
    cut_trees("-b 1024 -N 256", 1024 * 1024);
    cut_trees("-b 1024 -N 256 -j -J size=1", 3072 * 1024);
}

// ---- each way of moving a directory ----

static struct ext2_node* open_above(struct ext2* fs, const char* path, struct ext2_name* name) {
    char above[512];
    const char* last = strrchr(path, '/');
    snprintf(above, sizeof(above), "%.*s", (int)(last - path), path);
    *name = (struct ext2_name){last + 1, strlen(last + 1)};
    return open_path(fs, above);
}

static void make_at(struct ext2* fs, const char* path, enum ext2_kind kind) {
    struct ext2_name name;
    struct ext2_node* d = open_above(fs, path, &name);
    struct ext2_node* n;
    MUST_OK(ext2_create(fs, d, name, kind, 0755, (struct ext2_name){}, &n));
    ext2_unref(fs, n);
    ext2_unref(fs, d);
}

static void rename_at(struct ext2* fs, const char* from, const char* to) {
    struct ext2_name name, to_name;
    struct ext2_node* d = open_above(fs, from, &name);
    struct ext2_node* into = open_above(fs, to, &to_name);
    MUST_OK(ext2_rename(fs, d, name, into, to_name));
    ext2_unref(fs, d);
    ext2_unref(fs, into);
}

static void remove_at(struct ext2* fs, const char* path) {
    struct ext2_name name;
    struct ext2_node* d = open_above(fs, path, &name);
    MUST_OK(ext2_unlink(fs, d, name));
    ext2_unref(fs, d);
}

#define LONG                                                                                     \
    "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-" \
    "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"

// `with` is made in the same batch before it, `without` removed after it. The file "x" lies in the
// directory `before`, or `after`.
static const struct {
    const char *with, *from, *to, *without, *before, *after;
} moves[] = {
    {nullptr, "/a/d", "/a/e", nullptr, "/a/d", "/a/e"},                 // within a block
    {nullptr, "/a/e", "/b/d", nullptr, "/a/e", "/b/d"},                 // to another
    {nullptr, "/b/d", "/b/" LONG, nullptr, "/b/d", "/b/" LONG},         // to another block
    {nullptr, "/b/" LONG, "/a/empty", nullptr, "/b/" LONG, "/a/empty"}, // in place of another
    {nullptr, "/a/empty", "/top", nullptr, "/a/empty", "/top"},
    {"/new", "/top", "/new/d", nullptr, "/top", "/new/d"},
    {nullptr, "/new/d", "/a/d", "/new", "/new/d", "/a/d"},
    {nullptr, "/a", "/b/a", nullptr, "/a/d", "/b/a/d"}, // with all that is below it
    {"/new", "/b", "/new/b", nullptr, "/b/a/d", "/new/b/a/d"},
};
constexpr size_t MOVES = sizeof(moves) / sizeof(moves[0]);

static bool has_x(struct ext2* fs, const char* directory) {
    char path[512];
    snprintf(path, sizeof(path), "%s/x", directory);
    struct ext2_node* n = open_path(fs, path);
    if (n != nullptr) {
        ext2_unref(fs, n);
    }
    return n != nullptr;
}

static void must_be_in_one(struct ext2* fs, size_t move) {
    if (has_x(fs, moves[move].before) + has_x(fs, moves[move].after) != 1) {
        FAIL("move %zu: neither in one nor in the other, or in both", move);
    }
}

// Sectors, of which the disk writes some. (Within a block that changes a name in place it writes
// all or none: see the design.)
struct unit {
    uint64_t first; // sector
    const uint8_t* data;
    uint32_t count;
};

// Whoever does not check finds it in one place, and leaves nothing to be found by who does.
static void check_move(const uint8_t* durable, const struct unit* units, uint32_t count,
                       const bool* chosen, size_t move) {
    uint8_t* image = malloc(t.disk.len);
    memcpy(image, durable, t.disk.len);
    for (uint32_t i = 0; i < count; i++) {
        if (chosen[i]) {
            memcpy(image + units[i].first * EXT2_SECTOR, units[i].data,
                   (size_t)units[i].count * EXT2_SECTOR);
        }
    }
    uint8_t* copy = malloc(t.disk.len);
    memcpy(copy, image, t.disk.len);
    struct disk d;
    disk_init(&d, copy, t.disk.len);
    struct ext2* fs = mount_image(&d, false);
    must_be_in_one(fs, move);
    MUST_OK(ext2_unmount(fs));
    if (is_soak() || t.images++ % t.every == 0) {
        image_must_be_sound(&d);
        int code = image_repair(image, t.disk.len);
        if (code != 0 && code != 1) {
            (void)image_run("cat %s/log 1>&2", image_folder());
            FAIL("move %zu: e2fsck -fp answers %d", move, code);
        }
        memcpy(copy, image, t.disk.len);
        fs = mount_image(&d, false);
        must_be_in_one(fs, move);
        ext2_abandon(fs);
    }
    disk_destroy(&d);
    free(image);
}

// All subsets of what was written in one window if those are few, else some.
static void check_window(const uint8_t* durable, size_t from, size_t to, size_t move) {
    constexpr uint32_t MOST = 256;
    struct unit units[MOST];
    uint32_t count = 0;
    for (size_t i = from; i < to; i++) {
        const struct disk_write* w = &t.disk.log[i];
        // The zeros of a new journal are many.
        uint32_t sectors = w->count > 32 ? w->count : move == 0 ? t.block_size / EXT2_SECTOR : 1;
        for (uint32_t at = 0; at < w->count; at += sectors) {
            MUST(count < MOST);
            units[count++] =
                (struct unit){w->first + at, w->data + (size_t)at * EXT2_SECTOR, sectors};
        }
    }
    uint32_t subsets = count <= 4 ? 1u << count : 12;
    for (uint32_t i = 0; i < subsets; i++) {
        bool chosen[MOST];
        for (uint32_t k = 0; k < count; k++) {
            chosen[k] = count <= 4 ? (i >> k & 1) != 0 : roll(2) != 0;
        }
        check_move(durable, units, count, chosen, move);
    }
}

static void cut_moves(const char* arguments, size_t len, size_t count, unsigned every) {
    size_t synced[MOVES];
    disk_init(&t.disk, image_make(arguments, len / 1024), len);
    t.block_size = 1024;
    t.every = every;
    struct ext2* fs = mount_image(&t.disk, false);
    make_at(fs, "/a", EXT2_DIRECTORY);
    make_at(fs, "/a/d", EXT2_DIRECTORY);
    make_at(fs, "/a/d/x", EXT2_FILE);
    make_at(fs, "/a/empty", EXT2_DIRECTORY);
    make_at(fs, "/b", EXT2_DIRECTORY);
    make_at(fs, "/b/1" LONG, EXT2_FILE);
    make_at(fs, "/b/2" LONG, EXT2_FILE);
    make_at(fs, "/b/3" LONG, EXT2_FILE);
    make_at(fs, "/b/4" LONG, EXT2_FILE);
    make_at(fs, "/b/5" LONG, EXT2_FILE); // what is left of the block is less
    MUST_OK(ext2_sync(fs));
    uint8_t* durable = malloc(len);
    memcpy(durable, t.disk.bytes, len);
    t.disk.records = true;
    for (size_t i = 0; i < count; i++) {
        if (moves[i].with != nullptr) {
            make_at(fs, moves[i].with, EXT2_DIRECTORY);
        }
        rename_at(fs, moves[i].from, moves[i].to);
        if (moves[i].without != nullptr) {
            remove_at(fs, moves[i].without);
        }
        MUST_OK(ext2_sync(fs));
        synced[i] = t.disk.log_count;
    }
    ext2_abandon(fs);
    size_t flush = 0;
    size_t move = 0;
    for (size_t end = 0; end < t.disk.log_count; end++) {
        if (t.disk.log[end].count != 0) {
            continue;
        }
        while (end >= synced[move]) {
            move++;
        }
        MUST(move < count);
        check_window(durable, flush, end, move);
        for (; flush < end; flush++) {
            apply(durable, &t.disk.log[flush], 100);
        }
        flush = end + 1;
    }
    print_message("%u images\n", t.images);
    free(durable);
    disk_destroy(&t.disk);
    t.images = 0;
}

static void test_cuts_of_each_move(void**) {
    cut_moves("-j -J size=1 -b 1024 -N 128", 3072 * 1024, MOVES, 30);
}

// The first move that needs one.
static void test_cuts_while_a_journal_is_made(void**) {
    cut_moves("-b 1024 -N 128", 4096 * 1024, 2, 5);
}

// ---- the new file or the old one ----

static void write_version(struct ext2* fs, struct ext2_node* root, const char* name,
                          unsigned version) {
    struct ext2_node* n;
    char text[3000];
    memset(text, 'a' + (int)version % 26, sizeof(text));
    MUST_OK(ext2_create(fs, root, (struct ext2_name){name, strlen(name)}, EXT2_FILE, 0644,
                        (struct ext2_name){}, &n));
    MUST_OK(ext2_write(fs, n, 0, text, sizeof(text)));
    ext2_unref(fs, n);
}

static void check_version(uint8_t* image, size_t len, int from, int to) {
    struct disk d;
    int code = image_repair(image, len);
    if (code != 0 && code != 1) {
        (void)image_run("cat %s/log 1>&2", image_folder());
        FAIL("e2fsck -fp answers %d", code);
    }
    disk_init(&d, image, len);
    struct ext2* fs = mount_image(&d, true);
    struct ext2_node* n = open_path(fs, "/config");
    char text[3001];
    size_t actual;
    MUST(n != nullptr);
    MUST_OK(ext2_read(fs, n, 0, text, sizeof(text), &actual));
    MUST(actual == 3000 && text[0] == text[2999] && text[0] - 'a' >= from && text[0] - 'a' <= to);
    ext2_unref(fs, n);
    ext2_abandon(fs);
    disk_destroy(&d);
}

static void test_a_file_is_replaced_at_once(void**) {
    constexpr size_t LEN = 1024 * 1024;
    constexpr int VERSIONS = 6;
    disk_init(&t.disk, image_make("-b 1024", LEN / 1024), LEN);
    t.block_size = 1024;
    struct ext2* fs = mount_image(&t.disk, false);
    struct ext2_node* root;
    size_t synced[VERSIONS];
    MUST_OK(ext2_root(fs, &root));
    write_version(fs, root, "config", 0);
    MUST_OK(ext2_sync(fs));
    uint8_t* durable = malloc(LEN);
    memcpy(durable, t.disk.bytes, LEN);
    t.disk.records = true;
    for (int v = 1; v < VERSIONS; v++) {
        write_version(fs, root, "next", (unsigned)v);
        if (v % 2 == 0) {
            MUST_OK(ext2_sync(fs));
        }
        MUST_OK(ext2_rename(fs, root, (struct ext2_name){"next", 4}, root,
                            (struct ext2_name){"config", 6}));
        MUST_OK(ext2_sync(fs));
        synced[v] = t.disk.log_count;
    }
    ext2_abandon(fs);
    size_t flush = 0;
    for (size_t end = 0; end < t.disk.log_count; end++) {
        if (t.disk.log[end].count != 0) {
            continue;
        }
        for (unsigned i = 0; i < 3; i++) {
            int to = 1;
            int from = 0;
            while (to < VERSIONS && synced[to] <= end) {
                from = to++;
            }
            // A sync's last flush is its promise, not what it wrote later.
            from = from != 0 && flush < synced[from] ? from - 1 : from;
            uint8_t* image = malloc(LEN);
            memcpy(image, durable, LEN);
            for (size_t k = flush; k < end; k++) {
                apply(image, &t.disk.log[k], 30 + 20 * i);
            }
            check_version(image, LEN, from, to);
        }
        for (; flush < end; flush++) {
            apply(durable, &t.disk.log[flush], 100);
        }
        flush = end + 1;
    }
    free(durable);
    disk_destroy(&t.disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_1k),
        cmocka_unit_test(test_cuts_4k),
        cmocka_unit_test(test_cuts_while_directories_move),
        cmocka_unit_test(test_cuts_with_a_journal_of_others),
        cmocka_unit_test(test_cuts_of_trees),
        cmocka_unit_test(test_cuts_of_each_move),
        cmocka_unit_test(test_cuts_while_a_journal_is_made),
        cmocka_unit_test(test_a_file_is_replaced_at_once),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
