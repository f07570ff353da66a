// Intrusive binary heap: the node that sorts first is at hand, insert, pop and removal of any node
// are O(log n) in the worst case, and nothing is allocated.
//
// Made for timer queues: every armed timer embeds a node, cancelling removes it from the middle,
// and the bound holds for each single operation, because it runs under a spinlock (a pairing heap
// would only promise it on average). The user serialises access and keeps linked nodes alive.
// Nodes that compare equal leave in no particular order.
#pragma once

#include <stddef.h>

struct heap_node {
    struct heap_node* parent;
    struct heap_node* left;
    struct heap_node* right;
};

// True if a must leave before b.
typedef bool (*heap_before_fn)(const struct heap_node* a, const struct heap_node* b);

struct heap {
    struct heap_node* top;
    size_t count;
    heap_before_fn before; // immutable after heap_init
};

static inline void heap_init(struct heap* heap, heap_before_fn before) {
    *heap = (struct heap){.before = before};
}

static inline bool heap_is_empty(const struct heap* heap) {
    return heap->count == 0;
}

// The first node, which stays in the heap; null if empty.
static inline struct heap_node* heap_top(const struct heap* heap) {
    return heap->top;
}

void heap_insert(struct heap* heap, struct heap_node* node);

// The node must be in this heap. Its links are cleared.
void heap_remove(struct heap* heap, struct heap_node* node);

// Removes and returns the first node; null if empty.
struct heap_node* heap_pop(struct heap* heap);

// Restores the order after the key of a linked node changed either way.
void heap_node_changed(struct heap* heap, struct heap_node* node);

// True if shape, links, count and order are all right. For tests and debug checks.
[[nodiscard]] bool heap_verify(const struct heap* heap);
