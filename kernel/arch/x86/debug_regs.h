// Debug registers: what user mode may have in them, as pure functions.
//
// A breakpoint on an address of the kernel's would let user mode disturb and watch the kernel, so
// all four addresses are user addresses, whether armed or not. General detect and what the
// architecture reserves stay off. I/O breakpoints need CR4.DE, which is off: then the condition is
// undefined.
#pragma once

#include <stdint.h>

#include <arch/layout.h>

constexpr uint32_t DEBUG_REGS = 4;
// Bits that are set whatever happened.
constexpr uint64_t DR6_FIXED = 0xffff0ff0;
constexpr uint64_t DR7_FIXED = 0x400;
// What happened: the four conditions, single step, task switch.
constexpr uint64_t DR6_USER = 0xc00f;
constexpr uint32_t DR6_STEP = 1u << 14;
// Enable bits, two of each.
constexpr uint64_t DR7_ARMED = 0xff;
// Enable bits, exact match, conditions and lengths.
constexpr uint64_t DR7_USER = 0xffff03ff;

enum debug_condition : uint32_t {
    DEBUG_EXECUTE = 0,
    DEBUG_WRITE = 1,
    DEBUG_IO = 2,
    DEBUG_ACCESS = 3
};

static inline bool x86_debug_armed(uint64_t dr7, uint32_t i) {
    return (dr7 >> (2 * i) & 3) != 0;
}
static inline enum debug_condition x86_debug_condition(uint64_t dr7, uint32_t i) {
    return (enum debug_condition)(dr7 >> (16 + 4 * i) & 3);
}
static inline uint32_t x86_debug_length(uint64_t dr7, uint32_t i) {
    return dr7 >> (18 + 4 * i) & 3;
}

static inline bool x86_debug_regs_ok(const uint64_t dr[DEBUG_REGS], uint64_t dr7) {
    for (uint32_t i = 0; i < DEBUG_REGS; i++) {
        const enum debug_condition on = x86_debug_condition(dr7, i);
        const bool undefined =
            on == DEBUG_IO || (on == DEBUG_EXECUTE && x86_debug_length(dr7, i) != 0);
        if (dr[i] >= USER_HALF_END || (x86_debug_armed(dr7, i) && undefined)) {
            return false;
        }
    }
    return true;
}

// Whether one of the conditions that `dr6` names is the execution of an instruction: that is
// reported before it runs, and again and again unless RF is set.
static inline bool x86_debug_hit_execution(uint64_t dr7, uint64_t dr6) {
    for (uint32_t i = 0; i < DEBUG_REGS; i++) {
        if ((dr6 >> i & 1) != 0 && x86_debug_armed(dr7, i) &&
            x86_debug_condition(dr7, i) == DEBUG_EXECUTE) {
            return true;
        }
    }
    return false;
}
