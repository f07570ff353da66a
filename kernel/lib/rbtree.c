// Intrusive red-black tree.
//
// Invariants: (1) the root is black; (2) a red node has no red child; (3) every path from a node
// down to a null has the same number of black nodes; (4) in-order is sorted by ops->compare; (5) if
// augmented, every node's cached data is what ops->update would compute.
//
// Insert links a red leaf and repairs (2) upwards; erase unlinks and repairs (3) upwards. Order of
// work for (5): first recompute from the lowest changed node up to where nothing changes, then
// repair: a rotation keeps the set of nodes below its top, so only its two nodes need recomputing
// and nothing above.
#include <lib/rbtree.h>

constexpr uintptr_t red_bit = 1;

static inline bool is_red(const struct rbtree_node* node) {
    return node != nullptr && (node->parent_and_color & red_bit) != 0;
}

static inline void set_red(struct rbtree_node* node) {
    node->parent_and_color |= red_bit;
}

static inline void set_black(struct rbtree_node* node) {
    node->parent_and_color &= ~red_bit;
}

static inline void set_parent(struct rbtree_node* node, struct rbtree_node* parent) {
    node->parent_and_color = (uintptr_t)parent | (node->parent_and_color & red_bit);
}

static inline void copy_color(struct rbtree_node* to, const struct rbtree_node* from) {
    to->parent_and_color = (to->parent_and_color & ~red_bit) | (from->parent_and_color & red_bit);
}

static inline void node_update(const struct rbtree* tree, struct rbtree_node* node) {
    if (tree->ops->update != nullptr) {
        (void)tree->ops->update(node);
    }
}

// From `node` up, at least as far as `fresh` (it or above it; null: none), whose cached data is not
// what its parent knew of this place.
static void update_up(struct rbtree* tree, struct rbtree_node* node,
                      const struct rbtree_node* fresh) {
    if (tree->ops->update == nullptr) {
        return;
    }
    for (; node != nullptr; node = rbtree_node_parent(node)) {
        bool changed = tree->ops->update(node);
        if (node == fresh) {
            fresh = nullptr;
        } else if (!changed && fresh == nullptr) {
            return;
        }
    }
}

void rbtree_node_changed(struct rbtree* tree, struct rbtree_node* node) {
    update_up(tree, node, nullptr);
}

// Makes whatever points at `old` (its parent or the root) point at `fresh`.
static void replace_child(struct rbtree* tree, struct rbtree_node* parent,
                          const struct rbtree_node* old, struct rbtree_node* fresh) {
    if (parent == nullptr) {
        tree->root = fresh;
    } else if (parent->left == old) {
        parent->left = fresh;
    } else {
        parent->right = fresh;
    }
}

// Lifts the right (or left) child of `top` into its place.
static void rotate(struct rbtree* tree, struct rbtree_node* top, bool lift_right) {
    struct rbtree_node* lifted = lift_right ? top->right : top->left;
    struct rbtree_node* moved = lift_right ? lifted->left : lifted->right;
    if (lift_right) {
        top->right = moved;
        lifted->left = top;
    } else {
        top->left = moved;
        lifted->right = top;
    }
    if (moved != nullptr) {
        set_parent(moved, top);
    }
    struct rbtree_node* parent = rbtree_node_parent(top);
    replace_child(tree, parent, top, lifted);
    set_parent(lifted, parent);
    set_parent(top, lifted);
    node_update(tree, top);
    node_update(tree, lifted);
}

// `node` is red; its parent may be red too, which is the only thing that may be wrong.
static void insert_repair(struct rbtree* tree, struct rbtree_node* node) {
    struct rbtree_node* parent;
    while (is_red(parent = rbtree_node_parent(node))) {
        // A red parent is not the root, so there is a grandparent.
        struct rbtree_node* top = rbtree_node_parent(parent);
        bool parent_is_left = parent == top->left;
        struct rbtree_node* uncle = parent_is_left ? top->right : top->left;
        if (is_red(uncle)) {
            set_black(parent);
            set_black(uncle);
            set_red(top);
            node = top;
            continue;
        }
        if (node == (parent_is_left ? parent->right : parent->left)) {
            rotate(tree, parent, parent_is_left);
            parent = node;
        }
        set_black(parent);
        set_red(top);
        rotate(tree, top, !parent_is_left);
        break;
    }
    set_black(tree->root);
}

void rbtree_rebalance_linked(struct rbtree* tree, struct rbtree_node* node) {
    insert_repair(tree, node);
}

void rbtree_insert(struct rbtree* tree, struct rbtree_node* node) {
    struct rbtree_node* parent = nullptr;
    bool left = false;
    for (struct rbtree_node* at = tree->root; at != nullptr; at = left ? at->left : at->right) {
        parent = at;
        left = tree->ops->compare(node, parent) < 0;
    }
    rbtree_link(tree, node, parent, left);
    update_up(tree, node, node);
    rbtree_linked(tree, node);
}

// Handles a red sibling of the short side: afterwards the sibling is black. Returns it.
static struct rbtree_node* blacken_sibling(struct rbtree* tree, struct rbtree_node* parent,
                                           bool short_is_left) {
    struct rbtree_node* sibling = short_is_left ? parent->right : parent->left;
    if (is_red(sibling)) {
        set_black(sibling);
        set_red(parent);
        rotate(tree, parent, short_is_left);
        sibling = short_is_left ? parent->right : parent->left;
    }
    return sibling;
}

// Every path through `node` (a child of `parent`, possibly null) lacks one black node.
static void erase_repair(struct rbtree* tree, struct rbtree_node* node,
                         struct rbtree_node* parent) {
    while (parent != nullptr && !is_red(node)) {
        bool short_is_left = parent->left == node;
        struct rbtree_node* sibling = blacken_sibling(tree, parent, short_is_left);
        // The sibling exists: its side has at least one black node more than ours.
        struct rbtree_node* near = short_is_left ? sibling->left : sibling->right;
        struct rbtree_node* far = short_is_left ? sibling->right : sibling->left;
        if (!is_red(near) && !is_red(far)) {
            set_red(sibling);
            node = parent;
            parent = rbtree_node_parent(node);
            continue;
        }
        if (!is_red(far)) {
            set_black(near);
            set_red(sibling);
            rotate(tree, sibling, !short_is_left);
            far = sibling;
            sibling = near;
        }
        copy_color(sibling, parent);
        set_black(parent);
        set_black(far);
        rotate(tree, parent, short_is_left);
        return;
    }
    if (node != nullptr) {
        set_black(node);
    }
}

// Puts `fresh` where `node` is, with its colour and both subtrees.
static void take_place(struct rbtree* tree, struct rbtree_node* node, struct rbtree_node* fresh) {
    *fresh = *node;
    replace_child(tree, rbtree_node_parent(node), node, fresh);
    if (fresh->left != nullptr) {
        set_parent(fresh->left, fresh);
    }
    if (fresh->right != nullptr) {
        set_parent(fresh->right, fresh);
    }
}

void rbtree_erase(struct rbtree* tree, struct rbtree_node* node) {
    if (rbtree_erase_only(tree, node)) {
        return;
    }
    // The node that leaves its place has at most one child: the node itself or its successor,
    // which then takes the node's place.
    struct rbtree_node* leaving = node;
    if (node->left != nullptr && node->right != nullptr) {
        leaving = node->right;
        while (leaving->left != nullptr) {
            leaving = leaving->left;
        }
    }
    struct rbtree_node* child = leaving->left != nullptr ? leaving->left : leaving->right;
    struct rbtree_node* parent = rbtree_node_parent(leaving);
    bool lost_black = !is_red(leaving);
    replace_child(tree, parent, leaving, child);
    if (child != nullptr) {
        set_parent(child, parent);
    }
    if (leaving != node) {
        take_place(tree, node, leaving);
        if (parent == node) {
            parent = leaving;
        }
    }
    update_up(tree, parent, leaving != node ? leaving : nullptr);
    if (lost_black) {
        erase_repair(tree, child, parent);
    }
    *node = (struct rbtree_node){};
}

void rbtree_replace(struct rbtree* tree, struct rbtree_node* old, struct rbtree_node* fresh) {
    take_place(tree, old, fresh);
    *old = (struct rbtree_node){};
    update_up(tree, fresh, fresh);
}

static struct rbtree_node* leftmost(struct rbtree_node* node) {
    while (node != nullptr && node->left != nullptr) {
        node = node->left;
    }
    return node;
}

static struct rbtree_node* rightmost(struct rbtree_node* node) {
    while (node != nullptr && node->right != nullptr) {
        node = node->right;
    }
    return node;
}

struct rbtree_node* rbtree_first(const struct rbtree* tree) {
    return leftmost(tree->root);
}

struct rbtree_node* rbtree_last(const struct rbtree* tree) {
    return rightmost(tree->root);
}

struct rbtree_node* rbtree_next(const struct rbtree_node* node) {
    if (node->right != nullptr) {
        return leftmost(node->right);
    }
    struct rbtree_node* parent = rbtree_node_parent(node);
    while (parent != nullptr && node == parent->right) {
        node = parent;
        parent = rbtree_node_parent(node);
    }
    return parent;
}

struct rbtree_node* rbtree_prev(const struct rbtree_node* node) {
    if (node->left != nullptr) {
        return rightmost(node->left);
    }
    struct rbtree_node* parent = rbtree_node_parent(node);
    while (parent != nullptr && node == parent->left) {
        node = parent;
        parent = rbtree_node_parent(node);
    }
    return parent;
}

// The first node for which compare(key, node) <= limit: 0 gives lower bound, -1 upper bound.
static struct rbtree_node* bound(const struct rbtree* tree, const void* key,
                                 rbtree_key_compare_fn compare, int limit) {
    struct rbtree_node* best = nullptr;
    struct rbtree_node* node = tree->root;
    while (node != nullptr) {
        int order = compare(key, node);
        if (order < 0 || order == limit) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

struct rbtree_node* rbtree_lower_bound(const struct rbtree* tree, const void* key,
                                       rbtree_key_compare_fn compare) {
    return bound(tree, key, compare, 0);
}

struct rbtree_node* rbtree_upper_bound(const struct rbtree* tree, const void* key,
                                       rbtree_key_compare_fn compare) {
    return bound(tree, key, compare, -1);
}

struct rbtree_node* rbtree_find(const struct rbtree* tree, const void* key,
                                rbtree_key_compare_fn compare) {
    struct rbtree_node* node = rbtree_lower_bound(tree, key, compare);
    return node != nullptr && compare(key, node) == 0 ? node : nullptr;
}

// Returns the black height of the subtree, or 0 if it breaks an invariant; counts its nodes.
static size_t verify_subtree(const struct rbtree* tree, const struct rbtree_node* node,
                             size_t* count) {
    if (node == nullptr) {
        return 1;
    }
    const struct rbtree_node* children[] = {node->left, node->right};
    for (unsigned i = 0; i < 2; i++) {
        if (children[i] == nullptr) {
            continue;
        }
        int order = tree->ops->compare(children[i], node);
        bool misplaced = i == 0 ? order > 0 : order < 0;
        if (misplaced || rbtree_node_parent(children[i]) != node ||
            (is_red(node) && is_red(children[i]))) {
            return 0;
        }
    }
    size_t left = verify_subtree(tree, node->left, count);
    size_t right = verify_subtree(tree, node->right, count);
    *count += 1;
    if (left == 0 || left != right) {
        return 0;
    }
    return left + (is_red(node) ? 0 : 1);
}

size_t rbtree_verify(const struct rbtree* tree) {
    size_t count = 0;
    if (is_red(tree->root) || verify_subtree(tree, tree->root, &count) == 0) {
        return SIZE_MAX;
    }
    const struct rbtree_node* previous = nullptr;
    for (const struct rbtree_node* node = rbtree_first(tree); node != nullptr;
         node = rbtree_next(node)) {
        if (previous != nullptr && tree->ops->compare(node, previous) < 0) {
            return SIZE_MAX;
        }
        previous = node;
    }
    return count;
}
