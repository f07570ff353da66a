// Tests of partition tables, on disks made here.
#include <block/gpt.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <zircon/errors.h>

#include "gpt_for_tests.h"

constexpr uint64_t BLOCKS = 256;

struct disk {
    uint32_t block_size;
    uint64_t fails; // reading this block does
    uint8_t bytes[BLOCKS * 4096];
};

static zx_status_t read_block(void* ctx, uint64_t block, void* buffer) {
    const struct disk* d = ctx;
    assert_true(block < BLOCKS);
    if (block == d->fails) {
        return ZX_ERR_IO;
    }
    memcpy(buffer, d->bytes + block * d->block_size, d->block_size);
    return ZX_OK;
}

static void put64(uint8_t* at, uint64_t value) {
    memcpy(at, &value, sizeof(value));
}

static uint8_t* block_at(struct disk* d, uint64_t block) {
    return d->bytes + block * d->block_size;
}

static uint64_t table_blocks(const struct disk* d) {
    return 128 * 128 / d->block_size;
}

// Puts the sums right after a change.
static void seal(struct disk* d, uint64_t own, uint64_t table) {
    uint8_t* h = block_at(d, own);
    memcpy(h, "EFI PART", 8);
    gpt_test_put32(h + 8, 0x10000);
    gpt_test_put32(h + 12, 92);
    put64(h + 24, own);
    put64(h + 32, own == 1 ? BLOCKS - 1 : 1);
    put64(h + 40, 2 + table_blocks(d));
    put64(h + 48, BLOCKS - 2 - table_blocks(d));
    put64(h + 72, table);
    gpt_test_put32(h + 80, 128);
    gpt_test_put32(h + 84, 128);
    gpt_test_put32(h + 88, gpt_test_crc(block_at(d, table), 128 * 128));
    gpt_test_put32(h + 16, 0);
    gpt_test_put32(h + 16, gpt_test_crc(h, 92));
}

static void put_entry(struct disk* d, uint64_t table, uint32_t index, uint64_t first, uint64_t last,
                      const char* name) {
    uint8_t* e = block_at(d, table) + (size_t)index * 128;
    memcpy(e, gpt_type_filesystem, 16);
    memset(e + 16, (int)index + 1, 16);
    put64(e + 32, first);
    put64(e + 40, last);
    for (size_t i = 0; name[i] != '\0'; i++) {
        e[56 + 2 * i] = (uint8_t)name[i];
    }
}

static uint64_t second_table(const struct disk* d) {
    return BLOCKS - 1 - table_blocks(d);
}

static struct disk* make_disk(uint32_t block_size) {
    struct disk* d = calloc(1, sizeof(*d));
    assert_non_null(d);
    d->block_size = block_size;
    d->fails = BLOCKS;
    const uint64_t tables[] = {2, second_table(d)};
    for (size_t i = 0; i < 2; i++) {
        put_entry(d, tables[i], 0, 40, 99, "system");
        put_entry(d, tables[i], 5, 100, 200, "root");
        seal(d, i == 0 ? 1 : BLOCKS - 1, tables[i]);
    }
    return d;
}

static zx_status_t read_disk(struct disk* d, struct gpt_partition* out, size_t max, size_t* count) {
    const struct gpt_disk disk = {read_block, d, d->block_size, BLOCKS};
    return gpt_read(&disk, out, max, count);
}

static void expect_both(struct disk* d) {
    struct gpt_partition p[4];
    size_t count;
    assert_int_equal(read_disk(d, p, 4, &count), ZX_OK);
    assert_int_equal(count, 2);
    assert_int_equal(p[0].first, 40);
    assert_int_equal(p[0].count, 60);
    assert_string_equal(p[0].name, "system");
    assert_int_equal(p[1].first, 100);
    assert_int_equal(p[1].count, 101);
    assert_string_equal(p[1].name, "root");
    assert_memory_equal(p[1].type, gpt_type_filesystem, 16);
    assert_int_equal(p[1].id[0], 6);
}

static void expect_status(struct disk* d, zx_status_t status) {
    struct gpt_partition p[4];
    size_t count = 77;
    assert_int_equal(read_disk(d, p, 4, &count), status);
    assert_int_equal(count, 0);
}

static void test_partitions(void**) {
    for (uint32_t size = 512; size <= 4096; size *= 2) {
        struct disk* d = make_disk(size);
        expect_both(d);
        struct gpt_partition one;
        size_t count;
        assert_int_equal(read_disk(d, &one, 1, &count), ZX_OK);
        assert_int_equal(count, 1);
        free(d);
    }
}

static void test_second_copy(void**) {
    struct disk* d = make_disk(512);
    for (uint64_t block = 1; block <= 2; block++) {
        block_at(d, block)[100 % 92] ^= 1;
        expect_both(d);
        block_at(d, block)[100 % 92] ^= 1;
        d->fails = block;
        expect_both(d);
        d->fails = BLOCKS;
    }
    memset(block_at(d, 1), 0, 512);
    expect_both(d);
    memset(block_at(d, BLOCKS - 1), 0, 512);
    expect_status(d, ZX_ERR_NOT_FOUND);
    free(d);
}

static void test_names(void**) {
    struct disk* d = make_disk(512);
    uint8_t* name = block_at(d, 2) + 56;
    static const uint8_t units[] = {0xe4, 0, 0xac, 0x20, 0x3d, 0xd8, 'x', 0};
    memset(name, 0, 72);
    memcpy(name, units, sizeof(units));
    seal(d, 1, 2);
    struct gpt_partition p;
    size_t count;
    assert_int_equal(read_disk(d, &p, 1, &count), ZX_OK);
    assert_string_equal(p.name, "\xc3\xa4\xe2\x82\xac?x");
    memset(name, 0xff, 72); // 36 of the longest
    seal(d, 1, 2);
    assert_int_equal(read_disk(d, &p, 1, &count), ZX_OK);
    assert_int_equal(strlen(p.name), 108);
    free(d);
}

// With right sums: what the table says is wrong by itself.
static void test_nonsense(void**) {
    static const struct {
        uint32_t at;
        uint64_t value;
    } headers[] = {{12, 91},         {12, 513},        {24, 2},    {40, 300},
                   {48, BLOCKS},     {72, BLOCKS - 3}, {72, ~0u},  {80, 1025},
                   {80, UINT32_MAX}, {84, 96},         {84, 1024}, {84, 0}};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct disk* d = make_disk(512);
        memset(block_at(d, BLOCKS - 1), 0, 512);
        uint8_t* h = block_at(d, 1);
        gpt_test_put32(h + headers[i].at, (uint32_t)headers[i].value);
        gpt_test_put32(h + 16, 0);
        const uint32_t size = headers[i].at == 12 ? (uint32_t)headers[i].value : 92;
        gpt_test_put32(h + 16, gpt_test_crc(h, size));
        expect_status(d, ZX_ERR_IO_DATA_INTEGRITY);
        free(d);
    }
    static const uint64_t places[][2] = {{33, 99},   {200, 250}, {120, 110},
                                         {150, 160}, {100, 100}, {0, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct disk* d = make_disk(512);
        memset(block_at(d, BLOCKS - 1), 0, 512);
        put_entry(d, 2, 9, places[i][0], places[i][1], "bad");
        seal(d, 1, 2);
        expect_status(d, ZX_ERR_IO_DATA_INTEGRITY);
        free(d);
    }
}

static void test_no_disk(void**) {
    struct gpt_partition p;
    size_t count;
    struct disk* d = make_disk(512);
    struct gpt_disk disk = {read_block, d, 256, BLOCKS};
    assert_int_equal(gpt_read(&disk, &p, 1, &count), ZX_ERR_INVALID_ARGS);
    disk.block_size = 8192;
    assert_int_equal(gpt_read(&disk, &p, 1, &count), ZX_ERR_INVALID_ARGS);
    disk = (struct gpt_disk){read_block, d, 512, 2};
    assert_int_equal(gpt_read(&disk, &p, 1, &count), ZX_ERR_NOT_FOUND);
    free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitions), cmocka_unit_test(test_second_copy),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_no_disk),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
