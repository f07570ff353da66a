// Address spaces: one lock, one tree of regions, one set of page tables.
//
// The root VMAR covers [ASPACE_BASE, ASPACE_END). Random placement in the ROOT happens in its upper
// half only; the lower half is for SPECIFIC mappings and, later, personalities. A placement is
// drawn from a keyed function of a counter, key given by the creator (the kernel's random pool), so
// that addresses do not leak a shared state.
//
// References: the process (or test) holds one; every struct vmar holds one; threads run on `arch`
// only while their process lives. aspace_destroy() unmaps everything and makes every VMAR dead; the
// memory goes with the last reference.
//
// Locks: `lock` (ASPACE, sleeping) guards all regions, and is not needed to follow a mapping whose
// page_set lock is held (<vm/page_set.h>, PS3).
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/mmu.h>
#include <lib/compiler.h>
#include <lib/status.h>
#include <lib/types.h>
#include <locking/mutex.h>

struct mapping;
struct thread;
struct vmar;

constexpr vaddr_t ASPACE_BASE = 0x200000;
constexpr vaddr_t ASPACE_END = 0x00007ffffffff000;

// What aspace.lock guards.
struct aspace_state {
    struct vmar* root;          // null once destroyed
    struct mapping* last_found; // hint for the next fault
    struct mapping* vdso_code;  // the one executable mapping of the vDSO
    uint64_t random_counter;
    vaddr_t neighbourhood; // where random places of the root are drawn (placement.c); 0 = not yet
    vaddr_t block;         // and small ones; 0 = to be drawn
    uint64_t draws;        // random bits for them, 16 at a time
    uint32_t draws_left;
    uint64_t mapped_bytes;
    uint64_t region_count;
    bool destroyed;
};

struct aspace {
    struct arch_aspace arch; // threads point here: container_of()
    mutex_t lock;
    _Atomic(uint32_t) refs;
    _Atomic(uint64_t) vdso_base; // where the vDSO's code mapping's VMO begins; 0 = none yet
    uint64_t random_key[2];      // immutable
    struct aspace_state guarded_;
};

static inline struct aspace_state* aspace_state(struct aspace* as) TA_REQ(as->lock) {
    return &as->guarded_;
}
static inline struct aspace* aspace_from_arch(struct arch_aspace* arch) {
    return container_of(arch, struct aspace, arch);
}

// `random_key`: 16 secret bytes.
status_t aspace_create(const uint64_t random_key[2], struct aspace** out);
// A smaller or shifted user range (tests; restricted mode later).
status_t aspace_create_range(vaddr_t base, size_t size, const uint64_t random_key[2],
                             struct aspace** out);
[[nodiscard]] struct aspace* aspace_ref(struct aspace* as);
void aspace_unref(struct aspace* as);
// Unmaps everything, kills every VMAR. Idempotent.
void aspace_destroy(struct aspace* as);
// The root VMAR, with a reference; null once destroyed.
[[nodiscard]] struct vmar* aspace_root(struct aspace* as);

// Makes the current thread run on `as` (null: none) from now on. The caller keeps a reference for
// as long.
void aspace_activate(struct aspace* as);
// That of the current thread; null for plain kernel threads.
struct aspace* aspace_current(void);

// What is mapped at some address.
struct vmo;
struct aspace_place {
    struct vmo* vmo; // with a reference
    uint64_t offset; // in the VMO
    size_t size;     // how many of the bytes wanted lie in the same mapping
    // ZX_VM_PERM_*: what the mapping could be protected to, by the handles it was made with.
    // Whoever writes for a process may do so only where the process could, too: read-only mappings
    // show what others share (the boot image, the vDSO).
    uint32_t max_perms;
};
// NOT_FOUND.
status_t aspace_find_vmo(struct aspace* as, vaddr_t va, size_t want, struct aspace_place* out);

struct aspace_usage {
    uint64_t mapped, private, shared, scaled_shared; // bytes; scaled is an approximation
    uint64_t page_tables;
};
void aspace_get_usage(struct aspace* as, struct aspace_usage* out);
