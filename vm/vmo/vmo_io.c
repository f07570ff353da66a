// VMOs: reading and writing.
//
// Pages are reached through the direct map. A copy from or to user memory runs with faults disabled
// because the page set's lock is held: the buffer may be a mapping of this very VMO. Where it
// stops, all locks are dropped, the address is faulted in, and the copy goes on from there.
#include <vm/vmo.h>

#include <arch/mmu.h>
#include <arch/user_copy.h>
#include <lib/string.h>
#include <sched/thread.h>
#include <vm/fault.h>
#include <vm/page_source.h>
#include <vm/reclaim.h>

#include "vmo_priv.h"

// One transfer. Exactly one of `kernel` and `user` is set.
struct transfer {
    struct vmo* vmo;
    uint64_t offset; // in the VMO
    size_t len;
    size_t done;
    uint8_t* kernel;
    uint8_t __user* user;
    bool to_vmo;
    bool extend;      // what is written beyond the stream size moves it along
    vaddr_t fault_va; // where the user copy stopped
};

status_t vmo_settle(status_t status, struct page_request* request, uint32_t* tries) {
    if (status == STATUS_SHOULD_WAIT) {
        return page_source_wait(request);
    }
    if (status == STATUS_NO_MEMORY && reclaim_wait(tries)) {
        return STATUS_OK;
    }
    return status;
}

// Bytes not copied.
static size_t copy_piece(struct transfer* t, uint8_t* page_bytes, size_t len) {
    if (t->kernel != nullptr) {
        if (t->to_vmo) {
            memcpy(page_bytes, t->kernel + t->done, len);
        } else {
            memcpy(t->kernel + t->done, page_bytes, len);
        }
        return 0;
    }
    return t->to_vmo ? arch_copy_from_user_nofault(page_bytes, t->user + t->done, len, &t->fault_va)
                     : arch_copy_to_user_nofault(t->user + t->done, page_bytes, len, &t->fault_va);
}

// Copies up to a batch of pages. OK: go on; SHOULD_WAIT: `request` is armed; NEXT: the user copy
// stopped at t->fault_va; else the failure.
static status_t transfer_batch_locked(struct transfer* t, struct page_set* set,
                                      struct page_request* request) TA_REQ(set->lock) {
    struct page_set_state* st = page_set_state(set);
    if (st->cache_policy != ZX_CACHE_POLICY_CACHED) {
        return STATUS_BAD_STATE;
    }
    if (st->discard == DISCARD_GONE) {
        return STATUS_NOT_FOUND;
    }
    if (!range_ok(t->offset, t->len, vmo_size_locked(t->vmo, set))) {
        return STATUS_OUT_OF_RANGE;
    }
    for (uint64_t pages = 0; pages < VMO_BATCH_PAGES && t->done < t->len; pages++) {
        uint64_t at = t->offset + t->done;
        size_t in_page = at & PAGE_MASK;
        size_t piece = min(PAGE_SIZE - in_page, t->len - t->done);
        request->wanted = ((in_page + t->len - t->done + PAGE_MASK) >> PAGE_SHIFT);
        struct page_view view;
        TRY(page_set_get_locked(set, t->vmo->first_page + (at >> PAGE_SHIFT),
                                t->to_vmo ? PAGE_WRITE : PAGE_LOOK, request, &view));
        size_t left = copy_piece(t, (uint8_t*)phys_to_virt(view.paddr) + in_page, piece);
        page_set_put(&view);
        t->done += piece - left;
        if (t->extend) {
            st->content_size = max(st->content_size, at + piece - left);
        }
        if (left != 0) {
            return STATUS_NEXT;
        }
    }
    return STATUS_OK;
}

static status_t transfer_run(struct transfer* t) {
    struct page_set* set = t->vmo->set;
    if (set->kind == PAGE_SET_PHYSICAL) {
        return STATUS_NOT_SUPPORTED;
    }
    struct page_request request = {};
    uint32_t tries = 0;
    do {
        size_t before = t->done;
        mutex_acquire(&set->lock);
        status_t status = transfer_batch_locked(t, set, &request);
        mutex_release(&set->lock);
        tries = t->done != before ? 0 : tries;
        if (status == STATUS_NEXT) {
            status = vm_fault_in(t->fault_va, t->to_vmo ? FAULT_USER : FAULT_USER | FAULT_WRITE);
        } else if (status != STATUS_OK) {
            status = vmo_settle(status, &request, &tries);
        }
        TRY(status);
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    } while (t->done < t->len);
    return STATUS_OK;
}

status_t vmo_read(struct vmo* v, void* dst, uint64_t offset, size_t len) {
    struct transfer t = {.vmo = v, .offset = offset, .len = len, .kernel = dst};
    return transfer_run(&t);
}

status_t vmo_write(struct vmo* v, const void* src, uint64_t offset, size_t len) {
    struct transfer t = {
        .vmo = v,
        .offset = offset,
        .len = len,
        .kernel = (uint8_t*)src, // only read from
        .to_vmo = true,
    };
    return transfer_run(&t);
}

static status_t transfer_user(struct transfer* t, size_t* actual) {
    status_t status = transfer_run(t);
    if (actual != nullptr) {
        *actual = t->done;
    }
    return status;
}

status_t vmo_read_user(struct vmo* v, void __user* dst, uint64_t offset, size_t len,
                       size_t* actual) {
    struct transfer t = {.vmo = v, .offset = offset, .len = len, .user = dst};
    return transfer_user(&t, actual);
}

status_t vmo_write_user(struct vmo* v, const void __user* src, uint64_t offset, size_t len,
                        size_t* actual) {
    struct transfer t = {
        .vmo = v,
        .offset = offset,
        .len = len,
        .user = (uint8_t __user*)src, // only read from
        .to_vmo = true,
    };
    return transfer_user(&t, actual);
}

status_t vmo_append_user(struct vmo* v, const void __user* src, uint64_t offset, size_t len,
                         size_t* actual) {
    struct transfer t = {
        .vmo = v,
        .offset = offset,
        .len = len,
        .user = (uint8_t __user*)src, // only read from
        .to_vmo = true,
        .extend = (v->flags & VMO_SLICE) == 0, // a slice's stream size is its own
    };
    return transfer_user(&t, actual);
}
