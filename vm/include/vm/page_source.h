// Where the pages of a pager-backed page set come from.
//
// A page set of kind PAGE_SET_PAGER owns nothing that it was not given: a slot that is absent means
// "ask the source". The protocol has two halves and no lock is held between them:
//
//     NEED   under the page set's lock, whoever lacks a page calls page_source_request(): the
//     request is linked, and the provider is told
//            about a range that nobody asked for yet.
//     WAIT   with ALL locks dropped, page_source_wait() sleeps killably until the range is
//     supplied, failed, or the source is detached.
//            The caller then starts again from the beginning: the page may have come and gone.
//
// The provider answers with page_set_supply() (moves pages in and completes requests) or
// page_source_fail(). Completion is by range, not by request: one answer may complete many. A
// wake-up without a page is harmless (the waiter asks again), so there is no lost wake-up to fear:
// a request is linked under the page set's lock, and pages appear only under the same lock.
//
// Locks: PAGE_SET_ROOT -> PAGER (this file's mutex). The provider's ops run under the PAGER lock
// and must not sleep long, copy to user memory, or call back. Lifetime: reference-counted; the page
// set holds one, the provider another.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/list.h>
#include <lib/status.h>
#include <locking/mutex.h>
#include <sched/thread.h>

struct page_source;

struct page_source_ops {
    // Ask the provider for [offset, offset + length) bytes, which no earlier request covers. Under
    // source->lock.
    void (*request)(struct page_source* source, uint64_t offset, uint64_t length);
    // The last reference is gone. No lock held; frees the memory that embeds the source.
    void (*destroy)(struct page_source* source);
};

struct page_source {
    const struct page_source_ops* ops; // immutable
    _Atomic(uint32_t) refs;
    mutex_t lock;          // class PAGER; guards what follows
    bool detached_;        // no more requests: a missing page is BAD_STATE
    struct list requests_; // of struct page_request
};

// One thread's wait for one range; lives on its stack, inside its fault_ctx.
struct page_request {
    struct page_source* source; // with a reference while armed; null = not armed
    struct list_node node;      // under source->lock
    uint64_t index, count;      // pages; immutable while linked
    uint64_t wanted;            // a hint: how many pages the caller is going to need
    struct waiter waiter;
};

void page_source_init(struct page_source* source, const struct page_source_ops* ops);
[[nodiscard]] struct page_source* page_source_ref(struct page_source* source);
void page_source_unref(struct page_source* source);

// NEED: links `request` for `count` pages from `index`. BAD_STATE when detached (nothing linked
// then).
status_t page_source_request(struct page_source* source, struct page_request* request,
                             uint64_t index, uint64_t count);
// WAIT: no lock held. OK: look again. Otherwise the provider's failure code, BAD_STATE (detached)
// or INTR_KILLED. The request is unlinked.
status_t page_source_wait(struct page_request* request);

// Completes every request that overlaps the range; `status` OK = supplied. Waiters wake after the
// lock is gone.
void page_source_complete(struct page_source* source, uint64_t index, uint64_t count,
                          status_t status);
// The provider gives up on a range: waiters fail with `status`.
static inline void page_source_fail(struct page_source* source, uint64_t index, uint64_t count,
                                    status_t status) {
    page_source_complete(source, index, count, status);
}
// No new requests; all waiters fail with BAD_STATE.
void page_source_detach(struct page_source* source);
bool page_source_detached(struct page_source* source);
