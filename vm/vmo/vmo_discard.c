// VMOs: discardable memory.
//
//                   LOCK, TRY_LOCK            last UNLOCK
//     UNLOCKED, OLD ---------------> KEPT(n) --------------> UNLOCKED
//        |                             ^
//        | reclaim's second visit      | LOCK (reports the loss; TRY_LOCK fails)
//        v                             |
//       GONE --------------------------+
//
// A new one is KEPT, without a lock.
#include <vm/vmo.h>

#include "vmo_priv.h"

// The three operations take the whole VMO, nothing less.
static status_t check_locked(struct vmo* v, struct page_set* set, uint64_t offset, uint64_t size)
    TA_REQ(set->lock) {
    if (page_set_state(set)->discard == DISCARD_NEVER) {
        return STATUS_NOT_SUPPORTED;
    }
    return offset == 0 && size == vmo_size_locked(v, set) ? STATUS_OK : STATUS_OUT_OF_RANGE;
}

static status_t lock_locked(struct vmo* v, struct page_set* set, uint64_t offset, uint64_t size,
                            bool even_if_gone, bool* gone) TA_REQ(set->lock) {
    TRY(check_locked(v, set, offset, size));
    struct page_set_state* st = page_set_state(set);
    *gone = st->discard == DISCARD_GONE;
    if (*gone && !even_if_gone) {
        return STATUS_UNAVAILABLE;
    }
    st->discard = DISCARD_KEPT;
    st->lock_count++;
    return STATUS_OK;
}

status_t vmo_try_lock(struct vmo* v, uint64_t offset, uint64_t size) {
    struct page_set* set = v->set;
    MUTEX_GUARD(&set->lock);
    bool gone;
    return lock_locked(v, set, offset, size, false, &gone);
}

status_t vmo_lock(struct vmo* v, uint64_t offset, uint64_t size, zx_vmo_lock_state_t* out) {
    struct page_set* set = v->set;
    MUTEX_GUARD(&set->lock);
    bool gone;
    TRY(lock_locked(v, set, offset, size, true, &gone));
    *out = (zx_vmo_lock_state_t){
        .offset = 0,
        .size = size,
        .discarded_offset = 0,
        .discarded_size = gone ? size : 0,
    };
    return STATUS_OK;
}

status_t vmo_unlock(struct vmo* v, uint64_t offset, uint64_t size) {
    struct page_set* set = v->set;
    MUTEX_GUARD(&set->lock);
    TRY(check_locked(v, set, offset, size));
    struct page_set_state* st = page_set_state(set);
    if (st->lock_count == 0) {
        return STATUS_BAD_STATE;
    }
    if (--st->lock_count == 0) {
        st->discard = DISCARD_UNLOCKED;
    }
    return STATUS_OK;
}

MINSIZE uint64_t page_set_discard(struct page_set* set, struct page_garbage* g) {
    MUTEX_GUARD(&set->lock);
    struct page_set_state* st = page_set_state(set);
    uint64_t pages = page_tree_pages(&st->tree);
    if (st->discard == DISCARD_UNLOCKED) {
        st->discard = DISCARD_OLD;
        return 0;
    }
    if (st->discard != DISCARD_OLD || pages == 0 || st->pin_count != 0) {
        return 0;
    }
    page_set_unmap_range_locked(set, 0, st->size >> PAGE_SHIFT); // PS1
    page_tree_clear(&st->tree, g); // needs no memory, as page_set_remove_locked() may
    st->discard = DISCARD_GONE;
    return pages;
}
