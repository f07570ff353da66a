// Page tree: which page stands at which index of a page set. A persistent radix tree, fan-out 64,
// whose nodes and pages are counted, so that a snapshot is one more reference to the root.
//
// A slot is absent, a zero marker, or a page. Absent means "ask the backing, or zero if there is
// none"; a zero marker reads as zero and hides the backing; one marker may stand for a whole
// subtree. A tree of one page has no node: the page itself is the root.
//
// Indices here are page numbers of the page set: the tree adds its `origin`, so that a snapshot of
// a window shares nodes at any alignment.
//
// Sharing: nodes with more than one reference are immutable. An edit copies the shared part of its
// path (a copied leaf adds a reference to each of its pages) and then changes what is its own. A
// page may be WRITTEN only if `exclusive`: all nodes of its path and the page itself have one
// reference; else the caller copies it into a fresh page and replaces it.
//
// Caller's duties:
// - Every function on a tree is called under the lock of the page set that owns it. Trees that
//   share nodes have different locks: only the counts are touched by both (decrement: release;
//   test for one: acquire).
// - Nothing here allocates. Edits take nodes from a reserve filled beforehand, without locks. An
//   edit that finds too few changes nothing and returns NO_MEMORY; page_tree_nodes_*() says how
//   many it needs, exactly or as an upper bound.
// - No page lies at or above the page set's size. Shrinking is page_tree_remove_range().
// - What an edit drops goes into a `page_garbage`. BEFORE a call that drops pages, every
//   translation of this page set to them must be gone from all TLBs (tlb_gather_commit() under the
//   page set's lock): the drop gives up this tree's reference, and another tree's owner may free
//   the page at once.
// - After unlocking, page_garbage_dispose().
//
// A page in a tree is in state PAGE_VMO and has refs = the number of leaf slots (and roots) that
// hold it; insert takes over the caller's one.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/status.h>
#include <vm/page.h>

constexpr uint32_t PAGE_NODE_BITS = 6;
constexpr uint32_t PAGE_NODE_SLOTS = 1u << PAGE_NODE_BITS;
constexpr uint32_t PAGE_TREE_MAX_LEVELS = 9;
// Bound of origin + index: indices stay below 2^52, origins below 2^53.
constexpr uint64_t PAGE_TREE_MAX_PAGES = (uint64_t)1 << 52;

// The value of a slot: PAGE_SLOT_ABSENT, PAGE_SLOT_ZERO or a pointer (to a page in slots of one
// page's span, to a node elsewhere).
typedef uintptr_t page_slot_t;
constexpr page_slot_t PAGE_SLOT_ABSENT = 0;
constexpr page_slot_t PAGE_SLOT_ZERO = 1;

// For slots as the functions below return them, which are never nodes.
static inline bool page_slot_is_page(page_slot_t slot) {
    return slot > PAGE_SLOT_ZERO;
}
static inline struct page* page_slot_page(page_slot_t slot) {
    return (struct page*)slot;
}
static inline page_slot_t page_slot_from_page(struct page* p) {
    return (page_slot_t)p;
}

struct page_node {
    _Atomic(uint32_t) refs; // slots and roots that hold it
    uint32_t level;         // its slots span 64^level pages each; immutable
    uint64_t present;       // bit i: slot[i] is not absent
    uint64_t pages;         // pages in the subtree
    struct page_node* link; // reserve and garbage lists
    page_slot_t slot[PAGE_NODE_SLOTS];
};

struct page_tree {
    page_slot_t root; // spans 64^levels pages; a page if levels is 0
    uint32_t levels;  // 0 while the tree is empty
    uint64_t origin;  // tree index = origin + page number
};

// ---- nodes set aside, and what edits drop ----

struct page_node_reserve {
    struct page_node* head; // through link
    uint32_t count;
};

// Raises the reserve to at least `count` nodes. False: no memory (what was got stays in the
// reserve).
[[nodiscard]] bool page_node_reserve_fill(struct page_node_reserve* r, uint32_t count);
void page_node_reserve_drain(struct page_node_reserve* r);

// Enough for one edit of one page (set, insert) in any tree of up to 64^3 pages (1 GiB) that grows
// at most once.
constexpr uint32_t PAGE_TREE_NODES_TYPICAL = 4;
// Enough for any single-page edit in any tree / any range edit in any tree.
constexpr uint32_t PAGE_TREE_NODES_MAX = 2 * PAGE_TREE_MAX_LEVELS;
constexpr uint32_t PAGE_TREE_NODES_RANGE_MAX = 3 * PAGE_TREE_MAX_LEVELS;

// Zero-initialised = empty. Filled under a page set's lock, emptied without any.
struct page_garbage {
    struct page_node* dying; // no references left; children not dropped yet
    struct page_node* nodes; // empty nodes to free
    struct page* pages;      // no references left; through page.next
    uint64_t page_count;     // length of `pages`
};

static inline bool page_garbage_empty(const struct page_garbage* g) {
    return g->dying == nullptr && g->nodes == nullptr && g->pages == nullptr;
}
// Drops the children of dying nodes, at most about `budget` slots. True when none is left dying.
// Pure; no lock.
bool page_garbage_step(struct page_garbage* g, size_t budget);
// Frees everything: in place if it is small, by a worker in slices if it is more than 1,024 pages.
// No spinlock held.
void page_garbage_dispose(struct page_garbage* g);
// In place, whatever it takes: for who needs the memory now.
void page_garbage_free(struct page_garbage* g);

// ---- trees ----

static inline void page_tree_init(struct page_tree* t) {
    *t = (struct page_tree){};
}

// Pages in the tree (committed), O(1).
uint64_t page_tree_pages(const struct page_tree* t);
// Pages in a range, O(levels).
uint64_t page_tree_pages_in(const struct page_tree* t, uint64_t first, uint64_t count);
// Pages in a range that no other tree holds; walks the unshared nodes.
uint64_t page_tree_private_in(const struct page_tree* t, uint64_t first, uint64_t count);

// The slot at `index`; *exclusive (may be null) tells whether its page may be written in place.
page_slot_t page_tree_lookup(const struct page_tree* t, uint64_t index, bool* exclusive);

// The same, and for a page which neighbours in its leaf hold anything: bit i of *near stands for
// index + i, bit 64 - i for index - i (or, past an end of the leaf, for a slot at its other end).
page_slot_t page_tree_lookup_near(const struct page_tree* t, uint64_t index, bool* exclusive,
                                  uint64_t* near);

// The slots of up to `max` (<= 64) pages from `index`, as far as one leaf or one gap reaches;
// returns how many (>= 1). Bit i of *exclusive (may be null): slots[i] is a page that may be
// written in place.
uint32_t page_tree_lookup_run(const struct page_tree* t, uint64_t index, uint32_t max,
                              page_slot_t slots[], uint64_t* exclusive);

// The next slot that is not absent, or the next page, at or after `first` and below `end`.
struct page_tree_entry {
    uint64_t index;
    uint64_t count;   // 1 for a page; a zero marker may stand for more (cut to [first, end))
    page_slot_t slot; // page or PAGE_SLOT_ZERO
};
bool page_tree_next(const struct page_tree* t, uint64_t first, uint64_t end,
                    struct page_tree_entry* out);
bool page_tree_next_page(const struct page_tree* t, uint64_t first, uint64_t end,
                         struct page_tree_entry* out);

// Nodes that page_tree_set() at `index` needs now (exact for a page or zero), and an upper bound
// for a range edit or a snapshot.
uint32_t page_tree_nodes_set(const struct page_tree* t, uint64_t index);
uint32_t page_tree_nodes_range(const struct page_tree* t, uint64_t first, uint64_t count);
uint32_t page_tree_nodes_snapshot(const struct page_tree* src, uint64_t src_count, uint64_t first,
                                  uint64_t count);

// Stores `slot` (page, zero or absent) at `index`, whatever was there. A page's reference moves
// into the tree. The replaced page: with `old` null the tree's reference is dropped into `g`; else,
// if that reference was the page's only one, the page is handed out in *old (refs still 1), and
// otherwise *old is null and the reference is dropped. NO_MEMORY: nothing changed.
status_t page_tree_set(struct page_tree* t, uint64_t index, page_slot_t slot,
                       struct page_node_reserve* r, struct page_garbage* g, struct page** old);

// The short way of the same for a page, where every node above the slot is there and this tree's
// alone. `was`: what page_tree_lookup() says that the slot holds now; a page's reference is dropped
// into `g`. False: not that simple; nothing changed.
bool page_tree_put(struct page_tree* t, uint64_t index, page_slot_t was, struct page* p,
                   struct page_garbage* g);

// Stores pages from the list *pages (through page.next, refs 1) into consecutive slots from
// `index`, until a slot that holds a page, the end of the leaf, or the end of the list or of `max`.
// *pages is advanced past what was stored, *stored says how many. NO_MEMORY: nothing changed.
status_t page_tree_insert_run(struct page_tree* t, uint64_t index, struct page** pages,
                              uint32_t max, struct page_node_reserve* r, uint32_t* stored);

// The same for a whole list, into slots none of which holds a page, by who has counted already: the
// reserve has page_tree_nodes_range() nodes, which are enough for up to 64 pages.
void page_tree_insert_all(struct page_tree* t, uint64_t index, struct page* pages,
                          struct page_node_reserve* r);

// Takes `count` (> 0) neighbours out of one leaf, each of which is exclusive (as
// page_tree_lookup_run() says): the caller has the tree's references then. Needs no nodes; `r` gets
// those that are empty now.
void page_tree_take_run(struct page_tree* t, uint64_t index, uint32_t count,
                        struct page_node_reserve* r);

// Every slot of the range becomes absent / zero. O(levels): whole subtrees are dropped into `g`,
// and one marker stands for a whole subtree.
status_t page_tree_remove_range(struct page_tree* t, uint64_t first, uint64_t count,
                                struct page_node_reserve* r, struct page_garbage* g);
status_t page_tree_zero_range(struct page_tree* t, uint64_t first, uint64_t count,
                              struct page_node_reserve* r, struct page_garbage* g);

// Makes the empty tree `dst` a snapshot of pages [first, first + count) of `src`, renumbered from
// 0. `src_count`: the size of src's page set. Shares what it can: a snapshot of everything is one
// reference. A window copies its two boundary paths (nodes from `r`) and holds nothing outside. The
// caller has write-protected src's mappings of the window. NO_MEMORY: nothing changed.
status_t page_tree_snapshot(struct page_tree* dst, struct page_tree* src, uint64_t src_count,
                            uint64_t first, uint64_t count, struct page_node_reserve* r);

// Empties the tree: O(1), the root goes into `g`.
void page_tree_clear(struct page_tree* t, struct page_garbage* g);
