// x86-64: interrupt flag, spin hint and tick counter, as the single instructions they are.
#pragma once

#include <stdint.h>

#include <lib/compiler.h>

constexpr uint64_t X86_FLAGS_IF = 1u << 9;

ALWAYS_INLINE void irq_disable(void) {
    __asm__ volatile("cli" ::: "memory");
}
ALWAYS_INLINE void irq_enable(void) {
    __asm__ volatile("sti" ::: "memory");
}

ALWAYS_INLINE uint64_t x86_flags(void) {
    uint64_t flags;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags)::"memory");
    return flags;
}

ALWAYS_INLINE bool irq_enabled(void) {
    return (x86_flags() & X86_FLAGS_IF) != 0;
}

// The state is the flags word; irq_restore() looks at IF only and enables by a branch, which is
// cheaper than popfq on silicon.
ALWAYS_INLINE uint64_t irq_save(void) {
    uint64_t flags = x86_flags();
    irq_disable();
    return flags;
}

ALWAYS_INLINE void irq_restore(uint64_t state) {
    if ((state & X86_FLAGS_IF) != 0) {
        irq_enable();
    }
}

ALWAYS_INLINE void cpu_relax(void) {
    __asm__ volatile("pause" ::: "memory");
}

ALWAYS_INLINE uint64_t cpu_ticks(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}
