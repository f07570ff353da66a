// The file format: field offsets of the two header types, and bounds-free little-endian loads.
//
// Headers are decoded field by field out of bytes, never by casting to a struct: the buffer needs
// no alignment, and the host's byte order does not matter.
#pragma once

#include <stdint.h>

constexpr uint32_t elf_ehdr_len = 64;
constexpr uint32_t elf_phdr_len = 56;

typedef enum elf_type : uint16_t { ELF_TYPE_EXEC = 2, ELF_TYPE_DYN = 3 } elf_type_t;

typedef enum elf_phdr_type : uint32_t {
    PHDR_LOAD = 1,
    PHDR_DYNAMIC = 2,
    PHDR_INTERP = 3,
    PHDR_PHDR = 6,
    PHDR_TLS = 7,
    PHDR_GNU_STACK = 0x6474e551,
    PHDR_GNU_RELRO = 0x6474e552,
} elf_phdr_type_t;

struct elf_ehdr {
    uint16_t type;
    uint16_t phnum;
    uint64_t entry;
    uint64_t phoff;
};

struct elf_phdr {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t vaddr;
    uint64_t filesz;
    uint64_t memsz;
    uint64_t align;
};

static inline uint64_t elf_load_uint(const uint8_t* from, unsigned len) {
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

static inline uint16_t elf_load_u16(const uint8_t* from) {
    return (uint16_t)elf_load_uint(from, 2);
}
static inline uint32_t elf_load_u32(const uint8_t* from) {
    return (uint32_t)elf_load_uint(from, 4);
}
static inline uint64_t elf_load_u64(const uint8_t* from) {
    return elf_load_uint(from, 8);
}
