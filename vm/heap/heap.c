// Allocations of any size: a row of slab caches, and whole pages above. The contract is in
// <vm/heap.h>.
#include <vm/heap.h>

#include <stdatomic.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/compiler.h>
#include <vm/pmm.h>

#include "heap_port.h"
#include "slab_priv.h"

#define SIZE_CLASS(n) SLAB_CACHE_INIT("heap-" #n, n, (n) % 64 == 0 ? 64 : 16)

// Four steps per doubling from 64 on: at most a quarter of a block is wasted.
static struct slab_cache size_class[] = {
    SIZE_CLASS(16),   SIZE_CLASS(32),   SIZE_CLASS(48),   SIZE_CLASS(64),   SIZE_CLASS(80),
    SIZE_CLASS(96),   SIZE_CLASS(112),  SIZE_CLASS(128),  SIZE_CLASS(160),  SIZE_CLASS(192),
    SIZE_CLASS(224),  SIZE_CLASS(256),  SIZE_CLASS(320),  SIZE_CLASS(384),  SIZE_CLASS(448),
    SIZE_CLASS(512),  SIZE_CLASS(640),  SIZE_CLASS(768),  SIZE_CLASS(896),  SIZE_CLASS(1024),
    SIZE_CLASS(1280), SIZE_CLASS(1536), SIZE_CLASS(1792), SIZE_CLASS(2048),
};
constexpr size_t LARGEST_CLASS = 2048;

// Large blocks; relaxed counters, for figures only.
static _Atomic(uint64_t) block_count;
static _Atomic(uint64_t) block_pages;

static struct slab_cache* class_for(size_t size) {
    if (size <= 64) {
        return &size_class[size == 0 ? 0 : (size - 1) / 16];
    }
    uint32_t top = bit_highest(size - 1); // 2^top < size <= 2^(top + 1)
    uint32_t quarter = (uint32_t)((size - 1) >> (top - 2)) & 3;
    return &size_class[4 + (top - 6) * 4 + quarter];
}

static void* block_alloc(size_t size) {
    uint64_t bytes;
    if (!page_round_up_checked(size, &bytes)) {
        return nullptr;
    }
    size_t pages = bytes / PAGE_SIZE;
    // A single page comes from the CPU's own ones.
    struct page* p =
        pages == 1 ? pmm_alloc_page(PMM_SLAB) : pmm_alloc_contiguous(pages, 0, PMM_SLAB);
    if (p == nullptr) {
        return nullptr;
    }
    p->v.slab_info.cache = 0;
    p->u.block_pages = pages;
    atomic_fetch_add_explicit(&block_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&block_pages, pages, memory_order_relaxed);
    return page_to_virt(p);
}

static void block_free(struct page* p, const void* at) {
    size_t pages = p->u.block_pages;
    ASSERT(is_page_aligned((uintptr_t)at) && pages > 0);
    atomic_fetch_sub_explicit(&block_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&block_pages, pages, memory_order_relaxed);
    if (pages == 1) {
        pmm_free_page(p);
    } else {
        pmm_free_contiguous(p, pages);
    }
}

void* heap_alloc(size_t size) {
    return size <= LARGEST_CLASS ? slab_alloc(class_for(size)) : block_alloc(size);
}

void* heap_alloc_zero(size_t size) {
    void* p = heap_alloc(size);
    if (likely(p != nullptr)) {
        __builtin_memset(p, 0, size);
    }
    return p;
}

void heap_free(void* p) {
    if (p == nullptr) {
        return;
    }
    struct page* page = page_from_virt(p);
    ASSERT(page->state == PAGE_SLAB);
    if (page->v.slab_info.cache == 0) {
        block_free(page, p);
    } else {
        slab_free(slab_cache_by_number(page->v.slab_info.cache), p);
    }
}

void heap_visit_caches(void (*visit)(const struct slab_stats* s, void* arg), void* arg) {
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    uint32_t count = slab_cache_count();
    port_cpu_leave(state);
    for (uint32_t number = 1; number < count; number++) {
        struct slab_stats s;
        slab_get_stats(number, &s);
        visit(&s, arg);
    }
}

static void stats_add(const struct slab_stats* s, void* arg) {
    struct heap_stats* out = arg;
    out->bytes_in_use += s->objects * s->object_size;
    out->pages += s->pages;
    out->objects += s->objects;
    out->slack_pages += s->slack_pages;
}

void heap_get_stats(struct heap_stats* out) {
    uint64_t pages = atomic_load_explicit(&block_pages, memory_order_relaxed);
    *out = (struct heap_stats){
        .bytes_in_use = pages * PAGE_SIZE,
        .pages = pages,
        .objects = atomic_load_explicit(&block_count, memory_order_relaxed),
    };
    heap_visit_caches(stats_add, out);
}

void heap_drain(void) {
    slab_drain_all();
}
