// The parts of ELF64 that self-relocation needs. Source: System V ABI, generic (chapters 4, 5) and AMD64 supplement (4.4); RELR: the gABI's
// "Relocation" section.
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
constexpr uint32_t PT_DYNAMIC = 2;
constexpr uint32_t PT_TLS = 7;

typedef struct {
    int64_t d_tag;
    union {
        uint64_t d_val, d_ptr;
    } d_un;
} Elf64_Dyn;
enum : int64_t {
    DT_NULL = 0,
    DT_PLTRELSZ = 2,
    DT_STRTAB = 5,
    DT_SYMTAB = 6,
    DT_RELA = 7,
    DT_RELASZ = 8,
    DT_REL = 17,
    DT_RELSZ = 18,
    DT_PLTREL = 20,
    DT_JMPREL = 23,
    DT_RELRSZ = 35,
    DT_RELR = 36,
    DT_GNU_HASH = 0x6ffffef5,
};

typedef struct {
    uint32_t st_name;
    uint8_t st_info, st_other;
    uint16_t st_shndx;
    uint64_t st_value, st_size;
} Elf64_Sym;
static_assert(sizeof(Elf64_Sym) == 24);
constexpr uint16_t SHN_UNDEF = 0;
constexpr uint8_t STB_WEAK = 2;
#define ELF64_ST_BIND(info) ((info) >> 4)

typedef struct {
    uint64_t r_offset, r_info;
} Elf64_Rel;
typedef struct {
    uint64_t r_offset, r_info;
    int64_t r_addend;
} Elf64_Rela;
static_assert(sizeof(Elf64_Rela) == 24);
#define ELF64_R_SYM(info)  ((info) >> 32)
#define ELF64_R_TYPE(info) ((uint32_t)(info))
enum : uint32_t {
    R_X86_64_NONE = 0,
    R_X86_64_64 = 1,
    R_X86_64_GLOB_DAT = 6,
    R_X86_64_JUMP_SLOT = 7,
    R_X86_64_RELATIVE = 8,
};
