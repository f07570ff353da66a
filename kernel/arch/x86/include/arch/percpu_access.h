// x86-64: the per-CPU block through the GS base, one instruction per access, so that an access is
// complete on whichever CPU it happens. Reached through <arch/percpu.h>, which fixes the offsets.
//
// arch_current_thread() is deliberately not volatile and touches no memory clobber: for a given
// kernel stack it never changes, so the compiler may keep it in a register across calls. The
// counters are volatile: interrupts change them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>

// Valid only while preemption is disabled.
ALWAYS_INLINE struct arch_percpu* arch_percpu_self(void) {
    struct arch_percpu* self;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(self));
    return self;
}

ALWAYS_INLINE struct thread* arch_current_thread(void) {
    struct thread* current;
    __asm__("movq %%gs:16, %0" : "=r"(current));
    return current;
}

ALWAYS_INLINE uint32_t arch_cpu_index(void) {
    uint32_t cpu;
    __asm__ volatile("movl %%gs:48, %0" : "=r"(cpu));
    return cpu;
}

ALWAYS_INLINE struct cpu_sched* arch_cpu_sched(void) {
    struct cpu_sched* sched;
    __asm__ volatile("movq %%gs:80, %0" : "=r"(sched));
    return sched;
}

ALWAYS_INLINE uint32_t arch_irq_depth(void) {
    uint32_t depth;
    __asm__ volatile("movl %%gs:52, %0" : "=r"(depth));
    return depth;
}

ALWAYS_INLINE uint32_t arch_preempt_count(void) {
    uint32_t count;
    __asm__ volatile("movl %%gs:40, %0" : "=r"(count)::"memory");
    return count;
}

ALWAYS_INLINE void arch_preempt_inc(void) {
    __asm__ volatile("incl %%gs:40" ::: "memory", "cc");
}

// Leaves one level of "no preemption". True: preemption is on again and something is pending.
ALWAYS_INLINE bool arch_preempt_dec_is_zero(void) {
    bool zero;
    __asm__ volatile("decl %%gs:40" : "=@ccz"(zero)::"memory");
    return zero;
}

ALWAYS_INLINE uint32_t arch_pending(void) {
    uint32_t pending;
    __asm__ volatile("movl %%gs:44, %0" : "=r"(pending)::"memory");
    return pending;
}

// Marks work for this CPU. The word in preempt_count is cleared after the bits are set, so an
// interrupt between the two finds either nothing or both. Preemption off or interrupts off, so that
// both instructions meet the same CPU.
ALWAYS_INLINE void arch_pending_set(uint32_t bits) {
    __asm__ volatile("orl %0, %%gs:44\n\tandl $0x7fffffff, %%gs:40" ::"ri"(bits) : "memory", "cc");
}

// Takes everything that is pending. Interrupts off, or an interrupt between the two instructions
// would lose its mark.
ALWAYS_INLINE uint32_t arch_pending_take(void) {
    uint32_t bits = 0;
    __asm__ volatile("xchgl %0, %%gs:44\n\torl $0x80000000, %%gs:40" : "+r"(bits)::"memory", "cc");
    return bits;
}
