// Relocation against an encoder of our own, damaged tables and headers, clearing.
#include <early/image.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "test_image.h"
#include <early/memory_map.h>

static void relocation_touches_exactly_the_named_words(void** state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct random random = random_init(seed);
        struct test_image image = test_image_make(&random, 0x104000);
        uint64_t size = image.header.image_end;
        uint8_t* before = malloc(size);
        assert_non_null(before);
        memcpy(before, image.bytes, size);
        uint64_t bias = 0xffffffff'80000000u + random_below(&random, 1 << 18) * 4096ull;
        assert_true(image_relocate(image.bytes, &image.header, bias));
        for (uint64_t word = 0; word < size / 8; word++) {
            uint64_t old;
            uint64_t new;
            memcpy(&old, before + word * 8, 8);
            memcpy(&new, image.bytes + word * 8, 8);
            bool named = word < image.header.file_end / 8 && image.relocated[word];
            assert_int_equal(new, named ? old + bias : old);
        }
        free(before);
        test_image_free(&image);
    }
}

static bool relocate_with_table(const uint64_t* table, uint64_t entries) {
    struct random random = random_init(1);
    struct test_image image = test_image_make(&random, 0x104000);
    memcpy(image.bytes + image.header.relr, table, entries * 8);
    image.header.relr_bytes = entries * 8;
    bool ok = image_relocate(image.bytes, &image.header, 0x1000);
    test_image_free(&image);
    return ok;
}

static void damaged_tables_are_refused(void** state) {
    (void)state;
    const uint64_t good[] = {0x104080, 3};
    const uint64_t bitmap_first[] = {3};
    const uint64_t below[] = {0x103ff8};
    const uint64_t unaligned[] = {0x104084};
    assert_true(relocate_with_table(good, 2));
    assert_false(relocate_with_table(bitmap_first, 1));
    assert_false(relocate_with_table(below, 1));
    struct random random = random_init(1); // as relocate_with_table() makes its image
    struct test_image image = test_image_make(&random, 0x104000);
    const uint64_t last = 0x104000 + image.header.file_end - 8;
    const uint64_t above = last + 8;
    test_image_free(&image);
    assert_true(relocate_with_table(&last, 1));
    assert_false(relocate_with_table(&above, 1));
    assert_false(relocate_with_table(unaligned, 1));
    // Each bitmap is 63 words; the largest test image has 12 pages of 512 words in its file part.
    uint64_t many[110];
    memset(many, 0xff, sizeof(many));
    many[0] = 0x104080;
    assert_false(relocate_with_table(many, 110));
}

// Every field changed at random: whatever still counts as valid must not reach outside the image.
static void damaged_headers_are_refused_or_harmless(void** state) {
    (void)state;
    uint32_t refused = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct random random = random_init(seed);
        struct test_image image = test_image_make(&random, 0x104000);
        assert_true(image_header_valid(&image.header));
        struct image_header h = image.header;
        uint64_t* field = (uint64_t*)&h + random_below(&random, sizeof(h) / 8);
        uint64_t change = 1ull << random_below(&random, 64);
        *field = random_below(&random, 2) == 0 ? *field ^ change : random_u64(&random);
        if (!image_header_valid(&h)) {
            refused++;
        } else if (h.image_end <= image.header.image_end) {
            (void)image_relocate(image.bytes, &h, 0x1000); // ASan watches
            image_clear_bss(image.bytes, &h);
        }
        test_image_free(&image);
    }
    assert_true(refused > 1000);
}

static void clearing_covers_bss_only(void** state) {
    (void)state;
    struct random random = random_init(5);
    struct test_image image = test_image_make(&random, 0x104000);
    uint8_t* before = malloc(image.header.file_end);
    assert_non_null(before);
    memcpy(before, image.bytes, image.header.file_end);
    image_clear_bss(image.bytes, &image.header);
    assert_memory_equal(before, image.bytes, image.header.file_end);
    for (uint64_t i = image.header.file_end; i < image.header.image_end; i++) {
        assert_int_equal(image.bytes[i], 0);
    }
    free(before);
    test_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relocation_touches_exactly_the_named_words),
        cmocka_unit_test(damaged_tables_are_refused),
        cmocka_unit_test(damaged_headers_are_refused_or_harmless),
        cmocka_unit_test(clearing_covers_bss_only),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
