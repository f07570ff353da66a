// The local interrupt controller (xAPIC through memory, x2APIC through MSRs), its timer, and the
// I/O interrupt controllers.
#pragma once

#include <stdint.h>

#include <arch/cpu.h>

// Boot CPU: finds the mode, maps the registers, quiets the 8259 pair. False: there is no local
// controller.
[[nodiscard]] bool lapic_init(uint64_t base_from_tables);
void lapic_cpu_init(void); // each CPU
uint32_t lapic_id(void);   // this CPU's
void lapic_eoi(void);
void lapic_error(void);
// Fixed-mode interrupt, NMI, INIT and start-up to one CPU by its APIC id.
void lapic_send_fixed(uint32_t apic_id, uint8_t vector);
void lapic_send_nmi(uint32_t apic_id);
void lapic_send_init(uint32_t apic_id);
void lapic_send_self(uint8_t vector); // any context, NMI included
void lapic_send_startup(uint32_t apic_id, uint8_t page);

// The timer counts down from `count` at the bus clock and raises X86_VECTOR_TIMER once; 0 stops it.
void lapic_timer_start(uint32_t count);
void lapic_timer_start_masked(uint32_t count); // without an interrupt, for calibration
uint32_t lapic_timer_count(void);
void lapic_timer_deadline_mode(void); // TSC-deadline: armed through the MSR from now on

void x86_ioapic_init(void);
