#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segments.h"

static const zx_paddr_t pages[] = {0x10000, 0x11000, 0x12000, 0x20000, 0x1f000, 0x7000000000};
static struct virtq_segment out[8];

static void expect(uint16_t i, uint64_t address, uint32_t len) {
    assert_int_equal(out[i].address, address);
    assert_int_equal(out[i].len, len);
}

static void test_pages_that_follow_each_other(void**) {
    assert_int_equal(segments_make(pages, 0, 3 * 4096, true, out, 8), 1);
    expect(0, 0x10000, 3 * 4096);
    assert_true(out[0].device_writes);
    assert_int_equal(segments_make(pages, 0, 6 * 4096, false, out, 8), 4);
    expect(1, 0x20000, 4096);
    expect(2, 0x1f000, 4096); // before it is not behind it
    expect(3, 0x7000000000, 4096);
    assert_false(out[3].device_writes);
}

static void test_ranges_within_pages(void**) {
    assert_int_equal(segments_make(pages, 512, 512, true, out, 8), 1);
    expect(0, 0x10200, 512);
    assert_int_equal(segments_make(pages, 3 * 4096 - 512, 1024, true, out, 8), 2);
    expect(0, 0x12e00, 512);
    expect(1, 0x20000, 512);
    assert_int_equal(segments_make(pages, 4096 - 512, 1024, true, out, 8), 1);
    expect(0, 0x10e00, 1024);
    assert_int_equal(segments_make(pages, 5 * 4096 + 4095, 1, true, out, 8), 1);
    expect(0, 0x7000000fff, 1);
}

static void test_more_than_there_is_room_for(void**) {
    assert_int_equal(segments_make(pages, 0, 6 * 4096, true, out, 3), 0);
    assert_int_equal(segments_make(pages, 0, 6 * 4096, true, out, 4), 4);
    assert_int_equal(segments_make(pages, 0, 4096, true, out, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_that_follow_each_other),
        cmocka_unit_test(test_ranges_within_pages),
        cmocka_unit_test(test_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
