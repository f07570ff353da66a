// VMARs and mappings: the regions of an address space.
//
// A region is a VMAR or a mapping; each VMAR keeps its own regions, disjoint and ordered, in an
// augmented tree (vm/aspace/region_tree.h), so that look-up, insertion and the search for a free
// place are O(log n) whatever the number of mappings. The tree of VMARs is walked from the root.
//
// Rights: vmar.flags are the CAN_MAP_* that the VMAR was made with; what the caller's handles allow
// comes in as `allowed` (ZX_VM_PERM_*): the object layer computes it from handle rights, and it
// caps the mapping for life.
//
// The vDSO rule: an executable mapping of the vDSO must show exactly its code, there is only one
// per address space, and it can be neither unmapped, overwritten, protected nor destroyed with its
// VMAR (ACCESS_DENIED), only with the whole address space.
//
// Lifetime: a struct vmar is counted (handles, and its parent while it is alive); a dead one
// answers BAD_STATE to everything. A struct mapping belongs to its VMAR; nobody else keeps it,
// except the page set's interval trees under both locks (PS3). Locks: all region fields [s] under
// aspace.lock; [b] written under aspace.lock and page_set.lock, read under either; [i] immutable.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <zircon/types.h>

#include <lib/compiler.h>
#include <lib/rbtree.h>
#include <lib/status.h>
#include <lib/types.h>

struct aspace;
struct vmar;
struct vmo;

[[nodiscard]] struct vmar* vmar_ref(struct vmar* v);
void vmar_unref(struct vmar* v); // may sleep
static inline void vmar_unref_cleanup(struct vmar** v) {
    if (*v != nullptr) {
        vmar_unref(*v);
    }
}
#define VMAR_REF CLEANUP(vmar_unref_cleanup) struct vmar*

vaddr_t vmar_base(const struct vmar* v); // immutable, also after death
size_t vmar_size(const struct vmar* v);
struct aspace* vmar_aspace(const struct vmar* v);
// CAN_MAP_READ/WRITE/EXECUTE as ZX_VM_PERM_*.
uint32_t vmar_can_map(const struct vmar* v);

// zx_vmar_allocate. `allowed`: ZX_VM_PERM_* that the parent handle's rights permit.
status_t vmar_allocate(struct vmar* parent, zx_vm_option_t options, size_t offset, size_t size,
                       uint32_t allowed, struct vmar** out_ref, vaddr_t* out_base);

// zx_vmar_map. `vmar_allowed` and `vmo_allowed`: ZX_VM_PERM_* by the rights of the two handles.
// vmo_allowed without WRITE on a snapshot means just that.
status_t vmar_map(struct vmar* v, zx_vm_option_t options, size_t offset, uint32_t vmar_allowed,
                  struct vmo* vmo, uint64_t vmo_offset, uint32_t vmo_allowed, size_t len,
                  vaddr_t* out);
status_t vmar_unmap(struct vmar* v, vaddr_t addr, size_t len);
// `allowed` as above: protecting to more than the handle's rights is ACCESS_DENIED.
status_t vmar_protect(struct vmar* v, zx_vm_option_t options, uint32_t allowed, vaddr_t addr,
                      size_t len);
status_t vmar_destroy(struct vmar* v);
status_t vmar_op_range(struct vmar* v, uint32_t op, vaddr_t addr, size_t len);

// ---- reports ----
struct region_info {
    char name[ZX_MAX_NAME_LEN];
    vaddr_t base;
    size_t size;
    uint32_t depth; // 0 = the VMAR that was asked about
    bool is_mapping;
    uint32_t perms; // mappings: ZX_VM_PERM_*
    zx_koid_t vmo_koid;
    uint64_t vmo_offset;
    uint64_t committed, populated, private, scaled; // bytes in the mapped range
};
// Where a report stands: start with {}, pass it on unchanged.
struct region_cursor {
    vaddr_t base;
    uint32_t depth;
    bool started;
};
// The next up to `max` regions in depth-first pre-order, beginning with `v` itself. 0 = done. The
// address space may change between two calls: what is reported is then what lies beyond the last
// region reported.
uint32_t vmar_report(struct vmar* v, struct region_cursor* cursor, struct region_info out[],
                     uint32_t max);
// How many there are now.
uint64_t vmar_region_count(struct vmar* v);
