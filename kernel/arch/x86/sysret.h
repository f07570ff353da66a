// Whether SYSRET can make a return to user mode, as a pure function of the frame.
//
// SYSRET takes the address from rcx and the flags from r11, so both registers must hold exactly
// those. With an address that is not canonical some CPUs fault in kernel mode on the user's stack;
// with RF or TF set it behaves differently from IRET, which handles all of these. Emulators do not
// show the hazard: only this predicate and its test keep it away.
#pragma once

#include <stdint.h>

#include <arch/layout.h>
#include <arch/thread.h>

#include "asm_defs.h"

constexpr uint64_t X86_RFLAGS_RESERVED1 = 1u << 1;
constexpr uint64_t X86_RFLAGS_TF = 1u << 8;
constexpr uint64_t X86_RFLAGS_IF = 1u << 9;
constexpr uint64_t X86_RFLAGS_RF = 1u << 16;
// CF PF AF ZF SF TF DF OF NT RF AC ID: what user mode may choose.
constexpr uint64_t X86_RFLAGS_USER = 0x254dd5;
// What SYSRET loads as it is, without a side effect that IRET would not have.
constexpr uint64_t X86_RFLAGS_SYSRET = X86_RFLAGS_USER & ~(X86_RFLAGS_TF | X86_RFLAGS_RF);

static inline bool x86_sysret_ok(const struct arch_user_frame* f) {
    constexpr uint64_t always = X86_RFLAGS_IF | X86_RFLAGS_RESERVED1;
    return f->rip < USER_HALF_END && f->rcx == f->rip && f->r11 == f->rflags &&
           f->cs == X86_USER_CS && f->ss == X86_USER_DS && (f->rflags & always) == always &&
           (f->rflags & ~(X86_RFLAGS_SYSRET | always)) == 0;
}

// Sign extension of bit 47: what IRET accepts as an instruction pointer.
static inline bool x86_canonical(uint64_t va) {
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}
