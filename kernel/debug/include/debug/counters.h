// Named kernel counters, one slot per CPU, summed on reading (`k counters`).
//
//     COUNTER(sysret_fallbacks);
//     counter_add(&sysret_fallbacks, 1);
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <lib/compiler.h>

struct counter {
    _Atomic(uint64_t) slots[CPU_MAX];
};
struct counter_desc {
    const char* name;
    struct counter* counter;
};
#define COUNTER(name_)                                         \
    static struct counter name_;                               \
    static const struct counter_desc CAT(counter_desc_, name_) \
        __attribute__((used, section(".counters"), aligned(8))) = {#name_, &name_}

// Any context. Atomic: the thread may move between choosing the slot and adding.
static inline void counter_add(struct counter* c, uint64_t n) {
    atomic_fetch_add_explicit(&c->slots[arch_cpu_index()], n, memory_order_relaxed);
}
uint64_t counter_read(const struct counter* c);
