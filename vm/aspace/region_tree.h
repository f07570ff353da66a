// The regions of one VMAR: disjoint ranges in address order, with a logarithmic search for free
// places. Pure code, no locks, no allocation: the owner embeds `struct region` and serialises.
//
// Each node knows the lowest base, the highest end and the largest hole between neighbours in its
// subtree. A hole of a wanted size is found by descending where the recorded hole is big enough, so
// the cost does not depend on how many regions there are.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/rbtree.h>
#include <lib/types.h>

struct vmar;

struct region {
    struct rbtree_node node;
    vaddr_t base;
    size_t size;
    vaddr_t low, high;        // cached for the subtree: lowest base, highest end
    size_t hole;              // cached: largest distance between two neighbours in the subtree
    struct vmar* parent;      // the VMAR whose tree this is; the tree does not look at it
    struct region* next_dead; // owner's list of regions taken out and not yet freed
    bool is_mapping;          // else a VMAR; immutable
};

static inline vaddr_t region_end(const struct region* r) {
    return r->base + r->size;
}

struct region_tree {
    struct rbtree tree;
};

void region_tree_init(struct region_tree* t);
static inline bool region_tree_empty(const struct region_tree* t) {
    return rbtree_is_empty(&t->tree);
}

// `r` overlaps nothing in the tree.
void region_tree_insert(struct region_tree* t, struct region* r);
void region_tree_erase(struct region_tree* t, struct region* r);
// Shrinks or moves an end in place; the order of regions must not change.
void region_tree_adjust(struct region_tree* t, struct region* r, vaddr_t base, size_t size);

struct region* region_tree_first(const struct region_tree* t);
struct region* region_tree_next(const struct region* r);
struct region* region_tree_prev(const struct region* r);
// The region that contains `va`; null if none does.
struct region* region_tree_find(const struct region_tree* t, vaddr_t va);
// The first region that ends above `va`: it contains va or is the next one up.
struct region* region_tree_above(const struct region_tree* t, vaddr_t va);
bool region_tree_is_free(const struct region_tree* t, vaddr_t base, size_t size);

// Free places within [low, high), `align` a power of two. False: none.
struct place_request {
    vaddr_t low, high;
    size_t size;
    size_t align;
};
// The lowest that begins at or after `from`.
bool region_tree_place_above(const struct region_tree* t, const struct place_request* want,
                             vaddr_t from, vaddr_t* out);
// Begins the search at the aligned place that `random` picks uniformly, and wraps around.
bool region_tree_place_random(const struct region_tree* t, const struct place_request* want,
                              uint64_t random, vaddr_t* out);
