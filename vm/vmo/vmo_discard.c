// VMOs: discardable memory.
//
//              LOCK, TRY_LOCK               last UNLOCK
//     UNLOCKED ---------------> LOCKED(n) --------------> UNLOCKED
//        | vmo_discard()           ^
//        v                         | LOCK (reports the loss; TRY_LOCK fails)
//       GONE ----------------------+
#include <vm/vmo.h>

#include <vm/page_source.h>

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
    st->discard = DISCARD_LOCKED;
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
    if (st->discard != DISCARD_LOCKED) {
        return STATUS_BAD_STATE;
    }
    if (--st->lock_count == 0) {
        st->discard = DISCARD_UNLOCKED;
    }
    return STATUS_OK;
}

uint64_t vmo_discard(struct vmo* v) {
    struct page_set* set = v->set;
    struct page_garbage garbage = {};
    uint64_t before = 0;
    mutex_acquire(&set->lock);
    struct page_set_state* st = page_set_state(set);
    if (st->discard == DISCARD_UNLOCKED) {
        before = page_tree_pages(&st->tree);
        if (page_set_remove_locked(set, 0, st->size >> PAGE_SHIFT, &garbage) == STATUS_OK) {
            st->discard = DISCARD_GONE;
        } else {
            before = 0; // pinned, or no memory for the nodes on the way: leave it
        }
    }
    mutex_release(&set->lock);
    page_garbage_dispose(&garbage);
    return before;
}
