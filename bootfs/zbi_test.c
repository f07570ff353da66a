// The container reader: a container built here, single damages, truncation at every length.
#include <bootfs/bootfs.h>
#include <bootfs/zbi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/crc32.h>
#include <lib/random.h>
#include <zircon/boot/bootfs.h>
#include <zircon/boot/image.h>

// The readers have their own constants, so that they need no other header; they must agree.
static_assert(zbi_item_magic == ZBI_ITEM_MAGIC && zbi_container_magic == ZBI_CONTAINER_MAGIC);
static_assert(zbi_no_crc32 == ZBI_ITEM_NO_CRC32 && zbi_flag_crc32 == ZBI_FLAGS_CRC32);
static_assert(zbi_flag_version == ZBI_FLAGS_VERSION && zbi_header_len == sizeof(zbi_header_t));
static_assert(zbi_type_container == ZBI_TYPE_CONTAINER && zbi_type_discard == ZBI_TYPE_DISCARD);
static_assert(zbi_type_bootfs == ZBI_TYPE_STORAGE_BOOTFS && zbi_type_cmdline == ZBI_TYPE_CMDLINE);
static_assert(zbi_type_ramdisk == ZBI_TYPE_STORAGE_RAMDISK);
static_assert(bootfs_magic == ZBI_BOOTFS_MAGIC && bootfs_page_len == ZBI_BOOTFS_PAGE_SIZE);
static_assert(bootfs_name_len_max + 1 == ZBI_BOOTFS_MAX_NAME_LEN);

struct builder {
    uint8_t bytes[1024];
    uint32_t len;
};

static void put_u32(uint8_t* to, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static void put_header(uint8_t* to, uint32_t type, uint32_t len, uint32_t extra, uint32_t flags,
                       uint32_t crc) {
    const uint32_t fields[8] = {type, len, extra, flags, 0, 0, zbi_item_magic, crc};
    for (int i = 0; i < 8; i++) {
        put_u32(to + 4 * i, fields[i]);
    }
}

static void add_item(struct builder* b, uint32_t type, const char* text, bool with_crc) {
    uint32_t len = (uint32_t)strlen(text);
    uint8_t* header = b->bytes + b->len;
    uint32_t flags = zbi_flag_version | (with_crc ? zbi_flag_crc32 : 0);
    put_header(header, type, len, 7, flags, with_crc ? 0 : zbi_no_crc32);
    memcpy(header + 32, text, len);
    if (with_crc) {
        put_u32(header + 28, crc32_update(0, header, 32 + len));
    }
    b->len += 32 + ((len + 7) & ~7u);
    put_u32(b->bytes + 4, b->len - 32);
}

static struct builder container_make(void) {
    struct builder b = {.len = 32};
    put_header(b.bytes, zbi_type_container, 0, zbi_container_magic, zbi_flag_version, zbi_no_crc32);
    return b;
}

static struct builder sample(void) {
    struct builder b = container_make();
    add_item(&b, zbi_type_cmdline, "hello", false);
    add_item(&b, zbi_type_bootfs, "12345678", true);
    add_item(&b, zbi_type_discard, "", false);
    return b;
}

static zbi_error_t open_copy(const uint8_t* bytes, size_t len) {
    uint8_t* copy = malloc(len + (len == 0));
    memcpy(copy, bytes, len);
    struct zbi zbi;
    zbi_error_t error = zbi_open(&zbi, copy, len);
    if (error == ZBI_OK) {
        uint64_t cursor = 0;
        struct zbi_item item;
        while (zbi_next(&zbi, &cursor, &item)) {
            assert_true(item.payload_offset + item.payload_len <= len);
            (void)!zbi_item_check(&item, crc32_update);
        }
    }
    free(copy);
    return error;
}

static void test_walk(void**) {
    struct builder b = sample();
    struct zbi zbi;
    struct zbi_item item;
    uint64_t cursor = 0;
    assert_int_equal(zbi_open(&zbi, b.bytes, sizeof(b.bytes)), ZBI_OK);
    assert_int_equal(zbi.len, b.len);
    assert_true(zbi_next(&zbi, &cursor, &item));
    assert_int_equal(item.type, zbi_type_cmdline);
    assert_int_equal(item.extra, 7);
    assert_int_equal(item.payload_len, 5);
    assert_int_equal(item.payload_offset, 64);
    assert_memory_equal(item.payload, "hello", 5);
    assert_int_equal(zbi_item_check(&item, crc32_update), ZBI_OK);
    assert_true(zbi_next(&zbi, &cursor, &item));
    assert_int_equal(item.type, zbi_type_bootfs);
    assert_int_equal(item.payload_offset, 64 + 8 + 32);
    assert_int_equal(zbi_item_check(&item, crc32_update), ZBI_OK);
    assert_true(zbi_next(&zbi, &cursor, &item));
    assert_int_equal(item.payload_len, 0);
    assert_false(zbi_next(&zbi, &cursor, &item));
    assert_int_equal(zbi_find(&zbi, zbi_type_bootfs, &item), ZBI_OK);
    assert_memory_equal(item.payload, "12345678", 8);
    assert_int_equal(zbi_find(&zbi, zbi_type_ramdisk, &item), ZBI_NOT_FOUND);
}

static void test_empty_container(void**) {
    struct builder b = container_make();
    assert_int_equal(open_copy(b.bytes, b.len), ZBI_OK);
}

static void test_crc(void**) {
    struct builder b = sample();
    struct zbi zbi;
    struct zbi_item item;
    b.bytes[104] ^= 1;
    assert_int_equal(zbi_open(&zbi, b.bytes, b.len), ZBI_OK);
    assert_int_equal(zbi_find(&zbi, zbi_type_bootfs, &item), ZBI_OK);
    assert_int_equal(zbi_item_check(&item, crc32_update), ZBI_BAD_CRC);
}

static void expect_damage(uint32_t at, uint32_t value, zbi_error_t expected) {
    struct builder b = sample();
    put_u32(b.bytes + at, value);
    assert_int_equal(open_copy(b.bytes, b.len), expected);
}

static void test_damage(void**) {
    expect_damage(0, zbi_type_bootfs, ZBI_BAD_CONTAINER);
    expect_damage(8, 0, ZBI_BAD_CONTAINER);
    expect_damage(12, 0, ZBI_BAD_CONTAINER);
    expect_damage(24, 0, ZBI_BAD_CONTAINER);
    expect_damage(28, 0, ZBI_BAD_CONTAINER);
    expect_damage(4, 7, ZBI_BAD_CONTAINER);
    expect_damage(4, UINT32_MAX - 7, ZBI_TOO_SHORT);
    expect_damage(4, 24, ZBI_BAD_LENGTH);
    expect_damage(4, 32, ZBI_BAD_LENGTH);
    expect_damage(32 + 4, UINT32_MAX, ZBI_BAD_LENGTH);
    expect_damage(32 + 4, 200, ZBI_BAD_LENGTH);
    expect_damage(32 + 12, 0, ZBI_BAD_ITEM);
    expect_damage(32 + 24, 1, ZBI_BAD_ITEM);
    expect_damage(32 + 28, 1, ZBI_BAD_ITEM);
}

static void test_truncation(void**) {
    struct builder b = sample();
    for (uint32_t len = 0; len < b.len; len++) {
        assert_int_equal(open_copy(b.bytes, len), ZBI_TOO_SHORT);
    }
}

static void test_random_damage(void**) {
    struct random random = random_init(80);
    for (int i = 0; i < 20000; i++) {
        struct builder b = sample();
        for (int j = 0; j < 2; j++) {
            b.bytes[random_below(&random, b.len)] = (uint8_t)random_u64(&random);
        }
        (void)!open_copy(b.bytes, b.len);
    }
}

static void test_error_texts(void**) {
    for (int error = ZBI_OK; error <= ZBI_NOT_FOUND; error++) {
        assert_string_not_equal(zbi_error_text((zbi_error_t)error), "unknown boot image error");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),        cmocka_unit_test(test_empty_container),
        cmocka_unit_test(test_crc),         cmocka_unit_test(test_damage),
        cmocka_unit_test(test_truncation),  cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_error_texts),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
