// Page tree, reading side: look-up, iteration, counting; and the taking apart of dropped trees.
//
// Nothing here changes a tree. The editing side is page_tree_edit.c. The contract is in
// <vm/page_tree.h>.
#include <vm/page_tree.h>

#include "page_tree_priv.h"

uint64_t page_tree_pages(const struct page_tree* t) {
    return slot_pages(t->root, t->levels);
}

page_slot_t page_tree_lookup(const struct page_tree* t, uint64_t index, bool* exclusive) {
    uint64_t at = tree_index(t, index);
    page_slot_t slot = t->root;
    uint32_t span = t->levels;
    bool shared = false;
    if (at >= span_pages(span)) {
        slot = PAGE_SLOT_ABSENT;
    }
    while (slot_is_node(slot, span)) {
        struct page_node* node = slot_node(slot);
        shared |= node_is_shared(node);
        slot = node->slot[slot_number(at, --span)];
    }
    if (exclusive != nullptr) {
        *exclusive = page_slot_is_page(slot) && !shared && !page_is_shared(page_slot_page(slot));
    }
    return slot;
}

// Bit i: slots[i] is a page with one reference.
static uint64_t unshared_pages(const page_slot_t slots[], uint32_t count) {
    uint64_t own = 0;
    uint32_t i = 0;
    // Mostly all of them are.
    while (i < count && page_slot_is_page(slots[i]) && !page_is_shared(page_slot_page(slots[i]))) {
        i++;
    }
    if (i != 0) {
        own = UINT64_MAX >> (PAGE_NODE_SLOTS - i);
    }
    for (; i < count; i++) {
        if (page_slot_is_page(slots[i])) {
            own |= (uint64_t)!page_is_shared(page_slot_page(slots[i])) << i;
        }
    }
    return own;
}

page_slot_t page_tree_lookup_near(const struct page_tree* t, uint64_t index, bool* exclusive,
                                  uint64_t* near) {
    uint64_t at = tree_index(t, index);
    uint32_t shift = t->levels * PAGE_NODE_BITS;
    page_slot_t slot = at >> shift == 0 ? t->root : PAGE_SLOT_ABSENT;
    uint32_t shared = 0;  // not 0: some node has not one reference
    uint64_t present = 0; // of the lowest node passed: the leaf, if the slot is a page's
    if (likely(shift != 0)) {
        while (slot > PAGE_SLOT_ZERO) {
            struct page_node* node = slot_node(slot);
            shared |= atomic_load_explicit(&node->refs, memory_order_acquire) ^ 1;
            present = node->present;
            shift -= PAGE_NODE_BITS;
            slot = node->slot[(at >> shift) & (PAGE_NODE_SLOTS - 1)];
            if (shift == 0) {
                break;
            }
        }
    }
    uint32_t number = slot_number(at, 0);
    *near = present >> number | present << (-number & 63);
    *exclusive = page_slot_is_page(slot) && shared == 0 && !page_is_shared(page_slot_page(slot));
    return slot;
}

uint32_t page_tree_lookup_run(const struct page_tree* t, uint64_t index, uint32_t max,
                              page_slot_t slots[], uint64_t* exclusive) {
    uint64_t at = tree_index(t, index);
    page_slot_t slot = t->root;
    uint32_t span = t->levels;
    uint32_t count = min(max, PAGE_NODE_SLOTS);
    bool shared = false;
    struct page_node* leaf = nullptr;
    if (at >= span_pages(span)) {
        slot = PAGE_SLOT_ABSENT; // a gap without end
    } else {
        while (slot_is_node(slot, span)) {
            leaf = slot_node(slot);
            shared = shared || node_is_shared(leaf);
            slot = leaf->slot[slot_number(at, --span)];
        }
        uint64_t to_end = span_pages(span) - (at & (span_pages(span) - 1));
        if (span == 0 && leaf != nullptr) {
            to_end = PAGE_NODE_SLOTS - (at & (PAGE_NODE_SLOTS - 1));
        } else {
            leaf = nullptr;
        }
        count = (uint32_t)min((uint64_t)count, to_end);
    }
    const page_slot_t* from = leaf != nullptr ? &leaf->slot[slot_number(at, 0)] : nullptr;
    if (from != nullptr) {
        __builtin_memcpy(slots, from, count * sizeof(slots[0]));
    } else {
        for (uint32_t i = 0; i < count; i++) {
            slots[i] = slot;
        }
    }
    if (exclusive != nullptr) {
        *exclusive = shared ? 0 : unshared_pages(slots, count);
    }
    return count;
}

// ---- iteration ----

// The tree indices looked for: [first, end).
struct search {
    uint64_t first;
    uint64_t end;
    bool pages_only;
};

// The first hit in the slot that spans tree indices from `base`, or false. Recursion is at most
// PAGE_TREE_MAX_LEVELS deep.
static bool slot_search(page_slot_t slot, uint32_t span, uint64_t base, const struct search* s,
                        struct page_tree_entry* out) {
    uint64_t end = base + span_pages(span);
    if (slot == PAGE_SLOT_ABSENT || end <= s->first || s->end <= base ||
        (s->pages_only && slot_pages(slot, span) == 0)) {
        return false;
    }
    if (!slot_is_node(slot, span)) {
        uint64_t from = max(base, s->first);
        *out = (struct page_tree_entry){from, min(end, s->end) - from, slot};
        return true;
    }
    struct page_node* node = slot_node(slot);
    uint64_t left = node->present;
    if (s->first > base) {
        left &= ~(bit(slot_number(s->first, node->level)) - 1);
    }
    for (; left != 0; left &= left - 1) {
        unsigned i = bit_lowest(left);
        if (slot_search(node->slot[i], span - 1, base + i * span_pages(span - 1), s, out)) {
            return true;
        }
    }
    return false;
}

static inline bool tree_search(const struct page_tree* t, uint64_t first, uint64_t end,
                               bool pages_only, struct page_tree_entry* out) {
    if (first >= end) {
        return false;
    }
    struct search s = {tree_index(t, first), t->origin + end, pages_only};
    if (end > UINT64_MAX - t->origin) {
        s.end = UINT64_MAX;
    }
    if (!slot_search(t->root, t->levels, 0, &s, out)) {
        return false;
    }
    out->index -= t->origin;
    return true;
}

bool page_tree_next(const struct page_tree* t, uint64_t first, uint64_t end,
                    struct page_tree_entry* out) {
    return tree_search(t, first, end, false, out);
}

bool page_tree_next_page(const struct page_tree* t, uint64_t first, uint64_t end,
                         struct page_tree_entry* out) {
    return tree_search(t, first, end, true, out);
}

// ---- counting ----

static uint64_t slot_pages_in(page_slot_t slot, uint32_t span, uint64_t base, uint64_t first,
                              uint64_t end) {
    uint64_t slot_end = base + span_pages(span);
    if (slot <= PAGE_SLOT_ZERO || slot_end <= first || end <= base) {
        return 0;
    }
    if (first <= base && slot_end <= end) {
        return slot_pages(slot, span);
    }
    struct page_node* node = slot_node(slot); // partly covered, so the span is more than a page's
    uint64_t pages = 0;
    for (uint64_t left = node->present; left != 0; left &= left - 1) {
        unsigned i = bit_lowest(left);
        pages +=
            slot_pages_in(node->slot[i], span - 1, base + i * span_pages(span - 1), first, end);
    }
    return pages;
}

uint64_t page_tree_pages_in(const struct page_tree* t, uint64_t first, uint64_t count) {
    uint64_t from = tree_index(t, first);
    return slot_pages_in(t->root, t->levels, 0, from, from + count);
}

static uint64_t slot_private_in(page_slot_t slot, uint32_t span, uint64_t base, uint64_t first,
                                uint64_t end) {
    uint64_t slot_end = base + span_pages(span);
    if (slot <= PAGE_SLOT_ZERO || slot_end <= first || end <= base) {
        return 0;
    }
    if (span == 0) {
        return page_is_shared(page_slot_page(slot)) ? 0 : 1;
    }
    struct page_node* node = slot_node(slot);
    if (node->pages == 0 || node_is_shared(node)) {
        return 0;
    }
    uint64_t pages = 0;
    for (uint64_t left = node->present; left != 0; left &= left - 1) {
        unsigned i = bit_lowest(left);
        pages +=
            slot_private_in(node->slot[i], span - 1, base + i * span_pages(span - 1), first, end);
    }
    return pages;
}

uint64_t page_tree_private_in(const struct page_tree* t, uint64_t first, uint64_t count) {
    uint64_t from = tree_index(t, first);
    return slot_private_in(t->root, t->levels, 0, from, from + count);
}

// ---- garbage ----

void slot_drop(page_slot_t slot, uint32_t span, struct page_garbage* g) {
    if (slot <= PAGE_SLOT_ZERO) {
        return;
    }
    _Atomic(uint32_t)* refs = span == 0 ? &page_slot_page(slot)->refs : &slot_node(slot)->refs;
    uint32_t before = atomic_fetch_sub_explicit(refs, 1, memory_order_release);
    ASSERT(before != 0);
    if (before != 1) {
        return;
    }
    atomic_thread_fence(memory_order_acquire);
    if (span == 0) {
        struct page* p = page_slot_page(slot);
        p->next = g->pages;
        g->pages = p;
        g->page_count++;
    } else {
        struct page_node* node = slot_node(slot);
        node->link = g->dying;
        g->dying = node;
    }
}

bool page_garbage_step(struct page_garbage* g, size_t budget) {
    while (g->dying != nullptr && budget > 0) {
        struct page_node* node = g->dying;
        g->dying = node->link;
        // Children that die are queued in front: the list stays as short as the tree is high, times
        // its fan-out.
        for (; node->present != 0 && budget > 0; budget--) {
            unsigned i = bit_lowest(node->present);
            node->present &= node->present - 1;
            slot_drop(node->slot[i], node->level, g);
        }
        if (node->present != 0) {
            node->link = g->dying;
            g->dying = node;
        } else {
            node->link = g->nodes;
            g->nodes = node;
            budget -= budget > 0;
        }
    }
    return g->dying == nullptr;
}
