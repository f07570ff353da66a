// What this CPU can do, found once on the boot CPU; and the control registers that every CPU sets
// accordingly.
#pragma once

#include <arch/cpu.h>

void x86_features_detect(void);     // boot CPU
void x86_cpu_enable_features(void); // each CPU: CR0, CR4, EFER, XCR0, PAT, DR7

// Set once on the boot CPU before any other runs; read by assembly.
extern bool x86_fsgsbase_on;

// Boot CPU, before any user copy, on a machine without SMAP: takes its instructions out of the
// text.
void x86_smap_remove(void);

// Core crystal clock or hypervisor-reported TSC rate in kHz, 0 if the CPU does not say.
uint64_t x86_tsc_khz_from_cpuid(void);
