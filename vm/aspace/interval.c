#include "interval.h"

#include <lib/compiler.h>

static struct interval* interval_of(const struct rbtree_node* n) {
    return n == nullptr ? nullptr : container_of((struct rbtree_node*)n, struct interval, node);
}

// Equal beginnings are common (many processes map a library at offset 0); order among them is that
// of insertion.
static int interval_compare(const struct rbtree_node* a, const struct rbtree_node* b) {
    uint64_t first_a = interval_of(a)->first;
    uint64_t first_b = interval_of(b)->first;
    return first_a < first_b ? -1 : first_a > first_b;
}

static bool interval_update(struct rbtree_node* n) {
    struct interval* i = interval_of(n);
    const struct interval* left = interval_of(rbtree_node_left(n));
    const struct interval* right = interval_of(rbtree_node_right(n));
    uint64_t max_end = i->end;
    if (left != nullptr) {
        max_end = max(max_end, left->max_end);
    }
    if (right != nullptr) {
        max_end = max(max_end, right->max_end);
    }
    bool changed = i->max_end != max_end;
    i->max_end = max_end;
    return changed;
}

const struct rbtree_ops interval_ops = {
    .compare = interval_compare,
    .update = interval_update,
};

// The first hit in the subtree of `i`. If the left subtree reaches above `first` and yet has no
// hit, then the one that reaches begins at or after `end`, and so does everything to its right.
static struct interval* first_in(struct interval* i, uint64_t first, uint64_t end) {
    while (i != nullptr) {
        struct interval* left = interval_of(rbtree_node_left(&i->node));
        if (left != nullptr && left->max_end > first) {
            i = left;
            continue;
        }
        if (i->first >= end) {
            return nullptr;
        }
        if (i->end > first) {
            return i;
        }
        i = interval_of(rbtree_node_right(&i->node));
        if (i != nullptr && i->max_end <= first) {
            return nullptr;
        }
    }
    return nullptr;
}

struct interval* interval_first(const struct rbtree* t, uint64_t first, uint64_t end) {
    return first < end ? first_in(interval_of(t->root), first, end) : nullptr;
}

struct interval* interval_next(struct interval* i, uint64_t first, uint64_t end) {
    struct rbtree_node* n = &i->node;
    for (;;) {
        struct interval* right = interval_of(rbtree_node_right(n));
        if (right != nullptr && right->max_end > first) {
            return first_in(right, first, end);
        }
        struct rbtree_node* child = n;
        n = rbtree_node_parent(n);
        while (n != nullptr && rbtree_node_right(n) == child) {
            child = n;
            n = rbtree_node_parent(n);
        }
        if (n == nullptr || interval_of(n)->first >= end) {
            return nullptr;
        }
        if (interval_of(n)->end > first) {
            return interval_of(n);
        }
    }
}
