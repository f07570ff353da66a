// What the files of the page tree share: slots, spans, counts.
//
// A slot has a span: it stands for 64^span pages. Span 0 holds a page, a marker or nothing; a
// greater span holds a node (whose slots have the next smaller span), a marker for all of it, or
// nothing. A node's level is the span of its slots.
#pragma once

#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/compiler.h>
#include <vm/page_tree.h>

static inline uint64_t span_pages(uint32_t span) {
    return (uint64_t)1 << (PAGE_NODE_BITS * span);
}

static inline uint32_t slot_number(uint64_t at, uint32_t level) {
    return (uint32_t)(at >> (PAGE_NODE_BITS * level)) & (PAGE_NODE_SLOTS - 1);
}

static inline bool slot_is_node(page_slot_t slot, uint32_t span) {
    return span > 0 && slot > PAGE_SLOT_ZERO;
}
static inline struct page_node* slot_node(page_slot_t slot) {
    return (struct page_node*)slot;
}

// What a slot of a node, or of a marker that stands for one, holds.
static inline page_slot_t slot_child(page_slot_t slot, uint32_t number) {
    return slot == PAGE_SLOT_ZERO ? PAGE_SLOT_ZERO : slot_node(slot)->slot[number];
}

static inline uint64_t slot_pages(page_slot_t slot, uint32_t span) {
    if (slot <= PAGE_SLOT_ZERO) {
        return 0;
    }
    return span == 0 ? 1 : slot_node(slot)->pages;
}

// Acquire: pairs with the release of whoever dropped the other references, whose reads of the node
// come before our writes.
static inline bool node_is_shared(struct page_node* n) {
    return atomic_load_explicit(&n->refs, memory_order_acquire) != 1;
}
static inline bool page_is_shared(struct page* p) {
    return atomic_load_explicit(&p->refs, memory_order_acquire) != 1;
}

// The least number of levels whose root spans tree index `at`.
static inline uint32_t levels_for(uint64_t at) {
    uint32_t levels = at == 0 ? 0 : bit_highest(at) / PAGE_NODE_BITS + 1;
    ASSERT(levels <= PAGE_TREE_MAX_LEVELS);
    return levels;
}

// The tree index of page number `index`. Bounds: see PAGE_TREE_MAX_PAGES.
static inline uint64_t tree_index(const struct page_tree* t, uint64_t index) {
    DEBUG_ASSERT(index <= PAGE_TREE_MAX_PAGES && t->origin <= 2 * PAGE_TREE_MAX_PAGES);
    return t->origin + index;
}

// Gives up one reference; what was the last goes into the garbage.
void slot_drop(page_slot_t slot, uint32_t span, struct page_garbage* g);
