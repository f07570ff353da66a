// slab_alloc() and slab_free() with the usual case inline: an object from, or to, this CPU's own
// list of the cache. For callers with interrupts on, and only where the call itself counts. Debug
// builds go the ordinary way, which checks every object.
#pragma once

#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <lib/assert.h>
#include <lib/compiler.h>
#include <vm/heap.h>
#include <vm/inject.h>
#include <vm/slab_cache_impl.h>

extern struct slab_cpu_list slab_cpu_lists[CPU_MAX][SLAB_CACHE_MAX]; // vm/heap/slab.c

// Interrupts off. A cache that was never used has number 0, whose list stays empty.
ALWAYS_INLINE struct slab_cpu_list* slab_cpu_list(uint32_t cpu, const struct slab_cache* c) {
    return &slab_cpu_lists[cpu][atomic_load_explicit(&c->number, memory_order_relaxed)];
}

[[nodiscard]] ALWAYS_INLINE void* slab_alloc_fast(struct slab_cache* c) {
    if (kernel_debug || unlikely(alloc_injected_thread())) {
        return slab_alloc(c);
    }
    irq_disable();
    struct slab_cpu_list* list = slab_cpu_list(arch_cpu_index(), c);
    struct slab_free_object* o = list->head;
    if (unlikely(o == nullptr)) {
        irq_enable();
        return slab_alloc(c);
    }
    list->head = o->next;
    list->count--;
    irq_enable();
    return o;
}

ALWAYS_INLINE void slab_free_fast(struct slab_cache* c, void* p) {
    if (kernel_debug) {
        slab_free(c, p);
        return;
    }
    irq_disable();
    struct slab_cpu_list* list = slab_cpu_list(arch_cpu_index(), c);
    if (unlikely(list->count >= c->cpu_limit)) {
        irq_enable();
        slab_free(c, p);
        return;
    }
    struct slab_free_object* o = p;
    o->next = list->head;
    list->head = o;
    list->count++;
    irq_enable();
}
