// IN and OUT as user mode may have written them: a pure function from bytes to what they mean.
//
// 64-bit mode only. The string forms (INS, OUTS) are not decoded: they access memory too. Prefixes
// that mean nothing here (segments, address size, REP) are skipped, as the CPU does; REX counts
// only directly before the opcode, and the wide one cancels the operand-size prefix and is no wider
// than 32 bits. LOCK never gets here: it is an undefined instruction.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr size_t X86_INSTRUCTION_MAX = 15;

struct x86_port_instruction {
    uint8_t length;  // of the whole instruction
    uint8_t size;    // bytes transferred: 1, 2 or 4
    bool out;        // OUT, else IN
    bool port_in_dx; // else `port` is in the instruction
    uint8_t port;
};

enum x86_port_decode : uint8_t {
    X86_PORT_OTHER, // another instruction
    X86_PORT_MORE,  // begins like one; the bytes end before it does
    X86_PORT_FOUND,
};

struct x86_prefixes {
    size_t length;
    bool operand_size;
    bool rex_wide;
};

static inline bool x86_is_legacy_prefix(uint8_t byte) {
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf2:
    case 0xf3:
        return true;
    default:
        return false;
    }
}

static inline struct x86_prefixes x86_prefixes_skip(const uint8_t* code, size_t len) {
    struct x86_prefixes p = {};
    while (p.length < len) {
        const uint8_t byte = code[p.length];
        if ((byte & 0xf0) == 0x40) {
            p.rex_wide = (byte & 8) != 0;
        } else if (x86_is_legacy_prefix(byte)) {
            p.rex_wide = false; // a REX before another prefix is ignored
            p.operand_size |= byte == 0x66;
        } else {
            break;
        }
        p.length++;
    }
    return p;
}

static inline enum x86_port_decode x86_port_decode(const uint8_t* code, size_t len,
                                                   struct x86_port_instruction* out) {
    const struct x86_prefixes p = x86_prefixes_skip(code, len);
    if (p.length >= X86_INSTRUCTION_MAX) {
        return X86_PORT_OTHER;
    }
    if (p.length == len) {
        return X86_PORT_MORE;
    }
    const uint8_t opcode = code[p.length];
    // E4..E7: port in the next byte; EC..EF: port in DX. Bit 0: more than a byte; bit 1: OUT.
    if ((opcode & 0xf4) != 0xe4) {
        return X86_PORT_OTHER;
    }
    const bool port_in_dx = (opcode & 8) != 0;
    const size_t length = p.length + (port_in_dx ? 1 : 2);
    if (length > X86_INSTRUCTION_MAX) {
        return X86_PORT_OTHER;
    }
    if (length > len) {
        return X86_PORT_MORE;
    }
    const bool is_word = p.operand_size && !p.rex_wide;
    *out = (struct x86_port_instruction){
        .length = (uint8_t)length,
        .size = (opcode & 1) == 0 ? 1
                : is_word         ? 2
                                  : 4,
        .out = (opcode & 2) != 0,
        .port_in_dx = port_in_dx,
        .port = port_in_dx ? 0 : code[p.length + 1],
    };
    return X86_PORT_FOUND;
}

// The register after IN: 32-bit results clear its upper half, as everywhere.
static inline uint64_t x86_port_merge(uint64_t rax, uint32_t value, uint8_t size) {
    switch (size) {
    case 1:
        return (rax & ~(uint64_t)0xff) | (value & 0xff);
    case 2:
        return (rax & ~(uint64_t)0xffff) | (value & 0xffff);
    default:
        return value;
    }
}
