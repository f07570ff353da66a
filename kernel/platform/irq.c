// Interrupt vectors. See the header.
//
// A vector is claimed by compare-and-swap of its slot, so allocation needs no lock. A slot is
// cleared before the cross-call that waits for handlers under way: interrupt handlers are not
// preempted, so a CPU that answers the call has left them.
#include <platform/irq.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <arch/upcalls.h>
#include <debug/command.h>
#include <debug/log.h>
#include <lib/align.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <locking/preempt.h>

constexpr uint32_t VECTOR_COUNT = IRQ_VECTOR_LAST - IRQ_VECTOR_FIRST + 1;
constexpr uint32_t WORD_BITS = 64;

static struct {
    _Atomic(struct irq_action*) slots[IRQ_CPUS][VECTOR_COUNT]; // null: free
    _Atomic(uint64_t) lines[IRQ_LINES / WORD_BITS];            // a bit for each that is attached
    _Atomic(uint32_t) turn;                                    // the CPU that is next
} irqs;

static _Atomic(struct irq_action*)* slot_of(uint32_t cpu, uint32_t number) {
    ASSERT(cpu < IRQ_CPUS && number >= IRQ_VECTOR_FIRST && number <= IRQ_VECTOR_LAST);
    return &irqs.slots[cpu][number - IRQ_VECTOR_FIRST];
}

static void stray(struct irq_action*) {}

// What a slot has while its vector is somebody's, and has no handler. It counts what nobody wants.
static struct irq_action reserved = {.fn = stray};

void irq_vectors_free(struct irq_vector first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(slot_of(first.cpu, first.number + i), nullptr);
    }
}

// All or none of the run.
static bool claim_run(struct irq_vector first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct irq_action* expected = nullptr;
        if (!atomic_compare_exchange_strong(slot_of(first.cpu, first.number + i), &expected,
                                            &reserved)) {
            irq_vectors_free(first, i);
            return false;
        }
    }
    return true;
}

static bool alloc_on(uint32_t cpu, uint32_t count, struct irq_vector* out) {
    for (uint32_t n = (uint32_t)align_up(IRQ_VECTOR_FIRST, count); n + count - 1 <= IRQ_VECTOR_LAST;
         n += count) {
        *out = (struct irq_vector){.cpu = cpu, .number = n};
        if (claim_run(*out, count)) {
            return true;
        }
    }
    return false;
}

status_t irq_vectors_alloc(uint32_t count, struct irq_vector* out_first) {
    const cpu_mask_t online = arch_cpus_online();
    for (uint32_t i = 0; i < IRQ_CPUS; i++) {
        uint32_t cpu = atomic_fetch_add_explicit(&irqs.turn, 1, memory_order_relaxed) % IRQ_CPUS;
        if ((online & bit(cpu)) != 0 && alloc_on(cpu, count, out_first)) {
            return STATUS_OK;
        }
    }
    return STATUS_NO_RESOURCES;
}

void irq_vector_set(struct irq_vector v, struct irq_action* a) {
    atomic_store_explicit(slot_of(v.cpu, v.number), a, memory_order_release);
}

static void nothing(void*) {}

void irq_vector_clear(struct irq_vector v) {
    atomic_store(slot_of(v.cpu, v.number), &reserved);
    arch_call_on(bit(v.cpu), nothing, nullptr);
}

// ---- lines ----

static _Atomic(uint64_t)* line_word(uint32_t line) {
    return &irqs.lines[line / WORD_BITS];
}

static void line_release(uint32_t line) {
    atomic_fetch_and(line_word(line), ~bit(line % WORD_BITS));
}

status_t irq_line_attach(uint32_t line, enum irq_mode mode, struct irq_action* a,
                         struct irq_vector* out) {
    if (line >= IRQ_LINES) {
        return STATUS_NOT_FOUND;
    }
    if ((atomic_fetch_or(line_word(line), bit(line % WORD_BITS)) >> line % WORD_BITS & 1) != 0) {
        return STATUS_ALREADY_BOUND;
    }
    status_t status = irq_vectors_alloc(1, out);
    if (status == STATUS_OK) {
        a->line = line + 1;
        irq_vector_set(*out, a);
        status = arch_irq_route(line, out->number, out->cpu, mode);
        if (status != STATUS_OK) {
            irq_vectors_free(*out, 1); // nothing was routed there
        }
    }
    if (status != STATUS_OK) {
        line_release(line);
    }
    return status;
}

void irq_line_detach(uint32_t line, struct irq_vector v) {
    (void)arch_irq_mask(line); // it was attached, so it exists
    irq_vector_clear(v);
    irq_vectors_free(v, 1);
    line_release(line);
}

void arch_upcall_irq(uint32_t vector) {
    struct irq_action* a = nullptr;
    const uint32_t cpu = arch_cpu_index();
    if (cpu < IRQ_CPUS && vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST) {
        a = atomic_load_explicit(slot_of(cpu, vector), memory_order_acquire);
    }
    a = a != nullptr ? a : &reserved;
    atomic_fetch_add_explicit(&a->count, 1, memory_order_relaxed);
    a->fn(a);
}

// ---- for people ----

static void show(uint32_t cpu, uint32_t number) {
    uint32_t line = 0;
    uint64_t count = 0;
    preempt_disable(); // what was in the slot is there until this CPU's epoch ends
    const struct irq_action* a = atomic_load_explicit(slot_of(cpu, number), memory_order_acquire);
    if (a != nullptr) {
        line = a->line;
        count = atomic_load_explicit(&a->count, memory_order_relaxed);
    }
    preempt_enable();
    if (line != 0) {
        kprintf("%12lu line %u, CPU %u\n", count, line - 1, cpu);
    } else if (a != nullptr && a != &reserved) {
        kprintf("%12lu message %#x, CPU %u\n", count, number, cpu);
    }
}

static int interrupts(int, const struct text_span*) {
    for (uint32_t cpu = 0; cpu < IRQ_CPUS; cpu++) {
        for (uint32_t number = IRQ_VECTOR_FIRST; number <= IRQ_VECTOR_LAST; number++) {
            show(cpu, number);
        }
    }
    kprintf("%12lu stray\n", atomic_load_explicit(&reserved.count, memory_order_relaxed));
    return 0;
}
KCOMMAND("interrupts", "of devices: how many, from where and to which CPU", interrupts);
