// What lower layers need of memory: tables for the port, stacks and threads for the scheduler; and
// what the kernel core asks everyone for: drains, gauges, the memory command.
#include <arch/mmu.h>
#include <debug/command.h>
#include <debug/log.h>
#include <lib/compiler.h>
#include <sched/hooks.h>
#include <sched/thread.h>
#include <vm/heap.h>
#include <vm/inject.h>
#include <vm/kstack.h>
#include <vm/pmm.h>

// ---- the port ----

struct mmu_table* arch_upcall_table_alloc(void) {
    struct page* p = pmm_alloc_page((enum pmm_flags)(PMM_TABLE | PMM_ZERO | PMM_NOT_INJECTED));
    return p == nullptr ? nullptr : page_to_virt(p);
}

void arch_upcall_table_free(struct mmu_table* t) {
    pmm_free_page(page_from_virt(t));
}

bool arch_upcall_table_refused(void) {
    return alloc_injected();
}

void arch_upcall_table_wire(struct mmu_table* t) {
    pmm_wire(page_from_virt(t));
}

// ---- the scheduler ----

SLAB_CACHE(thread_cache, struct thread);

vaddr_t sched_hook_stack_alloc(void) {
    return kstack_alloc();
}
void sched_hook_stack_free(vaddr_t top) {
    kstack_free(top);
}
size_t sched_hook_stack_used(vaddr_t top) {
    return kstack_used(top);
}
size_t sched_hook_stack_deepest(void) {
    return kstack_deepest_unmapped();
}
struct thread* sched_hook_thread_alloc(void) {
    return slab_alloc_zero(&thread_cache);
}
void sched_hook_thread_free(struct thread* t) {
    slab_free(&thread_cache, t);
}

// ---- drains and gauges: objects' memory, then what holds pages, then the pages ----

KDRAIN(KDRAIN_MEMORY, heap_drain);
KDRAIN(KDRAIN_MEMORY + 1, kstack_drain);
KDRAIN(KDRAIN_MEMORY + 2, mmu_drain_tables);
KDRAIN(KDRAIN_PAGES, pmm_drain_caches);

// What the machine's pages are used for, down to the objects that they hold: two moments with the
// same objects have the same figure. The pages that objects occupy only because they do not lie
// side by side are left out; `k drain` shows them apart.
static uint64_t gauge_pages(void) {
    struct pmm_stats s;
    struct heap_stats h;
    pmm_get_stats(&s);
    heap_get_stats(&h);
    return s.allocated_pages - min(h.slack_pages, s.allocated_pages);
}
KGAUGE("allocated_pages", gauge_pages);

static uint64_t gauge_heap_objects(void) {
    struct heap_stats s;
    heap_get_stats(&s);
    return s.objects;
}
KGAUGE("heap_objects", gauge_heap_objects);

static uint64_t figure_slack(void) {
    struct heap_stats s;
    heap_get_stats(&s);
    return s.slack_pages;
}
KFIGURE("heap_slack_pages", figure_slack);

static uint64_t figure_free(void) {
    struct pmm_stats s;
    pmm_get_stats(&s);
    return s.free_pages;
}
KFIGURE("free_pages", figure_free);

// ---- k mem ----

static void print_pages(const char* what, uint64_t pages) {
    kprintf("%-12s %8lu KiB\n", what, (unsigned long)(pages * (PAGE_SIZE / 1024)));
}

static void print_cache(const struct slab_stats* s, void*) {
    if (s->objects != 0 || s->pages != 0) {
        kprintf("  %-24s %6lu B x %-8lu %6lu pages\n", s->name, (unsigned long)s->object_size,
                (unsigned long)s->objects, (unsigned long)s->pages);
    }
}

static int command_mem(int, const struct text_span*) {
    struct pmm_stats s;
    pmm_get_stats(&s);
    print_pages("total", s.total_pages);
    print_pages("free", s.free_pages);
    print_pages("wired", s.wired_pages);
    print_pages("vmo", s.vmo_pages);
    print_pages("heap", s.slab_pages);
    print_pages("tables", s.table_pages);
    print_pages("stacks", s.stack_pages);
    print_pages("other", s.other_pages);
    heap_visit_caches(print_cache, nullptr);
    return 0;
}
KCOMMAND("mem", "memory by kind, and the kernel heap's caches", command_mem);
