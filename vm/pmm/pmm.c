// Physical memory, the part with locks: per-CPU caches in front of two zones (below 4 GiB, above)
// and the ranges that nobody has touched.
//
// A cache belongs to its CPU and is used with interrupts off; it serves single pages without
// atomics or the lock. Everything else is under the PMM lock. What is in a cache is free but not
// counted by the watermarks, which therefore act a little early.
//
// Zeroing happens outside of both. Debug builds fill what is freed with a pattern and check it when
// it is handed out again.
#include <vm/pmm.h>

#include <stdatomic.h>

#include <boot/handoff.h>
#include <lib/align.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/compiler.h>

#include "pmm_port.h"
#include "pmm_ranges.h"
#include "pmm_zone.h"

constexpr uint32_t CACHE_CAPACITY = 96;
constexpr uint64_t POISON_MARK = 0x706f69736f6e6564u;
constexpr uint64_t POISON_WORD = 0xdbdbdbdbdbdbdbdbu;
// Groups that one locked step moves out of the untouched ranges: about 10,000 instructions.
constexpr uint32_t EXPAND_STEP = 8;

enum { ZONE_LOW, ZONE_HIGH, ZONE_COUNT };

// By its CPU with interrupts off.
struct cpu_cache {
    struct page* head; // through next
    uint32_t count;
    int64_t kinds[PAGE_STATE_COUNT]; // allocated minus freed here; the sum over CPUs is the total
} __attribute__((aligned(64)));

static struct cpu_cache caches[CPU_MAX];

// Under the PMM lock but for what is marked.
static struct {
    struct pmm_zone zone[ZONE_COUNT];
    uint64_t total;
    uint64_t taken;        // frames of the memory map that were never ours
    uint64_t reclaim_mark; // immutable after init, as are the next four
    uint64_t user_floor;
    uint64_t system_floor;
    uint32_t cache_capacity;
    uint32_t cache_batch;
    _Atomic(bool) low;       // user requests must look at the floor; read without the lock
    _Atomic(uint64_t) free;  // copy of what the lock guards, for readers without it
    _Atomic(uint64_t) wired; // pages that pmm_wire() took
    bool reclaim_called;
    _Atomic(void (*)(void)) reclaim_hook;
} pmm;

// ---- contents ----

static void page_clear(struct page* p) {
    uint64_t words = PAGE_SIZE / 8;
    void* at = page_to_virt(p);
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0) : "memory");
}

static void page_poison(struct page* p) {
    uint64_t* words = page_to_virt(p);
    for (size_t i = 0; i < PAGE_SIZE / 8; i++) {
        words[i] = POISON_WORD;
    }
    p->v.poison = POISON_MARK;
}

static void page_poison_check(struct page* p) {
    if (p->v.poison != POISON_MARK) {
        return; // first use
    }
    const uint64_t* words = page_to_virt(p);
    for (size_t i = 0; i < PAGE_SIZE / 8; i++) {
        if (words[i] != POISON_WORD) {
            panic("page %#lx was written at +%#zx after it was freed: %#lx",
                  (unsigned long)page_to_paddr(p).raw, i * 8, (unsigned long)words[i]);
        }
    }
}

static enum page_state flags_kind(enum pmm_flags flags) {
    uint32_t kind = flags >> PMM_KIND_SHIFT;
    return kind == 0 ? PAGE_ALLOC : (enum page_state)kind;
}

static inline void page_prepare(struct page* p, enum page_state kind, enum pmm_flags flags) {
    if (kernel_debug) {
        page_poison_check(p);
    }
    *p = (struct page){.refs = 1, .state = (uint8_t)kind}; // nobody else knows the page yet
    if ((flags & PMM_ZERO) != 0) {
        page_clear(p);
    }
}

// A page that is about to become free. A state that nobody can own means that it is freed twice.
static inline enum page_state page_retire(struct page* p) {
    uint8_t kind = p->state;
    if (unlikely(kind < PAGE_ALLOC || kind >= PAGE_STATE_COUNT || kind == PAGE_WIRED ||
                 atomic_load_explicit(&p->pins, memory_order_relaxed) != 0)) {
        panic("freeing page %#lx in state %u with %u pins", (unsigned long)page_to_paddr(p).raw,
              kind, (unsigned)atomic_load(&p->pins));
    }
    if (kernel_debug) {
        page_poison(p);
    }
    return (enum page_state)kind;
}

// ---- under the PMM lock ----

static struct pmm_zone* zone_of(const struct page* p) {
    return &pmm.zone[page_frame(p) < ZONE_BORDER ? ZONE_LOW : ZONE_HIGH];
}

static uint64_t free_locked(void) {
    return pmm.zone[ZONE_LOW].pages + pmm.zone[ZONE_HIGH].pages + ranges_untouched();
}

// After the amount of free memory changed. True: the caller calls the reclaimer after unlocking.
static inline bool levels_update_locked(void) {
    uint64_t free = free_locked();
    atomic_store_explicit(&pmm.free, free, memory_order_relaxed);
    bool low = free < pmm.user_floor + pmm.cache_batch;
    if (low != atomic_load_explicit(&pmm.low, memory_order_relaxed)) {
        atomic_store_explicit(&pmm.low, low, memory_order_relaxed);
    }
    bool reclaim = free < pmm.reclaim_mark;
    bool call = reclaim && !pmm.reclaim_called;
    pmm.reclaim_called = reclaim;
    return call;
}

static void reclaim_call(bool wanted) {
    if (wanted) {
        void (*hook)(void) = atomic_load(&pmm.reclaim_hook);
        if (hook != nullptr) {
            hook();
        }
    }
}

static bool floor_allows_locked(uint64_t count, enum pmm_flags flags) {
    // What the kernel needs for a program (messages, tables, objects) ends above that of system
    // jobs, or it would stop pagers, too.
    uint64_t floor = (flags & PMM_SYSTEM) != 0 ? pmm.system_floor
                     : (flags & PMM_USER) != 0 ? pmm.user_floor
                     : port_is_program()       ? 2 * pmm.system_floor
                                               : 0;
    return free_locked() >= count + floor;
}

// Some block of at most `wanted` frames, small ones first; *count says how many. RAM above 4 GiB is
// used before RAM below, and what is in use before what is untouched.
static struct page* take_some_locked(uint64_t wanted, enum pmm_flags flags, uint64_t* count) {
    for (int i = (flags & PMM_BELOW_4G) != 0 ? ZONE_LOW : ZONE_HIGH; i >= ZONE_LOW; i--) {
        struct pmm_zone* z = &pmm.zone[i];
        if (z->nonempty == 0 && !ranges_expand(z, i == ZONE_LOW)) {
            continue;
        }
        uint32_t order = min((uint32_t)bit_lowest(z->nonempty), (uint32_t)bit_highest(wanted));
        *count = bit(order);
        return zone_alloc(z, order);
    }
    return nullptr;
}

// ---- single pages ----

static void cache_push(struct cpu_cache* c, struct page* p) {
    p->state = PAGE_CACHED;
    p->next = c->head;
    c->head = p;
    c->count++;
}

static struct page* cache_pop(struct cpu_cache* c) {
    struct page* p = c->head;
    c->head = p->next;
    c->count--;
    return p;
}

// Neighbours in the cache are often neighbours in memory, in one direction or the other: they go
// back as one run.
static void cache_flush(struct cpu_cache* c, uint32_t keep) {
    irq_state_t state = port_lock();
    while (c->count > keep) {
        struct page* first = cache_pop(c);
        first->state = PAGE_NONE;
        uint64_t run = 1;
        for (; c->count > keep; run++) {
            bool below = c->head + 1 == first;
            if ((!below && c->head != first + run) || zone_of(c->head) != zone_of(first)) {
                break;
            }
            struct page* p = cache_pop(c);
            p->state = PAGE_NONE;
            first = below ? p : first;
        }
        zone_free_run(zone_of(first), first, run);
    }
    levels_update_locked();
    port_unlock(state);
}

// The cache is empty, or the request must respect a floor or the 4 GiB limit. Null: refused.
// Interrupts off.
static NOINLINE struct page* alloc_slow(struct cpu_cache* c, enum pmm_flags flags) {
    bool below = (flags & PMM_BELOW_4G) != 0;
    irq_state_t state = port_lock();
    struct page* result = nullptr;
    bool allowed = floor_allows_locked(1, flags);
    if (!allowed && c->count > 0) {
        port_unlock(state);
        cache_flush(c, 0);
        state = port_lock();
        allowed = floor_allows_locked(1, flags);
    }
    uint32_t wanted = below || c->count > 0 ? 1 : pmm.cache_batch;
    while (allowed && wanted > 0) {
        uint64_t count;
        struct page* p = take_some_locked(wanted, flags, &count);
        if (p == nullptr) {
            break;
        }
        wanted -= (uint32_t)count;
        // From the end, so that they are handed out in ascending order.
        while (count > 0) {
            if (result != nullptr) {
                cache_push(c, result);
            }
            result = &p[--count];
        }
    }
    bool reclaim = levels_update_locked();
    port_unlock(state);
    reclaim_call(reclaim);
    return result;
}

static struct page* alloc_one(enum pmm_flags flags) {
    constexpr uint32_t floored = PMM_USER | PMM_SYSTEM;
    enum page_state kind = flags_kind(flags);
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    struct cpu_cache* c = &caches[cpu];
    struct page* p;
    if (likely(c->head != nullptr && (flags & PMM_BELOW_4G) == 0 &&
               ((flags & floored) == 0 || !atomic_load_explicit(&pmm.low, memory_order_relaxed)))) {
        p = cache_pop(c);
    } else {
        p = alloc_slow(c, flags);
    }
    if (likely(p != nullptr)) {
        c->kinds[kind]++;
    }
    port_cpu_leave(state);
    if (likely(p != nullptr)) {
        page_prepare(p, kind, flags);
    }
    return p;
}

static inline bool injected(enum pmm_flags flags) {
    return (flags & PMM_NOT_INJECTED) == 0 && unlikely(port_injected());
}

struct page* pmm_alloc_page(enum pmm_flags flags) {
    return injected(flags) ? nullptr : alloc_one(flags);
}

struct page* pmm_alloc_pages(size_t count, enum pmm_flags flags) {
    if (injected(flags)) {
        return nullptr;
    }
    struct page* head = nullptr;
    struct page** tail = &head;
    for (; count > 0; count--) {
        *tail = alloc_one(flags);
        if (*tail == nullptr) {
            pmm_free_list(head);
            return nullptr;
        }
        tail = &(*tail)->next;
    }
    return head;
}

void pmm_free_page(struct page* p) {
    enum page_state kind = page_retire(p);
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    struct cpu_cache* c = &caches[cpu];
    c->kinds[kind]--;
    cache_push(c, p);
    if (unlikely(c->count > pmm.cache_capacity)) {
        cache_flush(c, pmm.cache_capacity - pmm.cache_batch);
    }
    port_cpu_leave(state);
}

void pmm_free_list(struct page* head) {
    while (head != nullptr) {
        struct page* next = head->next;
        pmm_free_page(head);
        head = next;
    }
}

static void kinds_add(enum page_state kind, int64_t count) {
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    caches[cpu].kinds[kind] += count;
    port_cpu_leave(state);
}

void pmm_retype(struct page* p, enum page_state to) {
    DEBUG_ASSERT(to >= PAGE_ALLOC && to < PAGE_STATE_COUNT && to != PAGE_WIRED);
    kinds_add((enum page_state)p->state, -1);
    kinds_add(to, 1);
    p->state = (uint8_t)to;
}

void pmm_wire(struct page* p) {
    kinds_add((enum page_state)p->state, -1);
    p->state = PAGE_WIRED;
    atomic_fetch_add_explicit(&pmm.wired, 1, memory_order_relaxed);
}

// ---- runs ----

// One locked attempt at a run, from one zone.
static struct page* take_run_locked(struct pmm_zone* z, uint64_t count, uint32_t align_order) {
    uint32_t order = max(log2_ceil(count), align_order);
    struct page* p = zone_alloc(z, order);
    if (p != nullptr) {
        zone_free_run(z, p + count, bit(order) - count);
        return p;
    }
    return zone_alloc_run(z, count, align_order);
}

// Moves untouched RAM into the zone in small locked steps, until `count` more frames are there.
// False: none was left.
static bool zone_expand(int zone, uint64_t count) {
    bool any = false;
    bool more = true;
    for (uint64_t moved = 0; more && moved < count;) {
        irq_state_t state = port_lock();
        for (uint32_t i = 0; more && i < EXPAND_STEP; i++) {
            more = ranges_expand(&pmm.zone[zone], zone == ZONE_LOW);
            any = any || more;
        }
        moved += EXPAND_STEP * GROUP_FRAMES;
        levels_update_locked();
        port_unlock(state);
    }
    return any;
}

static struct page* take_run(int zone, uint64_t count, uint32_t align_order, enum pmm_flags flags) {
    for (;;) {
        irq_state_t state = port_lock();
        struct page* p = floor_allows_locked(count, flags)
                             ? take_run_locked(&pmm.zone[zone], count, align_order)
                             : nullptr;
        bool hopeless = p == nullptr && !floor_allows_locked(count, flags);
        bool reclaim = levels_update_locked();
        port_unlock(state);
        reclaim_call(reclaim);
        if (p != nullptr) {
            return p;
        }
        if (hopeless || !zone_expand(zone, count)) {
            return nullptr;
        }
    }
}

MINSIZE struct page* pmm_alloc_contiguous(size_t count, uint32_t align_log2, enum pmm_flags flags) {
    uint32_t align_order = align_log2 > PAGE_SHIFT ? align_log2 - (uint32_t)PAGE_SHIFT : 0;
    if (injected(flags) || count == 0 || count > pmm.total || align_order >= ZONE_ORDERS) {
        return nullptr;
    }
    if (count == 1 && align_order == 0) {
        return alloc_one(flags);
    }
    struct page* p = nullptr;
    for (int i = (flags & PMM_BELOW_4G) != 0 ? ZONE_LOW : ZONE_HIGH; i >= ZONE_LOW; i--) {
        p = take_run(i, count, align_order, flags);
        if (p != nullptr) {
            break;
        }
    }
    if (p == nullptr) {
        return nullptr;
    }
    enum page_state kind = flags_kind(flags);
    kinds_add(kind, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        page_prepare(p + i, kind, flags);
    }
    return p;
}

MINSIZE void pmm_free_contiguous(struct page* p, size_t count) {
    enum page_state kind = (enum page_state)p->state;
    for (size_t i = 0; i < count; i++) {
        enum page_state had = page_retire(p + i);
        if (unlikely(had != kind)) {
            kinds_add(had, -1);
            kinds_add(kind, 1);
        }
        p[i].state = PAGE_NONE;
    }
    kinds_add(kind, -(int64_t)count);
    // In steps: joining blocks of a large run would hold the lock too long.
    while (count > 0) {
        uint64_t step = min((uint64_t)count, EXPAND_STEP * GROUP_FRAMES);
        irq_state_t state = port_lock();
        zone_free_run(zone_of(p), p, step);
        levels_update_locked();
        port_unlock(state);
        p += step;
        count -= step;
    }
}

// ---- wired memory ----

struct page* pmm_adopt(paddr_t base, size_t count, enum pmm_flags flags) {
    ASSERT(is_page_aligned(base.raw) && count > 0);
    uint64_t first = base.raw / PAGE_SIZE;
    irq_state_t state = port_lock();
    bool backed = ranges_back(first, first + count);
    if (backed) {
        ASSERT(pmm.taken >= count);
        pmm.taken -= count;
    }
    levels_update_locked();
    port_unlock(state);
    if (!backed) {
        return nullptr;
    }
    struct page* p = frame_page(first);
    for (size_t i = 0; i < count; i++) {
        ASSERT(p[i].state == PAGE_NONE);
        page_prepare(p + i, flags_kind(flags), flags);
    }
    kinds_add(flags_kind(flags), (int64_t)count);
    return p;
}

// Adds [first, end) to the untouched ranges, cut at 4 GiB.
static void untouched_add_locked(uint64_t first, uint64_t end) {
    uint64_t cut = min(max(first, ZONE_BORDER), end);
    pmm.taken += ranges_add(first, min(end, ZONE_BORDER), true);
    pmm.taken += ranges_add(cut, end, false);
}

void pmm_free_wired(paddr_t base, uint64_t length) {
    irq_state_t state = port_lock();
    ASSERT(pmm.taken >= length / PAGE_SIZE);
    pmm.taken -= length / PAGE_SIZE;
    untouched_add_locked(base.raw / PAGE_SIZE, (base.raw + length) / PAGE_SIZE);
    levels_update_locked();
    port_unlock(state);
}

void pmm_add_ram(paddr_t base, uint64_t length) {
    irq_state_t state = port_lock();
    pmm.total += length / PAGE_SIZE;
    untouched_add_locked(base.raw / PAGE_SIZE, (base.raw + length) / PAGE_SIZE);
    levels_update_locked();
    port_unlock(state);
}

// ---- figures ----

void pmm_get_stats(struct pmm_stats* out) {
    int64_t kinds[PAGE_STATE_COUNT] = {};
    uint64_t cached = 0;
    // The caches are read while others change them: exact only at a quiet moment.
    for (uint32_t cpu = 0; cpu < CPU_MAX; cpu++) {
        cached += caches[cpu].count;
        for (uint32_t i = 0; i < PAGE_STATE_COUNT; i++) {
            kinds[i] += caches[cpu].kinds[i];
        }
    }
    irq_state_t state = port_lock();
    *out = (struct pmm_stats){
        .total_pages = pmm.total,
        .free_pages = free_locked() + cached,
        .wired_pages = pmm.taken + ranges_array() + atomic_load(&pmm.wired),
        .other_pages = (uint64_t)kinds[PAGE_ALLOC],
        .table_pages = (uint64_t)kinds[PAGE_TABLE],
        .slab_pages = (uint64_t)kinds[PAGE_SLAB],
        .stack_pages = (uint64_t)kinds[PAGE_STACK],
        .vmo_pages = (uint64_t)kinds[PAGE_VMO],
        .reclaim_mark = pmm.reclaim_mark,
        .user_floor = pmm.user_floor,
        .system_floor = pmm.system_floor,
    };
    port_unlock(state);
    out->allocated_pages =
        out->other_pages + out->table_pages + out->slab_pages + out->stack_pages + out->vmo_pages;
}

uint64_t pmm_free_count(void) {
    return atomic_load_explicit(&pmm.free, memory_order_relaxed);
}

static void drain_here(void* arg) {
    _Atomic(uint64_t)* cpus = arg;
    uint32_t cpu;
    irq_state_t state = port_cpu_enter(&cpu);
    cache_flush(&caches[cpu], 0);
    port_cpu_leave(state);
    atomic_fetch_add(cpus, 1);
}

// Between two drains the CPUs' caches, here and in the layers above, may hold on to this many pages
// each while another CPU finds none in the zones. The array is backed for them at the drain, so
// that it does not grow afterwards for this reason alone: then free pages can be compared.
constexpr uint64_t BACKED_AHEAD = 256;

// One group more, if fewer than `wanted` frames are free in the zones. False: enough, or none left.
static bool back_ahead(uint64_t wanted) {
    irq_state_t state = port_lock();
    struct pmm_zone* high = &pmm.zone[ZONE_HIGH];
    struct pmm_zone* low = &pmm.zone[ZONE_LOW];
    bool more = high->pages + low->pages < wanted &&
                (ranges_expand(high, false) || ranges_expand(low, true));
    levels_update_locked();
    port_unlock(state);
    return more;
}

void pmm_drain_caches(void) {
    _Atomic(uint64_t) cpus = 0;
    port_on_every_cpu(drain_here, &cpus);
    while (back_ahead(atomic_load(&cpus) * BACKED_AHEAD)) {
    }
}

void pmm_set_reclaim_hook(void (*hook)(void)) {
    atomic_store(&pmm.reclaim_hook, hook);
}

struct page* paddr_to_page(paddr_t pa) {
    uint64_t frame = pa.raw / PAGE_SIZE;
    return frame_is_backed(frame) ? frame_page(frame) : nullptr;
}

// ---- start ----

// The first frame of the next taken span at or above `frame`, and its end.
static MINSIZE uint64_t next_taken(const struct handoff* h, uint64_t frame, uint64_t* end) {
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < HANDOFF_TAKEN_COUNT; i++) {
        uint64_t span_first = h->taken[i].base / PAGE_SIZE;
        uint64_t span_end = span_first + h->taken[i].length / PAGE_SIZE;
        if (span_end > frame && h->taken[i].length > 0 && span_first < first) {
            first = span_first;
            *end = span_end;
        }
    }
    return first;
}

static MINSIZE void add_usable(const struct handoff* h, uint64_t frame, uint64_t end) {
    pmm.total += end - frame;
    while (frame < end) {
        uint64_t taken_end = 0;
        uint64_t taken = next_taken(h, frame, &taken_end);
        if (taken >= end) {
            untouched_add_locked(frame, end);
            return;
        }
        untouched_add_locked(frame, max(taken, frame));
        pmm.taken += min(taken_end, end) - max(taken, frame);
        frame = taken_end;
    }
}

static MINSIZE void set_levels(void) {
    // Room for the kernel to finish what it began, small enough for a machine of 32 MiB.
    pmm.user_floor = min(max(pmm.total / 64, (uint64_t)64), (uint64_t)2048);
    pmm.system_floor = pmm.user_floor / 4;
    pmm.reclaim_mark = pmm.user_floor * 2;
    uint64_t capacity = min(max(pmm.total / 512, (uint64_t)12), (uint64_t)CACHE_CAPACITY);
    pmm.cache_capacity = (uint32_t)capacity;
    pmm.cache_batch = (uint32_t)capacity / 3;
}

MINSIZE void pmm_init(const struct handoff* h) {
    uint64_t top = 0;
    for (uint32_t i = 0; i < h->memory_count; i++) {
        const struct handoff_memory* m = &h->memory[i];
        uint64_t end = (m->base + m->length) / PAGE_SIZE;
        if (m->kind == HANDOFF_MEMORY_USABLE) {
            add_usable(h, m->base / PAGE_SIZE, end);
        }
        if (m->kind == HANDOFF_MEMORY_USABLE || m->kind == HANDOFF_MEMORY_ACPI_RECLAIM) {
            top = max(top, end);
        }
    }
    uint64_t bitmap_frames = page_round_up(ranges_bitmap_bytes(top)) / PAGE_SIZE;
    uint64_t bitmap = ranges_take(bitmap_frames);
    ASSERT(bitmap != UINT64_MAX);
    for (uint64_t i = 0; i < bitmap_frames; i++) {
        page_clear(frame_page(bitmap + i)); // computes with the address only
    }
    ranges_init(top, (_Atomic(uint64_t)*)(PAGE_SPACE_DIRECT + bitmap * PAGE_SIZE),
                &pmm.zone[ZONE_LOW]);
    set_levels();
    irq_state_t state = port_lock();
    levels_update_locked();
    port_unlock(state);
}
