// Interrupt vectors. See the header.
//
// The slot of a vector is claimed by compare-and-swap of its `fn`, so allocation needs no lock. A
// slot is cleared before the cross-call that waits for handlers under way: interrupt handlers are
// not preempted, so a CPU that answers the call has left them.
#include <platform/irq.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/upcalls.h>
#include <lib/assert.h>

constexpr uint32_t VECTOR_COUNT = IRQ_VECTOR_LAST - IRQ_VECTOR_FIRST + 1;

struct irq_slot {
    _Atomic(irq_handler_fn) fn; // null: free
    _Atomic(void*) arg;         // written by the owner before the device may interrupt
};

static struct {
    struct irq_slot slots[VECTOR_COUNT];
    _Atomic(uint64_t) strays;
} irqs;

// Holds a slot while its argument is not set yet.
static void irq_reserved(void* arg) {
    (void)arg;
}

status_t irq_vector_alloc(irq_handler_fn fn, void* arg, uint32_t* out_vector) {
    for (uint32_t i = 0; i < VECTOR_COUNT; i++) {
        struct irq_slot* s = &irqs.slots[i];
        irq_handler_fn expected = nullptr;
        if (atomic_compare_exchange_strong(&s->fn, &expected, irq_reserved)) {
            atomic_store_explicit(&s->arg, arg, memory_order_relaxed);
            atomic_store_explicit(&s->fn, fn, memory_order_release);
            *out_vector = IRQ_VECTOR_FIRST + i;
            return STATUS_OK;
        }
    }
    return STATUS_NO_RESOURCES;
}

static void nothing(void* arg) {
    (void)arg;
}

void irq_vector_free(uint32_t vector) {
    ASSERT(vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST);
    struct irq_slot* s = &irqs.slots[vector - IRQ_VECTOR_FIRST];
    atomic_store(&s->fn, irq_reserved);
    arch_call_on(arch_cpus_online(), nothing, nullptr);
    atomic_store(&s->fn, nullptr);
}

status_t irq_line_attach(uint32_t line, enum irq_mode mode, uint32_t cpu, irq_handler_fn fn,
                         void* arg, uint32_t* out_vector) {
    uint32_t vector;
    TRY(irq_vector_alloc(fn, arg, &vector));
    const status_t status = arch_irq_route(line, vector, cpu, mode);
    if (status != STATUS_OK) {
        irq_vector_free(vector);
        return status;
    }
    *out_vector = vector;
    return STATUS_OK;
}

void irq_line_detach(uint32_t line, uint32_t vector) {
    (void)arch_irq_mask(line); // it was attached, so it exists
    irq_vector_free(vector);
}

uint64_t irq_stray_count(void) {
    return atomic_load_explicit(&irqs.strays, memory_order_relaxed);
}

void arch_upcall_irq(uint32_t vector) {
    irq_handler_fn fn = nullptr;
    if (vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST) {
        struct irq_slot* s = &irqs.slots[vector - IRQ_VECTOR_FIRST];
        fn = atomic_load_explicit(&s->fn, memory_order_acquire);
        if (fn != nullptr) {
            fn(atomic_load_explicit(&s->arg, memory_order_relaxed));
            return;
        }
    }
    atomic_fetch_add_explicit(&irqs.strays, 1, memory_order_relaxed);
}
