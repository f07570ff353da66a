// Pager-backed VMOs against a provider made of a kernel thread: requests, late supply, failure,
// detaching, killing a waiter, and clones that read through.
#include <vm/page_source.h>

#include <arch/cpu.h>
#include <lib/compiler.h>
#include <sched/thread.h>
#include <vm/reclaim.h>
#include <vm/vmo.h>

#include "../testing/user_space.h"

struct test_source {
    struct page_source base;
    _Atomic(uint32_t) requests, ends;
    _Atomic(uint64_t) last_offset, last_length;
    _Atomic(bool) destroyed;
    bool slow; // what it is told is on its way until somebody takes it back
};

static struct test_source* test_source_of(struct page_source* s) {
    return container_of(s, struct test_source, base);
}

static status_t source_tell(struct page_source* s, enum page_need need, uint64_t offset,
                            uint64_t length, struct wake_list*) {
    struct test_source* source = test_source_of(s);
    if (need == 0) {
        atomic_fetch_add(&source->ends, 1);
        return STATUS_OK;
    }
    atomic_store(&source->last_offset, offset);
    atomic_store(&source->last_length, length);
    atomic_fetch_add(&source->requests, 1);
    return source->slow ? STATUS_SHOULD_WAIT : STATUS_OK;
}
static bool source_untell(struct page_source* s) {
    return test_source_of(s)->slow;
}
static uint64_t source_koid(const struct page_source*) {
    return 0;
}
static void source_destroy(struct page_source* s) {
    atomic_store(&test_source_of(s)->destroyed, true);
}
static const struct page_source_ops source_ops = {
    .tell = source_tell,
    .untell = source_untell,
    .koid = source_koid,
    .destroy = source_destroy,
};

// A VMO with its source, and a VMO full of bytes to supply from.
struct paged {
    struct test_source source;
    struct vmo* v;
    struct vmo* aux;
};

enum : uint32_t { PAGES = 40 };

static bool paged_start(struct paged* p) {
    *p = (struct paged){};
    page_source_init(&p->source.base, &source_ops);
    if (vmo_create(PAGES * TEST_PAGE, 0, &p->aux) != STATUS_OK) {
        return false;
    }
    for (uint32_t i = 0; i < PAGES; i++) {
        if (vmo_put(p->aux, i * TEST_PAGE, (uint8_t)(i + 1)) != STATUS_OK) {
            return false;
        }
    }
    return vmo_create_paged(&p->source.base, PAGES * TEST_PAGE, ZX_VMO_RESIZABLE, &p->v) ==
           STATUS_OK;
}

static void paged_end(struct ktest* t, struct paged* p) {
    vmo_unref(p->v);
    vmo_unref(p->aux);
    KEXPECT(t, atomic_load(&p->source.destroyed));
    KEXPECT_EQ(t, atomic_load(&p->source.ends), 1u);
}

static uint32_t asks_of(struct page_source* source) {
    MUTEX_GUARD(&source->lock);
    return source->guarded_.ask_count;
}

struct reader {
    struct vmo* v;
    uint64_t offset;
    uint8_t value;
    status_t status;
};

static int read_one(void* arg) {
    struct reader* r = arg;
    r->status = vmo_read(r->v, &r->value, r->offset, 1);
    return 0;
}

// A thread that reads one byte, and has asked for its page.
static struct thread* start_reader(struct ktest* t, struct paged* p, struct reader* r,
                                   struct vmo* v, uint64_t offset) {
    uint32_t before = atomic_load(&p->source.requests);
    *r = (struct reader){.v = v, .offset = offset, .status = STATUS_INTERNAL};
    struct thread* thread = kthread_create("reader", read_one, r, 16);
    if (thread == nullptr) {
        KEXPECT(t, false);
        return nullptr;
    }
    thread_start(thread);
    for (int i = 0; i < 2000 && atomic_load(&p->source.requests) == before; i++) {
        (void)thread_sleep_until(clock_monotonic_ns() + 1'000'000, WAIT_UNINTERRUPTIBLE);
    }
    KEXPECT_EQ(t, atomic_load(&p->source.requests), before + 1);
    return thread;
}

static void supply_wakes(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, p.v, 5 * TEST_PAGE);
    KASSERT(t, thread != nullptr);
    KEXPECT_EQ(t, atomic_load(&p.source.last_offset), 5 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 4 * TEST_PAGE, 3 * TEST_PAGE, p.aux, 4 * TEST_PAGE),
               STATUS_OK);
    kthread_join(thread);
    KEXPECT_EQ(t, r.status, STATUS_OK);
    KEXPECT_EQ(t, r.value, 6u);
    KEXPECT_EQ(t, vmo_peek(p.v, 4 * TEST_PAGE), 5u);
    KEXPECT_EQ(t, vmo_peek(p.aux, 5 * TEST_PAGE), 0u); // moved
    KEXPECT_EQ(t, vmo_committed(p.v), 3 * TEST_PAGE);
    // What is there already stays.
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 5 * TEST_PAGE, TEST_PAGE, p.aux, 9 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(p.v, 5 * TEST_PAGE), 6u);
    // A slot that is not committed there reads as zero here.
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 8 * TEST_PAGE, TEST_PAGE, p.aux, 9 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(p.v, 8 * TEST_PAGE), 0u);
    paged_end(t, &p);
}
KTEST(vmo, supply_wakes);

static void failure_and_detach(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, p.v, 0);
    KASSERT(t, thread != nullptr);
    page_source_answer(&p.source.base, PAGE_NEED_ANY, 0, 1, STATUS_IO_DATA_INTEGRITY);
    kthread_join(thread);
    KEXPECT_EQ(t, r.status, STATUS_IO_DATA_INTEGRITY);
    thread = start_reader(t, &p, &r, p.v, TEST_PAGE);
    KASSERT(t, thread != nullptr);
    page_source_detach(&p.source.base);
    kthread_join(thread);
    KEXPECT_EQ(t, r.status, STATUS_BAD_STATE);
    uint8_t byte;
    KEXPECT_EQ(t, vmo_read(p.v, &byte, 2 * TEST_PAGE, 1), STATUS_BAD_STATE);
    paged_end(t, &p);
}
KTEST(vmo, failure_and_detach);

// Pages are given before the provider has heard of them, from the middle of what is asked for, and
// then the first: of the rest it still hears.
static void early_answers_leave_the_rest_asked(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    struct page_source* source = &p.source.base;
    p.source.slow = true;
    struct page_request request = {};
    KEXPECT_EQ(t, page_source_request(source, &request, PAGE_NEED_READ, 10, 20), STATUS_OK);
    page_source_answer(source, PAGE_NEED_READ, 30, 1, STATUS_OK); // sends it on its way
    KEXPECT_EQ(t, atomic_load(&p.source.last_length), 20 * TEST_PAGE);
    page_source_answer(source, PAGE_NEED_READ, 15, 5, STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&p.source.last_length), 5 * TEST_PAGE);
    page_source_answer(source, PAGE_NEED_READ, 10, 5, STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&p.source.last_offset), 20 * TEST_PAGE);
    KEXPECT_EQ(t, atomic_load(&p.source.last_length), 10 * TEST_PAGE);
    KEXPECT_EQ(t, page_source_wait(&request), STATUS_OK);
    page_source_answer(source, PAGE_NEED_READ, 20, 10, STATUS_OK);
    paged_end(t, &p);
}
KTEST(vmo, early_answers_leave_the_rest_asked);

static void kill_while_waiting(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, p.v, 0);
    KASSERT(t, thread != nullptr);
    thread_set_pending(thread, THREAD_PENDING_KILL);
    kthread_join(thread);
    KEXPECT_EQ(t, r.status, STATUS_INTR_KILLED);
    paged_end(t, &p);
}
KTEST(vmo, kill_while_waiting);

static void shrink_ends_wait(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, p.v, 20 * TEST_PAGE);
    KASSERT(t, thread != nullptr);
    KEXPECT_EQ(t, vmo_set_size(p.v, 10 * TEST_PAGE), STATUS_OK);
    kthread_join(thread);
    KEXPECT_EQ(t, r.status, STATUS_OUT_OF_RANGE);
    paged_end(t, &p);
}
KTEST(vmo, shrink_ends_wait);

static void clone_reads_through(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    struct vmo* clone;
    struct vmo* second;
    KEXPECT_EQ(t, vmo_create_child(p.v, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &clone),
               STATUS_NOT_SUPPORTED);
    KASSERT(t, vmo_create_child(p.v, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, 2 * TEST_PAGE,
                                20 * TEST_PAGE, &clone) == STATUS_OK);
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, clone, TEST_PAGE);
    KASSERT(t, thread != nullptr);
    KEXPECT_EQ(t, atomic_load(&p.source.last_offset), 3 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 0, 10 * TEST_PAGE, p.aux, 0), STATUS_OK);
    kthread_join(thread);
    KEXPECT_EQ(t, r.value, 4u);
    KEXPECT_EQ(t, vmo_committed(clone), 0u);
    KEXPECT_EQ(t, vmo_put(clone, TEST_PAGE, 99), STATUS_OK);
    KEXPECT_EQ(t, vmo_committed(clone), TEST_PAGE);
    KEXPECT_EQ(t, vmo_peek(p.v, 3 * TEST_PAGE), 4u);
    // A clone of the clone has what the clone changed, and the same backing.
    KASSERT(t, vmo_create_child(clone, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, TEST_PAGE,
                                4 * TEST_PAGE, &second) == STATUS_OK);
    vmo_unref(clone);
    KEXPECT_EQ(t, vmo_peek(second, 0), 99u);
    KEXPECT_EQ(t, vmo_peek(second, TEST_PAGE), 5u);
    vmo_unref(second);
    paged_end(t, &p);
}
KTEST(vmo, clone_reads_through);

// What is clean and was not looked at goes; what is dirty, pinned or needed stays; and what went is
// asked for again.
static void evicts_old_clean_pages(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 0, PAGES * TEST_PAGE, p.aux, 0), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(p.v, 3 * TEST_PAGE, 99), STATUS_OK);
    KEXPECT_EQ(t, vmo_pin(p.v, 5 * TEST_PAGE, TEST_PAGE, VMO_PIN_READ), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(p.v, ZX_VMO_OP_ALWAYS_NEED, 7 * TEST_PAGE, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(p.v, ZX_VMO_OP_DONT_NEED, 20 * TEST_PAGE, 20 * TEST_PAGE),
               STATUS_OK);
    (void)reclaim_pages(1); // one visit: the old ones
    KEXPECT_EQ(t, vmo_committed(p.v), 20 * TEST_PAGE);
    (void)reclaim_pages(PAGES);
    KEXPECT_EQ(t, vmo_committed(p.v), 3 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_peek(p.v, 3 * TEST_PAGE), 99u);
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, p.v, 9 * TEST_PAGE);
    KASSERT(t, thread != nullptr);
    KEXPECT_EQ(t, vmo_put(p.aux, 9 * TEST_PAGE, 10), STATUS_OK);
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 9 * TEST_PAGE, TEST_PAGE, p.aux, 9 * TEST_PAGE), STATUS_OK);
    kthread_join(thread);
    KEXPECT_EQ(t, r.value, 10u);
    // Written back, it may go as well.
    KEXPECT_EQ(t, vmo_writeback_begin(p.v, 0, PAGES * TEST_PAGE, false), STATUS_OK);
    KEXPECT_EQ(t, vmo_writeback_end(p.v, 0, PAGES * TEST_PAGE), STATUS_OK);
    vmo_unpin(p.v, 5 * TEST_PAGE, TEST_PAGE);
    (void)reclaim_pages(PAGES);
    KEXPECT_EQ(t, vmo_committed(p.v), TEST_PAGE); // the needed one
    paged_end(t, &p);
}
KTEST(vmo, evicts_old_clean_pages);

// Nobody would bring back what a detached set has.
static void detached_pages_stay(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 0, PAGES * TEST_PAGE, p.aux, 0), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(p.v, ZX_VMO_OP_DONT_NEED, 0, PAGES * TEST_PAGE), STATUS_OK);
    vmo_detach_pager(p.v);
    (void)reclaim_pages(PAGES);
    KEXPECT_EQ(t, vmo_committed(p.v), PAGES * TEST_PAGE);
    KEXPECT_EQ(t, vmo_peek(p.v, 9 * TEST_PAGE), 10u);
    paged_end(t, &p);
}
KTEST(vmo, detached_pages_stay);

// Who does not answer for long is noticed, once, and the wait goes on.
static void overtime_is_noticed(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    int64_t usual = atomic_exchange(&page_source_overtime_ns, 1'000'000);
    uint64_t before = atomic_load(&reclaim_counters.overtime);
    struct reader r;
    struct thread* thread = start_reader(t, &p, &r, p.v, 2 * TEST_PAGE);
    KASSERT(t, thread != nullptr);
    for (int i = 0; i < 5000 && atomic_load(&reclaim_counters.overtime) == before; i++) {
        (void)thread_sleep_until(clock_monotonic_ns() + 1'000'000, WAIT_UNINTERRUPTIBLE);
    }
    atomic_store(&page_source_overtime_ns, usual);
    KEXPECT_EQ(t, atomic_load(&reclaim_counters.overtime), before + 1);
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 2 * TEST_PAGE, TEST_PAGE, p.aux, 2 * TEST_PAGE), STATUS_OK);
    kthread_join(thread);
    KEXPECT_EQ(t, r.status, STATUS_OK);
    KEXPECT_EQ(t, r.value, 3u);
    paged_end(t, &p);
}
KTEST(vmo, overtime_is_noticed);

// Who waits for a page behind the new end of a file looks again: through a clone it is zero now.
static void shrinking_wakes_readers_of_clones(struct ktest* t) {
    struct paged p;
    struct vmo* clone;
    KASSERT(t, paged_start(&p));
    KASSERT(t, vmo_create_child(p.v, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, 0, PAGES * TEST_PAGE,
                                &clone) == STATUS_OK);
    struct reader through;
    struct reader direct;
    struct thread* a = start_reader(t, &p, &through, clone, 20 * TEST_PAGE);
    KASSERT(t, a != nullptr);
    struct thread* b = start_reader(t, &p, &direct, p.v, 2 * TEST_PAGE);
    KASSERT(t, b != nullptr);
    KEXPECT_EQ(t, vmo_set_size(p.v, TEST_PAGE), STATUS_OK);
    kthread_join(a);
    kthread_join(b);
    KEXPECT_EQ(t, through.status, STATUS_OK);
    KEXPECT_EQ(t, through.value, 0u);
    KEXPECT_EQ(t, direct.status, STATUS_OUT_OF_RANGE);
    vmo_unref(clone);
    paged_end(t, &p);
}
KTEST(vmo, shrinking_wakes_readers_of_clones);

// Answers in the middle of a long ask make no more asks than the kernel keeps.
static void answers_do_not_pile_up_asks(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    constexpr uint64_t many = 4096;
    KEXPECT_EQ(t, vmo_set_size(p.v, 0), STATUS_OK);
    struct page_source* source = &p.source.base;
    struct page_request request = {};
    KASSERT(t, page_source_request(source, &request, PAGE_NEED_READ, 0, many) == STATUS_OK);
    for (uint64_t i = 1; i < many; i += 2) {
        page_source_answer(source, PAGE_NEED_READ, i, 1, STATUS_OK);
    }
    KEXPECT(t, asks_of(source) <= 257);
    // The page that is waited for is still asked for; and no more are added beside the holes.
    page_source_answer(source, PAGE_NEED_READ, 0, 1, STATUS_OK);
    KEXPECT_EQ(t, page_source_wait(&request), STATUS_OK);
    for (uint64_t i = 0; i < 20; i++) {
        KEXPECT_EQ(t, page_source_request(source, &request, PAGE_NEED_READ, i, many), STATUS_OK);
        page_source_answer(source, PAGE_NEED_READ, i, 1, STATUS_OK);
        KEXPECT_EQ(t, page_source_wait(&request), STATUS_OK);
    }
    KEXPECT(t, asks_of(source) <= 257);
    paged_end(t, &p);
}
KTEST(vmo, answers_do_not_pile_up_asks);

// "Always needed" holds until a program would be told that there is no memory.
static void needed_pages_go_last(struct ktest* t) {
    struct paged p;
    KASSERT(t, paged_start(&p));
    KEXPECT_EQ(t, vmo_supply_pages(p.v, 0, PAGES * TEST_PAGE, p.aux, 0), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(p.v, 3 * TEST_PAGE, 99), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(p.v, ZX_VMO_OP_ALWAYS_NEED, 0, PAGES * TEST_PAGE), STATUS_OK);
    (void)reclaim_pages(PAGES);
    KEXPECT_EQ(t, vmo_committed(p.v), PAGES * TEST_PAGE);
    uint32_t tries = 0;
    KEXPECT(t, reclaim_wait(&tries)); // caches
    KEXPECT(t, reclaim_wait(&tries));
    KEXPECT_EQ(t, vmo_committed(p.v), TEST_PAGE); // what is dirty stays even now
    KEXPECT_EQ(t, vmo_peek(p.v, 3 * TEST_PAGE), 99u);
    paged_end(t, &p);
}
KTEST(vmo, needed_pages_go_last);
