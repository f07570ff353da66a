// GDT and TSS per CPU, one IDT for all, SYSCALL registers.
//
// Every vector is an interrupt gate (interrupts stay off until the handler allows them). Vectors 3
// and 4 may be raised by `int` from user mode; all others answer that with #GP. Exceptions that
// must not trust the current stack use one of their own (IST).
#include "descriptors.h"

#include <arch/cpu.h>

#include "asm_defs.h"
#include "regs.h"
#include "x86_cpu.h"

struct idt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
static_assert(sizeof(struct idt_gate) == 16);

// What LGDT and LIDT read begins at `limit`. The padding aligns `base`: the compiler may make the
// whole thing a constant, and only aligned words can be relocated.
struct table_pointer {
    uint16_t unused[3];
    uint16_t limit;
    uint64_t base;
};
static_assert(offsetof(struct table_pointer, base) - offsetof(struct table_pointer, limit) == 2);

extern const char x86_vector_stubs[], x86_external_stubs[];
void x86_syscall_entry(void);
void x86_syscall_entry_compat(void);

// Written by the boot CPU before interrupts are ever enabled.
static struct idt_gate idt[256];

constexpr uint8_t GATE_KERNEL = 0x8e; // present, DPL 0, 64-bit interrupt gate
constexpr uint8_t GATE_USER = 0xee;   // the same, DPL 3

// SYSCALL enters with these flags cleared.
constexpr uint64_t FMASK = 1u << 8 | 1u << 9 | 1u << 10 | 3u << 12 | 1u << 14 | 1u << 16 | 1u << 18;

static uint8_t ist_of(unsigned vector) {
    switch (vector) {
    case X86_VECTOR_DF:
        return X86_IST_DF;
    case X86_VECTOR_NMI:
        return X86_IST_NMI;
    case X86_VECTOR_MC:
        return X86_IST_MC;
    case X86_VECTOR_DB:
        return X86_IST_DB;
    default:
        return 0;
    }
}

// Where the vector's entry begins: 16 bytes for each exception, 8 for each external vector.
static uint64_t stub_of(unsigned vector) {
    return vector < X86_VECTOR_FIRST_EXTERNAL
               ? (uint64_t)&x86_vector_stubs[vector * 16]
               : (uint64_t)&x86_external_stubs[(vector - X86_VECTOR_FIRST_EXTERNAL) * 8];
}

void x86_idt_init(void) {
    for (unsigned v = 0; v < 256; v++) {
        const uint64_t stub = stub_of(v);
        idt[v] = (struct idt_gate){
            .offset_low = (uint16_t)stub,
            .selector = X86_KERNEL_CS,
            .ist = ist_of(v),
            .attributes = v == X86_VECTOR_BP || v == X86_VECTOR_BP + 1 ? GATE_USER : GATE_KERNEL,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

void x86_cpu_prepare(struct x86_cpu* c, uint32_t cpu, uint64_t canary) {
    c->percpu.self = &c->percpu;
    c->percpu.canary = canary;
    c->percpu.preempt_count = PREEMPT_NOTHING_PENDING + 1; // as after a context switch
    c->percpu.cpu = cpu;
    c->percpu.cpu_bit = (uint64_t)1 << cpu;
    for (unsigned i = 0; i < X86_IST_COUNT; i++) {
        c->ist[i].cpu = c;
        c->tss.ist[i] = (uint64_t)&c->ist[i].cpu; // ist[0] is what the architecture calls IST1
    }
    c->tss.io_map_base = sizeof(c->tss); // each IN and OUT of user mode faults: user_ports.c
    const uint64_t tss = (uint64_t)&c->tss;
    c->gdt[X86_KERNEL_CS / 8] = 0x00af'9b00'0000'ffff;
    c->gdt[X86_KERNEL_DS / 8] = 0x00cf'9300'0000'ffff;
    c->gdt[X86_USER_DS / 8] = 0x00cf'f300'0000'ffff;
    c->gdt[X86_USER_CS / 8] = 0x00af'fb00'0000'ffff;
    c->gdt[X86_TSS_SELECTOR / 8] = (sizeof(c->tss) - 1) | (tss & 0xffffff) << 16 |
                                   (uint64_t)0x89 << 40 | (tss >> 24 & 0xff) << 56;
    c->gdt[X86_TSS_SELECTOR / 8 + 1] = tss >> 32;
}

// No stack protector: on a fresh CPU the canary's home appears in the middle of this function.
__attribute__((no_stack_protector)) void x86_descriptors_load(struct x86_cpu* c) {
    const struct table_pointer gdtr = {.limit = sizeof(c->gdt) - 1, .base = (uint64_t)c->gdt};
    const struct table_pointer idtr = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};
    __asm__ volatile("lgdt %0\n\t"
                     "movw %w3, %%ss\n\t"
                     "movl %4, %%eax\n\t"
                     "movw %%ax, %%ds\n\t"
                     "movw %%ax, %%es\n\t"
                     "movw %%ax, %%fs\n\t"
                     "movw %%ax, %%gs\n\t"
                     "pushq %2\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:" ::"m"(gdtr.limit),
                     "m"(gdtr.base), "i"(X86_KERNEL_CS), "r"(X86_KERNEL_DS), "i"(0)
                     : "rax", "memory");
    // Loading a null selector cleared the base.
    msr_write(MSR_GS_BASE, (uint64_t)&c->percpu);
    msr_write(MSR_KERNEL_GS_BASE, 0);
    msr_write(MSR_FS_BASE, 0);
    c->gdt[X86_TSS_SELECTOR / 8] &= ~((uint64_t)2 << 40); // not busy, or ltr faults
    __asm__ volatile("ltr %w0" ::"r"(X86_TSS_SELECTOR));
    // No local table. After reset the register stands for one of 64 KiB at address 0, so a selector
    // of user mode's would make the CPU read descriptors there.
    __asm__ volatile("lldt %w0" ::"r"(0));
    __asm__ volatile("lidt %0" ::"m"(idtr.limit), "m"(idtr.base));
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE);
    msr_write(MSR_STAR, (uint64_t)X86_SYSRET_BASE << 48 | (uint64_t)X86_KERNEL_CS << 32);
    msr_write(MSR_LSTAR, (uint64_t)&x86_syscall_entry);
    msr_write(MSR_CSTAR, (uint64_t)&x86_syscall_entry_compat);
    msr_write(MSR_FMASK, FMASK);
    msr_write(MSR_SYSENTER_CS, 0); // SYSENTER is a fault, whatever the firmware used it for
}
