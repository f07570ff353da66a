// VMOs: what user mode names. A vmo is a window on a page set (<vm/page_set.h>) with an identity
// and a place in a family.
//
// Everything here takes plain arguments and returns the final status of the system call; handles,
// rights and policy are the object layer's. Offsets and sizes are bytes as user mode gave them,
// unchecked: the functions check.
//
// References: one for the object with handles, one per mapping, one per user of the kernel (pins
// hold one each). The family sees a VMO as gone when the last is dropped: its children move to its
// parent, and a parent whose last child went gets ops->children_changed (the ZERO_CHILDREN signal).
//
// Locks: VMO_FAMILY (one mutex for all: parent, children, name) is taken by creation and death of
// children and by name and info queries; a VMO that never had parent or child never takes it to
// die. VMO_FAMILY -> PAGE_SET. Legend: [i] immutable, [f] VMO_FAMILY, [a] atomic.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <zircon/types.h>

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/status.h>
#include <lib/types.h>

struct page_set;
struct page_source;
struct vmo;

constexpr uint64_t VMO_SIZE_MAX = (uint64_t)1 << 62;  // a larger request is OUT_OF_RANGE
constexpr uint64_t VMO_SIZE_UNBOUNDED = VMO_SIZE_MAX; // the size of ZX_VMO_UNBOUNDED

enum vmo_flags : uint32_t {
    VMO_RESIZABLE = 1u << 0,
    VMO_SLICE = 1u << 1,
    VMO_REFERENCE = 1u << 2,
    VMO_COW_CLONE = 1u << 3,
    VMO_DISCARDABLE = 1u << 4,
    VMO_UNBOUNDED = 1u << 5,
    VMO_IMMUTABLE = 1u << 6, // contents never change: boot file system, vDSO. No write, resize,
                             // zero or decommit; snapshots are fine
};

struct vmo_owner_ops {
    // The number of children became zero or left it. Under VMO_FAMILY; may take object locks, must
    // not sleep long.
    void (*children_changed)(struct vmo* v, void* owner, bool none);
};

struct vmo {
    _Atomic(uint32_t) refs;
    enum vmo_flags flags;                  // [i]
    struct page_set* set;                  // [i] with a reference
    uint64_t first_page;                   // [i] slices: where the window begins in the set
    uint64_t slice_size;                   // [i] slices: bytes, page multiple
    _Atomic(uint32_t) mapping_count;       // [a] mappings made through this vmo
    _Atomic(uint32_t) pin_count;           // [a]
    _Atomic(bool) in_family;               // [a] has or had a parent or a child
    zx_koid_t koid;                        // [i] after vmo_set_owner()
    struct vmo* parent;                    // [f]
    struct list children;                  // [f]
    struct list_node sibling;              // [f]
    uint32_t child_count;                  // [f]
    uint32_t cow_child_count;              // [f] children that are snapshots
    const struct vmo_owner_ops* owner_ops; // [f]
    void* owner;                           // [f]
    char name[ZX_MAX_NAME_LEN];            // [f]
};

// ---- life ----
[[nodiscard]] struct vmo* vmo_ref(struct vmo* v);
void vmo_unref(struct vmo* v); // may sleep; no spinlock held
static inline void vmo_unref_cleanup(struct vmo** v) {
    if (*v != nullptr) {
        vmo_unref(*v);
    }
}
#define VMO_REF CLEANUP(vmo_unref_cleanup) struct vmo*

// zx_vmo_create. options: RESIZABLE, DISCARDABLE, UNBOUNDED; others INVALID_ARGS.
status_t vmo_create(uint64_t size, uint32_t options, struct vmo** out);
// zx_vmo_create_contiguous: committed at once. align_log2 0 = a page.
status_t vmo_create_contiguous(uint64_t size, uint32_t align_log2, struct vmo** out);
// zx_vmo_create_physical. The caller has checked the resource (which keeps RAM out). Cache policy
// starts as UNCACHED.
status_t vmo_create_physical(paddr_t base, uint64_t size, struct vmo** out);
// Pages that exist already (boot files, vDSO, ZBI): the run [base, base + size) of wired RAM, page
// aligned, in the direct map. Never written and never freed; any snapshot of it copies on write.
status_t vmo_create_wired(paddr_t base, uint64_t size, uint64_t content_size, struct vmo** out);
// zx_pager_create_vmo: takes over a reference to `source` on success. options: RESIZABLE,
// TRAP_DIRTY.
status_t vmo_create_paged(struct page_source* source, uint64_t size, uint32_t options,
                          struct vmo** out);
// zx_vmo_create_child. Rights are the caller's: a snapshot's handle gains WRITE unless NO_WRITE,
// and loses EXECUTE.
status_t vmo_create_child(struct vmo* parent, uint32_t options, uint64_t offset, uint64_t size,
                          struct vmo** out);

// The object layer's half. `owner` null detaches (the last handle is gone, mappings may live on).
void vmo_set_owner(struct vmo* v, const struct vmo_owner_ops* ops, void* owner, zx_koid_t koid);
void vmo_set_name(struct vmo* v, const char* name, size_t len); // cut to 31 bytes
void vmo_get_name(struct vmo* v, char out[ZX_MAX_NAME_LEN]);
// Marks the executable part (page aligned) of the vDSO's VMO (<vm/vmar.h> has the rule). Before it
// is shared.
void vmo_set_vdso(struct vmo* v, uint64_t code_offset, uint64_t code_size);

// ---- size ----
uint64_t vmo_size(struct vmo* v);        // zx_vmo_get_size
uint64_t vmo_stream_size(struct vmo* v); // zx_vmo_get_stream_size, ZX_PROP_VMO_CONTENT_SIZE
status_t vmo_set_size(struct vmo* v, uint64_t size); // UNAVAILABLE, OUT_OF_RANGE, BAD_STATE
status_t vmo_set_stream_size(
    struct vmo* v,
    uint64_t size); // OUT_OF_RANGE above the size; bytes cut off read zero when it grows again

// Makes the size at least `size`; the stream size stays. UNAVAILABLE, OUT_OF_RANGE.
status_t vmo_expand(struct vmo* v, uint64_t size);

// ---- contents ----
status_t vmo_read(struct vmo* v, void* dst, uint64_t offset, size_t len);
status_t vmo_write(struct vmo* v, const void* src, uint64_t offset, size_t len);
// User buffers: resumable, the buffer may be a mapping of the same VMO. `actual` (may be null) =
// bytes done, also on failure. OUT_OF_RANGE before anything is copied; NOT_FOUND: buffer not
// mapped; INVALID_ARGS: not a user address, or no permission there.
status_t vmo_read_user(struct vmo* v, void __user* dst, uint64_t offset, size_t len,
                       size_t* actual);
status_t vmo_write_user(struct vmo* v, const void __user* src, uint64_t offset, size_t len,
                        size_t* actual);
// The same, and the stream size follows what is written beyond it, page by page. What lies between
// it and `offset` is the caller's to have cleared.
status_t vmo_append_user(struct vmo* v, const void __user* src, uint64_t offset, size_t len,
                         size_t* actual);

// zx_vmo_op_range, except LOCK. COMMIT, DECOMMIT, ZERO, PREFETCH, DONT_NEED, ALWAYS_NEED, UNLOCK,
// TRY_LOCK, CACHE_*.
status_t vmo_op_range(struct vmo* v, uint32_t op, uint64_t offset, uint64_t size);
status_t vmo_lock(struct vmo* v, uint64_t offset, uint64_t size, zx_vmo_lock_state_t* out);
// zx_vmo_transfer_data.
status_t vmo_transfer_data(struct vmo* dst, uint64_t offset, uint64_t len, struct vmo* src,
                           uint64_t src_offset);
status_t vmo_set_cache_policy(struct vmo* v, uint32_t policy);
// zx_pager_supply_pages: `aux` loses the pages. BAD_STATE, NOT_SUPPORTED, OUT_OF_RANGE. This and
// what follows is for VMOs with a source of their own.
status_t vmo_supply_pages(struct vmo* v, uint64_t offset, uint64_t len, struct vmo* aux,
                          uint64_t aux_offset);
// zx_pager_op_range, FAIL. INVALID_ARGS, OUT_OF_RANGE.
status_t vmo_fail_pages(struct vmo* v, uint64_t offset, uint64_t len, status_t failure);
void vmo_detach_pager(struct vmo* v);
// DIRTY: who waits may write. NOT_SUPPORTED without TRAP_DIRTY.
status_t vmo_dirty_pages(struct vmo* v, uint64_t offset, uint64_t len);
// WRITEBACK_BEGIN and _END. `zero_only`: what is dirty because it came by growing, and still zero.
status_t vmo_writeback_begin(struct vmo* v, uint64_t offset, uint64_t len, bool zero_only);
status_t vmo_writeback_end(struct vmo* v, uint64_t offset, uint64_t len);
// Whether the VMO was written to since the last call that reset that.
bool vmo_modified(struct vmo* v, bool reset);
// The next range that is not clean, from *at on and below `end`; *at moves behind it. False: there
// is none. INTR_KILLED. Bytes; locks are let go within long searches.
status_t vmo_next_dirty(struct vmo* v, uint64_t* at, uint64_t end, zx_vmo_dirty_range_t* out,
                        bool* found);

// ---- pinning (DMA) ----
// Commits, makes private and pins: until vmo_unpin() of the same range vmo_lookup() finds each page
// where it was. The VMO is referenced meanwhile. UNCLEARED is WRITE, and pages that are made for it
// hold whatever they held. OUT_OF_RANGE, NO_MEMORY, UNAVAILABLE (a page has too many pins),
// ACCESS_DENIED (WRITE and wired), INTR_KILLED.
enum vmo_pin_mode : uint8_t { VMO_PIN_READ, VMO_PIN_WRITE, VMO_PIN_UNCLEARED };
status_t vmo_pin(struct vmo* v, uint64_t offset, uint64_t len, enum vmo_pin_mode mode);
void vmo_unpin(struct vmo* v, uint64_t offset, uint64_t len);
// The addresses of up to `max` pages from `offset` on, all pinned; how many (>= 1).
uint32_t vmo_lookup_pinned(struct vmo* v, uint64_t offset, uint32_t max, paddr_t out[]);
// The page at a byte offset if it is there now (no commit); valid only as long as something keeps
// it (a pin, CONTIGUOUS, PHYSICAL).
status_t vmo_lookup(struct vmo* v, uint64_t offset, paddr_t* out);

// ---- information ----
struct vmo_info {
    zx_koid_t koid, parent_koid;
    char name[ZX_MAX_NAME_LEN];
    uint64_t size, stream_size;
    uint64_t child_count, mapping_count, share_count;
    uint32_t flags; // ZX_INFO_VMO_* without VIA_*
    uint32_t cache_policy;
    uint64_t committed, populated, private, scaled; // bytes
};
void vmo_get_info(struct vmo* v, struct vmo_info* out);
zx_koid_t vmo_parent_koid(struct vmo* v); // ZX_KOID_INVALID without a parent
