// Where things end: a disk without blocks or inodes, the longest names and targets, as many links
// as there can be, files that are cut at each level of their map.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_for_tests.h"

static struct ext2* mount_disk(struct disk* d) {
    struct ext2* fs;
    char why[EXT2_WHY_MAX];
    MUST_OK(ext2_mount(&d->device, &(struct ext2_options){}, &fs, why));
    MUST(why[0] == 0);
    return fs;
}

static struct ext2* make_disk(struct disk* d, const char* arguments, uint64_t kib) {
    disk_init(d, image_make(arguments, kib), kib * 1024);
    return mount_disk(d);
}

static void end(struct disk* d, struct ext2* fs) {
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(d);
    MUST(!d->outside);
    disk_destroy(d);
}

static zx_status_t try_make(struct ext2* fs, struct ext2_node* d, const char* name,
                            enum ext2_kind kind, const char* target) {
    struct ext2_node* n;
    zx_status_t status = ext2_create(fs, d, name_of(name), kind, 0755, name_of(target), &n);
    if (status == ZX_OK) {
        ext2_unref(fs, n);
    }
    return status;
}

static struct ext2_node* make(struct ext2* fs, struct ext2_node* d, const char* name,
                              enum ext2_kind kind) {
    struct ext2_node* n;
    MUST_OK(try_make(fs, d, name, kind, ""));
    MUST_OK(ext2_lookup(fs, d, name_of(name), &n));
    return n;
}

static uint64_t free_blocks(struct ext2* fs) {
    struct ext2_usage usage;
    ext2_query_usage(fs, &usage);
    return usage.free_blocks;
}

static uint32_t links_of(struct ext2_node* n) {
    struct ext2_attributes a;
    ext2_get_attributes(n, &a);
    return a.links;
}

// ---- full ----

static void fill(struct ext2* fs, struct ext2_node* f) {
    static uint8_t data[8192];
    zx_status_t status = ZX_OK;
    for (size_t len = sizeof(data); len >= 1; len /= 2) {
        do {
            struct ext2_attributes a;
            ext2_get_attributes(f, &a);
            status = ext2_write(fs, f, a.size, data, len);
        } while (status == ZX_OK);
        MUST(status == ZX_ERR_NO_SPACE);
    }
}

// Names can be made while there is room in their directory, changed, and removed; nothing else.
static void full_disk(const char* arguments, uint64_t kib, bool moves) {
    struct disk d;
    struct ext2* fs = make_disk(&d, arguments, kib);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* f = make(fs, root, "f", EXT2_FILE);
    struct ext2_node* a = make(fs, root, "a", EXT2_DIRECTORY);
    struct ext2_node* b = make(fs, root, "b", EXT2_DIRECTORY);
    ext2_unref(fs, make(fs, a, "sub", EXT2_DIRECTORY));
    MUST_OK(ext2_sync(fs));
    fill(fs, f);
    MUST(free_blocks(fs) == 0);
    MUST(try_make(fs, root, "none", EXT2_DIRECTORY, "") == ZX_ERR_NO_SPACE);
    MUST_OK(try_make(fs, root, "empty", EXT2_FILE, ""));
    MUST_OK(try_make(fs, root, "short", EXT2_SYMLINK, "target"));
    MUST_OK(ext2_rename(fs, root, name_of("empty"), a, name_of("moved")));
    MUST_OK(try_make(fs, root, "empty", EXT2_FILE, ""));
    MUST_OK(ext2_rename(fs, root, name_of("empty"), a, name_of("moved"))); // replaces
    MUST(ext2_rename(fs, a, name_of("sub"), b, name_of("sub")) ==
         (moves ? ZX_OK : ZX_ERR_NOT_SUPPORTED));
    MUST_OK(ext2_sync(fs));
    // As long as it takes to fill the block.
    char name[64];
    zx_status_t status = ZX_OK;
    for (unsigned i = 0; status == ZX_OK; i++) {
        snprintf(name, sizeof(name), "name-name-name-name-name-name-name-%u", i);
        status = try_make(fs, b, name, EXT2_FILE, "");
    }
    MUST(status == ZX_ERR_NO_SPACE);
    MUST_OK(ext2_unlink(fs, root, name_of("f")));
    ext2_unref(fs, f);
    MUST_OK(try_make(fs, root, "now", EXT2_DIRECTORY, "")); // what was given back is there at once
    ext2_unref(fs, a);
    ext2_unref(fs, b);
    ext2_unref(fs, root);
    end(&d, fs);
}

static void test_full_disks(void**) {
    full_disk("-b 1024 -N 256", 1024, false);
    full_disk("-b 4096 -N 256", 2048, false);
    full_disk("-b 1024 -N 256 -j -J size=1", 3072, true);
}

static void test_no_inodes(void**) {
    struct disk d;
    struct ext2* fs = make_disk(&d, "-b 1024 -N 64", 1024);
    struct ext2_node* root = root_of(fs);
    char name[16];
    unsigned count = 0;
    zx_status_t status = ZX_OK;
    for (; status == ZX_OK; count++) {
        snprintf(name, sizeof(name), "%u", count);
        status = try_make(fs, root, name, count % 2 ? EXT2_FILE : EXT2_DIRECTORY, "");
    }
    MUST(status == ZX_ERR_NO_SPACE && count > 40);
    struct ext2_usage usage;
    ext2_query_usage(fs, &usage);
    MUST(usage.free_inodes == 0);
    for (unsigned i = 0; i < 3; i++) { // each number comes back
        MUST_OK(ext2_unlink(fs, root, name_of("7")));
        MUST_OK(try_make(fs, root, "7", EXT2_FILE, ""));
        MUST(try_make(fs, root, "one more", EXT2_FILE, "") == ZX_ERR_NO_SPACE);
    }
    ext2_unref(fs, root);
    end(&d, fs);
}

// ---- long ----

static void long_texts(uint32_t block_size) {
    static const size_t lens[] = {1, 58, 59, 60, 61, 1023};
    struct disk d;
    char arguments[32], name[300], target[4200], found[4096];
    snprintf(arguments, sizeof(arguments), "-b %u", block_size);
    struct ext2* fs = make_disk(&d, arguments, 4096);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* n;
    size_t len;
    memset(name, 'n', sizeof(name));
    memset(target, 't', sizeof(target));
    name[256] = 0;
    MUST(try_make(fs, root, name, EXT2_FILE, "") != ZX_OK);
    MUST(ext2_lookup(fs, root, name_of(name), &n) == ZX_ERR_NOT_FOUND);
    name[255] = 0;
    MUST_OK(try_make(fs, root, name, EXT2_DIRECTORY, ""));
    MUST(ext2_rename(fs, root, name_of(name), root, (struct ext2_name){name, 256}) != ZX_OK);
    for (size_t i = 0; i <= sizeof(lens) / sizeof(lens[0]); i++) {
        size_t want = i < sizeof(lens) / sizeof(lens[0]) ? lens[i] : block_size - 1;
        snprintf(name, sizeof(name), "l%zu-%zu", i, want);
        MUST_OK(ext2_create(fs, root, name_of(name), EXT2_SYMLINK, 0777,
                            (struct ext2_name){target, want}, &n));
        MUST_OK(ext2_read_link(fs, n, found, &len));
        MUST(len == want && memcmp(found, target, len) == 0);
        ext2_unref(fs, n);
    }
    MUST(ext2_create(fs, root, name_of("l"), EXT2_SYMLINK, 0777,
                     (struct ext2_name){target, block_size}, &n) == ZX_ERR_BAD_PATH);
    MUST_OK(ext2_sync(fs));
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    fs = mount_disk(&d);
    root = root_of(fs);
    uint64_t before = free_blocks(fs);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        snprintf(name, sizeof(name), "l%zu-%zu", i, lens[i]);
        MUST_OK(ext2_lookup(fs, root, name_of(name), &n));
        MUST_OK(ext2_read_link(fs, n, found, &len));
        MUST(len == lens[i] && memcmp(found, target, len) == 0);
        ext2_unref(fs, n);
        MUST_OK(ext2_unlink(fs, root, name_of(name)));
    }
    MUST_OK(ext2_sync(fs));
    MUST(free_blocks(fs) == before + 3); // from 60 on a target has a block
    ext2_unref(fs, root);
    end(&d, fs);
}

static void test_long_texts(void**) {
    long_texts(1024);
    long_texts(2048);
    long_texts(4096);
}

// ---- many links ----

static void test_as_many_links_as_can_be(void**) {
    constexpr unsigned MOST = 32000;
    struct disk d;
    struct ext2* fs = make_disk(&d, "-b 1024 -N 33000", 64 * 1024);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* many = make(fs, root, "many", EXT2_DIRECTORY);
    struct ext2_node* other = make(fs, root, "other", EXT2_DIRECTORY);
    struct ext2_node* f = make(fs, root, "f", EXT2_FILE);
    char name[16];
    for (unsigned i = 0; i < MOST - 2; i++) {
        snprintf(name, sizeof(name), "%u", i);
        MUST_OK(try_make(fs, many, name, EXT2_DIRECTORY, ""));
    }
    MUST(links_of(many) == MOST);
    ext2_unref(fs, make(fs, other, "one", EXT2_DIRECTORY));
    MUST(try_make(fs, many, "none", EXT2_DIRECTORY, "") == ZX_ERR_NO_SPACE);
    MUST(ext2_rename(fs, other, name_of("one"), many, name_of("one")) == ZX_ERR_NO_SPACE);
    MUST_OK(ext2_rename(fs, other, name_of("one"), many, name_of("7"))); // in place of another
    MUST(links_of(many) == MOST && links_of(other) == 2);
    MUST_OK(ext2_rename(fs, many, name_of("8"), many, name_of("eight")));
    MUST_OK(ext2_rename(fs, many, name_of("eight"), other, name_of("one")));
    MUST(links_of(many) == MOST - 1 && links_of(other) == 3);
    for (unsigned i = 1; i < MOST; i++) {
        snprintf(name, sizeof(name), "l%u", i);
        MUST_OK(ext2_link(fs, other, name_of(name), f));
    }
    MUST(ext2_link(fs, other, name_of("none"), f) == ZX_ERR_NO_SPACE);
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_unlink(fs, other, name_of("l1")));
    MUST_OK(ext2_rename(fs, other, name_of("l2"), many, name_of("l2")));
    MUST(links_of(f) == MOST - 1);
    ext2_unref(fs, f);
    ext2_unref(fs, many);
    ext2_unref(fs, other);
    ext2_unref(fs, root);
    end(&d, fs);
}

// ---- cut ----

// Blocks on both sides of each border between levels, and cuts at all of them, in all orders.
static void cut_levels(uint32_t block_size) {
    struct disk d;
    char arguments[32];
    snprintf(arguments, sizeof(arguments), "-b %u", block_size);
    struct ext2* fs = make_disk(&d, arguments, 8192);
    struct ext2_node* root = root_of(fs);
    uint64_t p = block_size / 4;
    const uint64_t places[] = {0,
                               11,
                               12,
                               12 + p - 1,
                               12 + p,
                               12 + 2 * p,
                               12 + p + p * p - 1,
                               12 + p + p * p,
                               12 + p + p * p + p,
                               12 + p + 2 * p * p,
                               12 + p + 3 * p * p + 5 * p + 7};
    constexpr size_t COUNT = sizeof(places) / sizeof(places[0]);
    MUST_OK(ext2_sync(fs));
    struct ext2_node* f = make(fs, root, "f", EXT2_FILE);
    MUST_OK(ext2_sync(fs));
    uint64_t before = free_blocks(fs);
    for (size_t cut = 0; cut <= 3 * COUNT; cut++) {
        uint8_t byte;
        size_t actual;
        for (size_t i = 0; i < COUNT; i++) {
            byte = (uint8_t)(i + 1);
            MUST_OK(ext2_write(fs, f, places[i] * block_size + 5, &byte, 1));
        }
        if (cut % 2 == 0) {
            MUST_OK(ext2_sync(fs));
        }
        // Before a block, in it, and behind it.
        uint64_t size =
            places[cut / 3 % COUNT] * block_size + (uint64_t[]){0, 6, block_size}[cut % 3];
        MUST_OK(ext2_resize(fs, f, size));
        for (size_t i = 0; i < COUNT; i++) {
            bool is_kept = places[i] * block_size + 5 < size;
            MUST_OK(ext2_read(fs, f, places[i] * block_size + 5, &byte, 1, &actual));
            MUST(actual == is_kept && (!is_kept || byte == i + 1));
        }
        MUST_OK(ext2_resize(fs, f, ext2_file_max(fs)));
        for (size_t i = 0; i < COUNT; i++) {
            bool is_kept = places[i] * block_size + 5 < size;
            MUST_OK(ext2_read(fs, f, places[i] * block_size + 5, &byte, 1, &actual));
            MUST(actual == 1 && byte == (is_kept ? i + 1 : 0));
        }
        MUST_OK(ext2_resize(fs, f, size));
        if (cut % 5 == 0) {
            MUST_OK(ext2_resize(fs, f, 0));
            MUST_OK(ext2_sync(fs));
            MUST(free_blocks(fs) == before);
        }
    }
    ext2_unref(fs, f);
    ext2_unref(fs, root);
    end(&d, fs);
}

static void test_cuts_at_each_level(void**) {
    cut_levels(1024);
    cut_levels(4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disks),         cmocka_unit_test(test_no_inodes),
        cmocka_unit_test(test_long_texts),         cmocka_unit_test(test_as_many_links_as_can_be),
        cmocka_unit_test(test_cuts_at_each_level),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
