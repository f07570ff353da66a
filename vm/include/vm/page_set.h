// A page set: the pages behind one or more VMOs, and the mappings that show them.
//
// struct vmo is what user mode names (koid, name, children); struct page_set is what holds memory.
// A SLICE or REFERENCE child is another vmo on the SAME page set; a SNAPSHOT is a new page set
// whose tree shares its root with the parent's. There are no hidden parents and no clone chains.
//
// Kinds
//   ANON        an absent slot reads as zero, unless there is a backing
//   PAGER       an absent slot must be asked of the source; may be the backing of others, has none
//   itself CONTIGUOUS  physically contiguous RAM, every slot filled at creation and for good
//   PHYSICAL    device registers or a fixed range: no tree, no struct page, `phys_base` says it all
//   WIRED       RAM that exists already and is never freed (boot files, vDSO): as PHYSICAL, but
//               readable through the direct map, never written, and a backing for snapshots
//
// A slot's value, seen through a set (page_set_look_locked):
//   own page                       -> that page; writable in place iff the whole path and the page
//   are this set's alone own zero marker                -> zero absent, ANON, no backing or
//   at/after backing_limit -> zero absent, ANON, below the limit  -> what the backing has at index
//   + backing_off; never writable in place absent, PAGER                  -> missing: ask the
//   source. A page of kind PAGER may be written once it is dirty; that, or a write to a zero
//   marker, is asked of the source first if it traps such transitions
//
// Locks: `lock` (sleeping). Class PAGE_SET for everything except kinds PAGER and WIRED, which are
// class PAGE_SET_ROOT, so that a clone's lock may be held when its backing's is taken, never the
// other way round. Two locks of one class are taken in address order. Under it: page-table locks,
// PMM, slab. Never under it: the aspace lock, user copies that may fault, waiting. Allocation never
// blocks in this kernel, so it is allowed under the lock.
//
// Invariants (cited as PS1.. in the code)
//   PS1  A translation for slot i of a mapping of this set shows the page that slot i has now, or
//   the zero page if it reads as zero. Whoever changes
//        what a slot shows removes the old translations first (page_set_unmap_range_locked), and
//        nobody can put them back: faults need the lock.
//   PS2  A translation is writable only if the slot is an own page, private to this set, and dirty
//   if the set is a pager's. Making it shared, or cleaning it, write-protects first. PS3  A mapping
//   is in `mappings` (own coordinates), and in the backing's `clone_mappings` (backing coordinates)
//   if there is a backing, from before
//        its first translation until after its last. Geometry and permissions change only with the
//        aspace lock AND this lock held, so holding either is enough to read them.
//   PS4  backing_limit never grows; slots at or above it read as zero once absent. size shrinking
//   lowers it. PS5  Pins: a pinned page is an own page, private, and stays in its slot. pin_count
//   is the sum of pins over the set; nonzero forbids snapshots
//        and shrinking over them.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/assert.h>
#include <lib/compiler.h>
#include <lib/rbtree.h>
#include <lib/status.h>
#include <lib/types.h>
#include <locking/mutex.h>
#include <vm/page.h>
#include <vm/page_tree.h>
#include <vm/vmo.h>

struct mapping;
struct page_request;
struct page_source;

enum page_set_kind : uint8_t {
    PAGE_SET_ANON,
    PAGE_SET_PAGER,
    PAGE_SET_CONTIGUOUS, // from here on: one physical run (page_set_is_run)
    PAGE_SET_PHYSICAL,
    PAGE_SET_WIRED,
};

enum discard_state : uint8_t {
    DISCARD_NEVER,    // not discardable
    DISCARD_KEPT,     // locked, or not yet unlocked for the first time
    DISCARD_UNLOCKED, // since reclaim last looked
    DISCARD_OLD,      // since before that: reclaim may take the pages
    DISCARD_GONE,     // it took them: TRY_LOCK fails, LOCK reports it
};

// Everything that page_set.lock guards.
struct page_set_state {
    struct page_tree tree;
    uint64_t size;          // bytes, page multiple: of VMOs that are not slices
    uint64_t content_size;  // bytes <= size: the stream size, shared by references
    uint64_t backing_limit; // pages, own coordinates (PS4)
    uint64_t pin_count;
    uint64_t lock_count;          // discardable: LOCKs outstanding
    struct rbtree mappings;       // struct mapping.own
    struct rbtree clone_mappings; // struct mapping.clone; kind PAGER only
    uint32_t mapping_count;
    uint32_t cache_policy; // ZX_CACHE_POLICY_*
    enum discard_state discard;
    bool zero_mapped; // some translation may show the zero page (sticky)
    bool modified;    // kind PAGER: written to since zx_pager_query_vmo_stats() reset it
    // Kind PAGER: zero markers at or above `zero_dirty` came by growing, and the provider does not
    // know of them yet; those below `zero_cleaning` it is told of now. Pages, own coordinates.
    uint64_t zero_dirty, zero_cleaning;
};

// struct page's vmo_flags, kind PAGER. A page is clean (neither), dirty, or being cleaned: between
// WRITEBACK_BEGIN and _END, unless it becomes dirty again meanwhile.
enum page_flags : uint8_t {
    PAGE_DIRTY = 1u << 0,
    PAGE_CLEANING = 1u << 1,
    PAGE_UNCLEAN = PAGE_DIRTY | PAGE_CLEANING,
    PAGE_ALWAYS_NEED = 1u << 2,
    PAGE_KEPT = PAGE_UNCLEAN | PAGE_ALWAYS_NEED, // not to be evicted
    PAGE_USED = 1u << 3,                         // through a VMO, since eviction last looked
    PAGE_OLD = 1u << 4,                          // it was not used when eviction last looked
};

struct page_set {
    mutex_t lock;
    _Atomic(uint32_t) refs;          // VMOs, clones (of a backing), work in flight
    enum page_set_kind kind;         // immutable
    bool resizable;                  // immutable
    bool trap_dirty;                 // kind PAGER: the source is asked before a write; immutable
    uint64_t backing_off;            // pages: index here + backing_off = index there; immutable
    struct page_set* backing;        // kind PAGER or WIRED, with a reference; immutable
    struct list_node ring_node;      // <vm/reclaim.h>: under the ring's lock
    struct page_source* source;      // kind PAGER, with a reference; immutable
    paddr_t phys_base;               // CONTIGUOUS, PHYSICAL, WIRED; immutable
    uint64_t vdso_first, vdso_pages; // the vDSO's code; 0 pages: not the vDSO; immutable
    struct vmo first; // the VMO that is made with the set; its memory goes with the set's
    struct page_set_state guarded_;
};

static inline struct page_set_state* page_set_state(struct page_set* set) TA_REQ(set->lock) {
    return &set->guarded_;
}
// Of a set that is not resizable: its size then never changes.
static inline uint64_t page_set_fixed_size(const struct page_set* set) {
    DEBUG_ASSERT(!set->resizable);
    return set->guarded_.size;
}
// Whether the set is one physical run, so that translations need no look-up and may be large.
static inline bool page_set_is_run(const struct page_set* set) {
    return set->kind >= PAGE_SET_CONTIGUOUS;
}
// Whether absent slots have to be asked of a source, its own or the backing's. Immutable.
static inline bool page_set_is_paged(const struct page_set* set) {
    return set->kind == PAGE_SET_PAGER ||
           (set->backing != nullptr && set->backing->kind == PAGE_SET_PAGER);
}

// ---- life ----
// refs = 1, empty tree, content size = size. Takes over the reference to `backing`, if any, on
// success. Null: no memory.
[[nodiscard]] struct page_set* page_set_create(enum page_set_kind kind, uint64_t size,
                                               struct page_set* backing);
[[nodiscard]] struct page_set* page_set_ref(struct page_set* set);
[[nodiscard]] bool page_set_ref_unless_dead(struct page_set* set);
void page_set_unref(struct page_set* set); // may sleep

// ---- one slot ----
enum page_access : uint32_t {
    PAGE_LOOK = 0,        // what is there: zero stays zero
    PAGE_WRITE = 1u << 0, // an own, private page, copied or allocated if need be
    // A hint: the mapping that faults shows nothing there, so it is worth looking before unmapping.
    PAGE_UNMAPPED = 1u << 1,
};

struct page_view {
    paddr_t paddr;     // the page; the zero page if `zero`
    struct page* page; // null for PHYSICAL, WIRED and for zero
    bool zero;
    bool writable;            // may be mapped writable now (PS2)
    struct page_set* backing; // the page belongs to it, and its lock is held: page_set_put()
};

// Finds or makes the page of slot `index` (< size). Translations that become wrong are removed from
// all mappings first (PS1). Every OK is followed by page_set_put() once the page has been used or
// its translation entered; nothing else may be locked in between.
// SHOULD_WAIT: `request` is armed (for up to `request->wanted` pages): drop every lock and
// page_source_wait(). Otherwise NO_MEMORY, or the source's failure. `request` null: a missing page
// is NOT_FOUND and nothing is asked.
status_t page_set_get_locked(struct page_set* set, uint64_t index, enum page_access access,
                             struct page_request* request, struct page_view* out) TA_REQ(set->lock);
// The second half, for who has looked the slot up (ANON, PAGER) and found no page, or one that it
// may not write.
status_t page_set_make_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                              enum page_access access, struct page_request* request,
                              struct page_view* out) TA_REQ(set->lock);
void page_set_put_backing(struct page_view* view);
static inline void page_set_put(struct page_view* view) {
    if (unlikely(view->backing != nullptr)) {
        page_set_put_backing(view);
    }
}
// Before a translation to the zero page is entered.
void page_set_note_zero_locked(struct page_set* set, const struct page_view* view)
    TA_REQ(set->lock);
// Whether a page of a pager's set may be written: it is dirty. (A pager's set shares no pages.)
static inline bool page_is_dirty(const struct page* p) {
    return (p->vmo_flags & PAGE_DIRTY) != 0;
}
// Kind PAGER, for a slot that is a page or a marker: makes it a dirty page, without asking.
status_t page_set_dirty_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                               enum page_access access, struct page_view* out) TA_REQ(set->lock);
// The page that every zero slot shows.
paddr_t page_set_zero_page(void);

// A fresh user page (state PAGE_VMO, one reference); null: no memory.
[[nodiscard]] struct page* page_set_alloc_page(bool zeroed);
// Stores into a slot, whatever was there, with nodes from the heap. The caller has seen to PS1.
status_t page_set_store_locked(struct page_set* set, uint64_t index, page_slot_t slot,
                               struct page_garbage* g) TA_REQ(set->lock);

// ---- ranges of slots ----
// Removes all translations that show [index, index + count), clones' included.
void page_set_unmap_range_locked(struct page_set* set, uint64_t index, uint64_t count)
    TA_REQ(set->lock);
// The same for one slot of which it is likely that no translation exists.
void page_set_unmap_rare_locked(struct page_set* set, uint64_t index) TA_REQ(set->lock);
// Of a pager's clone, after its translations were edited and before their pages go, or anybody
// relies on the edit: whoever has the
// backing's lock takes translations of clones away, too, or clears what tells that a CPU may have
// them, and flushes those CPUs while he has it. He may be between the two.
void page_set_await_backing_locked(struct page_set* set) TA_REQ(set->lock);
// Clears W in all translations of the range.
void page_set_write_protect_locked(struct page_set* set, uint64_t index, uint64_t count)
    TA_REQ(set->lock);
// Which of up to 64 pages from `index` were accessed through mappings since the last call (bit by
// bit).
uint64_t page_set_harvest_locked(struct page_set* set, uint64_t index, uint64_t count)
    TA_REQ(set->lock);
bool page_set_pinned_locked(struct page_set* set, uint64_t index, uint64_t count) TA_REQ(set->lock);
// Makes whole slots read as zero (ANON). BAD_STATE if one is pinned, NO_MEMORY.
status_t page_set_zero_locked(struct page_set* set, uint64_t index, uint64_t count,
                              struct page_garbage* g) TA_REQ(set->lock);
// Forgets own pages, so that an absent slot shows the backing again (decommit, discard).
status_t page_set_remove_locked(struct page_set* set, uint64_t index, uint64_t count,
                                struct page_garbage* g) TA_REQ(set->lock);
// `new_size`: bytes, page multiple. BAD_STATE if a pinned page would go.
status_t page_set_resize_locked(struct page_set* set, uint64_t new_size, struct page_garbage* g)
    TA_REQ(set->lock);

// ---- counting ----
struct page_counts {
    uint64_t committed, populated, private, scaled; // pages; scaled is an approximation
};
void page_set_count_locked(struct page_set* set, uint64_t index, uint64_t count,
                           struct page_counts* out) TA_REQ(set->lock);

// ---- mapping registration (PS3) ----
// The lock of a paged backing, if there is one, which all of these need.
void page_set_lock_backing(struct page_set* set) TA_REQ(set->lock);
void page_set_unlock_backing(struct page_set* set) TA_REQ(set->lock);
// Links m->own (and m->clone); the caller may edit the mapping's geometry between remove and add,
// if he keeps both locks.
void page_set_add_mapping_locked(struct page_set* set, struct mapping* m) TA_REQ(set->lock);
void page_set_remove_mapping_locked(struct page_set* set, struct mapping* m) TA_REQ(set->lock);
