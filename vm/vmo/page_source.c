// Page requests: what is asked of the provider of a pager-backed page set, and who waits for it.
// See <vm/page_source.h>.
#include <vm/page_source.h>

#include <zircon/syscalls/object.h>

#include <arch/cpu.h>
#include <debug/log.h>
#include <lib/align.h>
#include <lib/assert.h>
#include <lib/compiler.h>
#include <vm/heap.h>
#include <vm/reclaim.h>

struct page_ask {
    struct list_node node;
    uint64_t index, count; // pages not answered yet
    enum page_need need;
    bool told;
};
SLAB_CACHE(page_ask_cache, struct page_ask);

_Atomic(int64_t) page_source_overtime_ns = 10'000'000'000;

// Asks beyond so many are given up, oldest first, where nobody waits: a provider that answers in
// part must not make them pile up.
// For the same reason an answer that splits an ask forgets the rest then: who waits there asks
// anew.
constexpr uint32_t ASKS_KEPT = 256;

static inline struct page_source_state* source_state(struct page_source* source)
    TA_REQ(source->lock) {
    return &source->guarded_;
}

void page_source_init(struct page_source* source, const struct page_source_ops* ops) {
    source->ops = ops;
    atomic_init(&source->refs, 1);
    mutex_init(&source->lock, LOCK_CLASS_PAGER);
    source->guarded_ = (struct page_source_state){};
    list_init(&source->guarded_.asks);
    list_init(&source->guarded_.requests);
}

struct page_source* page_source_ref(struct page_source* source) {
    uint32_t before = atomic_fetch_add_explicit(&source->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX / 2);
    return source;
}

bool page_source_ref_unless_dead(struct page_source* source) {
    uint32_t refs = atomic_load_explicit(&source->refs, memory_order_relaxed);
    while (refs != 0 &&
           !atomic_compare_exchange_weak_explicit(&source->refs, &refs, refs + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    return refs != 0;
}

void page_source_unref(struct page_source* source) {
    uint32_t before = atomic_fetch_sub_explicit(&source->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        source->ops->destroy(source);
    }
}

// ---- asks ----

static struct page_ask* ask_of(struct list_node* n) {
    return container_of(n, struct page_ask, node);
}

static bool ask_has(const struct page_ask* a, enum page_need need, uint64_t index) {
    return a->need == need && index - a->index < a->count;
}

static bool awaited_locked(struct page_source* source, const struct page_ask* a)
    TA_REQ(source->lock) {
    list_for_each(n, &source_state(source)->requests) {
        const struct page_request* r = container_of(n, struct page_request, node);
        if (ask_has(a, r->need, r->index)) {
            return true;
        }
    }
    return false;
}

// Takes an ask back that is on its way. False: it is not, or it is too late.
static bool take_back_locked(struct page_source* source, const struct page_ask* a)
    TA_REQ(source->lock) {
    struct page_source_state* st = source_state(source);
    if (st->on_way != a) {
        return false;
    }
    st->on_way = nullptr;
    if (!source->ops->untell(source)) {
        return false;
    }
    st->busy = false;
    page_source_unref(source); // not the last: the caller has one
    return true;
}

static void drop_ask_locked(struct page_source* source, struct page_ask* a) TA_REQ(source->lock) {
    (void)take_back_locked(source, a);
    list_remove(&a->node);
    source_state(source)->ask_count--;
    slab_free(&page_ask_cache, a);
}

static bool add_ask_locked(struct page_source* source, const struct page_ask* ask)
    TA_REQ(source->lock) {
    struct page_ask* a = slab_alloc(&page_ask_cache);
    if (a == nullptr) {
        return false;
    }
    *a = *ask;
    a->node = (struct list_node){};
    list_push_back(&source_state(source)->asks, &a->node);
    source_state(source)->ask_count++;
    return true;
}

static void limit_asks_locked(struct page_source* source) TA_REQ(source->lock) {
    if (source_state(source)->ask_count < ASKS_KEPT) {
        return;
    }
    list_for_each(n, &source_state(source)->asks) {
        if (!awaited_locked(source, ask_of(n))) {
            drop_ask_locked(source, ask_of(n));
            return;
        }
    }
}

// How many pages from `index` on, of `count`, are (*asked) or are not in asks already.
static uint64_t asked_run_locked(struct page_source* source, enum page_need need, uint64_t index,
                                 uint64_t count, bool* asked) TA_REQ(source->lock) {
    *asked = false;
    list_for_each(n, &source_state(source)->asks) {
        const struct page_ask* a = ask_of(n);
        if (ask_has(a, need, index)) {
            *asked = true;
            return min(count, a->index + a->count - index);
        }
        if (a->need == need && a->index > index) {
            count = min(count, a->index - index);
        }
    }
    return count;
}

// Asks for what nobody has asked for yet: for the page at `index` in any case, for the rest while
// there is room.
static status_t ask_locked(struct page_source* source, enum page_need need, uint64_t index,
                           uint64_t count) TA_REQ(source->lock) {
    limit_asks_locked(source);
    do {
        bool asked;
        uint64_t run = asked_run_locked(source, need, index, count, &asked);
        struct page_ask a = {.index = index, .count = run, .need = need};
        if (!asked && !add_ask_locked(source, &a)) {
            return STATUS_NO_MEMORY;
        }
        index += run;
        count -= run;
    } while (count != 0 && source_state(source)->ask_count < ASKS_KEPT);
    return STATUS_OK;
}

// Wakes who waits for a page of the range; `wl` is flushed once the lock is gone. A claimed waiter
// may leave as soon as it is claimed, but its thread stays until the flush, and page_source_wait()
// passes through source->lock before the request's memory goes.
static void wake_locked(struct page_source* source, enum page_need needs, uint64_t index,
                        uint64_t count, status_t status, struct wake_list* wl)
    TA_REQ(source->lock) {
    list_for_each_safe(n, &source_state(source)->requests) {
        struct page_request* r = container_of(n, struct page_request, node);
        if ((r->need & needs) != 0 && r->index - index < count) {
            list_remove(&r->node);
            (void)wake_list_add(wl, &r->waiter, status);
        }
    }
}

// [index, end) of an ask is answered.
static void trim_ask_locked(struct page_source* source, struct page_ask* a, uint64_t index,
                            uint64_t end, struct wake_list* wl) TA_REQ(source->lock) {
    uint64_t ask_end = a->index + a->count;
    if (index <= a->index) {
        if (end >= ask_end) {
            drop_ask_locked(source, a);
            return;
        }
        a->index = end;
        a->count = ask_end - end;
        return;
    }
    a->count = index - a->index;
    if (end < ask_end) {
        // One message would now speak for two asks, and be taken back with one of them: each gets
        // its own.
        a->told = a->told && !take_back_locked(source, a);
        struct page_ask rest = *a;
        rest.index = end;
        rest.count = ask_end - end;
        if (source_state(source)->ask_count >= ASKS_KEPT || !add_ask_locked(source, &rest)) {
            wake_locked(source, rest.need, end, rest.count, STATUS_OK, wl); // they ask again
        }
    }
}

// Tells the provider what it has not been told yet, one after the other.
static void tell_locked(struct page_source* source, struct wake_list* wl) TA_REQ(source->lock);

static void detach_locked(struct page_source* source, struct wake_list* wl) TA_REQ(source->lock) {
    struct page_source_state* st = source_state(source);
    st->end_due = !st->detached;
    st->detached = true;
    struct list_node* n;
    while ((n = list_first(&st->asks)) != nullptr) {
        drop_ask_locked(source, ask_of(n));
    }
    wake_locked(source, PAGE_NEED_ANY, 0, UINT64_MAX, STATUS_BAD_STATE, wl);
}

static void tell_locked(struct page_source* source, struct wake_list* wl) {
    struct page_source_state* st = source_state(source);
    while (!st->busy) {
        struct page_ask* a = nullptr;
        list_for_each(n, &st->asks) {
            if (!ask_of(n)->told) {
                a = ask_of(n);
                break;
            }
        }
        if (a == nullptr && !st->end_due) {
            return;
        }
        status_t status = a != nullptr ? source->ops->tell(source, a->need, a->index << PAGE_SHIFT,
                                                           a->count << PAGE_SHIFT, wl)
                                       : source->ops->tell(source, 0, 0, 0, wl);
        if (status == STATUS_BAD_STATE) {
            detach_locked(source, wl);
            st->end_due = false;
            return;
        }
        if (a != nullptr) {
            a->told = true;
        } else {
            st->end_due = false;
        }
        if (status == STATUS_SHOULD_WAIT) {
            st->busy = true;
            st->on_way = a;
            (void)page_source_ref(source);
        }
    }
}

// The end of everything that changes what there is to tell.
static void finish(struct page_source* source, struct wake_list* wl) TA_REL(source->lock) {
    tell_locked(source, wl);
    mutex_release(&source->lock);
    wake_list_flush(wl);
}

void page_source_heard(struct page_source* source) {
    mutex_acquire(&source->lock);
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    source_state(source)->busy = false;
    source_state(source)->on_way = nullptr;
    finish(source, &wl);
    page_source_unref(source);
}

// ---- requests ----

status_t page_source_request(struct page_source* source, struct page_request* request,
                             enum page_need need, uint64_t index, uint64_t count) {
    DEBUG_ASSERT(request->source == nullptr && count > 0);
    MUTEX_GUARD(&source->lock);
    if (source_state(source)->detached) {
        return STATUS_BAD_STATE;
    }
    TRY(ask_locked(source, need, index, count));
    request->source = page_source_ref(source);
    request->node = (struct list_node){};
    request->need = need;
    request->index = index;
    waiter_init(&request->waiter);
    list_push_back(&source_state(source)->requests, &request->node);
    return STATUS_OK;
}

// Nobody needs what a killed thread asked for, unless others wait for it too.
static void retract_locked(struct page_source* source, const struct page_request* r)
    TA_REQ(source->lock) {
    list_for_each_safe(n, &source_state(source)->asks) {
        struct page_ask* a = ask_of(n);
        if (ask_has(a, r->need, r->index) && !awaited_locked(source, a)) {
            drop_ask_locked(source, a);
        }
    }
}

static void leave(struct page_source* source, struct page_request* request, status_t status) {
    mutex_acquire(&source->lock);
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    if (list_linked(&request->node)) {
        list_remove(&request->node);
    }
    if (status == STATUS_INTR_KILLED) {
        retract_locked(source, request);
    }
    finish(source, &wl);
}

// Still waiting: says so, and gets ready to wait on. False: it was answered this moment.
static bool wait_on(struct page_source* source, struct page_request* r) {
    mutex_acquire(&source->lock);
    bool waiting = list_linked(&r->node);
    if (waiting) {
        waiter_init(&r->waiter);
    }
    mutex_release(&source->lock);
    if (waiting) {
        reclaim_count(&reclaim_counters.overtime, 1);
        klog(LOG_WARN, "pager %lu: no answer for %d s to %s of page %#lx",
             (unsigned long)source->ops->koid(source),
             (int)(page_source_overtime_ns / 1'000'000'000),
             r->need == PAGE_NEED_READ ? "READ" : "DIRTY", (unsigned long)r->index);
    }
    return waiting;
}

status_t page_source_wait(struct page_request* request) {
    struct page_source* source = request->source;
    mutex_acquire(&source->lock);
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    finish(source, &wl);
    int64_t deadline = clock_monotonic_ns() + page_source_overtime_ns;
    status_t status =
        waiter_block(&request->waiter, deadline, WAIT_KILLABLE, ZX_THREAD_STATE_BLOCKED_PAGER >> 8);
    if (status == STATUS_TIMED_OUT) {
        status = wait_on(source, request)
                     ? waiter_block(&request->waiter, TIME_INFINITE, WAIT_KILLABLE,
                                    ZX_THREAD_STATE_BLOCKED_PAGER >> 8)
                     : STATUS_OK;
    }
    leave(source, request, status);
    request->source = nullptr;
    page_source_unref(source);
    return status;
}

// ---- answers ----

void page_source_answer(struct page_source* source, enum page_need needs, uint64_t index,
                        uint64_t count, status_t status) {
    mutex_acquire(&source->lock);
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    wake_locked(source, needs, index, count, status, &wl);
    list_for_each_safe(n, &source_state(source)->asks) {
        struct page_ask* a = ask_of(n);
        if ((a->need & needs) != 0 && ranges_overlap(a->index, a->count, index, count)) {
            trim_ask_locked(source, a, index, index + count, &wl);
        }
    }
    finish(source, &wl);
}

void page_source_detach(struct page_source* source) {
    mutex_acquire(&source->lock);
    UNINITIALIZED struct wake_list wl;
    wake_list_begin(&wl);
    if (!source_state(source)->detached) {
        detach_locked(source, &wl);
    }
    finish(source, &wl);
}

bool page_source_detached(struct page_source* source) {
    MUTEX_GUARD(&source->lock);
    return source_state(source)->detached;
}
