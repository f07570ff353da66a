#include "region_tree.h"

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/compiler.h>

static struct region* region_of(const struct rbtree_node* n) {
    return n == nullptr ? nullptr : container_of((struct rbtree_node*)n, struct region, node);
}
static struct region* left_of(const struct region* r) {
    return region_of(rbtree_node_left(&r->node));
}
static struct region* right_of(const struct region* r) {
    return region_of(rbtree_node_right(&r->node));
}
static struct region* parent_of(const struct region* r) {
    return region_of(rbtree_node_parent(&r->node));
}

static int region_compare(const struct rbtree_node* a, const struct rbtree_node* b) {
    vaddr_t base_a = region_of(a)->base;
    vaddr_t base_b = region_of(b)->base;
    return base_a < base_b ? -1 : base_a > base_b;
}

static bool region_update(struct rbtree_node* n) {
    struct region* r = region_of(n);
    const struct region* left = left_of(r);
    const struct region* right = right_of(r);
    vaddr_t low = r->base;
    vaddr_t high = region_end(r);
    size_t hole = 0;
    if (left != nullptr) {
        low = left->low;
        hole = max(left->hole, r->base - left->high);
    }
    if (right != nullptr) {
        size_t beside = right->low - high;
        high = right->high;
        hole = max(hole, right->hole);
        hole = max(hole, beside);
    }
    bool changed = low != r->low || high != r->high || hole != r->hole;
    r->low = low;
    r->high = high;
    r->hole = hole;
    return changed;
}

static const struct rbtree_ops region_ops = {.compare = region_compare, .update = region_update};

void region_tree_init(struct region_tree* t) {
    rbtree_init(&t->tree, &region_ops);
}

void region_tree_insert(struct region_tree* t, struct region* r) {
    // The tree's own descent, without a call per step.
    struct region* parent = nullptr;
    bool below = false;
    for (struct region* at = region_of(t->tree.root); at != nullptr;
         at = below ? left_of(at) : right_of(at)) {
        parent = at;
        below = r->base < at->base;
    }
    rbtree_link(&t->tree, &r->node, parent == nullptr ? nullptr : &parent->node, below);
    r->low = r->base;
    r->high = region_end(r);
    r->hole = 0;
    while (parent != nullptr && region_update(&parent->node)) {
        parent = parent_of(parent);
    }
    rbtree_linked(&t->tree, &r->node);
}

void region_tree_erase(struct region_tree* t, struct region* r) {
    rbtree_erase(&t->tree, &r->node);
}

void region_tree_adjust(struct region_tree* t, struct region* r, vaddr_t base, size_t size) {
    r->base = base;
    r->size = size;
    rbtree_node_changed(&t->tree, &r->node);
}

struct region* region_tree_first(const struct region_tree* t) {
    return region_of(rbtree_first(&t->tree));
}
struct region* region_tree_next(const struct region* r) {
    return region_of(rbtree_next(&r->node));
}
struct region* region_tree_prev(const struct region* r) {
    return region_of(rbtree_prev(&r->node));
}

struct region* region_tree_above(const struct region_tree* t, vaddr_t va) {
    struct region* best = nullptr;
    struct region* r = region_of(t->tree.root);
    while (r != nullptr) {
        if (region_end(r) > va) {
            best = r;
            r = left_of(r);
        } else {
            r = right_of(r);
        }
    }
    return best;
}

struct region* region_tree_find(const struct region_tree* t, vaddr_t va) {
    struct region* r = region_of(t->tree.root);
    while (r != nullptr) {
        if (va < r->base) {
            r = left_of(r);
        } else if (va - r->base < r->size) {
            return r;
        } else {
            r = right_of(r);
        }
    }
    return nullptr;
}

bool region_tree_is_free(const struct region_tree* t, vaddr_t base, size_t size) {
    const struct region* r = region_tree_above(t, base);
    return r == nullptr || r->base >= base + size;
}

// ---- holes between neighbours ----

struct hole {
    vaddr_t begin;
    struct region* next; // the region that ends the hole
};

// The first hole of at least `need` bytes in the subtree of `r`, which has one.
static struct hole hole_in(struct region* r, size_t need) {
    for (;;) {
        struct region* left = left_of(r);
        if (left != nullptr && left->hole >= need) {
            r = left;
            continue;
        }
        if (left != nullptr && r->base - left->high >= need) {
            return (struct hole){left->high, r};
        }
        struct region* right = right_of(r);
        ASSERT(right != nullptr);
        if (right->low - region_end(r) >= need) {
            while (left_of(right) != nullptr) {
                right = left_of(right);
            }
            return (struct hole){region_end(r), right};
        }
        r = right;
    }
}

// The first hole of at least `need` bytes that begins at or after the end of `r`.
static bool hole_after(struct region* r, size_t need, struct hole* out) {
    for (;;) {
        struct region* right = right_of(r);
        if (right != nullptr) {
            if (right->low - region_end(r) >= need) {
                *out = (struct hole){region_end(r), region_tree_next(r)};
                return true;
            }
            if (right->hole >= need) {
                *out = hole_in(right, need);
                return true;
            }
        }
        // Up to the next ancestor whose left subtree we leave.
        struct region* child = r;
        struct region* up = parent_of(r);
        while (up != nullptr && right_of(up) == child) {
            child = up;
            up = parent_of(up);
        }
        if (up == nullptr) {
            return false;
        }
        if (up->base - child->high >= need) {
            *out = (struct hole){child->high, up};
            return true;
        }
        r = up;
    }
}

// Whether an aligned place lies in [begin, end) within the wanted bounds.
static bool fits(const struct place_request* want, vaddr_t begin, vaddr_t end, vaddr_t* out) {
    vaddr_t base = align_up(begin, want->align);
    end = min(end, want->high);
    if (base > end || end - base < want->size) {
        return false;
    }
    *out = base;
    return true;
}

// As region_tree_place_above, looking only at holes of at least `need` bytes.
static bool place_in_holes(const struct region_tree* t, const struct place_request* want,
                           vaddr_t from, size_t need, vaddr_t* out) {
    struct region* r = region_tree_above(t, from);
    if (r == nullptr) {
        return fits(want, from, want->high, out);
    }
    if (r->base > from && fits(want, from, r->base, out)) {
        return true;
    }
    for (;;) {
        if (region_end(r) >= want->high) {
            return false;
        }
        struct hole hole;
        if (!hole_after(r, need, &hole)) {
            return fits(want, region_of(t->tree.root)->high, want->high, out);
        }
        if (hole.begin >= want->high) {
            return false;
        }
        if (fits(want, hole.begin, hole.next->base, out)) {
            return true;
        }
        r = hole.next;
    }
}

bool region_tree_place_above(const struct region_tree* t, const struct place_request* want,
                             vaddr_t from, vaddr_t* out) {
    if (want->size > want->high - want->low || from > want->high - want->size) {
        return false;
    }
    from = max(from, want->low);
    if (want->align > PAGE_SIZE) {
        // A hole with room for the worst alignment is found without trying others. Only when there
        // is none does the search try every hole that is barely big enough.
        vaddr_t roomy;
        if (place_in_holes(t, want, from, want->size + want->align - PAGE_SIZE, &roomy)) {
            *out = roomy;
            return true;
        }
    }
    return place_in_holes(t, want, from, want->size, out);
}

bool region_tree_place_random(const struct region_tree* t, const struct place_request* want,
                              uint64_t random, vaddr_t* out) {
    vaddr_t first = align_up(want->low, want->align);
    if (first > want->high || want->high - first < want->size) {
        return false;
    }
    uint64_t places = (want->high - want->size - first) / want->align + 1;
    vaddr_t from = first + (vaddr_t)(((unsigned __int128)random * places) >> 64) * want->align;
    return region_tree_place_above(t, want, from, out) ||
           region_tree_place_above(t, want, want->low, out);
}
