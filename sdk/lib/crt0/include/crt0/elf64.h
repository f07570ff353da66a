// The headers that lead to a program's thread-local image (System V ABI, chapter 5).
#pragma once

#include <stdint.h>

typedef struct {
    uint8_t e_ident[16];
    uint16_t e_type, e_machine;
    uint32_t e_version;
    uint64_t e_entry, e_phoff, e_shoff;
    uint32_t e_flags;
    uint16_t e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx;
} Elf64_Ehdr;
static_assert(sizeof(Elf64_Ehdr) == 64);

typedef struct {
    uint32_t p_type, p_flags;
    uint64_t p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align;
} Elf64_Phdr;
static_assert(sizeof(Elf64_Phdr) == 56);
constexpr uint32_t PT_TLS = 7;
constexpr uint32_t PT_GNU_RELRO = 0x6474'e552; // to be read-only once it is relocated
