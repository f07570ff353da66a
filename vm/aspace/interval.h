// Interval trees over page indices: which mappings show a range of a page set, O(log n + hits).
// Pure code, no locks: the lock of the set that owns the tree guards tree and nodes.
#pragma once

#include <stdint.h>

#include <lib/rbtree.h>

// Ordered by `first`; any overlap is fine.
struct interval {
    struct rbtree_node node;
    uint64_t first, end;
    uint64_t max_end; // over the subtree
};

extern const struct rbtree_ops interval_ops;
static inline void interval_tree_init(struct rbtree* t) {
    rbtree_init(t, &interval_ops);
}
// Most sets have one mapping: these do that in place.
static inline void interval_insert(struct rbtree* t, struct interval* i) {
    if (!rbtree_is_empty(t)) {
        rbtree_insert(t, &i->node);
        return;
    }
    i->max_end = i->end;
    rbtree_link(t, &i->node, nullptr, false);
}
static inline void interval_erase(struct rbtree* t, struct interval* i) {
    if (!rbtree_erase_only(t, &i->node)) {
        rbtree_erase(t, &i->node);
    }
}
// The first (lowest) interval that shares an index with [first, end), and the one after `i`.
struct interval* interval_first(const struct rbtree* t, uint64_t first, uint64_t end);
struct interval* interval_next(struct interval* i, uint64_t first, uint64_t end);
