// The port's per-CPU block: what generic code sees (struct arch_percpu, first) plus descriptor
// tables and the stacks of the four exceptions that must not trust the current one.
//
// Written by the boot CPU before the owner runs, afterwards by the owner only. The top 16 bytes of
// each exception stack hold the address of this block, which is how those entries find it without
// believing any register.
#pragma once

#include <stdint.h>

#include <arch/percpu.h>

constexpr uint32_t X86_IST_STACK_BYTES = 8192;

enum x86_ist : uint32_t {
    X86_IST_DF = 1,
    X86_IST_NMI = 2,
    X86_IST_MC = 3,
    X86_IST_DB = 4,
    X86_IST_COUNT = 4
};

struct x86_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));
static_assert(sizeof(struct x86_tss) == 104);

constexpr uint32_t X86_GDT_ENTRIES = 8;

struct x86_ist_stack {
    alignas(16) uint8_t space[X86_IST_STACK_BYTES - 16];
    struct x86_cpu* cpu;
    uint64_t unused;
};

struct x86_cpu {
    struct arch_percpu percpu; // offset 0: GS points here
    uint64_t gdt[X86_GDT_ENTRIES];
    alignas(16) struct x86_tss tss;
    uint32_t apic_id;
    struct thread* idle; // the thread on whose stack the CPU starts
    struct x86_ist_stack ist[X86_IST_COUNT];
};
static_assert(offsetof(struct x86_cpu, percpu) == 0);

// The block of a CPU, null if there is none.
struct x86_cpu* x86_cpu_get(uint32_t cpu);
void x86_cpu_register(uint32_t cpu, struct x86_cpu* block);
// Fills a zeroed block; `canary` is the stack protector value until the first thread runs.
void x86_cpu_prepare(struct x86_cpu* c, uint32_t cpu, uint64_t canary);

ALWAYS_INLINE struct x86_cpu* x86_cpu_self(void) {
    return (struct x86_cpu*)arch_percpu_self();
}
