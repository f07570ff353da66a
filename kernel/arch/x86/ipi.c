// Inter-processor interrupts and cross-calls.
//
// A cross-call lives on its caller's stack and hangs in one list while it is in flight. `todo`
// holds the CPUs that have not picked it up (under the lock), `running` those that have not
// finished: clearing its bit there is the last time a CPU touches the call. The caller unlinks it
// under the lock when `running` is empty, so no CPU that walks the list can meet a dead entry.
// While it waits its interrupts are on, hence two CPUs that call each other serve each other.
#include "ipi.h"

#include <stdatomic.h>

#include <arch/cpu.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/list.h>
#include <locking/spinlock.h>

#include "apic.h"
#include "asm_defs.h"
#include "traps.h"
#include "x86_cpu.h"

struct cross_call {
    struct list_node node;
    void (*fn)(void* arg);
    void* arg;
    cpu_mask_t todo; // under calls.lock
    _Atomic(cpu_mask_t) running;
};

static struct {
    spinlock_t lock;
    struct list list; // under lock
} calls = {.lock = SPINLOCK_INIT(LOCK_CLASS_IPI_CALL), .list = LIST_INIT(calls.list)};

void arch_ipi_send(cpu_mask_t targets, enum ipi kind) {
    static const uint8_t vectors[] = {[IPI_RESCHED] = X86_VECTOR_IPI_RESCHED,
                                      [IPI_CALL] = X86_VECTOR_IPI_CALL,
                                      [IPI_TLB] = X86_VECTOR_IPI_TLB};
    targets &= arch_cpus_online();
    if (kind == IPI_HALT) {
        x86_halt_request(targets);
    }
    while (targets != 0) {
        const unsigned cpu = bit_lowest(targets);
        targets &= targets - 1;
        const uint32_t apic_id = x86_cpu_get(cpu)->apic_id;
        if (kind == IPI_HALT) {
            lapic_send_nmi(apic_id);
        } else {
            lapic_send_fixed(apic_id, vectors[kind]);
        }
    }
}

static struct cross_call* calls_take(cpu_mask_t me) {
    SPIN_IRQ_GUARD(&calls.lock);
    for (struct list_node* n = list_first(&calls.list); n != nullptr;
         n = list_next(&calls.list, n)) {
        struct cross_call* c = container_of(n, struct cross_call, node);
        if ((c->todo & me) != 0) {
            c->todo &= ~me;
            return c;
        }
    }
    return nullptr;
}

void x86_ipi_calls_run(void) {
    const cpu_mask_t me = bit(arch_cpu_index());
    for (struct cross_call* c; (c = calls_take(me)) != nullptr;) {
        c->fn(c->arg);
        atomic_fetch_and_explicit(&c->running, ~me, memory_order_release);
    }
}

static void call_link(struct cross_call* c) {
    SPIN_IRQ_GUARD(&calls.lock);
    list_push_back(&calls.list, &c->node);
}

static void call_unlink(struct cross_call* c) {
    SPIN_IRQ_GUARD(&calls.lock);
    list_remove(&c->node);
}

void arch_call_on(cpu_mask_t targets, void (*fn)(void* arg), void* arg) {
    DEBUG_ASSERT(irq_enabled());
    preempt_disable();
    const cpu_mask_t me = bit(arch_cpu_index());
    const cpu_mask_t others = targets & arch_cpus_online() & ~me;
    struct cross_call c = {.fn = fn, .arg = arg, .todo = others, .running = others};
    if (others != 0) {
        call_link(&c);
        arch_ipi_send(others, IPI_CALL);
    }
    if ((targets & me) != 0) {
        const irq_state_t state = irq_save();
        fn(arg);
        irq_restore(state);
    }
    if (others != 0) {
        while (atomic_load_explicit(&c.running, memory_order_acquire) != 0) {
            cpu_relax();
        }
        call_unlink(&c);
    }
    preempt_enable();
}
