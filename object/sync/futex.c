// Futexes. See <object/futex.h>.
//
// Life of a struct futex. A thread's spare is either in its hands or lent to the futex it waits on:
// as the futex itself if it was the first, else on the futex's `spares`. Whoever takes a waiter out
// of a futex, its waker, a requeue or the thread itself after a deadline or a kill, takes a struct
// out with it and gives it back to that thread, in the same step under the bucket's lock. So a
// thread that was woken has nothing left to do.
//
//   (I1) a futex in a bucket has n >= 1 waiters linked and n - 1 entries in `spares`.
//   (I2) so there is one to take for each waiter: a spare, or, for the last, the futex itself,
//        which then leaves the bucket without waiters and without owner.
//   (I3) a waiter is linked in a futex of `waiter.bucket`; both change together, under the locks of
//        the buckets concerned.
//
// A requeue moves waiters and as many structs with them. The requeueing thread lends its own spare
// for the time being when the target does not exist yet, and gets one back before it returns.
//
// Locks: the bucket's lock (FUTEX) makes the comparison of the word and the change of the queue one
// step, and guards the queues of its futexes as long as they are plain (no owner); two buckets are
// taken in address order. Below it the queue's lock, where there is or was an owner, held for one
// waiter at a time because interrupts are off under it.

#include <object/futex.h>

#include <zircon/syscalls/object.h>

#include <arch/user_copy.h>
#include <debug/init.h>
#include <locking/spinlock.h>
#include <object/cprng.h>
#include <object/user_fault.h>
#include <sched/wait_queue.h>
#include <vm/aspace.h>
#include <vm/heap.h>

constexpr uint32_t BUCKET_BITS = 8;
constexpr size_t BUCKETS = (size_t)1 << BUCKET_BITS;

struct futex_key {
    const struct handle_table* space;
    vaddr_t address;
};

// All under the bucket's lock; `queue` see above.
struct futex {
    struct list_node node; // in the bucket, or in another futex's `spares`
    struct futex_key key;
    struct list spares;
    struct wait_queue queue;
};

struct futex_bucket {
    spinlock_t lock;
    struct list futexes;
};

// On the stack of the thread that waits. Whoever takes it out may touch it until he has claimed it.
struct futex_waiter {
    struct queue_waiter q;
    struct futex** spare;                 // the thread's; null while it is lent
    _Atomic(struct futex_bucket*) bucket; // (I3)
};

static struct {
    struct futex_bucket bucket[BUCKETS];
    uint64_t multiplier[2]; // odd, immutable after boot: which words share a bucket is a secret
} futexes;

SLAB_CACHE(futex_cache, struct futex);

static void futex_init(void) {
    cprng_draw(futexes.multiplier, sizeof(futexes.multiplier));
    futexes.multiplier[0] |= 1;
    futexes.multiplier[1] |= 1;
    for (size_t i = 0; i < BUCKETS; i++) {
        spinlock_init(&futexes.bucket[i].lock, LOCK_CLASS_FUTEX);
        list_init(&futexes.bucket[i].futexes);
    }
}
INIT_HOOK(INIT_OBJECTS, futex_init);

struct futex* futex_spare_new(void) {
    struct futex* f = slab_alloc(&futex_cache);
    if (f != nullptr) {
        *f = (struct futex){};
        list_init(&f->spares);
        wait_queue_init(&f->queue);
    }
    return f;
}

void futex_spare_free(struct futex* f) {
    slab_free(&futex_cache, f);
}

// ---- finding ----

static status_t key_of(const zx_futex_storage_t __user* word, struct futex_key* out) {
    vaddr_t address = (vaddr_t)word;
    if (address % sizeof(*word) != 0 || address < ASPACE_BASE || address >= ASPACE_END) {
        return STATUS_INVALID_ARGS;
    }
    *out = (struct futex_key){.space = thread_current()->handles, .address = address};
    return STATUS_OK;
}

// Multiply-shift: for random odd multipliers any two words collide with a probability of about 2 /
// BUCKETS (Dietzfelbinger et al., 1997), and a program learns nothing from which it could choose
// words that do. A cryptographic hash costs a hundred instructions, four times per hand-over.
static struct futex_bucket* bucket_of(struct futex_key key) {
    uint64_t h = (uintptr_t)key.space * futexes.multiplier[0] + key.address * futexes.multiplier[1];
    return &futexes.bucket[h >> (64 - BUCKET_BITS)];
}

static struct futex* find_locked(struct futex_bucket* b, struct futex_key key) TA_REQ(b->lock) {
    list_for_each(n, &b->futexes) {
        struct futex* f = container_of(n, struct futex, node);
        if (f->key.address == key.address && f->key.space == key.space) {
            return f;
        }
    }
    return nullptr;
}

// ---- lending and taking back ----

// Makes a spare the futex of this key.
static struct futex* open_locked(struct futex_bucket* b, struct futex* spare, struct futex_key key)
    TA_REQ(b->lock) {
    spare->key = key;
    list_push_back(&b->futexes, &spare->node);
    return spare;
}

static NOINLINE void set_owner_slow(struct futex* f, struct thread* owner) {
    SPIN_IRQ_GUARD(&f->queue.lock);
    (void)wait_queue_set_owner(&f->queue, owner); // one that has ended is none
}

ALWAYS_INLINE void set_owner_locked(struct futex_bucket* b, struct futex* f, struct thread* owner)
    TA_REQ(b->lock) {
    (void)b;
    if (unlikely(owner != nullptr || !wait_queue_plain(&f->queue))) {
        set_owner_slow(f, owner);
    }
}

// The struct that goes with a waiter who has just left f.
ALWAYS_INLINE struct futex* take_spare_locked(struct futex_bucket* b, struct futex* f)
    TA_REQ(b->lock) {
    struct list_node* n = list_pop_front(&f->spares);
    if (n != nullptr) {
        return container_of(n, struct futex, node);
    }
    set_owner_locked(b, f, nullptr);
    list_remove(&f->node);
    return f;
}

// ---- waiters ----

static struct futex_waiter* waiter_of(struct queue_waiter* qw) {
    return container_of(qw, struct futex_waiter, q);
}

static NOINLINE void enter_inheriting(struct futex* f, struct futex_waiter* w) {
    SPIN_IRQ_GUARD(&f->queue.lock);
    wait_queue_enter(&f->queue, &w->q);
}

ALWAYS_INLINE void enter_locked(struct futex_bucket* b, struct futex* f, struct futex_waiter* w)
    TA_REQ(b->lock) {
    atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
    if (likely(wait_queue_plain(&f->queue))) {
        wait_queue_enter_plain(&f->queue, &w->q);
    } else {
        enter_inheriting(f, w);
    }
}

static NOINLINE struct queue_waiter* take_inheriting(struct futex* f) {
    SPIN_IRQ_GUARD(&f->queue.lock);
    return wait_queue_take(&f->queue);
}

// The best waiter of f, which has one, and in *struct_out the struct that goes with it: f itself if
// it was the last.
ALWAYS_INLINE struct futex_waiter* take_locked(struct futex_bucket* b, struct futex* f,
                                               struct futex** struct_out) TA_REQ(b->lock) {
    struct queue_waiter* qw =
        likely(wait_queue_plain(&f->queue)) ? wait_queue_take_plain(&f->queue) : take_inheriting(f);
    *struct_out = take_spare_locked(b, f);
    return waiter_of(qw);
}

// ---- the word ----

// After a failed look at the word, with no lock held: makes it readable.
static status_t fault_in(const zx_futex_storage_t __user* word) {
    return user_fault_resolve((vaddr_t)word, FAULT_USER);
}

// OK, BAD_STATE, or NEXT: not there, fault_in() must help. Faults are not taken: a lock is held.
static status_t compare(const zx_futex_storage_t __user* word, zx_futex_storage_t expected) {
    uint32_t now;
    if (!arch_load_user_u32_nofault((const uint32_t __user*)word, &now)) {
        return STATUS_NEXT;
    }
    return (zx_futex_storage_t)now == expected ? STATUS_OK : STATUS_BAD_STATE;
}

bool futex_word_differs(const zx_futex_storage_t __user* word, zx_futex_storage_t expected) {
    struct futex_key key;
    if (key_of(word, &key) != STATUS_OK) {
        return false;
    }
    status_t status;
    while ((status = compare(word, expected)) == STATUS_NEXT && fault_in(word) == STATUS_OK) {
    }
    return status == STATUS_BAD_STATE;
}

// ---- waiting ----

static bool owner_fits_locked(struct futex_bucket* b, struct futex_key key,
                              const struct thread* owner) TA_REQ(b->lock) {
    if (likely(owner == nullptr)) {
        return true;
    }
    struct futex* f = find_locked(b, key);
    if (f == nullptr) {
        return true;
    }
    SPIN_IRQ_GUARD(&f->queue.lock);
    return !wait_queue_holds(&f->queue, owner);
}

// The way out of a wait that no waker ended: takes this thread out if nobody has yet. Outside the
// analysis: the bucket is found at run time.
static NOINLINE void leave(struct futex_waiter* w) TA_OFF {
    struct futex_bucket* b = atomic_load_explicit(&w->bucket, memory_order_relaxed);
    struct futex_bucket* now;
    spin_acquire(&b->lock);
    while ((now = atomic_load_explicit(&w->bucket, memory_order_relaxed)) != b) {
        spin_release(&b->lock); // requeued meanwhile
        b = now;
        spin_acquire(&b->lock);
    }
    // Lent still: then we are linked, in a futex that is there because of us.
    if (*w->spare == nullptr) {
        struct futex* f = container_of(w->q.queue, struct futex, queue);
        irq_state_t state = spin_acquire_irq(&f->queue.lock);
        wait_queue_remove(&w->q);
        spin_release_irq(&f->queue.lock, state);
        *w->spare = take_spare_locked(b, f);
    }
    spin_release(&b->lock);
}

// OK: entered. NEXT: the word has to be faulted in.
ALWAYS_INLINE status_t wait_enter(struct futex_waiter* w, struct futex** spare,
                                  const zx_futex_storage_t __user* word, struct futex_key key,
                                  zx_futex_storage_t expected, struct thread* owner) {
    struct futex_bucket* b = bucket_of(key);
    spin_acquire(&b->lock);
    status_t status = compare(word, expected);
    if (status == STATUS_OK && unlikely(owner != nullptr) &&
        (owner == thread_current() || !owner_fits_locked(b, key, owner))) {
        status = STATUS_INVALID_ARGS;
    }
    if (unlikely(status != STATUS_OK)) {
        spin_release(&b->lock);
        return status;
    }
    struct futex* f = find_locked(b, key);
    if (likely(f == nullptr)) {
        f = open_locked(b, *spare, key);
    } else {
        list_push_back(&f->spares, &(*spare)->node);
    }
    *spare = nullptr;
    waiter_init(&w->q.w);
    w->spare = spare;
    if (likely(owner == nullptr && wait_queue_plain(&f->queue))) {
        atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
        wait_queue_enter_plain(&f->queue, &w->q);
    } else {
        set_owner_slow(f, owner);
        enter_locked(b, f, w);
    }
    spin_release(&b->lock);
    return STATUS_OK;
}

constexpr uint8_t REASON = ZX_THREAD_STATE_BLOCKED_FUTEX >> 8;

static status_t wait_left(struct futex_waiter* w, status_t status) {
    if (unlikely(status != STATUS_OK)) { // no waker
        leave(w);
    }
    return status;
}

// With the word faulted in before each further try.
static NOINLINE MINSIZE status_t wait_again(struct futex** spare,
                                            const zx_futex_storage_t __user* word,
                                            struct futex_key key, zx_futex_storage_t expected,
                                            struct thread* owner, int64_t deadline_ns) {
    UNINITIALIZED struct futex_waiter w;
    status_t status;
    do {
        TRY(fault_in(word));
        status = wait_enter(&w, spare, word, key, expected, owner);
    } while (unlikely(status == STATUS_NEXT));
    if (status == STATUS_OK) {
        status = waiter_block(&w.q.w, deadline_ns, WAIT_INTERRUPTIBLE, REASON);
        status = wait_left(&w, status);
    }
    return status;
}

status_t futex_wait(struct futex** spare, const zx_futex_storage_t __user* word,
                    zx_futex_storage_t expected, struct thread* owner, int64_t deadline_ns) {
    struct futex_key key;
    TRY(key_of(word, &key));
    UNINITIALIZED struct futex_waiter w;
    status_t status = wait_enter(&w, spare, word, key, expected, owner);
    if (likely(status == STATUS_OK)) {
        status = waiter_block_hot(&w.q.w, deadline_ns, WAIT_INTERRUPTIBLE, REASON);
        return wait_left(&w, status);
    }
    return status == STATUS_NEXT ? wait_again(spare, word, key, expected, owner, deadline_ns)
                                 : status;
}

// ---- waking ----

// The general way: with owners.
static NOINLINE void wake_owned_locked(struct futex_bucket* b, struct futex* f, uint32_t count,
                                       bool hand_over, struct wake_list* wl) TA_REQ(b->lock) {
    set_owner_locked(b, f, nullptr);
    for (bool last = false; count != 0 && !last;) {
        struct futex* s;
        struct futex_waiter* w = take_locked(b, f, &s);
        last = s == f;
        *w->spare = s; // before the claim: afterwards it is the thread's to lend
        struct thread* t = w->q.w.thread;
        // One that was claimed already is on its way out by itself, and finds that it is out.
        if (!wake_list_add(wl, &w->q.w, STATUS_OK)) {
            continue;
        }
        count--;
        if (unlikely(hand_over)) {
            if (!last) {
                set_owner_locked(b, f, t); // alive until the flush
            }
            return;
        }
    }
}

// Wakes up to `count`, or one that becomes the owner of what is left. No waiter can join meanwhile:
// the bucket's lock is held.
ALWAYS_INLINE void wake_locked(struct futex_bucket* b, struct futex* f, uint32_t count,
                               bool hand_over, struct wake_list* wl) TA_REQ(b->lock) {
    if (unlikely(hand_over || !wait_queue_plain(&f->queue))) {
        wake_owned_locked(b, f, count, hand_over, wl);
        return;
    }
    for (bool last = false; count != 0 && !last;) {
        struct futex_waiter* w = waiter_of(wait_queue_take_plain(&f->queue));
        last = list_empty(&f->spares);
        struct list_node* s = last ? &f->node : f->spares.head.next;
        list_remove(s);
        // See wake_owned_locked() for the order.
        *w->spare = container_of(s, struct futex, node);
        count -= wake_list_add(wl, &w->q.w, STATUS_OK);
    }
}

status_t futex_wake(const zx_futex_storage_t __user* word, uint32_t count, bool hand_over) {
    struct futex_key key;
    TRY(key_of(word, &key));
    struct futex_bucket* b = bucket_of(key);
    struct wake_list wl;
    wake_list_begin(&wl); // preemption is off from here to the flush
    spin_acquire_raw(&b->lock);
    struct futex* f = find_locked(b, key);
    if (f != nullptr) {
        wake_locked(b, f, count, hand_over, &wl);
    }
    spin_release_raw(&b->lock);
    wake_list_flush(&wl);
    return STATUS_OK;
}

// ---- requeueing ----

// Outside the analysis: one bucket may be both.
static void lock_both(struct futex_bucket* a, struct futex_bucket* b) TA_OFF {
    spin_acquire(a < b ? &a->lock : &b->lock);
    if (a != b) {
        spin_acquire(a < b ? &b->lock : &a->lock);
    }
}
// See lock_both().
static void unlock_both(struct futex_bucket* a, struct futex_bucket* b) TA_OFF {
    if (a != b) {
        spin_release(&b->lock);
    }
    spin_release(&a->lock);
}

// Up to `count` waiters, with their structs, from a futex that has some. Outside the analysis: see
// lock_both().
static void move_locked(struct futex_bucket* from_bucket, struct futex* from,
                        struct futex_bucket* to_bucket, struct futex* to, uint32_t count) TA_OFF {
    for (bool last = false; count != 0 && !last; count--) {
        struct futex* s;
        struct futex_waiter* w = take_locked(from_bucket, from, &s);
        last = s == from;
        list_push_back(&to->spares, &s->node);
        enter_locked(to_bucket, to, w);
    }
}

// The first half, both buckets locked. Outside the analysis: see lock_both().
static status_t requeue_check_locked(const struct futex_requeue* r,
                                     struct futex_bucket* from_bucket, struct futex_key from_key,
                                     struct futex_bucket* to_bucket,
                                     struct futex_key to_key) TA_OFF {
    TRY(compare(r->from, r->expected));
    bool fits = owner_fits_locked(from_bucket, from_key, r->owner) &&
                owner_fits_locked(to_bucket, to_key, r->owner);
    return fits ? STATUS_OK : STATUS_INVALID_ARGS;
}

// The second half, both buckets locked: nothing can fail. Outside the analysis: see lock_both().
static void requeue_locked(struct futex** spare, const struct futex_requeue* r,
                           struct futex_bucket* from_bucket, struct futex_key from_key,
                           struct futex_bucket* to_bucket, struct futex_key to_key,
                           struct wake_list* wl) TA_OFF {
    struct futex* from = find_locked(from_bucket, from_key);
    struct futex* to = find_locked(to_bucket, to_key);
    if (from != nullptr) {
        wake_locked(from_bucket, from, r->wake_count, r->hand_over, wl);
        from = find_locked(from_bucket, from_key); // gone if all were woken
    }
    if (from != nullptr && r->requeue_count != 0) {
        bool lent = to == nullptr;
        if (lent) {
            to = open_locked(to_bucket, *spare, to_key);
        }
        move_locked(from_bucket, from, to_bucket, to, r->requeue_count);
        if (lent) {
            // At least one waiter moved, and its struct with it.
            *spare = container_of(list_pop_front(&to->spares), struct futex, node);
        }
    }
    if (to != nullptr) {
        set_owner_locked(to_bucket, to, r->owner);
    }
}

MINSIZE status_t futex_requeue(struct futex** spare, const struct futex_requeue* r) {
    struct futex_key from_key;
    struct futex_key to_key;
    TRY(key_of(r->from, &from_key));
    TRY(key_of(r->to, &to_key));
    if (r->from == r->to) {
        return STATUS_INVALID_ARGS;
    }
    struct futex_bucket* from = bucket_of(from_key);
    struct futex_bucket* to = bucket_of(to_key);
    for (;;) {
        struct wake_list wl;
        wake_list_begin(&wl);
        lock_both(from, to);
        status_t status = requeue_check_locked(r, from, from_key, to, to_key);
        if (status == STATUS_OK) {
            requeue_locked(spare, r, from, from_key, to, to_key, &wl);
        }
        unlock_both(from, to);
        wake_list_flush(&wl);
        if (likely(status != STATUS_NEXT)) {
            return status;
        }
        TRY(fault_in(r->from));
    }
}

// ---- owners ----

status_t futex_owner_koid(const zx_futex_storage_t __user* word, zx_koid_t* koid) {
    struct futex_key key;
    TRY(key_of(word, &key));
    struct futex_bucket* b = bucket_of(key);
    *koid = ZX_KOID_INVALID;
    SPIN_GUARD(&b->lock);
    struct futex* f = find_locked(b, key);
    if (f != nullptr) {
        // A thread's memory outlives every section without preemption that saw it as an owner.
        struct thread* owner = atomic_load_explicit(&f->queue.owner, memory_order_acquire);
        if (owner != nullptr) {
            *koid = owner->tid;
        }
    }
    return STATUS_OK;
}
