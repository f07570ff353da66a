// FPU, SSE and AVX state of user threads. The kernel itself never touches these registers.
//
// The usual case of both halves of a switch is inline: they are a third of its instructions
// otherwise.
#pragma once

#include <stdint.h>

#include <arch/percpu.h>
#include <arch/thread.h>
#include <lib/compiler.h>
#include <sched/thread.h>

enum x86_fpu_how : uint8_t { X86_FPU_FXSAVE, X86_FPU_XSAVE, X86_FPU_XSAVEOPT };
extern enum x86_fpu_how x86_fpu_how; // constant after x86_fpu_init()
// Reasons why a switch between user threads must take the general way: a CPU without FSGSBASE or
// XSAVEOPT is one, each thread with armed breakpoints another. Changed atomically, and under the
// lock of that thread's run queue, which every switch from or to it holds; so the switch may read
// it as it likes.
extern uint32_t x86_slow_switch;

constexpr size_t FPU_AREA_BYTES = 832;
// In `fpu_cpu`: the area is newer than any CPU's registers.
constexpr uint32_t FPU_NO_CPU = UINT32_MAX;

void x86_fpu_init(void); // boot CPU, after feature detection
void x86_fpu_save_slow(void* area);
void x86_fpu_load_slow(void* area); // by FXRSTOR, or what an area holds that XRSTOR refused

// Interrupts off, at a switch: stores the registers, which are those of a user thread, in its area.
ALWAYS_INLINE void x86_fpu_save(void* area) {
    if (likely(x86_fpu_how == X86_FPU_XSAVEOPT)) {
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
    } else {
        x86_fpu_save_slow(area);
    }
}

// False: the CPU refuses what is in the area (the instruction is listed in .extable).
ALWAYS_INLINE bool x86_fpu_xrstor(const void* area) {
    __asm__ goto volatile(".Lsite%=: 1: xrstor64 (%0)\n\t"
                          ".pushsection .extable, \"ao\", @progbits, .Lsite%=\n\t"
                          ".balign 4\n\t"
                          ".long 1b - .\n\t"
                          ".long %l[refused] - .\n\t"
                          ".popsection" ::"r"(area),
                          "a"(-1), "d"(-1)
                          : "memory"
                          : refused);
    return true;
refused:
    return false;
}

// Interrupts off: makes the registers those of `t`, a user thread, unless they still are.
ALWAYS_INLINE void x86_fpu_load(struct arch_percpu* self, struct thread* t) {
    if (self->fpu_owner == t && t->arch.fpu_cpu == self->cpu) {
        return;
    }
    if (unlikely(x86_fpu_how == X86_FPU_FXSAVE || !x86_fpu_xrstor(t->arch.fpu))) {
        x86_fpu_load_slow(t->arch.fpu);
    }
    self->fpu_owner = t;
    t->arch.fpu_cpu = self->cpu;
}
