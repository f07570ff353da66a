// What the files of the address-space layer share.
#pragma once

#include <stdatomic.h>

#include <zircon/types.h>

#include <arch/mmu.h>
#include <lib/compiler.h>
#include <vm/aspace.h>
#include <vm/vmar.h>

#include "mapping.h"
#include "region_tree.h"

constexpr uint32_t PERM_MASK = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;

// [i] immutable, [s] aspace.lock
struct vmar {
    struct region region; // base and size [i]; the link in the parent's tree [s]
    _Atomic(uint32_t) refs;
    struct aspace* as;          // [i] with a reference
    uint32_t can_map;           // [i] ZX_VM_PERM_*
    bool can_map_specific;      // [i]
    bool compact;               // [i] regions are placed side by side
    bool alive;                 // [s]
    struct region_tree regions; // [s]
};

static inline struct vmar* vmar_from_region(struct region* r) {
    return container_of(r, struct vmar, region);
}

// A dead or live VMAR with one reference; null: no memory.
[[nodiscard]] struct vmar* vmar_new(struct aspace* as, vaddr_t base, size_t size, uint32_t can_map,
                                    bool can_map_specific, bool compact);

// ---- placement ----
struct placement {
    zx_vm_option_t options; // SPECIFIC, SPECIFIC_OVERWRITE, OFFSET_IS_UPPER_LIMIT, ALIGN
    size_t offset;
    size_t size; // page multiple, > 0
};
// Checks what does not depend on the state. `size` 0 or too large is the caller's to reject.
status_t placement_check(const struct vmar* v, const struct placement* p);
// The base. Specific places are not checked for being free. NO_RESOURCES.
status_t placement_find_locked(struct aspace* as, struct vmar* v, const struct placement* p,
                               vaddr_t* out) TA_REQ(as->lock);
static inline bool placement_is_specific(const struct placement* p) {
    return (p->options & (ZX_VM_SPECIFIC | ZX_VM_SPECIFIC_OVERWRITE)) != 0;
}

// ---- regions taken out, freed after the lock is gone ----
struct dead_list {
    struct region* head;
};
void dead_list_free_some(struct dead_list* dead);
static inline void dead_list_free(struct dead_list* dead) { // no lock held; may sleep
    if (dead->head != nullptr) {
        dead_list_free_some(dead);
    }
}

// ---- mappings, under aspace.lock ----
// Memory for one mapping, contents undefined: linking and splitting need all of it filled, but for
// the links of trees and lists. Null: no memory.
[[nodiscard]] struct mapping* mapping_alloc(void);
void mapping_free(struct mapping* m);
static inline void mapping_free_unused(struct mapping* m) {
    if (m != nullptr) {
        mapping_free(m);
    }
}
// Links a filled mapping into its VMAR and its page set.
void mapping_link_locked(struct aspace* as, struct vmar* v, struct mapping* m) TA_REQ(as->lock);
// Cuts `m` in two at `at`, which lies inside it; `upper` (fresh) becomes the part above.
void mapping_split_locked(struct aspace* as, struct mapping* m, vaddr_t at, struct mapping* upper)
    TA_REQ(as->lock);
// Unmaps and unlinks all of `m`. `tables` serves the splitting of large entries.
void mapping_remove_locked(struct aspace* as, struct mapping* m, struct table_reserve* tables,
                           struct dead_list* dead) TA_REQ(as->lock);
void mapping_protect_locked(struct aspace* as, struct mapping* m, uint32_t perms,
                            struct table_reserve* tables) TA_REQ(as->lock);
// The flags of a translation; with W only if the page is `writable` and the mapping may write.
static inline enum mmu_flags mapping_mmu_flags(const struct mapping* m, bool writable) {
    return writable ? m->mmu : m->mmu & ~MMU_WRITE;
}

// ---- look-up ----
// The mapping that contains va, in whatever VMAR; null.
struct mapping* aspace_search_locked(struct aspace* as, vaddr_t va) TA_REQ(as->lock);
static inline struct mapping* aspace_find_locked(struct aspace* as, vaddr_t va) TA_REQ(as->lock) {
    struct mapping* last = aspace_state(as)->last_found;
    bool hit = last != nullptr && va - last->region.base < last->region.size;
    return likely(hit) ? last : aspace_search_locked(as, va);
}

// ---- ranges of one VMAR ----
// What an edit of [base, end) needs, prepared by range_prepare_locked() so that the edit cannot
// fail.
struct range_edit {
    vaddr_t base, end;
    struct mapping* cut[2];   // the mappings that begin below `base` and end above `end`
    struct mapping* spare[2]; // for their upper parts
    struct table_reserve tables;
};
// The validating half: INVALID_ARGS if a VMAR is partly covered (or at all, unless `take_vmars`),
// ACCESS_DENIED for the vDSO's code, NO_MEMORY. `*any`: something lies in the range.
status_t range_prepare_locked(struct aspace* as, struct vmar* v, struct range_edit* edit,
                              bool take_vmars, bool* any) TA_REQ(as->lock);
void range_split_edges_locked(struct aspace* as, struct range_edit* edit) TA_REQ(as->lock);
// The committing half of unmap and overwrite.
void range_remove_locked(struct aspace* as, struct vmar* v, struct range_edit* edit,
                         struct dead_list* dead) TA_REQ(as->lock);
// Returns what was not used; no lock needed.
static inline void range_edit_done(struct range_edit* edit) {
    mapping_free_unused(edit->spare[0]);
    mapping_free_unused(edit->spare[1]);
    if (edit->tables.count != 0) {
        mmu_reserve_drain(&edit->tables);
    }
}
// Takes everything out of `v`, and `v` out of its parent (unless it is the root).
void vmar_kill_locked(struct aspace* as, struct vmar* v, struct table_reserve* tables,
                      struct dead_list* dead) TA_REQ(as->lock);

// ---- populating ----
// Maps what [va, end) has already, without allocating pages. No lock held. BAD_STATE if a part is
// not mapped.
status_t aspace_populate(struct aspace* as, vaddr_t va, vaddr_t end);
