// Control registers, model-specific registers and CPUID, one instruction each.
#pragma once

#include <stdint.h>

#include <lib/compiler.h>

constexpr uint64_t CR0_MP = 1u << 1;
constexpr uint64_t CR0_EM = 1u << 2;
constexpr uint64_t CR0_TS = 1u << 3;
constexpr uint64_t CR0_NE = 1u << 5;
constexpr uint64_t CR0_WP = 1u << 16;
constexpr uint64_t CR0_AM = 1u << 18;

constexpr uint64_t CR4_PAE = 1u << 5;
constexpr uint64_t CR4_MCE = 1u << 6;
constexpr uint64_t CR4_PGE = 1u << 7;
constexpr uint64_t CR4_OSFXSR = 1u << 9;
constexpr uint64_t CR4_OSXMMEXCPT = 1u << 10;
constexpr uint64_t CR4_UMIP = 1u << 11;
constexpr uint64_t CR4_LA57 = 1u << 12;
constexpr uint64_t CR4_FSGSBASE = 1u << 16;
constexpr uint64_t CR4_PCIDE = 1u << 17;
constexpr uint64_t CR4_OSXSAVE = 1u << 18;
constexpr uint64_t CR4_SMEP = 1u << 20;
constexpr uint64_t CR4_SMAP = 1u << 21;
constexpr uint64_t CR4_PKE = 1u << 22;

constexpr uint32_t MSR_APIC_BASE = 0x1b;
constexpr uint32_t MSR_SYSENTER_CS = 0x174;
constexpr uint32_t MSR_PAT = 0x277;
constexpr uint32_t MSR_TSC_DEADLINE = 0x6e0;
constexpr uint32_t MSR_X2APIC_FIRST = 0x800;
constexpr uint32_t MSR_EFER = 0xc0000080;
constexpr uint32_t MSR_STAR = 0xc0000081;
constexpr uint32_t MSR_LSTAR = 0xc0000082;
constexpr uint32_t MSR_CSTAR = 0xc0000083;
constexpr uint32_t MSR_FMASK = 0xc0000084;
constexpr uint32_t MSR_FS_BASE = 0xc0000100;
constexpr uint32_t MSR_GS_BASE = 0xc0000101;
constexpr uint32_t MSR_KERNEL_GS_BASE = 0xc0000102;

constexpr uint64_t EFER_SCE = 1u << 0;
constexpr uint64_t EFER_NXE = 1u << 11;

ALWAYS_INLINE uint64_t msr_read(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

ALWAYS_INLINE void msr_write(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

#define X86_CONTROL_REGISTER(n)                                          \
    ALWAYS_INLINE uint64_t cr##n##_read(void) {                          \
        uint64_t value;                                                  \
        __asm__ volatile("movq %%cr" #n ", %0" : "=r"(value)::"memory"); \
        return value;                                                    \
    }                                                                    \
    ALWAYS_INLINE void cr##n##_write(uint64_t value) {                   \
        __asm__ volatile("movq %0, %%cr" #n ::"r"(value) : "memory");    \
    }
X86_CONTROL_REGISTER(0)
X86_CONTROL_REGISTER(2)
X86_CONTROL_REGISTER(3)
X86_CONTROL_REGISTER(4)
#undef X86_CONTROL_REGISTER

ALWAYS_INLINE void xcr0_write(uint64_t value) {
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

ALWAYS_INLINE uint64_t dr6_read(void) {
    uint64_t value;
    __asm__ volatile("movq %%dr6, %0" : "=r"(value));
    return value;
}
ALWAYS_INLINE void dr6_write(uint64_t value) {
    __asm__ volatile("movq %0, %%dr6" ::"r"(value));
}
ALWAYS_INLINE void dr7_write(uint64_t value) {
    __asm__ volatile("movq %0, %%dr7" ::"r"(value));
}

ALWAYS_INLINE void fs_base_write(uint64_t v) {
    __asm__ volatile("wrfsbase %0" ::"r"(v) : "memory");
}
ALWAYS_INLINE uint64_t fs_base_read(void) {
    uint64_t v;
    __asm__ volatile("rdfsbase %0" : "=r"(v)::"memory");
    return v;
}

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

ALWAYS_INLINE struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf) {
    struct cpuid_result r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}
