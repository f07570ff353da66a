// Intrusive balanced search tree with augmentation.
//
// A red-black tree: insert, erase and every search are O(log n) in the worst case, and a node never
// moves in memory. The user embeds `struct rbtree_node`, keeps the node alive while it is linked,
// and serialises all access (the tree has no lock). Equal keys are allowed; a new one goes after
// those already there.
//
// Augmentation: if `update` is given, it recomputes what a node caches about its own subtree (a
// maximum end, the largest gap, a count) from the node itself and its two children, and says
// whether that changed anything; the tree calls it bottom-up from what changed until it says no.
// When the user changes such data of a linked node in place, rbtree_node_changed() does the same. A
// descent that uses the cached values is written by the user with rbtree_node_left/right.
//
// Why red-black and not AVL: at most three rotations per change, hence few calls of `update`.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rbtree_node {
    uintptr_t parent_and_color; // parent pointer; bit 0 set: red
    struct rbtree_node* left;
    struct rbtree_node* right;
};

struct rbtree_ops {
    // Negative, zero or positive as a sorts before, with or after b.
    int (*compare)(const struct rbtree_node* a, const struct rbtree_node* b);
    // True: what the node caches is not what it was. Null: the tree is not augmented.
    bool (*update)(struct rbtree_node* node);
};

struct rbtree {
    struct rbtree_node* root;
    const struct rbtree_ops* ops; // immutable after rbtree_init
};

static inline void rbtree_init(struct rbtree* tree, const struct rbtree_ops* ops) {
    *tree = (struct rbtree){.ops = ops};
}

static inline bool rbtree_is_empty(const struct rbtree* tree) {
    return tree->root == nullptr;
}

static inline struct rbtree_node* rbtree_node_parent(const struct rbtree_node* node) {
    return (struct rbtree_node*)(node->parent_and_color & ~(uintptr_t)1);
}

static inline struct rbtree_node* rbtree_node_left(const struct rbtree_node* node) {
    return node->left;
}

static inline struct rbtree_node* rbtree_node_right(const struct rbtree_node* node) {
    return node->right;
}

void rbtree_insert(struct rbtree* tree, struct rbtree_node* node);

// An insertion in steps, for trees whose own code descends and updates faster than calls can:
// rbtree_link() makes `node` the left or right child, which is free, of `parent` (null: the tree is
// empty); then the caller does what rbtree_node_changed() would, from the new node up; then
// rbtree_linked() restores the balance.
static inline void rbtree_link(struct rbtree* tree, struct rbtree_node* node,
                               struct rbtree_node* parent, bool left) {
    struct rbtree_node** link = parent == nullptr ? &tree->root
                                : left            ? &parent->left
                                                  : &parent->right;
    *node = (struct rbtree_node){.parent_and_color = (uintptr_t)parent | (parent != nullptr)};
    *link = node;
}
void rbtree_rebalance_linked(struct rbtree* tree, struct rbtree_node* node);
static inline void rbtree_linked(struct rbtree* tree, struct rbtree_node* node) {
    const struct rbtree_node* parent = rbtree_node_parent(node);
    if (parent != nullptr && (parent->parent_and_color & 1) != 0) {
        rbtree_rebalance_linked(tree, node);
    }
}

// Takes out the node of a tree that has no other. False: there are others, nothing has changed.
static inline bool rbtree_erase_only(struct rbtree* tree, struct rbtree_node* node) {
    if (tree->root != node || node->left != nullptr || node->right != nullptr) {
        return false;
    }
    tree->root = nullptr;
    node->parent_and_color = 0;
    return true;
}

// The node must be in this tree. Afterwards its links are cleared.
void rbtree_erase(struct rbtree* tree, struct rbtree_node* node);

// Puts `fresh` in the place of `old`; both must compare equal with respect to their neighbours.
void rbtree_replace(struct rbtree* tree, struct rbtree_node* old, struct rbtree_node* fresh);

// Recomputes cached subtree data from `node` up, as far as anything changes.
void rbtree_node_changed(struct rbtree* tree, struct rbtree_node* node);

struct rbtree_node* rbtree_first(const struct rbtree* tree);
struct rbtree_node* rbtree_last(const struct rbtree* tree);
struct rbtree_node* rbtree_next(const struct rbtree_node* node);
struct rbtree_node* rbtree_prev(const struct rbtree_node* node);

// Negative, zero or positive as the key sorts before, with or after the node.
typedef int (*rbtree_key_compare_fn)(const void* key, const struct rbtree_node* node);

// The first node equal to the key; null if there is none.
struct rbtree_node* rbtree_find(const struct rbtree* tree, const void* key,
                                rbtree_key_compare_fn compare);
// The first node that does not sort before the key; null if all do.
struct rbtree_node* rbtree_lower_bound(const struct rbtree* tree, const void* key,
                                       rbtree_key_compare_fn compare);
// The first node that sorts after the key; null if none does.
struct rbtree_node* rbtree_upper_bound(const struct rbtree* tree, const void* key,
                                       rbtree_key_compare_fn compare);

// Checks order, colours, black heights and parent links; returns the number of nodes, or SIZE_MAX
// if the tree is broken. Recursion is as deep as the tree: for tests and debug checks.
[[nodiscard]] size_t rbtree_verify(const struct rbtree* tree);
