// Page tree, editing side. The contract is in <vm/page_tree.h>.
//
// Every edit has a half that may fail (count the nodes that are needed, compare with the reserve)
// and a half that cannot. The count stays enough: while the page set's lock is held, a node that
// only this tree holds cannot become shared, and sharing that ends meanwhile only makes fewer
// copies necessary.
#include <vm/page_tree.h>

#include <lib/string.h>

#include "page_tree_priv.h"

static void reserve_put(struct page_node_reserve* r, struct page_node* node) {
    node->link = r->head;
    r->head = node;
    r->count++;
}

// A node without slots. Having counted before, the caller finds one.
static struct page_node* reserve_take(struct page_node_reserve* r, uint32_t level) {
    struct page_node* node = r->head;
    ASSERT(node != nullptr);
    r->head = node->link;
    r->count--;
    *node = (struct page_node){.refs = 1, .level = level};
    return node;
}

static void node_slot_changed(struct page_node* node, uint32_t number) {
    if (node->slot[number] == PAGE_SLOT_ABSENT) {
        node->present &= ~bit(number);
    } else {
        node->present |= bit(number);
    }
}

// Relaxed: the caller holds a reference already, through the slot that it copies.
static void slot_ref(page_slot_t slot, uint32_t span) {
    if (slot <= PAGE_SLOT_ZERO) {
        return;
    }
    _Atomic(uint32_t)* refs = span == 0 ? &page_slot_page(slot)->refs : &slot_node(slot)->refs;
    uint32_t before = atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
    ASSERT(before != 0 && before != UINT32_MAX);
}

// Ends this tree's reference to a node that was copied. If all others have gone since, the node is
// ours alone: its children, which the copy holds as well, lose one reference each, and the node
// serves as a spare.
static void node_release_copied(struct page_node* node, struct page_node_reserve* r) {
    if (atomic_fetch_sub_explicit(&node->refs, 1, memory_order_release) != 1) {
        return;
    }
    atomic_thread_fence(memory_order_acquire);
    struct page_garbage none = {};
    for (uint64_t left = node->present; left != 0; left &= left - 1) {
        slot_drop(node->slot[bit_lowest(left)], node->level, &none);
    }
    ASSERT(page_garbage_empty(&none));
    reserve_put(r, node);
}

// Makes the node in *where, a slot of span level + 1, one that may be changed: as it is, copied, or
// made from nothing or a marker.
static struct page_node* slot_own(page_slot_t* where, uint32_t level, struct page_node_reserve* r) {
    page_slot_t slot = *where;
    if (slot > PAGE_SLOT_ZERO && !node_is_shared(slot_node(slot))) {
        return slot_node(slot);
    }
    struct page_node* node = reserve_take(r, level);
    *where = (page_slot_t)node;
    if (slot == PAGE_SLOT_ABSENT) {
        return node;
    }
    if (slot == PAGE_SLOT_ZERO) {
        for (uint32_t i = 0; i < PAGE_NODE_SLOTS; i++) {
            node->slot[i] = PAGE_SLOT_ZERO;
        }
        node->present = UINT64_MAX;
        return node;
    }
    struct page_node* from = slot_node(slot);
    node->present = from->present;
    node->pages = from->pages;
    for (uint64_t left = from->present; left != 0; left &= left - 1) {
        unsigned i = bit_lowest(left);
        node->slot[i] = from->slot[i];
        slot_ref(from->slot[i], level);
    }
    node_release_copied(from, r);
    return node;
}

// Raises the root until it spans tree index `at`. An empty tree only takes note of the height.
static void tree_grow(struct page_tree* t, uint64_t at, struct page_node_reserve* r) {
    uint32_t levels = levels_for(at);
    if (t->root == PAGE_SLOT_ABSENT) {
        t->levels = levels;
    }
    while (t->levels < levels) {
        struct page_node* node = reserve_take(r, t->levels);
        node->slot[0] = t->root;
        node->present = 1;
        node->pages = slot_pages(t->root, t->levels);
        t->root = (page_slot_t)node;
        t->levels++;
    }
}

static void tree_settle(struct page_tree* t) {
    if (t->root == PAGE_SLOT_ABSENT) {
        t->levels = 0;
    }
}

// ---- how many nodes ----

// Nodes to make or copy on the path to tree index `at` in a tree that spans it; `create`: what is
// absent is to be made.
static uint32_t path_nodes(const struct page_tree* t, uint64_t at, bool create) {
    page_slot_t slot = t->root;
    uint32_t count = 0;
    bool shared = false;
    for (uint32_t span = t->levels; span > 0;) {
        if (slot == PAGE_SLOT_ABSENT && !create) {
            return count;
        }
        if (slot <= PAGE_SLOT_ZERO) {
            return count + span;
        }
        shared = shared || node_is_shared(slot_node(slot));
        count += shared;
        slot = slot_node(slot)->slot[slot_number(at, --span)];
    }
    return count;
}

static uint32_t nodes_for(const struct page_tree* t, uint64_t at) {
    uint32_t levels = levels_for(at);
    if (t->root == PAGE_SLOT_ABSENT) {
        return levels;
    }
    if (levels > t->levels) {
        // New roots, and below the uppermost a path of its own.
        return levels - t->levels + levels - 1;
    }
    return path_nodes(t, at, true);
}

uint32_t page_tree_nodes_set(const struct page_tree* t, uint64_t index) {
    return nodes_for(t, tree_index(t, index));
}

static uint32_t nodes_remove(const struct page_tree* t, uint64_t first, uint64_t end) {
    return path_nodes(t, first, false) + path_nodes(t, end - 1, false);
}

static uint32_t nodes_zero(const struct page_tree* t, uint64_t first, uint64_t end) {
    if (t->root == PAGE_SLOT_ABSENT) {
        return 2 * levels_for(end - 1);
    }
    return nodes_for(t, first) + nodes_for(t, end - 1);
}

uint32_t page_tree_nodes_range(const struct page_tree* t, uint64_t first, uint64_t count) {
    if (count == 0) {
        return 0;
    }
    uint64_t from = tree_index(t, first);
    return nodes_zero(t, from, from + count);
}

uint32_t page_tree_nodes_snapshot(const struct page_tree* src, uint64_t src_count, uint64_t first,
                                  uint64_t count) {
    bool whole = first == 0 && count >= src_count;
    return whole ? 0 : 2 * src->levels;
}

// ---- single pages ----

// After the slots below path[0..levels) changed at tree index `at`: presence and counts, and empty
// nodes leave the tree.
static void path_settle(struct page_tree* t, uint64_t at, struct page_node* const path[],
                        uint64_t pages_delta, struct page_node_reserve* r) {
    for (uint32_t level = 0; level < t->levels; level++) {
        struct page_node* node = path[level];
        uint32_t number = slot_number(at, level);
        if (level > 0 && path[level - 1]->present == 0) {
            reserve_put(r, path[level - 1]);
            node->slot[number] = PAGE_SLOT_ABSENT;
        }
        node_slot_changed(node, number);
        node->pages += pages_delta; // modulo 2^64: the delta may stand for a negative number
    }
    if (t->levels > 0 && path[t->levels - 1]->present == 0) {
        reserve_put(r, path[t->levels - 1]);
        t->root = PAGE_SLOT_ABSENT;
    }
    tree_settle(t);
}

// The slot of tree index `at`, with every node above it made our own and noted in path[].
static page_slot_t* path_own(struct page_tree* t, uint64_t at, struct page_node* path[],
                             struct page_node_reserve* r) {
    page_slot_t* where = &t->root;
    for (uint32_t span = t->levels; span > 0;) {
        span--;
        path[span] = slot_own(where, span, r);
        where = &path[span]->slot[slot_number(at, span)];
    }
    return where;
}

static void replaced_page_drop(page_slot_t slot, struct page_garbage* g, struct page** old) {
    if (old == nullptr) {
        slot_drop(slot, 0, g);
        return;
    }
    *old = nullptr;
    if (page_slot_is_page(slot)) {
        struct page* p = page_slot_page(slot);
        struct page_garbage last = {};
        slot_drop(slot, 0, &last);
        if (last.pages == p) {
            p->next = nullptr;
            atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
            *old = p;
        }
    }
}

// page_tree_set() where every node above the slot is there and ours alone, and none comes or goes.
// False: the general way.
static bool set_in_place(struct page_tree* t, uint64_t at, page_slot_t slot, page_slot_t* before) {
    if (at >= span_pages(t->levels) || t->root == PAGE_SLOT_ABSENT) {
        return false;
    }
    UNINITIALIZED struct page_node* path[PAGE_TREE_MAX_LEVELS];
    page_slot_t* where = &t->root;
    for (uint32_t level = t->levels; level-- > 0;) {
        if (*where <= PAGE_SLOT_ZERO || node_is_shared(slot_node(*where))) {
            return false;
        }
        path[level] = slot_node(*where);
        where = &path[level]->slot[slot_number(at, level)];
    }
    uint64_t place = bit(slot_number(at, 0));
    if (slot == PAGE_SLOT_ABSENT && (t->levels == 0 || path[0]->present == place)) {
        return false;
    }
    page_slot_t was = *where;
    *before = was;
    *where = slot;
    if (t->levels > 0) {
        uint64_t present = path[0]->present;
        path[0]->present = slot == PAGE_SLOT_ABSENT ? present & ~place : present | place;
    }
    // Modulo 2^64: it may stand for a negative number.
    uint64_t delta = (uint64_t)page_slot_is_page(slot) - (uint64_t)page_slot_is_page(was);
    for (uint32_t level = 0; delta != 0 && level < t->levels; level++) {
        path[level]->pages += delta;
    }
    return true;
}

// Stores any value, with nodes made, copied and given up as it needs. Returns what was there.
static NOINLINE page_slot_t set_general(struct page_tree* t, uint64_t at, page_slot_t slot,
                                        struct page_node_reserve* r) {
    tree_grow(t, at, r);
    UNINITIALIZED struct page_node* path[PAGE_TREE_MAX_LEVELS];
    page_slot_t* where = path_own(t, at, path, r);
    page_slot_t before = *where;
    *where = slot;
    uint64_t delta = (uint64_t)page_slot_is_page(slot) - (uint64_t)page_slot_is_page(before);
    path_settle(t, at, path, delta, r);
    return before;
}

status_t page_tree_set(struct page_tree* t, uint64_t index, page_slot_t slot,
                       struct page_node_reserve* r, struct page_garbage* g, struct page** old) {
    uint64_t at = tree_index(t, index);
    if (!page_slot_is_page(slot) && page_tree_lookup(t, index, nullptr) == slot) {
        if (old != nullptr) {
            *old = nullptr;
        }
        return STATUS_OK;
    }
    page_slot_t before;
    if (!set_in_place(t, at, slot, &before)) {
        if (r->count < nodes_for(t, at)) {
            return STATUS_NO_MEMORY;
        }
        before = set_general(t, at, slot, r);
    }
    if (old != nullptr || page_slot_is_page(before)) {
        replaced_page_drop(before, g, old);
    }
    return STATUS_OK;
}

// Walks the path twice, if need be, rather than noting it: it has one or two nodes mostly.
// Takes back what page_tree_put() counted on its way down, until it had `end` bits of the index
// left.
static NOINLINE MINSIZE void uncount(struct page_tree* t, uint64_t at, uint32_t end,
                                     uint64_t more) {
    page_slot_t slot = t->root;
    for (uint32_t shift = t->levels * PAGE_NODE_BITS; shift != end;) {
        slot_node(slot)->pages -= more;
        shift -= PAGE_NODE_BITS;
        slot = slot_node(slot)->slot[(at >> shift) & (PAGE_NODE_SLOTS - 1)];
    }
}

bool page_tree_put(struct page_tree* t, uint64_t index, page_slot_t was, struct page* p,
                   struct page_garbage* g) {
    uint64_t at = tree_index(t, index);
    uint32_t shift = t->levels * PAGE_NODE_BITS;
    if (unlikely(shift == 0 || at >> shift != 0)) {
        return false; // the page is the root, or the tree has to grow
    }
    page_slot_t slot = t->root;
    page_slot_t* where;
    struct page_node* node;
    uint64_t more = page_slot_is_page(was) ? 0 : 1;
    do { // one way down, counting on it
        node = slot_node(slot);
        if (unlikely(slot <= PAGE_SLOT_ZERO || node_is_shared(node))) {
            uncount(t, at, shift, more);
            return false;
        }
        node->pages += more;
        shift -= PAGE_NODE_BITS;
        where = &node->slot[(at >> shift) & (PAGE_NODE_SLOTS - 1)];
        slot = *where;
    } while (shift != 0);
    DEBUG_ASSERT(page_slot_is_page(slot) == page_slot_is_page(was));
    *where = page_slot_from_page(p);
    node->present |= bit(slot_number(at, 0));
    if (more == 0) {
        slot_drop(slot, 0, g);
    }
    return true;
}

status_t page_tree_insert_run(struct page_tree* t, uint64_t index, struct page** pages,
                              uint32_t max, struct page_node_reserve* r, uint32_t* stored) {
    uint64_t at = tree_index(t, index);
    *stored = 0;
    if (max == 0 || *pages == nullptr || page_slot_is_page(page_tree_lookup(t, index, nullptr))) {
        return STATUS_OK;
    }
    // More than one page needs a leaf, even where the first alone would do as the root.
    bool run = max > 1 && (*pages)->next != nullptr;
    uint64_t leaf_at = run ? at | 1 : at;
    if (r->count < nodes_for(t, leaf_at)) {
        return STATUS_NO_MEMORY;
    }
    tree_grow(t, leaf_at, r);
    struct page_node* path[PAGE_TREE_MAX_LEVELS];
    page_slot_t* where = path_own(t, at, path, r);
    uint32_t room = t->levels == 0 ? 1 : min(max, PAGE_NODE_SLOTS - slot_number(at, 0));
    uint32_t count = 0;
    while (count < room && *pages != nullptr && !page_slot_is_page(where[count])) {
        struct page* p = *pages;
        *pages = p->next;
        p->next = nullptr;
        where[count] = page_slot_from_page(p);
        if (t->levels > 0) {
            path[0]->present |= bit(slot_number(at, 0) + count);
        }
        count++;
    }
    path_settle(t, at, path, count, r);
    *stored = count;
    return STATUS_OK;
}

MINSIZE void page_tree_insert_all(struct page_tree* t, uint64_t index, struct page* pages,
                                  struct page_node_reserve* r) {
    while (pages != nullptr) {
        uint32_t stored;
        status_t status = page_tree_insert_run(t, index, &pages, PAGE_NODE_SLOTS, r, &stored);
        ASSERT(status == STATUS_OK && stored != 0);
        index += stored;
    }
}

MINSIZE void page_tree_take_run(struct page_tree* t, uint64_t index, uint32_t count,
                                struct page_node_reserve* r) {
    uint64_t at = tree_index(t, index);
    UNINITIALIZED struct page_node* path[PAGE_TREE_MAX_LEVELS];
    page_slot_t* where = path_own(t, at, path, r);
    memset(where, 0, count * sizeof(*where));
    if (t->levels > 0) {
        path[0]->present &= ~((UINT64_MAX >> (PAGE_NODE_SLOTS - count)) << slot_number(at, 0));
    }
    path_settle(t, at, path, -(uint64_t)count, r);
}

// ---- ranges ----

// Tree indices [first, end) become `value`.
struct range_edit {
    uint64_t first;
    uint64_t end;
    page_slot_t value;
    struct page_node_reserve* r;
    struct page_garbage* g;
};

static bool node_is_all_zero_markers(const struct page_node* node) {
    if (node->present != UINT64_MAX || node->pages != 0) {
        return false;
    }
    for (uint32_t i = 0; i < PAGE_NODE_SLOTS; i++) {
        if (node->slot[i] != PAGE_SLOT_ZERO) {
            return false;
        }
    }
    return true;
}

// Applies the edit to the slot at *where, which spans tree indices from `base`; they overlap.
// Recursion is at most PAGE_TREE_MAX_LEVELS deep.
static void range_apply(page_slot_t* where, uint32_t span, uint64_t base,
                        const struct range_edit* e) {
    if (*where == e->value) {
        return;
    }
    if (e->first <= base && base + span_pages(span) <= e->end) {
        slot_drop(*where, span, e->g);
        *where = e->value;
        return;
    }
    uint32_t level = span - 1; // partly covered, so more than one page
    struct page_node* node = slot_own(where, level, e->r);
    uint32_t i = e->first <= base ? 0 : slot_number(e->first, level);
    for (; i < PAGE_NODE_SLOTS && base + i * span_pages(level) < e->end; i++) {
        uint64_t before = slot_pages(node->slot[i], level);
        range_apply(&node->slot[i], level, base + i * span_pages(level), e);
        node->pages += slot_pages(node->slot[i], level) - before;
        node_slot_changed(node, i);
    }
    if (node->present == 0 || node_is_all_zero_markers(node)) {
        *where = node->present == 0 ? PAGE_SLOT_ABSENT : PAGE_SLOT_ZERO;
        reserve_put(e->r, node);
    }
}

status_t page_tree_remove_range(struct page_tree* t, uint64_t first, uint64_t count,
                                struct page_node_reserve* r, struct page_garbage* g) {
    uint64_t from = tree_index(t, first);
    uint64_t reach = span_pages(t->levels);
    if (count == 0 || from >= reach || t->root == PAGE_SLOT_ABSENT) {
        return STATUS_OK;
    }
    uint64_t end = count < reach - from ? from + count : reach;
    if (r->count < nodes_remove(t, from, end)) {
        return STATUS_NO_MEMORY;
    }
    struct range_edit e = {from, end, PAGE_SLOT_ABSENT, r, g};
    range_apply(&t->root, t->levels, 0, &e);
    tree_settle(t);
    return STATUS_OK;
}

status_t page_tree_zero_range(struct page_tree* t, uint64_t first, uint64_t count,
                              struct page_node_reserve* r, struct page_garbage* g) {
    if (count == 0) {
        return STATUS_OK;
    }
    DEBUG_ASSERT(count <= PAGE_TREE_MAX_PAGES && first <= PAGE_TREE_MAX_PAGES - count);
    uint64_t from = tree_index(t, first);
    if (r->count < nodes_zero(t, from, from + count)) {
        return STATUS_NO_MEMORY;
    }
    tree_grow(t, from + count - 1, r);
    struct range_edit e = {from, from + count, PAGE_SLOT_ZERO, r, g};
    range_apply(&t->root, t->levels, 0, &e);
    return STATUS_OK;
}

void page_tree_clear(struct page_tree* t, struct page_garbage* g) {
    slot_drop(t->root, t->levels, g);
    page_tree_init(t);
}

// ---- snapshots ----

// The part of a slot that lies in tree indices [first, end), as a slot of the same span with a
// reference of its own. `shift` is how many slots the children move down; only the uppermost call
// has one.
static page_slot_t slot_trim(page_slot_t slot, uint32_t span, uint64_t base, uint64_t first,
                             uint64_t end, uint32_t shift, struct page_node_reserve* r) {
    uint64_t slot_end = base + span_pages(span);
    if (slot == PAGE_SLOT_ABSENT || slot_end <= first || end <= base) {
        return PAGE_SLOT_ABSENT;
    }
    if (first <= base && slot_end <= end) {
        slot_ref(slot, span);
        return slot;
    }
    uint32_t level = span - 1; // partly covered, so more than one page
    struct page_node* node = reserve_take(r, level);
    for (uint32_t i = shift; i < PAGE_NODE_SLOTS; i++) {
        page_slot_t child =
            slot_trim(slot_child(slot, i), level, base + i * span_pages(level), first, end, 0, r);
        node->slot[i - shift] = child;
        node->pages += slot_pages(child, level);
        node_slot_changed(node, i - shift);
    }
    if (node->present == 0) {
        reserve_put(r, node);
        return PAGE_SLOT_ABSENT;
    }
    return (page_slot_t)node;
}

status_t page_tree_snapshot(struct page_tree* dst, struct page_tree* src, uint64_t src_count,
                            uint64_t first, uint64_t count, struct page_node_reserve* r) {
    DEBUG_ASSERT(dst->root == PAGE_SLOT_ABSENT);
    if (r->count < page_tree_nodes_snapshot(src, src_count, first, count)) {
        return STATUS_NO_MEMORY;
    }
    page_tree_init(dst);
    uint64_t from = tree_index(src, first);
    uint64_t reach = span_pages(src->levels);
    if (count == 0 || first >= src_count || src->root == PAGE_SLOT_ABSENT || from >= reach) {
        return STATUS_OK;
    }
    // Where the window ends with the source there is nothing beyond, and nothing to cut off.
    bool to_end = count >= src_count - first;
    uint64_t end = to_end || count > reach - from ? reach : from + count;

    page_slot_t slot = src->root;
    uint32_t span = src->levels;
    uint64_t base = 0;
    // A window within one child of the root needs only that child.
    while (slot_is_node(slot, span) &&
           slot_number(from, span - 1) == slot_number(end - 1, span - 1)) {
        span--;
        base += slot_number(from, span) * span_pages(span);
        slot = slot_node(slot)->slot[slot_number(from, span)];
    }
    bool open_left = first == 0;
    // Children move down, so that the origin stays below one slot of the root: it would add up over
    // snapshots of snapshots otherwise.
    uint32_t shift = open_left || span == 0 || from == base ? 0 : slot_number(from, span - 1);
    dst->root = slot_trim(slot, span, base, open_left ? 0 : from, end, shift, r);
    if (dst->root != PAGE_SLOT_ABSENT) {
        dst->levels = span;
        dst->origin = from - base - (shift != 0 ? shift * span_pages(span - 1) : 0);
    }
    return STATUS_OK;
}
