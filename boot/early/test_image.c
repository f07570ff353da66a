// See test_image.h. Layout: header, text, rodata with the RELR table at its end, data, bss.
#include "test_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <early/memory_map.h>

// The inverse of the decoder: an address, then bitmaps as long as they pay.
static uint64_t relr_encode(const struct test_image* image, uint64_t* out) {
    uint64_t words = image->header.file_end / 8;
    uint64_t n = 0;
    uint64_t at = 0;
    while (at < words) {
        if (!image->relocated[at]) {
            at++;
            continue;
        }
        out[n++] = image->header.link_base + at * 8;
        at++;
        for (;;) {
            uint64_t bitmap = 0;
            for (uint64_t bit = 0; bit < 63 && at + bit < words; bit++) {
                bitmap |= (uint64_t)image->relocated[at + bit] << bit;
            }
            if (bitmap == 0) {
                break;
            }
            out[n++] = bitmap << 1 | 1;
            at += 63;
        }
    }
    return n;
}

struct test_image test_image_make(struct random* random, uint64_t link_base) {
    uint64_t text = 1 + random_below(random, 5);
    uint64_t rodata = text + 2 + random_below(random, 4);
    uint64_t file = rodata + 1 + random_below(random, 3);
    uint64_t guard = file + random_below(random, 3);
    uint64_t end = guard + 1 + random_below(random, 6);
    struct test_image image = {.header = {
                                   .magic = IMAGE_MAGIC,
                                   .version = IMAGE_HEADER_VERSION,
                                   .header_bytes = sizeof(struct image_header),
                                   .link_base = link_base,
                                   .text_end = text * BOOT_PAGE_BYTES,
                                   .rodata_end = rodata * BOOT_PAGE_BYTES,
                                   .file_end = file * BOOT_PAGE_BYTES,
                                   .image_end = end * BOOT_PAGE_BYTES,
                                   .stack_guard = guard * BOOT_PAGE_BYTES,
                                   .relr = (rodata - 1) * BOOT_PAGE_BYTES,
                                   .entry = 128,
                               }};
    image.bytes = malloc(image.header.image_end);
    image.relocated = calloc(image.header.file_end / 8, sizeof(bool));
    assert_non_null(image.bytes);
    assert_non_null(image.relocated);
    for (uint64_t i = 0; i < image.header.image_end; i++) {
        image.bytes[i] = (uint8_t)random_u64(random);
    }
    // At most 256 words, some of them neighbours, none in the header or in the table itself.
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t word = random_below(random, (uint32_t)(image.header.file_end / 8));
        bool in_table = word * 8 >= image.header.relr && word * 8 < image.header.rodata_end;
        if (word * 8 >= 128 && !in_table) {
            image.relocated[word] = true;
        }
    }
    uint64_t table[1024];
    uint64_t entries = relr_encode(&image, table);
    assert_true(entries * 8 <= BOOT_PAGE_BYTES);
    image.header.relr_bytes = entries * 8;
    memcpy(image.bytes + image.header.relr, table, entries * 8);
    memcpy(image.bytes, &image.header, sizeof(image.header));
    return image;
}

void test_image_free(struct test_image* image) {
    free(image->bytes);
    free(image->relocated);
    *image = (struct test_image){};
}
