// Reading and decoding of the file header and the program headers. Private to the library.
#pragma once

#include <elf/plan.h>

#include "elf_format.h"

// Reads exactly len bytes; ELF_TRUNCATED if the file has fewer.
elf_error_t elf_read_exact(const struct elf_file* file, uint64_t offset, void* buffer, size_t len,
                           int32_t* io_status);

// A window on the start of the file and a cursor over the program headers. For nearly all files the
// table lies in the first kilobyte, and one read serves everything.
struct elf_headers {
    const struct elf_file* file;
    struct elf_ehdr ehdr;
    uint64_t window_offset;
    uint32_t window_len;
    int32_t io_status;
    uint8_t window[1024];
};

elf_error_t elf_headers_open(struct elf_headers* headers, const struct elf_file* file,
                             const struct elf_rules* rules);

// Decodes program header `index` < ehdr.phnum.
elf_error_t elf_headers_get(struct elf_headers* headers, uint32_t index, struct elf_phdr* out);
