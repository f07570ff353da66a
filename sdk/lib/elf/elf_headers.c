// Reading and decoding of the file header and the program headers.
//
// The window is refilled when a program header is not wholly in it, so the number of reads is at
// most one for every 18 headers. A file whose length changes while it is read gives ELF_TRUNCATED.
#include "elf_headers.h"

#include <stdckdint.h>

static const uint8_t ident_magic[4] = {0x7f, 'E', 'L', 'F'};

elf_error_t elf_read_exact(const struct elf_file* file, uint64_t offset, void* buffer, size_t len,
                           int32_t* io_status) {
    size_t actual = 0;
    int32_t status = file->read(file->ctx, offset, buffer, len, &actual);
    if (status != 0) {
        *io_status = status;
        return ELF_READ_FAILED;
    }
    return actual == len ? ELF_OK : ELF_TRUNCATED;
}

static elf_error_t window_fill(struct elf_headers* headers, uint64_t offset) {
    uint64_t left = headers->file->len - offset; // offset < len, checked by the callers
    uint32_t len = left < sizeof(headers->window) ? (uint32_t)left : sizeof(headers->window);
    headers->window_len = 0;
    elf_error_t error =
        elf_read_exact(headers->file, offset, headers->window, len, &headers->io_status);
    if (error == ELF_OK) {
        headers->window_offset = offset;
        headers->window_len = len;
    }
    return error;
}

// Checks that do not depend on the rules: is this an ELF64 file at all?
static elf_error_t ident_check(const uint8_t* ident) {
    for (unsigned i = 0; i < sizeof(ident_magic); i++) {
        if (ident[i] != ident_magic[i]) {
            return ELF_BAD_MAGIC;
        }
    }
    if (ident[4] != 2) {
        return ELF_BAD_CLASS;
    }
    if (ident[5] != 1) {
        return ELF_BAD_BYTE_ORDER;
    }
    if (ident[6] != 1 || elf_load_u32(ident + 20) != 1) {
        return ELF_BAD_VERSION;
    }
    if (elf_load_u16(ident + 52) != elf_ehdr_len) {
        return ELF_BAD_HEADER_SIZE;
    }
    return ELF_OK;
}

static elf_error_t type_check(uint16_t type, uint16_t machine, const struct elf_rules* rules) {
    if (machine != rules->machine) {
        return ELF_BAD_MACHINE;
    }
    if (type != ELF_TYPE_EXEC && type != ELF_TYPE_DYN) {
        return ELF_BAD_TYPE;
    }
    return type == ELF_TYPE_EXEC && !rules->allow_fixed ? ELF_FIXED_ADDRESS : ELF_OK;
}

static elf_error_t table_check(const struct elf_ehdr* ehdr, uint16_t phentsize, uint64_t file_len) {
    if (ehdr->phnum == 0) {
        return ELF_NO_HEADERS;
    }
    if (phentsize != elf_phdr_len) {
        return ELF_BAD_HEADER_SIZE;
    }
    if (ehdr->phnum > elf_header_count_max) {
        return ELF_TOO_MANY_HEADERS; // 0xffff, "the number is elsewhere", included
    }
    uint64_t end;
    if (ckd_add(&end, ehdr->phoff, (uint64_t)ehdr->phnum * elf_phdr_len) || end > file_len) {
        return ELF_HEADERS_OUTSIDE_FILE;
    }
    return ELF_OK;
}

elf_error_t elf_headers_open(struct elf_headers* headers, const struct elf_file* file,
                             const struct elf_rules* rules) {
    headers->file = file;
    headers->io_status = 0;
    if (file->len == 0) {
        return ELF_TRUNCATED;
    }
    elf_error_t error = window_fill(headers, 0);
    if (error != ELF_OK) {
        return error;
    }
    const uint8_t* bytes = headers->window;
    if (headers->window_len < elf_ehdr_len) {
        // Tell a short text file from a cut-off program.
        bool magic = headers->window_len >= 4 && elf_load_u32(bytes) == elf_load_u32(ident_magic);
        return magic ? ELF_TRUNCATED : ELF_BAD_MAGIC;
    }
    error = ident_check(bytes);
    if (error != ELF_OK) {
        return error;
    }
    error = type_check(elf_load_u16(bytes + 16), elf_load_u16(bytes + 18), rules);
    if (error != ELF_OK) {
        return error;
    }
    headers->ehdr = (struct elf_ehdr){
        .type = elf_load_u16(bytes + 16),
        .entry = elf_load_u64(bytes + 24),
        .phoff = elf_load_u64(bytes + 32),
        .phnum = elf_load_u16(bytes + 56),
    };
    return table_check(&headers->ehdr, elf_load_u16(bytes + 54), file->len);
}

elf_error_t elf_headers_get(struct elf_headers* headers, uint32_t index, struct elf_phdr* out) {
    uint64_t offset = headers->ehdr.phoff + (uint64_t)index * elf_phdr_len;
    bool inside = offset >= headers->window_offset &&
                  offset + elf_phdr_len <= headers->window_offset + headers->window_len;
    if (!inside) {
        elf_error_t error = window_fill(headers, offset);
        if (error != ELF_OK) {
            return error;
        }
    }
    const uint8_t* bytes = headers->window + (offset - headers->window_offset);
    *out = (struct elf_phdr){
        .type = elf_load_u32(bytes),
        .flags = elf_load_u32(bytes + 4),
        .offset = elf_load_u64(bytes + 8),
        .vaddr = elf_load_u64(bytes + 16),
        .filesz = elf_load_u64(bytes + 32),
        .memsz = elf_load_u64(bytes + 40),
        .align = elf_load_u64(bytes + 48),
    };
    return ELF_OK;
}
