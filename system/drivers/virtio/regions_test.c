// What a device says about where its registers are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <virtio/pci.h>

static struct virtio_regions regions;

static int reset(void**) {
    regions = (struct virtio_regions){};
    return 0;
}

static void add(uint32_t kind, uint32_t size, uint32_t bar, uint32_t offset, uint32_t length) {
    const uint32_t words[VIRTIO_CAPABILITY_WORDS] = {0x09 | size << 16 | kind << 24, bar, offset,
                                                     length, 4};
    virtio_regions_add(&regions, words);
}

static void test_the_regions_of_a_device(void**) {
    add(1, 16, 4, 0, 0x1000);
    add(3, 16, 4, 0x1000, 0x1000);
    add(4, 16, 4, 0x2000, 0x1000);
    add(2, 20, 4, 0x3000, 0x1000);
    add(5, 20, 0, 0, 0);
    assert_int_equal(regions.common.bar, 4);
    assert_int_equal(regions.common.length, 0x1000);
    assert_int_equal(regions.device.offset, 0x2000);
    assert_int_equal(regions.notify.offset, 0x3000);
    assert_int_equal(regions.notify_multiplier, 4);
}

static void test_the_first_that_can_be_used_counts(void**) {
    add(1, 16, 6, 0, 0x1000); // there is no BAR 6
    add(1, 12, 1, 0, 0x1000); // too short
    add(1, 16, 2, 0x40, 0x1000);
    add(1, 16, 3, 0, 0x1000);
    add(2, 16, 1, 0, 0x1000); // without a multiplier
    assert_int_equal(regions.common.bar, 2);
    assert_int_equal(regions.common.offset, 0x40);
    assert_int_equal(regions.notify.length, 0);
}

static void test_what_lies_in_a_bar(void**) {
    struct virtio_region r = {.offset = 0x1000, .length = 56};
    assert_true(virtio_region_fits(&r, 56, 0x4000, 4));
    assert_true(virtio_region_fits(&r, 56, 0x1038, 4));
    assert_false(virtio_region_fits(&r, 56, 0x1037, 4));
    assert_false(virtio_region_fits(&r, 57, 0x4000, 4));
    assert_false(virtio_region_fits(&r, 56, 0, 4));
    r.offset = 0x1002;
    assert_false(virtio_region_fits(&r, 56, 0x4000, 4));
    r = (struct virtio_region){.offset = UINT32_MAX - 3, .length = UINT32_MAX};
    assert_false(virtio_region_fits(&r, 56, UINT32_MAX, 4));
    assert_true(virtio_region_fits(&r, 56, 2ull * UINT32_MAX, 4));
    r = (struct virtio_region){};
    assert_false(virtio_region_fits(&r, 0, 0x4000, 4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_regions_of_a_device, reset),
        cmocka_unit_test_setup(test_the_first_that_can_be_used_counts, reset),
        cmocka_unit_test_setup(test_what_lies_in_a_bar, reset),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
