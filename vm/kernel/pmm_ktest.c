// Physical memory and heap on the running machine: exact figures, several CPUs at once, refusals.
#include <debug/command.h>
#include <debug/ktest.h>
#include <lib/random.h>
#include <lib/string.h>
#include <vm/heap.h>
#include <vm/page_tree.h>
#include <vm/pmm.h>

#include "ktest_cpus.h"

static uint64_t allocated(void) {
    struct pmm_stats s;
    pmm_get_stats(&s);
    return s.allocated_pages;
}

static void contiguous_every_length(struct ktest* t) {
    uint64_t before = allocated();
    for (size_t count = 1; count <= 1024; count += 1 + count / 16) {
        uint32_t align = 12 + (uint32_t)count % 8;
        struct page* p = pmm_alloc_contiguous(count, align, PMM_KERNEL);
        KASSERT(t, p != nullptr);
        KEXPECT_EQ(t, allocated(), before + count);
        KEXPECT_EQ(t, page_to_paddr(p).raw % bit(align), 0u);
        KEXPECT(t, paddr_to_page(page_to_paddr(p + count - 1)) == p + count - 1);
        pmm_free_contiguous(p, count);
        KEXPECT_EQ(t, allocated(), before);
    }
}
KTEST(pmm, contiguous_every_length);

static void figures_add_up(struct ktest* t) {
    struct page* list = pmm_alloc_pages(3000, PMM_ZERO);
    KASSERT(t, list != nullptr);
    for (struct page* p = list; p != nullptr; p = p->next) {
        const uint64_t* words = page_to_virt(p);
        KEXPECT_EQ(t, words[0] | words[200] | words[511], 0u);
        memset(page_to_virt(p), 0xee, PAGE_SIZE);
    }
    pmm_free_list(list);
    pmm_drain_caches();
    struct pmm_stats s;
    pmm_get_stats(&s);
    KEXPECT_EQ(t, s.total_pages, s.free_pages + s.wired_pages + s.allocated_pages);
    struct page* low = pmm_alloc_page(PMM_BELOW_4G);
    KASSERT(t, low != nullptr);
    KEXPECT(t, page_to_paddr(low).raw < (uint64_t)1 << 32);
    pmm_free_page(low);
}
KTEST(pmm, figures_add_up);

struct worker {
    uint32_t seed;
    uint32_t errors;
};

static int page_worker(void* arg) {
    struct worker* w = arg;
    struct random rng = random_init(w->seed);
    struct page* held[40] = {};
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t k = random_below(&rng, array_size(held));
        if (held[k] == nullptr) {
            held[k] = pmm_alloc_page(PMM_KERNEL);
            if (held[k] != nullptr) {
                *(uint64_t*)page_to_virt(held[k]) = (uint64_t)w->seed << 32 | k;
            }
        } else {
            w->errors += *(uint64_t*)page_to_virt(held[k]) != ((uint64_t)w->seed << 32 | k);
            pmm_free_page(held[k]);
            held[k] = nullptr;
        }
    }
    for (uint32_t k = 0; k < array_size(held); k++) {
        if (held[k] != nullptr) {
            pmm_free_page(held[k]);
        }
    }
    return 0;
}

static int heap_worker(void* arg) {
    struct worker* w = arg;
    struct random rng = random_init(w->seed);
    uint32_t* held[40] = {};
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t k = random_below(&rng, array_size(held));
        if (held[k] == nullptr) {
            held[k] = heap_alloc(8 + random_below(&rng, i % 50 == 0 ? 9000 : 500));
            if (held[k] != nullptr) {
                held[k][0] = w->seed;
                held[k][1] = k;
            }
        } else {
            w->errors += held[k][0] != w->seed || held[k][1] != k;
            heap_free(held[k]);
            held[k] = nullptr;
        }
    }
    for (uint32_t k = 0; k < array_size(held); k++) {
        heap_free(held[k]);
    }
    return 0;
}

static void run_workers(struct ktest* t, int (*fn)(void*)) {
    struct worker workers[KTEST_CPUS];
    void* args[KTEST_CPUS];
    for (uint32_t i = 0; i < KTEST_CPUS; i++) {
        workers[i] = (struct worker){.seed = i + 1};
        args[i] = &workers[i];
    }
    struct cpu_threads threads;
    cpu_threads_start(t, &threads, 0, fn, args);
    cpu_threads_join(&threads);
    for (uint32_t i = 0; i < KTEST_CPUS; i++) {
        KEXPECT_EQ(t, workers[i].errors, 0u);
    }
}

static uint64_t figure_of(const struct pmm_stats* s, enum page_state kind) {
    switch (kind) {
    case PAGE_ALLOC:
        return s->other_pages;
    case PAGE_VMO:
        return s->vmo_pages;
    case PAGE_TABLE:
        return s->table_pages;
    case PAGE_SLAB:
        return s->slab_pages;
    default:
        return s->stack_pages;
    }
}

static void expect_all_there(struct ktest* t, const struct pmm_stats* s) {
    KEXPECT_EQ(t, s->free_pages + s->wired_pages + s->allocated_pages, s->total_pages);
    uint64_t kinds = 0;
    for (uint32_t kind = PAGE_ALLOC; kind <= PAGE_STACK; kind++) {
        kinds += figure_of(s, (enum page_state)kind);
    }
    KEXPECT_EQ(t, kinds, s->allocated_pages);
}

// What `k mem` prints is all of the machine's memory, and each line has what it says.
static void every_page_is_somewhere(struct ktest* t) {
    kdrain_all();
    struct pmm_stats before;
    struct heap_stats heap;
    pmm_get_stats(&before);
    heap_get_stats(&heap);
    expect_all_there(t, &before);
    KEXPECT_EQ(t, heap.pages, before.slab_pages);
    for (uint32_t kind = PAGE_ALLOC; kind <= PAGE_STACK; kind++) {
        struct pmm_stats now;
        enum pmm_flags flags = (enum pmm_flags)(kind << PMM_KIND_SHIFT);
        struct page* one = pmm_alloc_page(flags);
        struct page* run = pmm_alloc_contiguous(5, 12, flags);
        KASSERT(t, one != nullptr && run != nullptr);
        pmm_get_stats(&now);
        expect_all_there(t, &now);
        for (uint32_t other = PAGE_ALLOC; other <= PAGE_STACK; other++) {
            KEXPECT_EQ(t, figure_of(&now, (enum page_state)other),
                       figure_of(&before, (enum page_state)other) + (other == kind ? 6u : 0u));
        }
        pmm_retype(one, kind == PAGE_VMO ? PAGE_STACK : PAGE_VMO);
        pmm_get_stats(&now);
        expect_all_there(t, &now);
        KEXPECT_EQ(t, figure_of(&now, (enum page_state)kind),
                   figure_of(&before, (enum page_state)kind) + 5);
        pmm_free_page(one);
        pmm_free_contiguous(run, 5);
    }
    void* block = heap_alloc(3 * PAGE_SIZE);
    KASSERT(t, block != nullptr);
    struct pmm_stats now;
    pmm_get_stats(&now);
    expect_all_there(t, &now);
    KEXPECT_EQ(t, now.slab_pages, before.slab_pages + 3);
    heap_free(block);
}
KTEST(pmm, every_page_is_somewhere);

static void pages_on_all_cpus(struct ktest* t) {
    run_workers(t, page_worker);
}
KTEST(pmm, pages_on_all_cpus);

static void heap_on_all_cpus(struct ktest* t) {
    run_workers(t, heap_worker);
}
KTEST(heap, heap_on_all_cpus);

static void user_floor_holds(struct ktest* t) {
    if (kernel_debug) {
        ktest_skip(t, "filling every page with a pattern takes too long");
        return;
    }
    struct page* held = nullptr;
    for (struct page* p; (p = pmm_alloc_page(PMM_USER)) != nullptr;) {
        p->next = held;
        held = p;
    }
    struct pmm_stats s;
    pmm_get_stats(&s);
    KEXPECT(t, s.free_pages >= s.user_floor);
    KEXPECT(t, s.free_pages <= s.user_floor + 96u * arch_cpu_count());
    struct page* p = pmm_alloc_page(PMM_SYSTEM);
    KEXPECT(t, p != nullptr);
    if (p != nullptr) {
        pmm_free_page(p);
    }
    p = pmm_alloc_page(PMM_KERNEL);
    KEXPECT(t, p != nullptr);
    if (p != nullptr) {
        pmm_free_page(p);
    }
    KEXPECT(t, pmm_alloc_contiguous(100, 12, PMM_USER) == nullptr);
    pmm_free_list(held);
}
KTEST_WITH(pmm, user_floor_holds, 0, 30'000);

static void refusals_are_counted(struct ktest* t) {
    alloc_injection_arm(3);
    void* a = heap_alloc(10);
    struct page* b = pmm_alloc_page(PMM_KERNEL);
    void* c = heap_alloc(3 * PAGE_SIZE);
    void* d = heap_alloc(10);
    bool fired;
    uint64_t counted = alloc_injection_disarm(&fired);
    KEXPECT(t, a != nullptr && b != nullptr && c == nullptr && d != nullptr);
    KEXPECT(t, fired);
    KEXPECT_EQ(t, counted, 4u);
    heap_free(a);
    pmm_free_page(b);
    heap_free(d);
    KEXPECT(t, heap_alloc(SIZE_MAX) == nullptr);
}
KTEST(heap, refusals_are_counted);

// A tree of more than 1,024 pages is taken apart by the worker, and nothing of it stays.
static void large_tree_is_freed(struct ktest* t) {
    kdrain_all();
    uint64_t before = allocated();
    struct page_tree tree = {};
    struct page_tree copy = {};
    struct page_node_reserve r = {};
    struct page_garbage g = {};
    constexpr uint64_t count = 5000;
    for (uint64_t at = 0; at < count;) {
        struct page* list = pmm_alloc_pages(min(count - at, (uint64_t)64), PMM_VMO);
        KASSERT(t, list != nullptr && page_node_reserve_fill(&r, PAGE_TREE_NODES_MAX));
        while (list != nullptr) {
            uint32_t stored = 0;
            KEXPECT_EQ(t, page_tree_insert_run(&tree, at, &list, 64, &r, &stored), STATUS_OK);
            KASSERT(t, stored > 0);
            at += stored;
        }
    }
    KEXPECT_EQ(t, page_tree_snapshot(&copy, &tree, count, 0, count, &r), STATUS_OK);
    page_tree_clear(&tree, &g);
    page_garbage_dispose(&g);
    KEXPECT_EQ(t, page_tree_pages(&copy), count);
    KEXPECT_EQ(t, page_tree_private_in(&copy, 0, count), count);
    page_tree_clear(&copy, &g);
    page_garbage_dispose(&g);
    page_node_reserve_drain(&r);
    kdrain_all();
    KEXPECT_EQ(t, allocated(), before);
}
KTEST(page_tree, large_tree_is_freed);
