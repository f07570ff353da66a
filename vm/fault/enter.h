// Entering translations for pages that a page set has; shared by faults and by population.
#pragma once

#include <arch/mmu.h>
#include <lib/align.h>
#include <lib/status.h>
#include <vm/page_set.h>

#include "../aspace/vmar_priv.h"

// The end (set index, exclusive) of what the mapping may show now.
static inline uint64_t mapping_limit_locked(const struct mapping* m, struct page_set* set)
    TA_REQ(set->lock) {
    const struct page_set_state* st = page_set_state(set);
    uint64_t limit = unlikely(m->stream_bound) ? page_round_up(st->content_size) : st->size;
    return min(limit >> PAGE_SHIFT, m->end_page);
}

// All of these take page tables from `tables`, and fill it from the heap when it runs out (which
// does not block): NO_MEMORY means that there is none.

// Maps `count` pages from set index `first` of a run; large entries where they fit.
status_t enter_run_locked(const struct mapping* m, struct page_set* set, uint64_t first,
                          uint64_t count, struct table_reserve* tables) TA_REQ(set->lock);

// Maps the pages that are present in [first, first + count), count <= 64: if the mapping may write,
// only those that are this set's own (with W) or only those it shares (without), as `writable`
// says; *rest: there are others.
status_t enter_present_locked(const struct mapping* m, struct page_set* set, uint64_t first,
                              uint64_t count, bool writable, struct table_reserve* tables,
                              bool* rest) TA_REQ(set->lock);

// Maps one page at va, replacing whatever is there. With W only if `writable`.
status_t enter_page_slow(const struct mapping* m, vaddr_t va, paddr_t page, enum mmu_flags flags,
                         struct table_reserve* tables);
static inline status_t enter_page(const struct mapping* m, vaddr_t va, paddr_t page, bool writable,
                                  struct table_reserve* tables) {
    enum mmu_flags flags = mapping_mmu_flags(m, writable);
    return likely(mmu_map_page(&m->as->arch, va, page, flags))
               ? STATUS_OK
               : enter_page_slow(m, va, page, flags, tables);
}
