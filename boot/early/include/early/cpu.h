#pragma once

/*
 * The few instructions that the boot stages need, for both compilers (no intrinsics header: the
 * kernel's flags forbid vector registers, which those headers drag in).
 */

#include <stdint.h>

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpu_cpuid(uint32_t leaf, uint32_t subleaf) {
    struct cpuid_result r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

// All zero for a leaf that the CPU does not have (it would answer with another leaf's data).
static inline struct cpuid_result cpu_cpuid_checked(uint32_t leaf, uint32_t subleaf) {
    uint32_t max = cpu_cpuid(leaf & 0x8000'0000u, 0).eax;
    return leaf <= max ? cpu_cpuid(leaf, subleaf) : (struct cpuid_result){};
}

static inline bool cpu_has_rdrand(void) {
    return (cpu_cpuid_checked(1, 0).ecx >> 30 & 1) != 0;
}
static inline bool cpu_has_rdseed(void) {
    return (cpu_cpuid_checked(7, 0).ebx >> 18 & 1) != 0;
}
static inline bool cpu_has_giant_pages(void) {
    return (cpu_cpuid_checked(0x8000'0001u, 0).edx >> 26 & 1) != 0;
}
static inline bool cpu_has_no_exec(void) {
    return (cpu_cpuid_checked(0x8000'0001u, 0).edx >> 20 & 1) != 0;
}

static inline bool cpu_rdrand(uint64_t* out) {
    uint8_t ok;
    __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
    return ok != 0;
}

static inline bool cpu_rdseed(uint64_t* out) {
    uint8_t ok;
    __asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
    return ok != 0;
}

static inline uint64_t cpu_tsc(void) {
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline void cpu_out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t cpu_in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t cpu_rdmsr(uint32_t msr) {
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t cpu_read_cr0(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
static inline void cpu_write_cr0(uint64_t value) {
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}
static inline uint64_t cpu_read_cr3(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
static inline void cpu_write_cr3(uint64_t value) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}
static inline uint64_t cpu_read_cr4(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}
