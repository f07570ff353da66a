// Interrupt vectors and who handles them.
//
// Vectors are per CPU: one is a pair of CPU and number. Devices interrupt the first IRQ_CPUS CPUs;
// which one is chosen in turn. Handlers run with interrupts off on whatever the interrupt met, so
// they acknowledge their device, mark work and leave. After irq_vector_clear() or irq_line_detach()
// returned, the handler is not running anywhere and will not run. `k interrupts` counts.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/irq.h>
#include <lib/status.h>

constexpr uint32_t IRQ_CPUS = 16;
constexpr uint32_t IRQ_LINES = 256; // lines beyond are nobody's

// Who handles a vector; embedded in the owner's structure, whose memory goes through an epoch.
struct irq_action {
    void (*fn)(struct irq_action* a);
    _Atomic(uint64_t) count; // how often it was called
    uint32_t line;           // one more than the number of its line; 0: messages
};

struct irq_vector {
    uint32_t cpu;
    uint32_t number;
};

// `count` (a power of two) neighbours of one CPU, the first number a multiple of `count`, without
// handlers. NO_RESOURCES: there are none.
status_t irq_vectors_alloc(uint32_t count, struct irq_vector* out_first);
void irq_vectors_free(struct irq_vector first, uint32_t count); // all cleared
void irq_vector_set(struct irq_vector v, struct irq_action* a);
void irq_vector_clear(struct irq_vector v); // may wait for its CPU: interrupts on, no spinlock

// Gives the line a vector; it starts masked (arch_irq_unmask()). ALREADY_BOUND; NOT_FOUND: no such
// line.
status_t irq_line_attach(uint32_t line, enum irq_mode mode, struct irq_action* a,
                         struct irq_vector* out);
void irq_line_detach(uint32_t line, struct irq_vector v); // as irq_vector_clear()
