// Page requests: who waits for which range of a pager-backed page set. See <vm/page_source.h>.
#include <vm/page_source.h>

#include <zircon/syscalls/object.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/compiler.h>

// What source->lock guards.
struct source_state {
    bool* detached;
    struct list* requests;
};
static inline struct source_state source_state(struct page_source* source) TA_REQ(source->lock) {
    return (struct source_state){&source->detached_, &source->requests_};
}

void page_source_init(struct page_source* source, const struct page_source_ops* ops) {
    source->ops = ops;
    atomic_init(&source->refs, 1);
    mutex_init(&source->lock, LOCK_CLASS_PAGER);
    source->detached_ = false;
    list_init(&source->requests_);
}

struct page_source* page_source_ref(struct page_source* source) {
    uint32_t before = atomic_fetch_add_explicit(&source->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX / 2);
    return source;
}

void page_source_unref(struct page_source* source) {
    uint32_t before = atomic_fetch_sub_explicit(&source->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        source->ops->destroy(source);
    }
}

static bool overlaps(const struct page_request* r, uint64_t index, uint64_t count) {
    return ranges_overlap(r->index, r->count, index, count);
}

// The first part of [*index, *index + *count) that nobody has asked for yet; false if there is
// none. Requests are few (one per waiting thread), so a scan per step is fine.
static bool unasked_part_locked(struct page_source* source, uint64_t* index, uint64_t* count)
    TA_REQ(source->lock) {
    uint64_t begin = *index;
    uint64_t end = *index + *count;
    for (bool moved = true; moved && begin < end;) {
        moved = false;
        list_for_each(n, source_state(source).requests) {
            const struct page_request* r = container_of(n, struct page_request, node);
            if (overlaps(r, begin, 1)) {
                begin = r->index + r->count;
                moved = true;
            }
        }
    }
    if (begin >= end) {
        return false;
    }
    list_for_each(n, source_state(source).requests) {
        const struct page_request* r = container_of(n, struct page_request, node);
        if (r->index > begin) {
            end = min(end, r->index);
        }
    }
    *index = begin;
    *count = end - begin;
    return true;
}

status_t page_source_request(struct page_source* source, struct page_request* request,
                             uint64_t index, uint64_t count) {
    DEBUG_ASSERT(request->source == nullptr && count > 0);
    MUTEX_GUARD(&source->lock);
    if (*source_state(source).detached) {
        return STATUS_BAD_STATE;
    }
    uint64_t ask = index;
    uint64_t ask_end = index + count;
    uint64_t ask_count = count;
    while (ask < ask_end && unasked_part_locked(source, &ask, &ask_count)) {
        source->ops->request(source, ask << PAGE_SHIFT, ask_count << PAGE_SHIFT);
        ask += ask_count;
        ask_count = ask_end - ask;
    }
    request->source = page_source_ref(source);
    request->node = (struct list_node){};
    request->index = index;
    request->count = count;
    waiter_init(&request->waiter);
    list_push_back(source_state(source).requests, &request->node);
    return STATUS_OK;
}

static void unlink_request(struct page_source* source, struct page_request* request) {
    MUTEX_GUARD(&source->lock);
    if (list_linked(&request->node)) {
        list_remove(&request->node);
    }
}

status_t page_source_wait(struct page_request* request) {
    struct page_source* source = request->source;
    status_t status = waiter_block(&request->waiter, TIME_INFINITE, WAIT_KILLABLE,
                                   ZX_THREAD_STATE_BLOCKED_PAGER >> 8);
    unlink_request(source, request);
    request->source = nullptr;
    page_source_unref(source);
    return status;
}

// Claims and unlinks what overlaps the range; `all` ignores the range.
static void complete_locked(struct page_source* source, uint64_t index, uint64_t count, bool all,
                            status_t status, struct wake_list* wl) TA_REQ(source->lock) {
    list_for_each_safe(n, source_state(source).requests) {
        struct page_request* r = container_of(n, struct page_request, node);
        if (all || overlaps(r, index, count)) {
            list_remove(&r->node);
            (void)wake_list_add(wl, &r->waiter, status);
        }
    }
}

// A claimed waiter may leave as soon as it is claimed, but its thread stays until the flush, and
// page_source_wait() passes through source->lock before the request's memory goes.
void page_source_complete(struct page_source* source, uint64_t index, uint64_t count,
                          status_t status) {
    mutex_acquire(&source->lock);
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    complete_locked(source, index, count, false, status, &wl);
    mutex_release(&source->lock);
    wake_list_flush(&wl);
}

void page_source_detach(struct page_source* source) {
    mutex_acquire(&source->lock);
    *source_state(source).detached = true;
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    complete_locked(source, 0, 0, true, STATUS_BAD_STATE, &wl);
    mutex_release(&source->lock);
    wake_list_flush(&wl);
}

bool page_source_detached(struct page_source* source) {
    MUTEX_GUARD(&source->lock);
    return *source_state(source).detached;
}
