// The order in which the boot CPU comes to life.
#include <arch/cpu.h>

#include <arch/boot_entry.h>
#include <arch/power.h>
#include <boot/handoff.h>
#include <lib/assert.h>
#include <lib/parse.h>

#include "apic.h"
#include "clock_priv.h"
#include "cpuid.h"
#include "descriptors.h"
#include "fpu.h"
#include "platform_info.h"
#include "smp.h"
#include "x86_cpu.h"

static const struct handoff* boot_handoff; // boot CPU, until arch_init() has run
static struct x86_cpu boot_cpu;            // the boot CPU's own

void arch_init_early(const struct handoff* handoff) {
    boot_handoff = handoff;
    x86_features_detect();
    if (!arch_cpu_features()->smap) {
        x86_smap_remove();
    }
    x86_cpu_enable_features();
    // The frames that are active carry the canary of the block that the boot stages made.
    x86_cpu_prepare(&boot_cpu, 0, arch_boot_percpu.canary);
    x86_cpu_register(0, &boot_cpu);
    x86_idt_init();
    x86_descriptors_load(&boot_cpu);
    x86_fpu_init();
    x86_smp_init(handoff);
}

void arch_init(void) {
    x86_platform_discover(boot_handoff->acpi_rsdp);
    if (!lapic_init(x86_platform()->lapic_base)) {
        panic("no local interrupt controller");
    }
    boot_cpu.apic_id = lapic_id();
    x86_smp_count_cpus();
    x86_ioapic_init();
    const struct text_span line = {boot_handoff->cmdline, boot_handoff->cmdline_len};
    x86_clock_init(&x86_platform()->timers, parse_option_u64(line, "tsc.khz", 0),
                   boot_handoff->entry_tsc);
}

void arch_idle(void) {
    __asm__ volatile("sti\n\thlt" ::: "memory");
}

void arch_halt_forever(void) {
    for (;;) {
        __asm__ volatile("cli\n\thlt" ::: "memory");
    }
}
