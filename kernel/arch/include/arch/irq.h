// External interrupt lines: vectors and the I/O interrupt controllers. Contract.
//
// A line ("global system interrupt") is routed to a vector of one CPU and starts masked. Its
// interrupt calls arch_upcall_irq(vector) with interrupts off; the local controller is acknowledged
// afterwards, so a level-triggered line must be masked by the upcall until its source is quiet.
//
// Lock: the controllers' own (IRQ safe), so any context may call; nothing here sleeps.
#pragma once

#include <stdint.h>

#include <arch/cpu.h>
#include <lib/status.h>

constexpr uint32_t IRQ_VECTOR_FIRST = 0x30;
constexpr uint32_t IRQ_VECTOR_LAST = 0xdf;

enum irq_mode : uint32_t {
    IRQ_EDGE = 0,
    IRQ_LEVEL = 1u << 0,
    IRQ_ACTIVE_LOW = 1u << 1,
};

// The line and mode of one of the 16 legacy interrupts, as the firmware's tables say.
uint32_t arch_irq_from_isa(uint32_t isa_irq, enum irq_mode* mode);
// NOT_FOUND: no controller has this line. OUT_OF_RANGE: vector or CPU.
status_t arch_irq_route(uint32_t line, uint32_t vector, uint32_t cpu, enum irq_mode mode);
status_t arch_irq_mask(uint32_t line);
status_t arch_irq_unmask(uint32_t line);
uint32_t arch_irq_line_count(void); // one past the highest line
// What a message-signalled interrupt must write to reach `vector` of `cpu`.
void arch_irq_msi_target(uint32_t cpu, uint32_t vector, uint64_t* address, uint32_t* data);
