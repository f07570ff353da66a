// Memory for page tables: each CPU keeps some clean tables, so that a table that was emptied serves
// again without being cleared; reserves are filled from there.
//
// A CPU's list belongs to it while interrupts are off.
#include <arch/cpu.h>
#include <arch/percpu.h>
#include <lib/assert.h>

#include "mmu_core.h"
#include "mmu_priv.h"

constexpr uint32_t CLEAN_MAX = 16;

struct clean_tables {
    struct mmu_table* head;
    uint32_t count;
};
static struct clean_tables clean[CPU_MAX];

static struct mmu_table* table_get(void) {
    irq_state_t state = irq_save();
    struct clean_tables* c = &clean[arch_cpu_index()];
    struct mmu_table* t = table_pop(&c->head);
    c->count -= t != nullptr;
    irq_restore(state);
    return t != nullptr ? t : arch_upcall_table_alloc();
}

static void table_put(struct mmu_table* t) {
    irq_state_t state = irq_save();
    struct clean_tables* c = &clean[arch_cpu_index()];
    bool room = c->count < CLEAN_MAX;
    if (room) {
        table_push(&c->head, t);
        c->count++;
    }
    irq_restore(state);
    if (!room) {
        arch_upcall_table_free(t);
    }
}

void mmu_tables_free(struct mmu_table* list) {
    for (struct mmu_table* t; (t = table_pop(&list)) != nullptr;) {
        table_put(t);
    }
}

bool mmu_reserve_fill(struct table_reserve* r, uint32_t count) {
    if (r->count < count && arch_upcall_table_refused()) {
        return false;
    }
    while (r->count < count) {
        struct mmu_table* t = table_get();
        if (t == nullptr) {
            return false;
        }
        table_push(&r->head, t);
        r->count++;
    }
    return true;
}

void mmu_reserve_drain(struct table_reserve* r) {
    mmu_tables_free(r->head);
    *r = (struct table_reserve){};
}

uint32_t mmu_tables_needed(vaddr_t va, size_t len) {
    if (len == 0) {
        return 0;
    }
    uint64_t tables = 0;
    for (uint32_t level = 1; level <= PT_TOP; level++) {
        uint64_t span = level_span(level);
        tables += (va + len - 1) / span - va / span + 1;
    }
    return (uint32_t)min(tables, (uint64_t)UINT32_MAX);
}

// On each CPU, from the cross-call. The tables go to one list, freed by the caller of the drain.
static void drain_here(void* list) {
    struct clean_tables* c = &clean[arch_cpu_index()];
    _Atomic(struct mmu_table*)* to = list;
    while (c->count > 0) {
        struct mmu_table* t = table_pop(&c->head);
        c->count--;
        t->next = atomic_load_explicit(to, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(to, &t->next, t, memory_order_release,
                                                      memory_order_relaxed)) {
        }
    }
}

void mmu_drain_tables(void) {
    _Atomic(struct mmu_table*) list = nullptr;
    arch_call_on(arch_cpus_online(), drain_here, &list);
    struct mmu_table* head = atomic_load_explicit(&list, memory_order_acquire);
    for (struct mmu_table* t; (t = table_pop(&head)) != nullptr;) {
        arch_upcall_table_free(t);
    }
}
