// VMOs: reading and writing.
//
// Pages are reached through the direct map. A copy from or to user memory runs with faults disabled
// because the page set's lock is held: the buffer may be a mapping of this very VMO. Where it
// stops, all locks are dropped, the address is faulted in, and the copy goes on from there.
//
// Pages that are there are found a leaf of the tree at a time. Where whole pages are written that
// are not there yet, they are filled before they go into the tree, and so need not be cleared.
#include <vm/vmo.h>

#include <arch/mmu.h>
#include <arch/user_copy.h>
#include <lib/assert.h>
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

static uint64_t next_index(const struct transfer* t) {
    return t->vmo->first_page + ((t->offset + t->done) >> PAGE_SHIFT);
}

// The part of the transfer that lies in its next page. NEXT: the user copy stopped at t->fault_va.
static NOINLINE status_t copy_page_locked(struct transfer* t, struct page_set* set,
                                          uint8_t* page_bytes) TA_REQ(set->lock) {
    uint64_t at = t->offset + t->done;
    size_t in_page = at & PAGE_MASK;
    size_t piece = min(PAGE_SIZE - in_page, t->len - t->done);
    size_t left = copy_piece(t, page_bytes + in_page, piece);
    t->done += piece - left;
    if (t->extend) {
        struct page_set_state* st = page_set_state(set);
        st->content_size = max(st->content_size, at + piece - left);
    }
    return left == 0 ? STATUS_OK : STATUS_NEXT;
}

// Writes up to `most` whole pages whose slots are absent and read as zero. Nobody sees them before
// they are in the tree: what the user copy left out of one is zero by then.
static MINSIZE status_t write_fresh_locked(struct transfer* t, struct page_set* set, uint64_t most)
    TA_REQ(set->lock) {
    struct page_tree* tree = &page_set_state(set)->tree;
    uint64_t index = next_index(t);
    struct page_node_reserve nodes = {};
    struct page* head = nullptr;
    struct page** tail = &head;
    status_t status = page_node_reserve_fill(&nodes, page_tree_nodes_range(tree, index, most))
                          ? STATUS_OK
                          : STATUS_NO_MEMORY;
    uint64_t count = 0;
    for (; status == STATUS_OK && count < most; count++) {
        struct page* p = page_set_alloc_page(false);
        if (p == nullptr) {
            status = STATUS_NO_MEMORY;
            break;
        }
        size_t before = t->done;
        status = copy_page_locked(t, set, page_to_virt(p));
        size_t filled = t->done - before;
        if (filled != PAGE_SIZE) {
            memset((uint8_t*)page_to_virt(p) + filled, 0, PAGE_SIZE - filled);
        }
        *tail = p;
        tail = &p->next;
    }
    if (count != 0 && page_set_state(set)->zero_mapped) {
        page_set_unmap_range_locked(set, index, count); // PS1
    }
    page_tree_insert_all(tree, index, head, &nodes);
    page_node_reserve_drain(&nodes);
    return status;
}

// Copies the pages that one look-up finds, up to `most`, as far as they may be used as they are or
// are simply missing. Nothing done: the next page takes page_set_get_locked().
static status_t copy_run_locked(struct transfer* t, struct page_set* set, uint64_t most)
    TA_REQ(set->lock) {
    UNINITIALIZED page_slot_t slots[PAGE_NODE_SLOTS];
    uint64_t own = UINT64_MAX;
    bool pager = set->kind == PAGE_SET_PAGER;
    const uint32_t n =
        page_tree_lookup_run(&page_set_state(set)->tree, next_index(t), (uint32_t)most, slots,
                             t->to_vmo && !pager ? &own : nullptr);
    uint32_t i = 0;
    for (; i < n && page_slot_is_page(slots[i]) && (own >> i & 1) != 0; i++) {
        struct page* p = page_slot_page(slots[i]);
        if (pager) {
            if (t->to_vmo && !page_is_dirty(p)) {
                break;
            }
            p->vmo_flags |= PAGE_USED;
        }
        TRY(copy_page_locked(t, set, page_to_virt(p)));
    }
    if (i != 0 || !t->to_vmo || set->kind != PAGE_SET_ANON || set->backing != nullptr ||
        ((t->offset + t->done) & PAGE_MASK) != 0) {
        return STATUS_OK;
    }
    uint64_t whole = min((uint64_t)n, (t->len - t->done) >> PAGE_SHIFT);
    while (i < whole && slots[i] == PAGE_SLOT_ABSENT) {
        i++;
    }
    return i != 0 ? write_fresh_locked(t, set, i) : STATUS_OK;
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
    const uint64_t stop = next_index(t) + VMO_BATCH_PAGES;
    while (t->done < t->len && next_index(t) < stop) {
        size_t before = t->done;
        uint64_t pages =
            (((t->offset + before) & PAGE_MASK) + t->len - before + PAGE_MASK) >> PAGE_SHIFT;
        TRY(copy_run_locked(t, set, min(pages, stop - next_index(t))));
        if (t->done != before) {
            continue;
        }
        request->wanted = pages;
        struct page_view view;
        TRY(page_set_get_locked(set, next_index(t), t->to_vmo ? PAGE_WRITE : PAGE_LOOK, request,
                                &view));
        status_t status = copy_page_locked(t, set, phys_to_virt(view.paddr));
        page_set_put(&view);
        TRY(status);
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
