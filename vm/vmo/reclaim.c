// Eviction. See <vm/reclaim.h>.
#include <vm/reclaim.h>

#include <debug/command.h>
#include <debug/log.h>
#include <lib/bits.h>
#include <lib/hash.h>
#include <sched/deferred.h>
#include <sched/thread.h>
#include <vm/heap.h>
#include <vm/page_set.h>
#include <vm/page_source.h>
#include <vm/pmm.h>

#include "vmo_priv.h"

// Pages taken for an allocation that was refused, and how often one tries.
constexpr uint64_t PAGES_FOR_ONE = 64;
constexpr uint32_t TRIES = 16;
// Visits to a set without finding enough: old pages are found at the second.
constexpr uint32_t ROUNDS = 3;

struct reclaim_counters reclaim_counters;

static struct {
    spinlock_t lock; // class RECLAIM; guards the ring
    struct list ring;
    uint32_t length;
} ring = {.lock = SPINLOCK_INIT(LOCK_CLASS_RECLAIM), .ring = LIST_INIT(ring.ring)};

// Tags of pages evicted last, by hash; a race costs a count.
static _Atomic(uint32_t) remembered[4096];

void reclaim_add(struct page_set* set) {
    spin_acquire(&ring.lock);
    list_push_back(&ring.ring, &set->ring_node);
    ring.length++;
    spin_release(&ring.lock);
}

void reclaim_remove(struct page_set* set) {
    spin_acquire(&ring.lock);
    list_remove(&set->ring_node);
    ring.length--;
    spin_release(&ring.lock);
}

// The set at the ring's front, which moves to its back, with a reference; null: none, or it is
// going.
static struct page_set* next_set(uint32_t* length) {
    struct page_set* set = nullptr;
    spin_acquire(&ring.lock);
    *length = ring.length;
    struct list_node* n = list_pop_front(&ring.ring);
    if (n != nullptr) {
        list_push_back(&ring.ring, n);
        set = container_of(n, struct page_set, ring_node);
        set = page_set_ref_unless_dead(set) ? set : nullptr;
    }
    spin_release(&ring.lock);
    return set;
}

// ---- refaults ----

static uint32_t tag_of(const struct page_set* set, uint64_t index, size_t* place) {
    uint64_t hash = hash_mix_u64((uintptr_t)set ^ hash_mix_u64(index));
    *place = hash % array_size(remembered);
    return (uint32_t)(hash >> 32) | 1;
}

static void remember(const struct page_set* set, uint64_t index) {
    size_t place;
    uint32_t tag = tag_of(set, index, &place);
    atomic_store_explicit(&remembered[place], tag, memory_order_relaxed);
}

void reclaim_note_asked(const struct page_set* set, uint64_t index) {
    size_t place;
    uint32_t tag = tag_of(set, index, &place);
    if (atomic_load_explicit(&remembered[place], memory_order_relaxed) == tag) {
        atomic_store_explicit(&remembered[place], 0, memory_order_relaxed);
        reclaim_count(&reclaim_counters.refaulted, 1);
    }
}

// ---- one set ----

// What becomes of a page that the hand passes, if it has none of the flags `kept`. True: it goes.
static bool pass(struct page* p, bool accessed, enum page_flags kept) {
    if ((p->vmo_flags & kept) != 0 || atomic_load_explicit(&p->pins, memory_order_relaxed) != 0) {
        return false;
    }
    if (accessed || (p->vmo_flags & PAGE_USED) != 0) {
        p->vmo_flags &= (uint8_t)~(PAGE_USED | PAGE_OLD);
        return false;
    }
    bool old = (p->vmo_flags & PAGE_OLD) != 0;
    p->vmo_flags |= PAGE_OLD;
    return old;
}

// What goes of the slots [first, first + 64), bit by bit.
struct chosen {
    uint64_t slots; // pages and markers
    uint64_t pages;
};

// A marker that was supplied costs a slot of a node, and nothing to ask for again.
static bool is_spare_marker(const struct page_set_state* st, const struct page_tree_entry* e) {
    return e->slot == PAGE_SLOT_ZERO && e->count == 1 && e->index < st->zero_dirty;
}

static struct chosen choose_locked(struct page_set* set, uint64_t first, uint64_t count,
                                   enum page_flags kept) TA_REQ(set->lock) {
    const struct page_set_state* st = page_set_state(set);
    uint64_t accessed = page_set_harvest_locked(set, first, count);
    struct chosen chosen = {};
    struct page_tree_entry e;
    for (uint64_t i = first; page_tree_next(&st->tree, i, first + count, &e);
         i = e.index + e.count) {
        uint64_t b = bit((unsigned)(e.index - first));
        bool page =
            page_slot_is_page(e.slot) && pass(page_slot_page(e.slot), (accessed & b) != 0, kept);
        chosen.pages |= page ? b : 0;
        chosen.slots |= page || is_spare_marker(st, &e) ? b : 0;
    }
    return chosen;
}

static uint64_t low_bits(uint64_t n) {
    return n < 64 ? bit((unsigned)n) - 1 : UINT64_MAX;
}

// Pages are gone: remembers which. Returns how many.
static uint64_t forget(const struct page_set* set, uint64_t first, uint64_t pages) {
    uint64_t count = 0;
    for (; pages != 0; pages &= pages - 1) {
        remember(set, first + bit_lowest(pages));
        count++;
    }
    return count;
}

// The hand moves over the next leaf with something in it. False: it came to the end, and starts
// again.
static bool step_locked(struct page_set* set, enum page_flags kept, struct page_garbage* g,
                        uint64_t* taken) TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    uint64_t* hand = &set->source->hand;
    struct page_tree_entry e;
    if (!page_tree_next(&st->tree, *hand, st->size >> PAGE_SHIFT, &e)) {
        *hand = 0;
        return false;
    }
    uint64_t first = e.index;
    uint64_t end = align_down(first, (uint64_t)PAGE_NODE_SLOTS) + PAGE_NODE_SLOTS;
    *hand = max(end, e.index + e.count);
    struct chosen chosen = choose_locked(set, first, end - first, kept);
    while (chosen.slots != 0) {
        uint64_t skip = bit_lowest(chosen.slots);
        uint64_t rest = ~(chosen.slots >> skip);
        uint64_t run = rest == 0 ? PAGE_NODE_SLOTS : bit_lowest(rest);
        chosen.slots &= ~(low_bits(run) << skip);
        // Refused: part of a larger marker would have needed a node.
        if (page_set_remove_locked(set, first + skip, run, g) == STATUS_OK) {
            *taken += forget(set, first + skip, chosen.pages >> skip & low_bits(run));
        }
    }
    return true;
}

// Takes pages until there are `want`, or the hand is at the end. Nobody would bring back what a
// detached set has.
static uint64_t visit(struct page_set* set, uint64_t want, enum page_flags kept) {
    uint64_t taken = 0;
    bool more = set->source != nullptr;
    if (!more) {
        struct page_garbage garbage = {};
        taken = page_set_discard(set, &garbage);
        page_garbage_free(&garbage);
    }
    while (more && taken < want && !page_source_detached(set->source)) {
        struct page_garbage garbage = {};
        mutex_acquire(&set->lock);
        more = step_locked(set, kept, &garbage, &taken);
        mutex_release(&set->lock);
        page_garbage_dispose(&garbage);
    }
    return taken;
}

// ---- all of them ----

static uint64_t take(uint64_t want, enum page_flags kept) {
    uint64_t taken = 0;
    uint32_t length = 1;
    for (uint64_t visits = 0;
         taken < want && visits < (uint64_t)length * ROUNDS && !thread_killed(); visits++) {
        struct page_set* set = next_set(&length);
        if (set != nullptr) {
            taken += visit(set, want - taken, kept);
            page_set_unref(set);
        }
    }
    reclaim_count(&reclaim_counters.evicted, taken);
    return taken;
}

uint64_t reclaim_pages(uint64_t want) {
    return take(want, PAGE_KEPT);
}

bool reclaim_wait(uint32_t* tries) {
    if ((*tries)++ == 0) {
        // What lies unused in caches.
        heap_drain();
        pmm_drain_caches();
        return true;
    }
    if (*tries > TRIES || thread_killed()) {
        return false;
    }
    reclaim_count(&reclaim_counters.waits, 1);
    // Before a program is told that there is no memory, the hint that pages are always needed
    // counts no more: anybody may give it, and it outlives him.
    return reclaim_pages(PAGES_FOR_ONE) != 0 || take(PAGES_FOR_ONE, PAGE_UNCLEAN) != 0;
}

static _Atomic(bool) work_queued;

// Until there is some more than the mark, so that the fall below it is noticed the next time. In
// steps: programs that bring pages back as fast as they go must not keep the worker from others'
// work, which frees memory, too.
static void work(struct work*) {
    atomic_store_explicit(&work_queued, false, memory_order_release);
    struct pmm_stats s;
    pmm_get_stats(&s);
    if (pmm_free_count() < s.reclaim_mark + s.reclaim_mark / 4 &&
        reclaim_pages(PAGES_FOR_ONE) != 0) {
        reclaim_start();
    }
}

static struct work worker = WORK_INIT(work);

void reclaim_start(void) {
    if (!atomic_exchange_explicit(&work_queued, true, memory_order_acquire)) {
        worker_queue(&worker);
    }
}

void reclaim_get_stats(struct reclaim_stats* out) {
    *out = (struct reclaim_stats){
        .asked = atomic_load_explicit(&reclaim_counters.asked, memory_order_relaxed),
        .supplied = atomic_load_explicit(&reclaim_counters.supplied, memory_order_relaxed),
        .evicted = atomic_load_explicit(&reclaim_counters.evicted, memory_order_relaxed),
        .refaulted = atomic_load_explicit(&reclaim_counters.refaulted, memory_order_relaxed),
        .waits = atomic_load_explicit(&reclaim_counters.waits, memory_order_relaxed),
        .overtime = atomic_load_explicit(&reclaim_counters.overtime, memory_order_relaxed),
    };
}

static int command_pager(int, const struct text_span*) {
    struct reclaim_stats s;
    reclaim_get_stats(&s);
    kprintf("asked %lu times, supplied %lu pages, evicted %lu, refaulted %lu\n",
            (unsigned long)s.asked, (unsigned long)s.supplied, (unsigned long)s.evicted,
            (unsigned long)s.refaulted);
    kprintf("allocations that waited %lu, requests overtime %lu\n", (unsigned long)s.waits,
            (unsigned long)s.overtime);
    return 0;
}
KCOMMAND("pager", "page requests, eviction", command_pager);
