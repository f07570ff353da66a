// struct mapping; private to the VM.
//
// A mapping shows [first_page, first_page + pages) of a page set at [base, end) of an address
// space. Legend: [i] immutable; [b] written with aspace.lock and page_set.lock held, read under
// either;
//
#pragma once

#include <stdint.h>

#include <arch/mmu.h>
#include <lib/compiler.h>
#include <lib/types.h>

#include "interval.h"
#include "region_tree.h"

struct aspace;
struct page_set;
struct vmo;

struct mapping {
    struct region region;  // [b] base and size; the tree itself by aspace.lock
    struct interval own;   // in set->mappings
    struct interval clone; // in set->backing->clone_mappings, if the backing is paged
    struct aspace* as;     // [i] outlives the mapping
    struct vmo* vmo;       // [i] with a reference
    struct page_set* set;  // [i] vmo->set
    uint64_t first_page;   // [b] index in the set of what `base` shows
    uint64_t end_page;     // [i] a slice's end: beyond it faults fail
    uint32_t perms;        // [b] ZX_VM_PERM_*
    uint32_t max_perms;    // [i] what protect may ask for
    enum mmu_flags mmu;    // [b] perms and cache policy as translations have them
    bool stream_bound;     // [i] faults beyond the stream size fail
    bool vdso_code;        // [i]
};

static inline struct mapping* mapping_from_region(struct region* r) {
    return container_of(r, struct mapping, region);
}
static inline uint64_t mapping_pages(const struct mapping* m) {
    return m->region.size >> PAGE_SHIFT;
}
static inline uint64_t mapping_index(const struct mapping* m, vaddr_t va) {
    return m->first_page + ((va - m->region.base) >> PAGE_SHIFT);
}
static inline vaddr_t mapping_va(const struct mapping* m, uint64_t index) {
    return m->region.base + ((index - m->first_page) << PAGE_SHIFT);
}
