// Slab caches. The contract is in <vm/heap.h>.
//
// A slab is one or a few pages, aligned to its size, cut into objects. Its first page's struct page
// says whose it is, how many objects are out, and where its free list starts; objects at its end
// that were never used are not in the list, so that a new slab costs the same whatever it holds.
// Slabs with free objects form a list, those without are found through their objects.
//
// A cache gets a number at its first use; slab_cpu_lists[cpu][number] is that CPU's list of free
// objects. Number 0 is nobody's: its lists stay empty, so that a cache that has none takes the slow
// path.
//
// Objects do not move, so what lives long should lie close together: a refill takes from the
// fullest slab at hand, and a CPU that allocates little of a kind takes little at a time. What is
// kept apart nevertheless is the heap's slack (slab_stats.slack_pages).
//
// Locks: a CPU's lists belong to it while interrupts are off. The rest is under the cache's lock,
// taken with interrupts off. Pages are taken and given back outside of it.
#include <vm/heap.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/compiler.h>
#include <vm/pmm.h>

#include "heap_port.h"
#include "slab_debug.h"
#include "slab_priv.h"

// By its CPU with interrupts off.
extern struct slab_cpu_list slab_cpu_lists[CPU_MAX][SLAB_CACHE_MAX]; // also for slab_fast.h
struct slab_cpu_list slab_cpu_lists[CPU_MAX][SLAB_CACHE_MAX] __attribute__((aligned(64)));

static struct {
    heap_lock_t lock;
    uint32_t count;                           // numbers given out, 0 included; under lock
    struct slab_cache* cache[SLAB_CACHE_MAX]; // set once, before the number is
} registry = {.lock = HEAP_LOCK_INIT, .count = 1};

// ---- layout ----

static void cache_lay_out(struct slab_cache* c) {
    c->align = max(c->align, 8u);
    c->stride = (uint32_t)align_up(max(c->size, 8u) + slab_debug_bytes, c->align);
    ASSERT(c->stride <= 8 * PAGE_SIZE / 4);
    uint32_t pages = 1;
    // Larger slabs only where objects would waste more than an eighth of a smaller one.
    while (pages < 8 && pages * PAGE_SIZE % c->stride > pages * PAGE_SIZE / 8) {
        pages *= 2;
    }
    c->slab_pages = pages;
    c->per_slab = (uint32_t)(pages * PAGE_SIZE / c->stride);
    c->cpu_limit = min(max(8192 / c->stride, 4u), 32u);
}

static void cache_register(struct slab_cache* c) {
    port_lock(&registry.lock);
    if (atomic_load_explicit(&c->number, memory_order_relaxed) == 0) {
        ASSERT(registry.count < SLAB_CACHE_MAX); // caches are static: a matter of the source
        cache_lay_out(c);
        registry.cache[registry.count] = c;
        atomic_store_explicit(&c->number, registry.count, memory_order_release);
        registry.count++;
    }
    port_unlock(&registry.lock);
}

struct slab_cache* slab_cache_by_number(uint32_t number) {
    ASSERT(number > 0 && number < SLAB_CACHE_MAX);
    return registry.cache[number];
}

// ---- slabs, under the cache's lock ----

static char* slab_start(struct page* slab) {
    return page_to_virt(slab);
}

static struct page* slab_of(const struct slab_cache* c, const void* object) {
    uintptr_t start = align_down((uintptr_t)object, c->slab_pages * PAGE_SIZE);
    return page_from_virt((void*)start);
}

static void partial_push_locked(struct slab_cache* c, struct page* slab) {
    slab->u.slab.prev = nullptr;
    slab->next = c->partial;
    if (slab->next != nullptr) {
        slab->next->u.slab.prev = slab;
    }
    c->partial = slab;
}

static void partial_remove_locked(struct slab_cache* c, struct page* slab) {
    if (slab->u.slab.prev != nullptr) {
        slab->u.slab.prev->next = slab->next;
    } else {
        c->partial = slab->next;
    }
    if (slab->next != nullptr) {
        slab->next->u.slab.prev = slab->u.slab.prev;
    }
}

static bool slab_is_full(const struct page* slab) {
    return slab->v.slab_info.free_at == 0 && slab->v.slab_info.untouched == 0;
}

static struct slab_free_object* slab_take_locked(struct slab_cache* c, struct page* slab) {
    char* start = slab_start(slab);
    struct slab_free_object* o;
    if (slab->v.slab_info.free_at != 0) {
        o = (struct slab_free_object*)(start + (slab->v.slab_info.free_at - 1) * 8);
        slab->v.slab_info.free_at =
            o->next == nullptr ? 0 : (uint16_t)(((char*)o->next - start) / 8 + 1);
    } else {
        o = (struct slab_free_object*)(start +
                                       (c->per_slab - slab->v.slab_info.untouched) * c->stride);
        slab->v.slab_info.untouched--;
        slab_debug_make(c, o);
    }
    c->empty -= slab->v.slab_info.in_use == 0;
    slab->v.slab_info.in_use++;
    c->taken++;
    if (slab_is_full(slab)) {
        partial_remove_locked(c, slab);
    }
    return o;
}

// Puts an object back. Returns a slab that the caller gives to the PMM, or null: one empty slab is
// kept, so that a cache at its edge does not swing between the two.
static struct page* slab_put_locked(struct slab_cache* c, struct slab_free_object* o) {
    struct page* slab = slab_of(c, o);
    char* start = slab_start(slab);
    bool was_full = slab_is_full(slab);
    o->next = slab->v.slab_info.free_at == 0
                  ? nullptr
                  : (struct slab_free_object*)(start + (slab->v.slab_info.free_at - 1) * 8);
    slab->v.slab_info.free_at = (uint16_t)(((char*)o - start) / 8 + 1);
    slab->v.slab_info.in_use--;
    c->taken--;
    if (was_full) {
        partial_push_locked(c, slab);
    }
    if (slab->v.slab_info.in_use != 0) {
        return nullptr;
    }
    if (c->empty == 0) {
        c->empty = 1;
        return nullptr;
    }
    partial_remove_locked(c, slab);
    c->slabs--;
    return slab;
}

static void slab_add_locked(struct slab_cache* c, struct page* slab, uint32_t number) {
    slab->v.slab_info.cache = (uint16_t)number;
    slab->v.slab_info.in_use = 0;
    slab->v.slab_info.free_at = 0;
    slab->v.slab_info.untouched = (uint16_t)c->per_slab;
    for (uint32_t i = 1; i < c->slab_pages; i++) {
        slab[i].v.slab_info.cache = (uint16_t)number; // heap_free() may meet any page
    }
    partial_push_locked(c, slab);
    c->empty++;
    c->slabs++;
}

// ---- pages ----

static struct page* slab_pages_alloc(const struct slab_cache* c) {
    constexpr enum pmm_flags flags = (enum pmm_flags)(PMM_SLAB | PMM_NOT_INJECTED);
    if (c->slab_pages == 1) {
        return pmm_alloc_page(flags);
    }
    uint32_t align = (uint32_t)PAGE_SHIFT + (uint32_t)bit_lowest(c->slab_pages);
    return pmm_alloc_contiguous(c->slab_pages, align, flags);
}

static void slab_pages_free(const struct slab_cache* c, struct page* slab) {
    if (c->slab_pages == 1) {
        pmm_free_page(slab);
    } else {
        pmm_free_contiguous(slab, c->slab_pages);
    }
}

// ---- objects ----

// The fullest of the first few slabs with free objects. c->lock held.
static struct page* partial_best_locked(const struct slab_cache* c) {
    constexpr uint32_t LOOK_AT = 8;
    struct page* best = c->partial;
    uint32_t looked = 0;
    for (struct page* p = best; p != nullptr && looked < LOOK_AT; p = p->next, looked++) {
        if (p->v.slab_info.in_use > best->v.slab_info.in_use) {
            best = p;
        }
    }
    return best;
}

// How many objects a refill of the list takes: 1, 2, 4 and so on up to half of what it may hold.
static uint32_t refill_count(const struct slab_cache* c, struct slab_cpu_list* list) {
    uint32_t now = max(list->refill, 1u);
    list->refill = min(now * 2, c->cpu_limit / 2 + 1);
    return now;
}

// Fills the CPU's list and returns one more object; null: no memory. Interrupts off.
static NOINLINE struct slab_free_object* alloc_slow(struct slab_cache* c, uint32_t cpu) {
    uint32_t number = atomic_load_explicit(&c->number, memory_order_acquire);
    if (number == 0) {
        cache_register(c);
        number = atomic_load_explicit(&c->number, memory_order_acquire);
    }
    struct slab_cpu_list* list = &slab_cpu_lists[cpu][number];
    if (list->head != nullptr) {
        struct slab_free_object* o = list->head;
        list->head = o->next;
        list->count--;
        return o;
    }
    port_lock(&c->lock);
    if (c->partial == nullptr) {
        port_unlock(&c->lock);
        struct page* slab = slab_pages_alloc(c);
        port_lock(&c->lock);
        if (slab != nullptr) {
            slab_add_locked(c, slab, number);
        }
    }
    struct slab_free_object* result = nullptr;
    uint32_t wanted = refill_count(c, list);
    struct page* from = nullptr;
    while (wanted-- > 0 && c->partial != nullptr) {
        if (from == nullptr || slab_is_full(from)) {
            from = partial_best_locked(c);
        }
        struct slab_free_object* o = slab_take_locked(c, from);
        if (result == nullptr) {
            result = o;
        } else {
            o->next = list->head;
            list->head = o;
            list->count++;
        }
    }
    port_unlock(&c->lock);
    return result;
}

void* slab_alloc(struct slab_cache* c) {
    if (port_injected()) {
        return nullptr;
    }
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    uint32_t number = atomic_load_explicit(&c->number, memory_order_relaxed);
    struct slab_cpu_list* list = &slab_cpu_lists[cpu][number];
    struct slab_free_object* o = list->head;
    if (likely(o != nullptr)) {
        list->head = o->next;
        list->count--;
    } else {
        o = alloc_slow(c, cpu);
    }
    port_cpu_leave(state);
    if (o != nullptr) {
        slab_debug_take(c, o);
    }
    return o;
}

void* slab_alloc_zero(struct slab_cache* c) {
    void* p = slab_alloc(c);
    if (likely(p != nullptr)) {
        __builtin_memset(p, 0, c->size);
    }
    return p;
}

// Puts objects of the CPU's list back until `keep` are left. Interrupts off.
static void list_flush(struct slab_cache* c, struct slab_cpu_list* list, uint32_t keep) {
    struct page* unused = nullptr;
    port_lock(&c->lock);
    while (list->count > keep) {
        struct slab_free_object* o = list->head;
        list->head = o->next;
        list->count--;
        struct page* slab = slab_put_locked(c, o);
        if (slab != nullptr) {
            slab->next = unused;
            unused = slab;
        }
    }
    port_unlock(&c->lock);
    while (unused != nullptr) {
        struct page* next = unused->next;
        slab_pages_free(c, unused);
        unused = next;
    }
}

void slab_free(struct slab_cache* c, void* p) {
    DEBUG_ASSERT(page_from_virt(p)->state == PAGE_SLAB &&
                 page_from_virt(p)->v.slab_info.cache == atomic_load(&c->number));
    slab_debug_give(c, p);
    struct slab_free_object* o = p;
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    struct slab_cpu_list* list =
        &slab_cpu_lists[cpu][atomic_load_explicit(&c->number, memory_order_relaxed)];
    o->next = list->head;
    list->head = o;
    list->count++;
    if (unlikely(list->count > c->cpu_limit)) {
        list_flush(c, list, c->cpu_limit / 2);
    }
    port_cpu_leave(state);
}

// ---- all caches ----

uint32_t slab_cache_count(void) {
    port_lock(&registry.lock);
    uint32_t count = registry.count;
    port_unlock(&registry.lock);
    return count;
}

static void drain_here(void* unused) {
    (void)unused;
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    uint32_t count = slab_cache_count();
    for (uint32_t number = 1; number < count; number++) {
        list_flush(registry.cache[number], &slab_cpu_lists[cpu][number], 0);
        slab_cpu_lists[cpu][number].refill = 0;
    }
    port_cpu_leave(state);
}

// The one empty slab that a cache keeps.
static void cache_trim(struct slab_cache* c) {
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    port_lock(&c->lock);
    struct page* slab = c->partial;
    while (slab != nullptr && slab->v.slab_info.in_use != 0) {
        slab = slab->next;
    }
    if (slab != nullptr) {
        partial_remove_locked(c, slab);
        c->empty--;
        c->slabs--;
    }
    port_unlock(&c->lock);
    if (slab != nullptr) {
        slab_pages_free(c, slab);
    }
    port_cpu_leave(state);
}

void slab_drain_all(void) {
    port_on_every_cpu(drain_here);
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    uint32_t count = slab_cache_count();
    port_cpu_leave(state);
    for (uint32_t number = 1; number < count; number++) {
        cache_trim(registry.cache[number]);
    }
}

void slab_get_stats(uint32_t number, struct slab_stats* out) {
    struct slab_cache* c = registry.cache[number];
    uint64_t kept = 0;
    for (uint32_t cpu = 0; cpu < CPU_MAX; cpu++) {
        kept += slab_cpu_lists[cpu][number].count;
    }
    uint32_t here;
    irq_state_t state = port_cpu_enter(&here);
    port_lock(&c->lock);
    uint64_t objects = c->taken - min(kept, c->taken);
    uint64_t needed = (objects + c->per_slab - 1) / c->per_slab;
    *out = (struct slab_stats){
        .name = c->name,
        .object_size = c->size,
        .objects = objects,
        .pages = c->slabs * c->slab_pages,
        .slack_pages = (c->slabs - min(needed, c->slabs)) * c->slab_pages,
    };
    port_unlock(&c->lock);
    port_cpu_leave(state);
}
