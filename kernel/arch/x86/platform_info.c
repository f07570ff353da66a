// From the firmware's tables to what the port needs to know.
//
// Without usable tables the machine is taken for the smallest PC: this CPU, one I/O APIC at its
// customary address with the ISA lines in order, and the 8254 as the only known timer.
#include "platform_info.h"

#include <arch/cpu.h>

#include "apic.h"
#include "regs.h"

constexpr uint64_t IOAPIC_CUSTOMARY_BASE = 0xfec0'0000;

static struct x86_platform platform; // written by x86_platform_discover() only

const struct x86_platform* x86_platform(void) {
    return &platform;
}

static uint32_t initial_apic_id(void) {
    return cpuid(1, 0).ebx >> 24;
}

static void assume_small_pc(void) {
    platform.cpu_count = 1;
    platform.apic_ids[0] = initial_apic_id();
    platform.ioapic_count = 1;
    platform.ioapics[0] = (struct x86_ioapic_place){.base = IOAPIC_CUSTOMARY_BASE};
    for (uint32_t i = 0; i < X86_ISA_IRQ_COUNT; i++) {
        platform.isa[i] = (struct x86_isa_line){.line = i, .mode = IRQ_EDGE};
    }
}

void x86_platform_discover(uint64_t rsdp) {
    (void)rsdp;
    assume_small_pc();
}
