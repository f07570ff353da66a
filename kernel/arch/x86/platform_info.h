// What the port takes from the firmware's tables, in its own shape. Filled once by
// x86_platform_discover(); constant afterwards.
#pragma once

#include <stdint.h>

#include <arch/cpu.h>
#include <arch/irq.h>

#include "ref_timer.h"

constexpr uint32_t X86_IOAPIC_MAX = 16;
constexpr uint32_t X86_ISA_IRQ_COUNT = 16;

struct x86_ioapic_place {
    uint64_t base; // physical
    uint32_t first_line;
};

struct x86_isa_line {
    uint32_t line;
    enum irq_mode mode;
};

// A register of one byte, in I/O space or in memory (then mapped for good). Neither: not described.
struct x86_byte_register {
    uint16_t port;
    volatile uint8_t* memory;
};

struct x86_platform {
    uint64_t lapic_base; // 0: as the MSR says
    uint32_t cpu_count;  // the boot CPU included; at least 1
    uint32_t apic_ids[CPU_MAX];
    uint32_t ioapic_count;
    struct x86_ioapic_place ioapics[X86_IOAPIC_MAX];
    struct x86_isa_line isa[X86_ISA_IRQ_COUNT];
    struct ref_timer_places timers;
    // Power: 0 = not described.
    uint16_t pm1a_control_port, pm1b_control_port;
    uint8_t s5_type_a, s5_type_b;
    bool has_s5;
    uint16_t smi_command_port; // hands the power registers over to us
    uint8_t acpi_enable_value;
    struct x86_byte_register sleep_control; // of machines without the PM1 registers
    struct x86_byte_register reset;
    uint8_t reset_value;
};

const struct x86_platform* x86_platform(void);
void x86_platform_discover(uint64_t rsdp);
