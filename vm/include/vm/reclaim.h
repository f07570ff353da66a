// Reclaiming memory: clean pages of pagers' page sets go, the ones longest unused first, and are
// asked for again when they are needed.
//
// A clock per page set: its hand walks over the pages; one that was accessed since the last visit
// (by a mapping's translations or through a VMO) is spared and loses the marks, one that was not is
// old and goes at the next visit. All sets form a ring. Never taken: what is dirty or being
// cleaned, or pinned; what ZX_VMO_OP_ALWAYS_NEED marked only before NO_MEMORY is reported.
//
// Discardable sets are in the ring, too: one that was not locked since the last visit goes as a
// whole.
//
// It runs in a worker when free memory falls below the reclaim mark, and in threads that were
// refused memory, with no lock held. It takes page set locks only, one set at a time. It allocates
// nothing.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/compiler.h>

struct page_set;

// A pager's set, or a discardable one, joins and leaves the ring. No lock held.
void reclaim_add(struct page_set* set);
void reclaim_remove(struct page_set* set);

// Takes about `want` pages, as far as there are any after the hands have been all around, twice and
// more. No lock held; may sleep. The number taken.
uint64_t reclaim_pages(uint64_t want);

// For who was refused memory. *tries: 0 at first. True: something was done, try again. No lock
// held.
bool reclaim_wait(uint32_t* tries);

// Free memory fell below the mark: starts the worker. Any context.
void reclaim_start(void);

struct reclaim_stats {
    uint64_t asked;    // packets to pagers
    uint64_t supplied; // pages, as all that follow
    uint64_t evicted;
    uint64_t refaulted; // asked for while their eviction was still remembered (4,096 or so)
    uint64_t waits;     // allocations that were refused at first
    uint64_t overtime;  // requests without an answer for a long time
};
extern struct reclaim_counters {
    _Atomic(uint64_t) asked, supplied, evicted, refaulted, waits, overtime;
} reclaim_counters;
void reclaim_get_stats(struct reclaim_stats* out);
static inline void reclaim_count(_Atomic(uint64_t)* counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
// The page is being asked for: was it evicted a short time ago?
void reclaim_note_asked(const struct page_set* set, uint64_t index);
