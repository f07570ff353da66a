#pragma once

// Kernel images for the tests: a valid header, random words, and a RELR table made by an encoder of
// the tests' own.

#include <early/image.h>
#include <stdint.h>

#include <lib/random.h>

struct test_image {
    uint8_t* bytes; // image_end of them, the file part filled, .bss dirty
    struct image_header header;
    bool* relocated; // one per word of the file part
};

struct test_image test_image_make(struct random* random, uint64_t link_base);
void test_image_free(struct test_image* image);
