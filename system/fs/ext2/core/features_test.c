// What mke2fs and others set and we must keep: indexed directories, extended attributes, copies of
// superblocks; what is refused, by name; the far end of a file; large directories; how much one
// request moves; counts of what a failing disk leaves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image_for_tests.h"

static struct ext2* mount_with(struct disk* d, bool read_only, char why[EXT2_WHY_MAX]) {
    struct ext2* fs = nullptr;
    struct ext2_options options = {.read_only = read_only};
    zx_status_t status = ext2_mount(&d->device, &options, &fs, why);
    if (status != ZX_OK) {
        FAIL("mount answers %d: %s", status, why);
    }
    return fs;
}

static struct ext2* mount_disk(struct disk* d) {
    char why[EXT2_WHY_MAX];
    struct ext2* fs = mount_with(d, false, why);
    MUST(why[0] == 0);
    return fs;
}

static struct ext2_node* make(struct ext2* fs, struct ext2_node* d, const char* name,
                              enum ext2_kind kind) {
    struct ext2_node* n;
    MUST_OK(ext2_create(fs, d, name_of(name), kind, 0755, name_of("target"), &n));
    return n;
}

static struct ext2_node* look(struct ext2* fs, struct ext2_node* d, const char* name) {
    struct ext2_node* n;
    MUST_OK(ext2_lookup(fs, d, name_of(name), &n));
    return n;
}

static uint64_t free_blocks(struct ext2* fs) {
    struct ext2_usage usage;
    ext2_query_usage(fs, &usage);
    return usage.free_blocks;
}

// A folder of the host as an image; the folder is gone then.
static void disk_of_folder(struct disk* d, const char* arguments, uint64_t kib) {
    char all[512];
    snprintf(all, sizeof(all), "%s -d %s/files", arguments, image_folder());
    disk_init(d, image_make(all, kib), kib * 1024);
    MUST(image_run("rm -rf %s/files", image_folder()) == 0);
}

// ---- directories with an index ----

static void test_indexed_directories(void**) {
    struct disk d;
    MUST(image_run("mkdir -p %s/files/d && cd %s/files/d && seq -f 'a_long_enough_name_%%g' 2000 | "
                   "xargs touch",
                   image_folder(), image_folder()) == 0);
    disk_of_folder(&d, "-b 1024 -N 4000", 8192);
    image_save(d.bytes, d.len);
    MUST(image_run("e2fsck -fyD %s >/dev/null", image_path()) <= 1);
    MUST(image_run("debugfs -R 'htree_dump /d' %s 2>&1 | grep -q 'Root node'", image_path()) == 0);
    free(d.bytes);
    d.bytes = image_load(d.len);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* dir = look(fs, root, "d");
    for (unsigned i = 1; i <= 2000; i++) {
        char name[64];
        snprintf(name, sizeof(name), "a_long_enough_name_%u", i);
        ext2_unref(fs, look(fs, dir, name));
        if (i % 3 == 0) {
            MUST_OK(ext2_unlink(fs, dir, name_of(name)));
        }
        snprintf(name, sizeof(name), "another_%u", i);
        ext2_unref(fs, make(fs, dir, name, EXT2_FILE));
    }
    ext2_unref(fs, dir);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    MUST(image_run("debugfs -R 'htree_dump /d' %s 2>&1 | grep -q 'Not a hash-indexed'",
                   image_path()) == 0);
    disk_destroy(&d);
}

// ---- extended attributes ----

static void debugfs(struct disk* d, const char* command) {
    image_save(d->bytes, d->len);
    MUST(image_run("debugfs -w -R '%s' %s >/dev/null 2>&1", command, image_path()) == 0);
    free(d->bytes);
    d->bytes = image_load(d->len);
}

static void test_extended_attributes(void**) {
    struct disk d;
    char command[600];
    char value[500];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = 0;
    MUST(image_run("mkdir -p %s/files && echo text > %s/files/f && echo > %s/files/g && ln -s x "
                   "%s/files/l",
                   image_folder(), image_folder(), image_folder(), image_folder()) == 0);
    disk_of_folder(&d, "-b 1024", 4096);
    struct ext2* fs = mount_disk(&d);
    uint64_t before = free_blocks(fs);
    MUST_OK(ext2_unmount(fs));
    snprintf(command, sizeof(command), "ea_set /f user.large %s", value);
    debugfs(&d, command);
    debugfs(&d, "ea_set /g user.small value");
    image_must_be_sound(&d);
    fs = mount_disk(&d);
    MUST(free_blocks(fs) == before - 1);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* f = look(fs, root, "f");
    struct ext2_attributes attributes;
    ext2_get_attributes(f, &attributes);
    MUST(attributes.blocks_512 == 4);
    MUST_OK(ext2_resize(fs, f, 0));
    ext2_get_attributes(f, &attributes);
    MUST(attributes.blocks_512 == 2); // the attributes' own
    MUST_OK(ext2_write(fs, f, 0, "other", 5));
    ext2_unref(fs, f);
    f = look(fs, root, "g");
    MUST_OK(ext2_write(fs, f, 5000, "more", 4));
    ext2_unref(fs, f);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    MUST(image_run("debugfs -R 'ea_get /f user.large' %s 2>/dev/null | grep -q vvvvv",
                   image_path()) == 0);
    MUST(image_run("debugfs -R 'ea_get /g user.small' %s 2>/dev/null | grep -q value",
                   image_path()) == 0);
    fs = mount_disk(&d);
    root = root_of(fs);
    MUST_OK(ext2_unlink(fs, root, name_of("f")));
    ext2_unref(fs, make(fs, root, "h", EXT2_FILE)); // may be the same inode, without attributes
    MUST_OK(ext2_unlink(fs, root, name_of("g")));
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    fs = mount_disk(&d);
    MUST(free_blocks(fs) >= before);
    MUST_OK(ext2_unmount(fs));
    disk_destroy(&d);
}

// ---- what is refused ----

static zx_status_t try_mount(const char* arguments, bool* read_only, char why[EXT2_WHY_MAX]) {
    struct disk d;
    struct ext2* fs;
    struct ext2_options options = {};
    char all[256];
    snprintf(all, sizeof(all), "-b 1024 %s", arguments);
    disk_init(&d, image_make(all, 8192), 8192 * 1024);
    uint8_t* before = malloc(d.len);
    memcpy(before, d.bytes, d.len);
    zx_status_t status = ext2_mount(&d.device, &options, &fs, why);
    if (status == ZX_OK) {
        *read_only = ext2_is_read_only(fs);
        struct ext2_node* root = root_of(fs);
        struct ext2_node* n;
        zx_status_t made =
            ext2_create(fs, root, name_of("new"), EXT2_FILE, 0644, (struct ext2_name){}, &n);
        MUST(*read_only ? made == ZX_ERR_ACCESS_DENIED : made == ZX_OK);
        ext2_abandon(fs);
    }
    if (status != ZX_OK || *read_only) {
        MUST(memcmp(before, d.bytes, d.len) == 0);
    }
    free(before);
    disk_destroy(&d);
    return status;
}

static void test_features(void**) {
    static const struct {
        const char* arguments;
        const char* name;
        zx_status_t status;
    } cases[] = {
        {"-O extent", "extent", ZX_ERR_NOT_SUPPORTED},
        {"-O 64bit,extent", "", ZX_ERR_NOT_SUPPORTED},
        {"-O meta_bg,^resize_inode", "meta_bg", ZX_ERR_NOT_SUPPORTED},
        {"-O flex_bg", "flex_bg", ZX_ERR_NOT_SUPPORTED},
        {"-O inline_data", "inline_data", ZX_ERR_NOT_SUPPORTED},
        {"-O mmp", "mmp", ZX_ERR_NOT_SUPPORTED},
        {"-O huge_file", "huge_file", ZX_OK},
        {"-O uninit_bg", "uninit_bg", ZX_OK},
        {"-O extra_isize", "extra_isize", ZX_OK},
        {"-O quota", "quota", ZX_OK},
        {"-O dir_nlink", "dir_nlink", ZX_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char why[EXT2_WHY_MAX];
        bool read_only = false;
        zx_status_t status = try_mount(cases[i].arguments, &read_only, why);
        if (status != cases[i].status || strstr(why, cases[i].name) == nullptr ||
            (status == ZX_OK && !read_only)) {
            FAIL("%s: %d, %s", cases[i].arguments, status, why);
        }
    }
    char why[EXT2_WHY_MAX];
    bool read_only = true;
    MUST_OK(try_mount("-O ^sparse_super,^filetype,^ext_attr,^dir_index,^resize_inode,^large_file",
                      &read_only, why));
    MUST(!read_only && why[0] == 0);
}

static void test_no_file_system(void**) {
    struct disk d;
    struct ext2* fs;
    char why[EXT2_WHY_MAX];
    struct ext2_options options = {};
    disk_init(&d, calloc(64, 1024), 64 * 1024);
    MUST(ext2_mount(&d.device, &options, &fs, why) == ZX_ERR_IO_DATA_INTEGRITY);
    MUST(strcmp(why, "no ext2 superblock") == 0);
    d.fails_after = 0;
    MUST(ext2_mount(&d.device, &options, &fs, why) == ZX_ERR_IO);
    disk_destroy(&d);
}

// ---- the far end ----

static void far_end(uint32_t block_size, uint64_t least) {
    struct disk d;
    char arguments[32];
    snprintf(arguments, sizeof(arguments), "-b %u", block_size);
    disk_init(&d, image_make(arguments, 8192), 8192 * 1024);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* f = make(fs, root, "f", EXT2_FILE);
    uint64_t max = ext2_file_max(fs);
    MUST(max >= least);
    uint64_t before = free_blocks(fs);
    MUST_OK(ext2_write(fs, f, max - 4, "last", 4));
    MUST(ext2_write(fs, f, max - 3, "last", 4) == ZX_ERR_FILE_BIG);
    MUST(ext2_resize(fs, f, max + 1) == ZX_ERR_FILE_BIG);
    char text[8];
    size_t actual;
    MUST_OK(ext2_read(fs, f, max - 4, text, 8, &actual));
    MUST(actual == 4 && memcmp(text, "last", 4) == 0);
    MUST_OK(ext2_read(fs, f, max / 2, text, 8, &actual));
    MUST(actual == 8 && memcmp(text, "\0\0\0\0\0\0\0\0", 8) == 0);
    struct ext2_run run;
    MUST_OK(ext2_map(fs, f, 0, UINT32_MAX, &run));
    MUST(run.is_hole);
    MUST_OK(ext2_sync(fs));
    ext2_unref(fs, f);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    fs = mount_disk(&d);
    root = root_of(fs);
    f = look(fs, root, "f");
    // All levels, and back again.
    for (uint64_t at = 1; at < max; at *= 7) {
        MUST_OK(ext2_write(fs, f, at, "x", 1));
    }
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_resize(fs, f, (uint64_t)block_size * 300 + 17));
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_resize(fs, f, 0));
    ext2_unref(fs, f);
    MUST_OK(ext2_sync(fs));
    MUST(free_blocks(fs) == before);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

static void test_far_end(void**) {
    far_end(1024, (16ull << 30) - (1 << 20));
    far_end(2048, (256ull << 30) - (1 << 20));
    far_end(4096, (2ull << 40) - (4ull << 30)); // i_blocks counts blocks of pointers, too
}

// ---- large directories, large requests ----

// A hundred thousand in a soak: what is quadratic is seen with fewer, too, but takes long.
static void test_many_names(void**) {
    struct disk d;
    const char* soak = getenv("JX_SOAK");
    unsigned count = soak != nullptr && *soak == '1' ? 100000 : 25000;
    disk_init(&d, image_make("-b 4096 -N 110000", 64 * 1024), 64 * 1024 * 1024);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* dir = make(fs, root, "d", EXT2_DIRECTORY);
    struct ext2_node* first = make(fs, dir, "first", EXT2_FILE);
    char name[32];
    // Links to one file, and files: an inode has 32,000 links at most.
    clock_t begin = clock();
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "name_%u", i);
        if (i % 4 == 0) {
            MUST_OK(ext2_link(fs, dir, name_of(name), first));
        } else {
            ext2_unref(fs, make(fs, dir, name, EXT2_FILE));
        }
    }
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "name_%u", i * 7919u % count);
        ext2_unref(fs, look(fs, dir, name));
    }
    for (unsigned i = 0; i < count; i += 2) {
        snprintf(name, sizeof(name), "name_%u", i);
        MUST_OK(ext2_unlink(fs, dir, name_of(name)));
    }
    print_message("%u ms of CPU\n", (unsigned)((clock() - begin) * 1000 / CLOCKS_PER_SEC));
    ext2_unref(fs, first);
    ext2_unref(fs, dir);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    fs = mount_disk(&d);
    root = root_of(fs);
    dir = look(fs, root, "d");
    ext2_unref(fs, look(fs, dir, "name_24999"));
    struct ext2_node* n;
    MUST(ext2_lookup(fs, dir, name_of("name_24998"), &n) == ZX_ERR_NOT_FOUND);
    ext2_abandon(fs);
    disk_destroy(&d);
}

static void test_requests_are_large(void**) {
    constexpr size_t LEN = 8 << 20;
    static const uint32_t sizes[] = {1024, 4096};
    for (unsigned i = 0; i < 2; i++) {
        struct disk d;
        char arguments[32];
        snprintf(arguments, sizeof(arguments), "-b %u", sizes[i]);
        disk_init(&d, image_make(arguments, 32 * 1024), 32 * 1024 * 1024);
        struct ext2* fs = mount_disk(&d);
        struct ext2_node* root = root_of(fs);
        struct ext2_node* f = make(fs, root, "f", EXT2_FILE);
        uint8_t* data = calloc(1, LEN);
        size_t actual;
        uint64_t before = d.writes;
        MUST_OK(ext2_write(fs, f, 0, data, LEN));
        MUST(d.writes - before <= LEN / (256 << 10) + 4);
        MUST_OK(ext2_sync(fs));
        ext2_abandon(fs);
        fs = mount_disk(&d);
        root = root_of(fs);
        f = look(fs, root, "f");
        before = d.reads;
        MUST_OK(ext2_read(fs, f, 0, data, LEN, &actual));
        // Each block of pointers once, and runs of a quarter of a MiB at least.
        MUST(d.reads - before <= 2 * (LEN / (256 << 10) + 4));
        MUST(d.largest_read * EXT2_SECTOR >= 256 << 10);
        before = d.reads;
        MUST_OK(ext2_read(fs, f, LEN / 2, data, sizes[i], &actual));
        MUST(d.reads - before == 1);
        free(data);
        ext2_abandon(fs);
        disk_destroy(&d);
    }
}

// ---- disks that fail ----

// Each request in turn is the first that fails; then the disk works again, and nothing was lost or
// broken by the failure.
static void test_failures(void**) {
    struct disk d;
    disk_init(&d, image_make("-b 1024", 2048), 2048 * 1024);
    uint8_t* before = malloc(d.len);
    memcpy(before, d.bytes, d.len);
    bool failed = true;
    for (unsigned at = 1; failed && at < 400; at++) {
        static struct model m;
        memcpy(d.bytes, before, d.len);
        struct ext2* fs = mount_disk(&d);
        struct ext2_node* root = root_of(fs);
        model_init(&m, fs, 99);
        for (unsigned i = 0; i < 40; i++) {
            model_step(&m);
        }
        d.fails_after = at;
        failed = ext2_sync(fs) != ZX_OK;
        d.fails_after = -1;
        MUST_OK(ext2_sync(fs));
        for (unsigned i = 0; i < 20; i++) {
            model_step(&m);
        }
        model_must_be_in(&m, fs);
        model_let_go(&m);
        ext2_unref(fs, root);
        MUST_OK(ext2_unmount(fs));
        if (at % 5 == 0 || !failed) {
            image_must_be_sound(&d);
        }
        fs = mount_disk(&d);
        model_must_be_in(&m, fs);
        ext2_abandon(fs);
        model_destroy(&m);
    }
    MUST(!failed);
    free(before);
    disk_destroy(&d);
}

// ---- times, orphans ----

static void test_times(void**) {
    struct disk d;
    disk_init(&d, image_make("-b 1024", 4096), 4096 * 1024);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* f = make(fs, root, "f", EXT2_FILE);
    static const int64_t times[] = {0,
                                    -1,
                                    1,
                                    1700000000123456789,
                                    2500000000999999999,
                                    5000000000000000000,
                                    -2000000000000000001};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct ext2_changes changes = {.has_access = true,
                                       .has_modification = true,
                                       .access_ns = times[i],
                                       .modification_ns = times[i]};
        struct ext2_attributes attributes;
        MUST_OK(ext2_set_attributes(fs, f, &changes));
        ext2_get_attributes(f, &attributes);
        MUST(attributes.modification_ns == times[i] && attributes.access_ns == times[i]);
    }
    ext2_unref(fs, f);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    MUST(image_run("debugfs -R 'stat /f' %s 2>/dev/null | grep -q 'Size of extra inode fields: 32'",
                   image_path()) == 0);
    disk_destroy(&d);
}

// What another system left on its list is released.
static void test_orphans(void**) {
    struct disk d;
    MUST(image_run("mkdir -p %s/files && head -c 50000 /dev/urandom > %s/files/f && cp %s/files/f "
                   "%s/files/g",
                   image_folder(), image_folder(), image_folder(), image_folder()) == 0);
    disk_of_folder(&d, "-b 1024", 4096);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* f = look(fs, root, "f");
    uint32_t ino = f->ino;
    uint64_t before = free_blocks(fs);
    ext2_abandon(fs);
    char command[128];
    debugfs(&d, "unlink /f");
    snprintf(command, sizeof(command), "sif <%u> links_count 0", ino);
    debugfs(&d, command);
    snprintf(command, sizeof(command), "ssv last_orphan %u", ino);
    debugfs(&d, command);
    debugfs(&d, "ssv state 0");
    fs = mount_disk(&d);
    MUST(free_blocks(fs) == before + 50); // 49 of contents, one of pointers
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indexed_directories),
        cmocka_unit_test(test_extended_attributes),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_no_file_system),
        cmocka_unit_test(test_far_end),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_requests_are_large),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_orphans),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
