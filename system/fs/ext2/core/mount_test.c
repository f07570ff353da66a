// What a mount costs, clean and not; when the image says that it is clean, and what that costs.
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
constexpr size_t MIB = 1 << 20;

static bool says_clean(const struct disk* d) {
    return (d->bytes[STATE_AT] & 1) != 0;
}

static struct ext2* mount_disk(struct disk* d) {
    struct ext2* fs = nullptr;
    struct ext2_options options = {};
    char why[EXT2_WHY_MAX];
    zx_status_t status = ext2_mount(&d->device, &options, &fs, why);
    if (status != ZX_OK) {
        FAIL("mount answers %d: %s", status, why);
    }
    d->reads = d->writes = d->flushes = 0;
    return fs;
}

static struct ext2_node* make(struct ext2* fs, struct ext2_node* d, const char* name,
                              enum ext2_kind kind) {
    struct ext2_node* n;
    MUST_OK(ext2_create(fs, d, (struct ext2_name){name, strlen(name)}, kind, 0755,
                        (struct ext2_name){}, &n));
    return n;
}

// ---- mounting ----

static void test_a_clean_mount_reads_little_and_writes_nothing(void**) {
    struct disk d;
    disk_init(&d, image_make("-b 4096", 64 << 10), 64 * MIB);
    struct ext2* fs = nullptr;
    struct ext2_options options = {};
    MUST_OK(ext2_mount(&d.device, &options, &fs, nullptr));
    MUST(d.reads == 3); // the superblock, the groups, the root's inode
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_unmount(fs));
    MUST(d.writes == 0 && says_clean(&d));
    disk_destroy(&d);
}

// 2,000 files in 40 directories, 8 groups of 4 MiB with a table of 128 blocks each. By blocks the
// check would read each table's and each directory's.
static void test_an_unclean_mount_reads_in_runs(void**) {
    constexpr unsigned DIRECTORIES = 40, FILES = 50;
    struct disk d;
    disk_init(&d, image_make("-b 1024 -g 4096 -N 4096", 32 << 10), 32 * MIB);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "directory%u", i);
        struct ext2_node* directory = make(fs, root, name, EXT2_DIRECTORY);
        for (unsigned k = 0; k < FILES; k++) {
            snprintf(name, sizeof(name), "file%u", k);
            struct ext2_node* file = make(fs, directory, name, EXT2_FILE);
            MUST_OK(ext2_write(fs, file, 0, name, strlen(name)));
            ext2_unref(fs, file);
        }
        ext2_unref(fs, directory);
    }
    ext2_unref(fs, root);
    MUST_OK(ext2_sync(fs));
    ext2_abandon(fs);
    MUST(!says_clean(&d));
    d.reads = 0;
    MUST_OK(ext2_mount(&d.device, &(struct ext2_options){}, &fs, nullptr));
    print_message("%llu reads, the longest of %llu sectors\n", (unsigned long long)d.reads,
                  (unsigned long long)d.largest_read);
    // 2 for the mount; of each group the bitmaps, and its table in 64 KiB; a run or two of each
    // directory.
    MUST(d.reads <= 2 + 8 * (1 + 2) + 2 * DIRECTORIES);
    MUST(d.largest_read * EXT2_SECTOR >= 64 << 10);
    MUST_OK(ext2_unmount(fs));
    MUST(says_clean(&d));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

// ---- the mark ----

static void append(struct ext2* fs, struct ext2_node* file) {
    struct ext2_attributes a;
    ext2_get_attributes(file, &a);
    MUST_OK(ext2_write(fs, file, a.size, "text", 4));
    MUST_OK(ext2_sync(fs));
}

static void test_the_mark(void**) {
    struct disk d;
    disk_init(&d, image_make("-b 1024", 4 << 10), 4 * MIB);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* file = make(fs, root, "file", EXT2_FILE);
    MUST_OK(ext2_mark_clean(fs)); // not with a change
    append(fs, file);
    MUST(!says_clean(&d));
    append(fs, file);
    // What one within a block costs, and what it costs when the file system was idle in between.
    d.writes = d.flushes = 0;
    append(fs, file);
    uint64_t writes = d.writes;
    uint64_t flushes = d.flushes;
    MUST_OK(ext2_mark_clean(fs));
    MUST(says_clean(&d) && d.writes == writes + 1 && d.flushes == flushes); // all was flushed
    image_must_be_sound(&d);
    MUST_OK(ext2_mark_clean(fs));
    MUST_OK(ext2_sync(fs));
    MUST(d.writes == writes + 1); // nothing was changed
    d.writes = d.flushes = 0;
    append(fs, file); // its text would have been flushed by itself
    MUST(!says_clean(&d) && d.writes == writes + 1 && d.flushes == flushes);
    // A file that is open and has no name has blocks that are nobody's after a cut of power.
    MUST_OK(ext2_unlink(fs, root, (struct ext2_name){"file", 4}));
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_mark_clean(fs));
    MUST(!says_clean(&d));
    ext2_unref(fs, file);
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_mark_clean(fs));
    MUST(says_clean(&d));
    image_must_be_sound(&d);
    ext2_unref(fs, root);
    ext2_abandon(fs); // no unmount, and no check
    fs = mount_disk(&d);
    ext2_abandon(fs);
    disk_destroy(&d);
}

// A disk that fails may have written or not: the mark is not taken for gone before a flush.
static void test_the_mark_on_a_disk_that_fails(void**) {
    for (int64_t after = 1; after < 12; after++) {
        struct disk d;
        disk_init(&d, image_make("-b 1024", 1 << 10), MIB);
        struct ext2* fs = mount_disk(&d);
        struct ext2_node* root = root_of(fs);
        struct ext2_node* file = make(fs, root, "file", EXT2_FILE);
        MUST_OK(ext2_sync(fs));
        MUST_OK(ext2_mark_clean(fs));
        MUST_OK(ext2_write(fs, file, 0, "text", 4));
        d.records = true;
        d.fails_after = after;
        zx_status_t status = ext2_sync(fs);
        d.fails_after = -1;
        MUST_OK(ext2_sync(fs));
        // The first write is that of the superblock, and a flush comes before the next.
        MUST(d.log_count > 2 && d.log[0].first == 2 && d.log[0].count == 2);
        MUST(d.log[1].count == 0 || (status != ZX_OK && d.log[1].first == 2));
        MUST(!says_clean(&d));
        MUST_OK(ext2_mark_clean(fs));
        image_must_be_sound(&d);
        ext2_unref(fs, file);
        ext2_unref(fs, root);
        ext2_abandon(fs);
        disk_destroy(&d);
    }
}

// Two owners of a block: nobody says that it is clean before somebody has looked at it.
static void test_no_mark_for_what_is_doubtful(void**) {
    struct disk d;
    disk_init(&d, image_make("-b 1024", 1 << 10), MIB);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    ext2_unref(fs, make(fs, root, "a", EXT2_DIRECTORY));
    ext2_unref(fs, make(fs, root, "b", EXT2_DIRECTORY));
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_save(d.bytes, d.len);
    MUST(image_run(
             "b=$(debugfs -R 'blocks /a' %s 2>/dev/null) && debugfs -w -R \"set_inode_field /b "
             "block[0] $b\" %s >/dev/null 2>&1 && debugfs -w -R 'set_super_value state 0' %s "
             ">/dev/null 2>&1",
             image_path(), image_path(), image_path()) == 0);
    free(d.bytes);
    d.bytes = image_load(d.len);
    MUST(!says_clean(&d));
    fs = mount_disk(&d);
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_mark_clean(fs));
    MUST(!says_clean(&d));
    MUST_OK(ext2_unmount(fs));
    MUST(!says_clean(&d));
    disk_destroy(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clean_mount_reads_little_and_writes_nothing),
        cmocka_unit_test(test_an_unclean_mount_reads_in_runs),
        cmocka_unit_test(test_the_mark),
        cmocka_unit_test(test_the_mark_on_a_disk_that_fails),
        cmocka_unit_test(test_no_mark_for_what_is_doubtful),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
