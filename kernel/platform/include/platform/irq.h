// Interrupt vectors and who handles them.
//
// A vector is the same on every CPU. Handlers run with interrupts off on whatever the interrupt
// met, so they acknowledge their device, mark work and leave. After irq_vector_free() or
// irq_line_detach() returned, the handler is not running anywhere and will not run.
#pragma once

#include <stdint.h>

#include <arch/irq.h>
#include <lib/status.h>

typedef void (*irq_handler_fn)(void* arg);

// NO_RESOURCES: all vectors are taken. For message-signalled interrupts; lines use the calls below.
status_t irq_vector_alloc(irq_handler_fn fn, void* arg, uint32_t* out_vector);
void irq_vector_free(uint32_t vector); // may wait for other CPUs: interrupts on, no spinlock

// Gives the line a vector on `cpu`; it starts masked (arch_irq_unmask()).
status_t irq_line_attach(uint32_t line, enum irq_mode mode, uint32_t cpu, irq_handler_fn fn,
                         void* arg, uint32_t* out_vector);
void irq_line_detach(uint32_t line, uint32_t vector);

uint64_t irq_stray_count(void); // interrupts on vectors that nobody had
