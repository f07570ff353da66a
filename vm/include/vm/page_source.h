// Where the pages of a pager-backed page set come from.
//
// A page set of kind PAGE_SET_PAGER owns nothing that it was not given: a slot that is absent means
// "ask the source". The protocol has two halves and no lock is held between them:
//
//     NEED   under the page set's lock, whoever lacks a page (or may not write it yet) calls
//            page_source_request(): its request is linked, and what nobody asked for before becomes
//            an ask.
//     WAIT   with ALL locks dropped, page_source_wait() tells the provider about new asks and
//     sleeps
//            killably until its page is answered, or the source is detached. The caller then starts
//            again from the beginning: the page may have come and gone.
//
// An ask is a range that the provider has been, or will be, told of, once. It is trimmed as answers
// come in and goes with its last page, so no page is in two asks of a kind, and a page that was
// answered may be asked for anew. It outlives whoever needed it, but for a killed waiter without
// company: then it is taken back. A request is one thread waiting for one page; that page is in an
// ask until it is answered. A wake-up without a page is harmless (the waiter asks again), so there
// is no lost wake-up to fear: requests are linked under the page set's lock, and pages appear only
// under the same lock.
//
// Locks: PAGE_SET_ROOT -> PAGER (this file's mutex) -> the provider's. The provider's ops run under
// the PAGER lock and must not sleep, copy to user memory, or call back. Lifetime:
// reference-counted; the page set holds one, each waiter and each ask that is on its way another.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <lib/list.h>
#include <lib/status.h>
#include <locking/mutex.h>
#include <sched/thread.h>

struct page_ask;
struct page_set;
struct page_source;

enum page_need : uint8_t {
    PAGE_NEED_READ = 1u << 0,  // the page
    PAGE_NEED_DIRTY = 1u << 1, // leave to write to it
    PAGE_NEED_ANY = PAGE_NEED_READ | PAGE_NEED_DIRTY,
};

struct page_source_ops {
    // Tells the provider that [offset, offset + length) bytes are needed; `need` 0: that nothing
    // will be any more. OK: done. SHOULD_WAIT: on its way, the next is told after
    // page_source_heard(). BAD_STATE: nobody listens any more. Under source->lock.
    status_t (*tell)(struct page_source* source, enum page_need need, uint64_t offset,
                     uint64_t length, struct wake_list* wl);
    // Takes back what is on its way. False: too late, page_source_heard() will be called.
    bool (*untell)(struct page_source* source);
    // The provider's koid, for messages.
    uint64_t (*koid)(const struct page_source* source);
    // The last reference is gone. No lock held; frees the memory that embeds the source.
    void (*destroy)(struct page_source* source);
};

// What source->lock guards.
struct page_source_state {
    bool detached;           // no more requests: a missing page is BAD_STATE
    bool busy;               // something is on its way to the provider (with a reference)
    bool end_due;            // the provider is to be told that nothing more will come
    uint32_t ask_count;      // length of `asks`
    struct page_ask* on_way; // what is on its way; null: nothing, or it was answered meanwhile
    struct list asks;        // of struct page_ask, oldest first
    struct list requests;    // of struct page_request
};

struct page_source {
    const struct page_source_ops* ops; // immutable
    _Atomic(uint32_t) refs;
    uint64_t hand; // <vm/reclaim.h>: under the set's lock
    mutex_t lock;  // class PAGER
    struct page_source_state guarded_;
};

// One thread's wait for one page; lives on its stack, inside its fault_ctx.
struct page_request {
    struct page_source* source; // with a reference while armed; null = not armed
    struct list_node node;      // under source->lock
    enum page_need need;        // immutable while linked, as the index
    uint64_t index;
    // A hint: how many pages from there on the caller is going to read, or write to. 0: what a
    // fault wants, which is some to read and one to write to.
    uint64_t wanted;
    struct waiter waiter;
};

// A wait that takes longer is worth a line in the log. Only tests change it.
extern _Atomic(int64_t) page_source_overtime_ns;

void page_source_init(struct page_source* source, const struct page_source_ops* ops);
[[nodiscard]] struct page_source* page_source_ref(struct page_source* source);
// For who found it in a list of his own. False: it is going.
[[nodiscard]] bool page_source_ref_unless_dead(struct page_source* source);
void page_source_unref(struct page_source* source);

// NEED: links `request` for the page at `index`, and asks for `count` pages from there. BAD_STATE
// when detached, NO_MEMORY: nothing linked.
status_t page_source_request(struct page_source* source, struct page_request* request,
                             enum page_need need, uint64_t index, uint64_t count);
// WAIT: no lock held. OK: look again. Otherwise the provider's failure code, BAD_STATE (detached)
// or INTR_KILLED. The request is unlinked.
status_t page_source_wait(struct page_request* request);
// What `tell` sent has been received, or thrown away. No lock held; gives up the reference of what
// was on its way.
void page_source_heard(struct page_source* source);

// An answer for a range, to needs of the kinds given; `status` OK: supplied, or allowed.
void page_source_answer(struct page_source* source, enum page_need needs, uint64_t index,
                        uint64_t count, status_t status);
// No new requests; all waiters fail with BAD_STATE, and the provider is told.
void page_source_detach(struct page_source* source);
bool page_source_detached(struct page_source* source);
