// The core against the host's own tools: images that mke2fs made, changed at random, must be
// without a fault for e2fsck and read the same by debugfs as by us.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image_for_tests.h"

static bool is_soak(void) {
    const char* soak = getenv("JX_SOAK");
    return soak != nullptr && *soak == '1';
}

static struct ext2* mount_disk(struct disk* d) {
    struct ext2* fs;
    char why[EXT2_WHY_MAX];
    struct ext2_options options = {};
    zx_status_t status = ext2_mount(&d->device, &options, &fs, why);
    if (status != ZX_OK || why[0] != 0) {
        FAIL("mount answers %d: %s", status, why);
    }
    return fs;
}

static void random_operations(const char* arguments, uint64_t kib, unsigned operations,
                              uint64_t seed) {
    static struct model m;
    struct disk d;
    disk_init(&d, image_make(arguments, kib), kib * 1024);
    model_init(&m, mount_disk(&d), seed);
    for (unsigned i = 1; i <= operations; i++) {
        model_step(&m);
        if (model_random(&m, 200) == 0) {
            MUST_OK(ext2_sync(m.fs));
        }
        if (i % (operations / 4) == 0) {
            model_must_be_in(&m, m.fs);
            model_let_go(&m);
            MUST_OK(ext2_unmount(m.fs));
            image_must_be_sound(&d);
            model_must_be_dumped(&m);
            m.fs = mount_disk(&d);
            model_must_be_in(&m, m.fs);
        }
    }
    model_let_go(&m);
    MUST_OK(ext2_unmount(m.fs));
    MUST(!d.outside);
    model_destroy(&m);
    disk_destroy(&d);
}

static void test_random_1k(void**) {
    random_operations("-b 1024", 24 * 1024, is_soak() ? 50000 : 10000, 1);
}
static void test_random_2k(void**) {
    random_operations("-b 2048", 32 * 1024, is_soak() ? 50000 : 1500, 2);
}
static void test_random_4k(void**) {
    random_operations("-b 4096", 48 * 1024, is_soak() ? 50000 : 1500, 3);
}
static void test_random_revision_0(void**) {
    random_operations("-r 0 -b 1024", 16 * 1024, is_soak() ? 50000 : 1500, 4);
}
static void test_random_small_inodes(void**) {
    random_operations("-I 128 -b 1024 -g 1024", 6 * 1024, is_soak() ? 50000 : 1500, 5);
}

// ---- what mke2fs does not do ----

static void format_and_use(uint32_t block_size, uint64_t kib) {
    static struct model m;
    struct disk d;
    struct ext2_format options = {.block_size = block_size, .uuid = {1, 2, 3}};
    disk_init(&d, calloc(kib, 1024), kib * 1024);
    memset(d.bytes, 0xa5, d.len);
    MUST_OK(ext2_format(&d.device, &options));
    image_must_be_sound(&d);
    model_init(&m, mount_disk(&d), block_size);
    for (unsigned i = 0; i < 300; i++) {
        model_step(&m);
    }
    model_let_go(&m);
    MUST_OK(ext2_unmount(m.fs));
    image_must_be_sound(&d);
    model_destroy(&m);
    disk_destroy(&d);
}

static void test_format(void**) {
    format_and_use(1024, 20000);
    format_and_use(1024, 8193 + 40); // the second group is too small
    format_and_use(2048, 9000);
    format_and_use(4096, 20000);
    struct disk d;
    struct ext2_format options = {};
    disk_init(&d, calloc(16, 1024), 16 * 1024);
    assert_int_equal(ext2_format(&d.device, &options), ZX_ERR_NO_SPACE);
    disk_destroy(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_1k),           cmocka_unit_test(test_random_2k),
        cmocka_unit_test(test_random_4k),           cmocka_unit_test(test_random_revision_0),
        cmocka_unit_test(test_random_small_inodes), cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
