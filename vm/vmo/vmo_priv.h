// What the files of the VMO layer share.
#pragma once

#include <lib/align.h>
#include <locking/mutex.h>
#include <vm/page_set.h>
#include <vm/vmo.h>

// The one lock of all families (class VMO_FAMILY); rarely taken, see <vm/vmo.h>.
mutex_t* vmo_family_lock(void);

// The first vmo on a set that nobody else knows; takes over the reference to it.
[[nodiscard]] struct vmo* vmo_of_new_set(struct page_set* set, enum vmo_flags flags);
// Another one (takes over a reference on success); null: no memory.
[[nodiscard]] struct vmo* vmo_new_window(struct page_set* set, enum vmo_flags flags);

// The size of the window, now. `set` is v->set (the analysis cannot see through v).
static inline uint64_t vmo_size_locked(const struct vmo* v, struct page_set* set)
    TA_REQ(set->lock) {
    return (v->flags & VMO_SLICE) != 0 ? v->slice_size : page_set_state(set)->size;
}

// Rounds a wanted size up to pages; OUT_OF_RANGE if it is more than a VMO can have.
static inline status_t vmo_round_size(uint64_t size, uint64_t* out) {
    return size <= VMO_SIZE_MAX && page_round_up_checked(size, out) ? STATUS_OK
                                                                    : STATUS_OUT_OF_RANGE;
}

// What an operation does with the status of one step, all locks dropped: waits for an armed request
// (SHOULD_WAIT) or for memory. OK: go on, or try again. *tries is reclaim_wait()'s.
status_t vmo_settle(status_t status, struct page_request* request, uint32_t* tries);

// Makes bytes [begin, end) of one page read as zero, if it is there and not zero already. `begin`
// and `end` are set coordinates within one page.
status_t vmo_zero_bytes_locked(struct page_set* set, uint64_t begin, uint64_t end,
                               struct page_request* request) TA_REQ(set->lock);

// Reclaim's visit to a discardable set: takes all pages if it has been unlocked since the last one.
// How many.
uint64_t page_set_discard(struct page_set* set, struct page_garbage* g);
status_t vmo_unlock(struct vmo* v, uint64_t offset, uint64_t size);
status_t vmo_try_lock(struct vmo* v, uint64_t offset, uint64_t size);

// How many pages an operation handles before it lets others have the lock.
constexpr uint64_t VMO_BATCH_PAGES = 64;
