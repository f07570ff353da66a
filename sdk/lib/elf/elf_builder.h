// For tests: puts ELF files together in memory, field by field, right or wrong.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <elf/plan.h>

#include "elf_format.h"

struct elf_image {
    uint8_t* bytes;
    uint64_t len;
    uint64_t read_limit; // reads beyond it come back short
    int32_t read_status; // returned by every read if not 0
    unsigned read_count;
};

static inline void image_put(struct elf_image* image, uint64_t at, uint64_t value, unsigned len) {
    for (unsigned i = 0; i < len; i++) {
        image->bytes[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static inline int32_t image_read(void* ctx, uint64_t offset, void* buffer, size_t len,
                                 size_t* out_len) {
    struct elf_image* image = ctx;
    image->read_count++;
    if (image->read_status != 0) {
        return image->read_status;
    }
    uint64_t limit = image->read_limit < image->len ? image->read_limit : image->len;
    uint64_t left = offset < limit ? limit - offset : 0;
    *out_len = len < left ? len : (size_t)left;
    memcpy(buffer, image->bytes + (*out_len > 0 ? offset : 0), *out_len);
    return 0;
}

static inline struct elf_image image_make(uint64_t len, uint16_t type, uint16_t phnum) {
    struct elf_image image = {.bytes = calloc(1, len), .len = len, .read_limit = UINT64_MAX};
    static const uint8_t ident[8] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
    memcpy(image.bytes, ident, sizeof(ident));
    image_put(&image, 16, type, 2);
    image_put(&image, 18, ELF_MACHINE_X86_64, 2);
    image_put(&image, 20, 1, 4);
    image_put(&image, 32, elf_ehdr_len, 8);
    image_put(&image, 52, elf_ehdr_len, 2);
    image_put(&image, 54, elf_phdr_len, 2);
    image_put(&image, 56, phnum, 2);
    return image;
}

static inline void image_set_entry(struct elf_image* image, uint64_t entry) {
    image_put(image, 24, entry, 8);
}

static inline uint64_t image_phdr_at(uint32_t index) {
    return elf_ehdr_len + (uint64_t)index * elf_phdr_len;
}

static inline void image_put_phdr(struct elf_image* image, uint32_t index, struct elf_phdr phdr) {
    uint64_t at = image_phdr_at(index);
    image_put(image, at, phdr.type, 4);
    image_put(image, at + 4, phdr.flags, 4);
    image_put(image, at + 8, phdr.offset, 8);
    image_put(image, at + 16, phdr.vaddr, 8);
    image_put(image, at + 24, phdr.vaddr, 8);
    image_put(image, at + 32, phdr.filesz, 8);
    image_put(image, at + 40, phdr.memsz, 8);
    image_put(image, at + 48, phdr.align, 8);
}

static inline elf_error_t image_plan(struct elf_image* image, const struct elf_rules* rules,
                                     struct elf_plan* plan) {
    struct elf_file file = {.read = image_read, .ctx = image, .len = image->len};
    return elf_plan_make(&file, rules, plan);
}
