// The C readers on an image from the Python packer: argument 1 is its path.
#include <bootfs/bootfs.h>
#include <bootfs/zbi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lib/crc32.h>

static const char* image_path;

static uint8_t* file_read(const char* path, size_t* out_len) {
    FILE* file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long len = ftell(file);
    assert_true(len >= 0);
    rewind(file);
    uint8_t* data = malloc((size_t)len);
    assert_int_equal(fread(data, 1, (size_t)len, file), len);
    fclose(file);
    *out_len = (size_t)len;
    return data;
}

static void test_image(void**) {
    size_t len;
    uint8_t* data = file_read(image_path, &len);
    struct zbi zbi;
    assert_int_equal(zbi_open(&zbi, data, len), ZBI_OK);
    assert_int_equal(zbi.len, len);
    struct zbi_item item;
    uint64_t cursor = 0;
    while (zbi_next(&zbi, &cursor, &item)) {
        assert_true((item.flags & zbi_flag_crc32) != 0);
        assert_int_equal(zbi_item_check(&item, crc32_update), ZBI_OK);
    }
    assert_int_equal(zbi_find(&zbi, zbi_type_cmdline, &item), ZBI_OK);
    assert_string_equal((const char*)item.payload, "one=1 two");
    assert_int_equal(zbi_find(&zbi, zbi_type_bootfs, &item), ZBI_OK);
    assert_int_equal(item.payload_offset % 4096, 0);
    assert_int_equal(item.extra, item.payload_len);

    struct bootfs fs;
    assert_int_equal(bootfs_open(&fs, item.payload, item.payload_len, item.payload_len), BOOTFS_OK);
    static const char* const names[] = {".hidden", "doc/LICENSE", "doc/deep/er/LICENSE", "empty"};
    uint32_t file_cursor = 0;
    struct bootfs_file file;
    for (size_t i = 0; i < 4; i++) {
        assert_true(bootfs_next(&fs, &file_cursor, &file));
        assert_string_equal(file.name, names[i]);
    }
    assert_false(bootfs_next(&fs, &file_cursor, &file));

    size_t license_len;
    uint8_t* license = file_read("LICENSE", &license_len);
    assert_int_equal(bootfs_find(&fs, "doc/LICENSE", 11, &file), BOOTFS_OK);
    assert_int_equal(file.data_len, license_len);
    assert_memory_equal(item.payload + file.data_offset, license, license_len);
    uint32_t padded_len = (file.data_len + 4095) & ~4095u;
    for (uint32_t i = file.data_len; i < padded_len; i++) {
        assert_int_equal(item.payload[file.data_offset + i], 0);
    }
    // Equal contents are there once.
    uint32_t place = file.data_offset;
    assert_int_equal(bootfs_find(&fs, "doc/deep/er/LICENSE", 19, &file), BOOTFS_OK);
    assert_int_equal(file.data_offset, place);
    assert_int_equal(file.data_len, license_len);
    assert_int_equal(bootfs_find(&fs, "empty", 5, &file), BOOTFS_OK);
    assert_int_equal(file.data_len, 0);
    free(license);
    free(data);
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: packed_test IMAGE\n");
        return 2;
    }
    image_path = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_image)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
