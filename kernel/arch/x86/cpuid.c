// CPU feature detection and enabling.
//
// Every leaf is read only if the maximum leaf covers it: beyond it the hardware answers with the
// data of another leaf (under TCG leaf 0x15 is such junk). Features are taken from the boot CPU;
// the others are assumed alike, which the firmware guarantees on this platform.
#include "cpuid.h"

#include <lib/string.h>

#include "debug_regs.h"
#include "machine_check.h"
#include "regs.h"

bool x86_fsgsbase_on;

constexpr uint32_t PHYS_BITS_DEFAULT = 36; // of CPUs that do not say

static struct {
    struct cpu_features features; // constant after x86_features_detect()
    uint32_t max_leaf;
} cpu;

const struct cpu_features* arch_cpu_features(void) {
    return &cpu.features;
}

static bool flag(uint32_t word, unsigned bit_index) {
    return (word >> bit_index & 1) != 0;
}

static void detect_basic(struct cpu_features* f) {
    const struct cpuid_result r = cpuid(1, 0);
    f->pcid = flag(r.ecx, 17);
    f->x2apic = flag(r.ecx, 21);
    f->tsc_deadline = flag(r.ecx, 24);
    f->xsave = flag(r.ecx, 26);
    f->avx = f->xsave && flag(r.ecx, 28);
    f->rdrand = flag(r.ecx, 30);
    f->mce = flag(r.edx, 7) && flag(r.edx, 14); // the exception, and the banks that say why
    if (flag(r.ecx, 31)) {
        const struct cpuid_result h = cpuid(0x40000000, 0);
        memcpy(f->hypervisor, &h.ebx, 4);
        memcpy(f->hypervisor + 4, &h.ecx, 4);
        memcpy(f->hypervisor + 8, &h.edx, 4);
    }
    if (cpu.max_leaf >= 7) {
        const struct cpuid_result e = cpuid(7, 0);
        f->fsgsbase = flag(e.ebx, 0);
        f->smep = flag(e.ebx, 7);
        f->erms = flag(e.ebx, 9);
        f->invpcid = flag(e.ebx, 10);
        f->rdseed = flag(e.ebx, 18);
        f->smap = flag(e.ebx, 20);
        f->umip = flag(e.ecx, 2);
    }
}

static void detect_extended(struct cpu_features* f) {
    f->phys_bits = PHYS_BITS_DEFAULT;
    const uint32_t max = cpuid(0x80000000, 0).eax;
    if (max < 0x80000000 || max > 0x8000ffff) {
        return; // no extended leaves at all
    }
    if (max >= 0x80000001) {
        const struct cpuid_result r = cpuid(0x80000001, 0);
        f->nx = flag(r.edx, 20);
        f->page_1g = flag(r.edx, 26);
    }
    if (max >= 0x80000004) {
        for (uint32_t i = 0; i < 3; i++) {
            const struct cpuid_result r = cpuid(0x80000002 + i, 0);
            memcpy(f->brand + i * 16, &r, 16);
        }
    }
    if (max >= 0x80000008) {
        const uint32_t bits = cpuid(0x80000008, 0).eax & 0xff;
        f->phys_bits = bits >= 32 && bits <= 52 ? bits : PHYS_BITS_DEFAULT;
    }
    if (max >= 0x80000007) {
        f->tsc_invariant = flag(cpuid(0x80000007, 0).edx, 8);
    }
}

// XCR0 will be x87, SSE and AVX; the save area's size follows from what is enabled, so it is asked
// for after XCR0 is set.
static uint64_t wanted_xcr0(const struct cpu_features* f) {
    return f->avx ? 7 : 3;
}

static void detect_xsave(struct cpu_features* f) {
    f->xsave = f->xsave && cpu.max_leaf >= 0xd;
    f->avx = f->avx && f->xsave;
    if (!f->xsave) {
        f->xsave_size = 512;
        return;
    }
    f->xsaveopt = flag(cpuid(0xd, 1).eax, 0);
    cr4_write(cr4_read() | CR4_OSXSAVE);
    xcr0_write(wanted_xcr0(f));
    f->xsave_size = cpuid(0xd, 0).ebx;
}

void x86_features_detect(void) {
    struct cpu_features* f = &cpu.features;
    cpu.max_leaf = cpuid(0, 0).eax;
    detect_basic(f);
    detect_extended(f);
    detect_xsave(f);
    f->tsc_trusted = f->tsc_invariant || memcmp(f->hypervisor, "TCGTCGTCGTCG", 12) == 0;
    x86_fsgsbase_on = f->fsgsbase;
}

void x86_cpu_enable_features(void) {
    const struct cpu_features* f = &cpu.features;
    // AM: a program that sets AC gets what it asks for. The kernel's own accesses are exempt.
    cr0_write((cr0_read() & ~(CR0_EM | CR0_TS)) | CR0_AM | CR0_MP | CR0_NE | CR0_WP);
    // Nothing is kept of what the firmware chose: it may have let user mode read the performance
    // counters, say.
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr4 |= f->mce ? CR4_MCE : 0;
    cr4 |= f->umip ? CR4_UMIP : 0;
    cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= f->xsave ? CR4_OSXSAVE : 0;
    cr4 |= f->smep ? CR4_SMEP : 0;
    cr4 |= f->smap ? CR4_SMAP : 0;
    cr4_write(cr4);
    if (f->xsave) {
        xcr0_write(wanted_xcr0(f));
    }
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE | (f->nx ? EFER_NXE : 0));
    // PAT: entries 0..3 as after reset (WB WT UC- UC), entry 4 (the PAT bit alone)
    // write-combining, 5..7 as 1..3.
    msr_write(MSR_PAT, 0x0007'0401'0007'0406);
    x86_machine_check_cpu_init();
    dr7_write(DR7_FIXED);
    dr6_write(DR6_FIXED);
}

uint64_t x86_tsc_khz_from_cpuid(void) {
    if (cpu.max_leaf >= 0x15) {
        const struct cpuid_result r = cpuid(0x15, 0);
        if (r.eax != 0 && r.ebx != 0 && r.ecx != 0) {
            return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
        }
    }
    return 0;
}
