// Takes the place of musl's file of this name: what the relocation types are called, and how the
// dynamic linker enters a program. The program goes on on the same stack; where its arguments are
// is in a register (sdk/libc/system/start/Scrt1.S).
#pragma once

#define LDSO_ARCH "x86_64"

#define REL_SYMBOLIC R_X86_64_64
#define REL_OFFSET32 R_X86_64_PC32
#define REL_GOT      R_X86_64_GLOB_DAT
#define REL_PLT      R_X86_64_JUMP_SLOT
#define REL_RELATIVE R_X86_64_RELATIVE
#define REL_COPY     R_X86_64_COPY
#define REL_DTPMOD   R_X86_64_DTPMOD64
#define REL_DTPOFF   R_X86_64_DTPOFF64
#define REL_TPOFF    R_X86_64_TPOFF64
#define REL_TLSDESC  R_X86_64_TLSDESC

#define CRTJMP(entry, words) __asm__ volatile("jmp *%0" : : "r"(entry), "D"(words) : "memory")

// dlstart.c asks for it; that file is not used.
#define GETFUNCSYM(pointer, symbol, got) (*(pointer) = 0)
