// The dynamic relocation types, x86-64. Every port supplies this header.
#pragma once

#include <stdint.h>

typedef enum elf_reloc : uint32_t {
    ELF_RELOC_NONE = 0,
    ELF_RELOC_ABSOLUTE = 1,  // symbol + addend
    ELF_RELOC_GLOB_DAT = 6,  // symbol
    ELF_RELOC_JUMP_SLOT = 7, // symbol
    ELF_RELOC_RELATIVE = 8,  // bias + addend
} elf_reloc_t;
