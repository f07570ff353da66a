// The bootfs reader: images built here by hand, every kind of damage, and random damage. Images lie
// in exactly sized heap blocks, so that the sanitizer sees any step outside.
#include <bootfs/bootfs.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/random.h>

struct image {
    uint8_t* data;
    size_t len;
    uint32_t entry_at[64]; // offsets of the directory entries
};

struct spec {
    const char* name;
    uint32_t len;
};

static void put_u32(uint8_t* to, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t entry_len(const char* name) {
    return (12 + (uint32_t)strlen(name) + 1 + 3) & ~3u;
}

static struct image image_make(const struct spec* files, size_t count) {
    struct image image = {};
    uint32_t dir_len = 0;
    uint32_t data_len = 0;
    for (size_t i = 0; i < count; i++) {
        dir_len += entry_len(files[i].name);
        data_len += (files[i].len + 4095) & ~4095u;
    }
    uint32_t data_at = (16 + dir_len + 4095) & ~4095u;
    image.len = data_at + data_len;
    image.data = calloc(1, image.len);
    put_u32(image.data, bootfs_magic);
    put_u32(image.data + 4, dir_len);
    uint32_t at = 16;
    for (size_t i = 0; i < count; i++) {
        image.entry_at[i] = at;
        put_u32(image.data + at, (uint32_t)strlen(files[i].name) + 1);
        put_u32(image.data + at + 4, files[i].len);
        put_u32(image.data + at + 8, data_at);
        memcpy(image.data + at + 12, files[i].name, strlen(files[i].name));
        memset(image.data + data_at, (int)('A' + i), files[i].len);
        at += entry_len(files[i].name);
        data_at += (files[i].len + 4095) & ~4095u;
    }
    return image;
}

static const struct spec sample[] = {
    {"bin/hello", 9000}, {"empty", 0}, {"etc/a.b", 4096}, {"z", 1}};

static struct image sample_image(void) {
    return image_make(sample, 4);
}

static void test_walk_and_find(void**) {
    struct image image = sample_image();
    struct bootfs fs;
    assert_int_equal(bootfs_open(&fs, image.data, image.len, image.len), BOOTFS_OK);
    uint32_t cursor = 0;
    struct bootfs_file file;
    for (size_t i = 0; i < 4; i++) {
        assert_true(bootfs_next(&fs, &cursor, &file));
        assert_string_equal(file.name, sample[i].name);
        assert_int_equal(file.data_len, sample[i].len);
        assert_int_equal(file.data_offset % 4096, 0);
        assert_true(file.data_len == 0 || image.data[file.data_offset] == 'A' + i);
        struct bootfs_file found;
        assert_int_equal(bootfs_find(&fs, sample[i].name, strlen(sample[i].name), &found),
                         BOOTFS_OK);
        assert_int_equal(found.data_offset, file.data_offset);
    }
    assert_false(bootfs_next(&fs, &cursor, &file));
    assert_int_equal(bootfs_find(&fs, "bin", 3, &file), BOOTFS_NOT_FOUND);
    assert_int_equal(bootfs_find(&fs, "bin/hello2", 10, &file), BOOTFS_NOT_FOUND);
    assert_int_equal(bootfs_find(&fs, "bin/hello2", 9, &file), BOOTFS_OK);
    assert_int_equal(bootfs_find(&fs, "", 0, &file), BOOTFS_NOT_FOUND);
    free(image.data);
}

static void test_empty_archive(void**) {
    struct image image = image_make(nullptr, 0);
    struct bootfs fs;
    struct bootfs_file file;
    uint32_t cursor = 0;
    assert_int_equal(bootfs_open(&fs, image.data, 16, 16), BOOTFS_OK);
    assert_false(bootfs_next(&fs, &cursor, &file));
    free(image.data);
}

static void test_only_the_head_is_needed(void**) {
    struct image image = sample_image();
    uint64_t head_len;
    assert_int_equal(bootfs_head_len(image.data, 16, &head_len), BOOTFS_OK);
    uint8_t* head = malloc(head_len);
    memcpy(head, image.data, head_len);
    struct bootfs fs;
    assert_int_equal(bootfs_open(&fs, head, head_len, image.len), BOOTFS_OK);
    struct bootfs_file file;
    assert_int_equal(bootfs_find(&fs, "z", 1, &file), BOOTFS_OK);
    assert_int_equal(bootfs_open(&fs, head, head_len - 1, image.len), BOOTFS_TOO_SHORT);
    free(head);
    free(image.data);
}

static void expect_open(const struct image* image, bootfs_error_t expected) {
    uint8_t* copy = malloc(image->len);
    memcpy(copy, image->data, image->len);
    struct bootfs fs = {};
    assert_int_equal(bootfs_open(&fs, copy, image->len, image->len), expected);
    assert_int_equal(fs.data == nullptr, expected != BOOTFS_OK);
    free(copy);
}

static void expect_u32_damage(uint32_t entry, uint32_t field, uint32_t value,
                              bootfs_error_t expected) {
    struct image image = sample_image();
    put_u32(image.data + (entry < 4 ? image.entry_at[entry] : 0) + field, value);
    expect_open(&image, expected);
    free(image.data);
}

static void test_header_damage(void**) {
    constexpr uint32_t header = 99;
    expect_u32_damage(header, 0, 0, BOOTFS_BAD_MAGIC);
    expect_u32_damage(header, 4, UINT32_MAX, BOOTFS_BAD_DIRECTORY);
    expect_u32_damage(header, 4, bootfs_dir_len_max + 1, BOOTFS_BAD_DIRECTORY);
    expect_u32_damage(header, 4, 1u << 20, BOOTFS_TOO_SHORT);
    expect_u32_damage(header, 4, 11, BOOTFS_BAD_DIRECTORY);
    expect_u32_damage(header, 4, 23, BOOTFS_BAD_DIRECTORY);
}

// A directory that ends inside the fixed part of an entry, with nothing behind it in memory.
static void test_directory_ends_inside_an_entry(void**) {
    struct image image = image_make(&(struct spec){"abc", 1}, 1);
    for (uint32_t excess = 1; excess < 12; excess++) {
        size_t head_len = 16 + entry_len("abc") + excess;
        uint8_t* head = malloc(head_len);
        memcpy(head, image.data, head_len);
        put_u32(head + 4, (uint32_t)head_len - 16);
        struct bootfs fs;
        assert_int_equal(bootfs_open(&fs, head, head_len, image.len), BOOTFS_BAD_DIRECTORY);
        free(head);
    }
    free(image.data);
}

static void test_entry_damage(void**) {
    expect_u32_damage(0, 0, 0, BOOTFS_BAD_NAME);
    expect_u32_damage(0, 0, 1, BOOTFS_BAD_NAME);
    expect_u32_damage(0, 0, 257, BOOTFS_BAD_NAME);
    expect_u32_damage(0, 0, UINT32_MAX, BOOTFS_BAD_NAME);
    expect_u32_damage(0, 0, 9, BOOTFS_BAD_NAME);        // ends before its NUL
    expect_u32_damage(3, 0, 200, BOOTFS_BAD_DIRECTORY); // reaches beyond the directory
    expect_u32_damage(0, 4, UINT32_MAX, BOOTFS_BAD_RANGE);
    expect_u32_damage(3, 4, 4097, BOOTFS_BAD_RANGE);
    expect_u32_damage(0, 8, 4097, BOOTFS_BAD_RANGE);
    expect_u32_damage(0, 8, 0, BOOTFS_BAD_RANGE); // over the directory
    expect_u32_damage(0, 8, 0xfffff000, BOOTFS_BAD_RANGE);
}

static void test_names(void**) {
    static const char* const bad[] = {"/a", "a/", "a//b", ".", "..", "a/.", "./a", "a/../b", "/"};
    static const char* const good[] = {"a", "a/b", ".a", "..a", "a.", "...", "a/.b/c..", "a b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct image image = image_make(&(struct spec){bad[i], 1}, 1);
        expect_open(&image, BOOTFS_BAD_NAME);
        free(image.data);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct image image = image_make(&(struct spec){good[i], 1}, 1);
        expect_open(&image, BOOTFS_OK);
        free(image.data);
    }
    char longest[257] = {};
    memset(longest, 'n', 255);
    struct image image = image_make(&(struct spec){longest, 1}, 1);
    expect_open(&image, BOOTFS_OK);
    image.data[16 + 12 + 4] = '\0';
    expect_open(&image, BOOTFS_BAD_NAME);
    free(image.data);
}

static void test_truncation(void**) {
    struct image image = sample_image();
    for (size_t len = 0; len < 120; len++) {
        uint8_t* copy = malloc(len + (len == 0));
        memcpy(copy, image.data, len);
        struct bootfs fs;
        bootfs_error_t error = bootfs_open(&fs, copy, len, image.len);
        uint64_t head_len;
        bool holds_head =
            len >= 16 && bootfs_head_len(copy, len, &head_len) == BOOTFS_OK && head_len <= len;
        assert_int_equal(error, holds_head ? BOOTFS_OK : BOOTFS_TOO_SHORT);
        free(copy);
    }
    struct bootfs fs;
    for (size_t len = 4096; len < image.len - 1; len += 1000) {
        assert_int_equal(bootfs_open(&fs, image.data, image.len, len), BOOTFS_BAD_RANGE);
    }
    free(image.data);
}

// Damage after the check: the walk must still stay inside.
static void test_image_changes_under_the_reader(void**) {
    struct random random = random_init(70);
    for (int i = 0; i < 3000; i++) {
        struct image image = sample_image();
        struct bootfs fs;
        assert_int_equal(bootfs_open(&fs, image.data, image.len, image.len), BOOTFS_OK);
        for (int j = 0; j < 3; j++) {
            image.data[random_below(&random, 16 + fs.dir_len)] = (uint8_t)random_u64(&random);
        }
        uint32_t cursor = 0;
        struct bootfs_file file;
        while (bootfs_next(&fs, &cursor, &file)) {
            assert_int_equal(strlen(file.name), file.name_len);
            assert_true((uint64_t)file.data_offset + file.data_len <= image.len);
        }
        free(image.data);
    }
}

static void test_error_texts(void**) {
    for (int error = BOOTFS_OK; error <= BOOTFS_NOT_FOUND; error++) {
        assert_string_not_equal(bootfs_error_text((bootfs_error_t)error), "unknown bootfs error");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk_and_find),
        cmocka_unit_test(test_empty_archive),
        cmocka_unit_test(test_only_the_head_is_needed),
        cmocka_unit_test(test_header_damage),
        cmocka_unit_test(test_directory_ends_inside_an_entry),
        cmocka_unit_test(test_entry_damage),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_image_changes_under_the_reader),
        cmocka_unit_test(test_error_texts),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
