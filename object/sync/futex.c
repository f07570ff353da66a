// Futexes. See <object/futex.h>.
//
// Life of a struct futex. A thread's spare is either in its hands or lent to the futex it waits on:
// as the futex itself if it was the first, else on the futex's `spares`. `users` counts the threads
// that are inside a wait on it, from the look at the word until the thread itself has left again,
// woken or not: a wait queue must outlive whoever may still look at it.
//
//   (I1) a futex in a bucket has users >= 1 and users - 1 entries in `spares`.
//   (I2) so a thread that leaves always finds one to take: a spare, or, as the last user, the futex
//        itself, which then leaves the bucket.
//
// A requeue moves waiters and as many structs with them. The requeueing thread lends its own spare
// for the time being when the target does not exist yet, and gets one back before it returns.
//
// Locks: the bucket's lock (FUTEX) makes the comparison of the word and the change of the queue one
// step; two buckets are taken in address order. Below it the queue's lock, held for a bounded
// number of waiters at a time because interrupts are off under it.

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
// Waiters handled with interrupts off at a time.
constexpr uint32_t BATCH = 16;

struct futex_key {
    const struct handle_table* space;
    vaddr_t address;
};

// All under the bucket's lock, but for `queue`, which has its own.
struct futex {
    struct list_node node; // in the bucket, or in another futex's `spares`
    struct futex_key key;
    uint32_t users;
    struct list spares;
    struct wait_queue queue;
};

struct futex_bucket {
    spinlock_t lock;
    struct list futexes;
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
static struct futex_bucket* bucket_of(const struct futex_key* key) {
    uint64_t h =
        (uintptr_t)key->space * futexes.multiplier[0] + key->address * futexes.multiplier[1];
    return &futexes.bucket[h >> (64 - BUCKET_BITS)];
}

static struct futex* find_locked(struct futex_bucket* b, const struct futex_key* key)
    TA_REQ(b->lock) {
    list_for_each(n, &b->futexes) {
        struct futex* f = container_of(n, struct futex, node);
        if (f->key.address == key->address && f->key.space == key->space) {
            return f;
        }
    }
    return nullptr;
}

static struct futex* futex_of(struct wait_queue* q) {
    return container_of(q, struct futex, queue);
}

// ---- lending and taking back ----

// Makes a spare the futex of this key.
static struct futex* open_locked(struct futex_bucket* b, struct futex* spare,
                                 const struct futex_key* key) TA_REQ(b->lock) {
    spare->key = *key;
    spare->users = 0;
    list_push_back(&b->futexes, &spare->node);
    return spare;
}

static void clear_owner(struct futex* f) {
    SPIN_IRQ_GUARD(&f->queue.lock);
    wait_queue_set_owner(&f->queue, nullptr);
}

// One user less: the struct that goes with it.
static struct futex* take_spare_locked(struct futex_bucket* b, struct futex* f) TA_REQ(b->lock) {
    struct list_node* n = list_pop_front(&f->spares);
    f->users--;
    if (n != nullptr) {
        return container_of(n, struct futex, node);
    }
    DEBUG_ASSERT(f->users == 0);
    clear_owner(f);
    list_remove(&f->node);
    return f;
}

static void join_locked(struct futex_bucket* b, struct futex** spare, const struct futex_key* key,
                        struct futex** out) TA_REQ(b->lock) {
    struct futex* f = find_locked(b, key);
    if (f == nullptr) {
        f = open_locked(b, *spare, key);
    } else {
        list_push_back(&f->spares, &(*spare)->node);
    }
    f->users++;
    *spare = nullptr;
    *out = f;
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

static bool waits_on(struct futex* f, const struct thread* t) {
    SPIN_IRQ_GUARD(&f->queue.lock);
    return wait_queue_holds(&f->queue, t);
}

static bool owner_fits_locked(struct futex_bucket* b, const struct futex_key* key,
                              const struct thread* owner) TA_REQ(b->lock) {
    if (owner == nullptr) {
        return true;
    }
    struct futex* f = find_locked(b, key);
    return f == nullptr || !waits_on(f, owner);
}

// Takes this thread out of the futex it was on in the end.
static void leave(struct wait_queue* q, struct futex** spare) {
    struct futex* f = futex_of(q);
    // Its key is fixed while we are a user.
    struct futex_bucket* b = bucket_of(&f->key);
    SPIN_GUARD(&b->lock);
    *spare = take_spare_locked(b, f);
}

// NEXT: the word has to be faulted in. Outside the analysis: the queue's lock passes to
// wait_block(), the bucket's is let go of in between.
static status_t wait_once(struct futex** spare, const zx_futex_storage_t __user* word,
                          const struct futex_key* key, zx_futex_storage_t expected,
                          struct thread* owner, int64_t deadline_ns) TA_OFF {
    struct futex_bucket* b = bucket_of(key);
    spin_acquire(&b->lock);
    status_t status = compare(word, expected);
    if (status == STATUS_OK && (owner == thread_current() || !owner_fits_locked(b, key, owner))) {
        status = STATUS_INVALID_ARGS;
    }
    if (status != STATUS_OK) {
        spin_release(&b->lock);
        return status;
    }
    struct futex* f;
    join_locked(b, spare, key, &f);
    struct wait_queue* q = &f->queue;
    irq_state_t state = spin_acquire_irq(&q->lock);
    (void)wait_queue_set_owner(q, owner); // one that has ended is none
    spin_release(&b->lock);
    status = wait_block_movable(&q, state, deadline_ns, WAIT_INTERRUPTIBLE,
                                ZX_THREAD_STATE_BLOCKED_FUTEX >> 8);
    leave(q, spare);
    return status;
}

status_t futex_wait(struct futex** spare, const zx_futex_storage_t __user* word,
                    zx_futex_storage_t expected, struct thread* owner, int64_t deadline_ns) {
    struct futex_key key;
    TRY(key_of(word, &key));
    for (;;) {
        status_t status = wait_once(spare, word, &key, expected, owner, deadline_ns);
        if (likely(status != STATUS_NEXT)) {
            return status;
        }
        TRY(fault_in(word));
    }
}

// ---- waking ----

// Wakes up to `count`, or one that becomes the owner. No waiter can join meanwhile: the bucket's
// lock is held.
static void wake_locked(struct futex* f, uint32_t count, bool hand_over, struct wake_list* wl) {
    uint32_t max_now = hand_over ? 1 : BATCH;
    count = hand_over ? min(count, 1u) : count;
    uint32_t woken;
    bool first = true;
    do {
        SPIN_IRQ_GUARD(&f->queue.lock);
        if (first) {
            (void)wait_queue_set_owner(&f->queue, nullptr);
            first = false;
        }
        uint32_t now = min(count, max_now);
        struct thread* t = nullptr;
        woken = 0;
        while (woken < now && (t = wait_queue_wake_one(&f->queue, wl, STATUS_OK)) != nullptr) {
            woken++;
        }
        if (hand_over && t != nullptr) {
            (void)wait_queue_set_owner(&f->queue, t); // alive until the flush
        }
        count -= woken;
    } while (woken == max_now && count != 0);
}

status_t futex_wake(const zx_futex_storage_t __user* word, uint32_t count, bool hand_over) {
    struct futex_key key;
    TRY(key_of(word, &key));
    struct futex_bucket* b = bucket_of(&key);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&b->lock);
    struct futex* f = find_locked(b, &key);
    if (f != nullptr) {
        wake_locked(f, hand_over ? 1 : count, hand_over, &wl);
    }
    spin_release(&b->lock);
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

// Up to `max_count` waiters, with their structs. Outside the analysis: the order of the queues'
// locks is found at run time.
static uint32_t move_batch(struct futex* from, struct futex* to, uint32_t max_count) TA_OFF {
    struct wait_queue* a = from < to ? &from->queue : &to->queue;
    struct wait_queue* b = from < to ? &to->queue : &from->queue;
    irq_state_t state = spin_acquire_irq(&a->lock);
    spin_acquire(&b->lock);
    uint32_t moved = wait_queue_requeue(&from->queue, &to->queue, max_count);
    spin_release(&b->lock);
    spin_release_irq(&a->lock, state);
    return moved;
}

static void move_locked(struct futex_bucket* from_bucket, struct futex* from, struct futex* to,
                        uint32_t count) TA_REQ(from_bucket->lock) {
    uint32_t moved;
    do {
        moved = move_batch(from, to, min(count, BATCH));
        for (uint32_t i = 0; i < moved; i++) {
            list_push_back(&to->spares, &take_spare_locked(from_bucket, from)->node);
        }
        to->users += moved;
        count -= moved;
    } while (moved == BATCH && count != 0);
}

static void set_owner(struct futex* f, struct thread* owner) {
    SPIN_IRQ_GUARD(&f->queue.lock);
    (void)wait_queue_set_owner(&f->queue, owner);
}

// The first half, both buckets locked. Outside the analysis: see lock_both().
static status_t requeue_check_locked(const struct futex_requeue* r,
                                     struct futex_bucket* from_bucket,
                                     const struct futex_key* from_key,
                                     struct futex_bucket* to_bucket,
                                     const struct futex_key* to_key) TA_OFF {
    TRY(compare(r->from, r->expected));
    bool fits = owner_fits_locked(from_bucket, from_key, r->owner) &&
                owner_fits_locked(to_bucket, to_key, r->owner);
    return fits ? STATUS_OK : STATUS_INVALID_ARGS;
}

// The second half, both buckets locked: nothing can fail. Outside the analysis: see lock_both().
static void requeue_locked(struct futex** spare, const struct futex_requeue* r,
                           struct futex_bucket* from_bucket, const struct futex_key* from_key,
                           struct futex_bucket* to_bucket, const struct futex_key* to_key,
                           struct wake_list* wl) TA_OFF {
    struct futex* from = find_locked(from_bucket, from_key);
    struct futex* to = find_locked(to_bucket, to_key);
    if (from != nullptr) {
        wake_locked(from, r->wake_count, r->hand_over, wl);
    }
    bool lent = from != nullptr && to == nullptr && r->requeue_count != 0;
    if (lent) {
        to = open_locked(to_bucket, *spare, to_key);
        *spare = nullptr;
    }
    if (from != nullptr && r->requeue_count != 0) {
        move_locked(from_bucket, from, to, r->requeue_count);
    }
    if (lent) {
        // One struct more than users: an entry of `spares`, or, if nobody moved, `to` itself.
        to->users++;
        *spare = take_spare_locked(to_bucket, to);
        if (*spare == to) {
            return;
        }
    }
    if (to != nullptr) {
        set_owner(to, r->owner);
    }
}

status_t futex_requeue(struct futex** spare, const struct futex_requeue* r) {
    struct futex_key from_key;
    struct futex_key to_key;
    TRY(key_of(r->from, &from_key));
    TRY(key_of(r->to, &to_key));
    if (r->from == r->to) {
        return STATUS_INVALID_ARGS;
    }
    struct futex_bucket* from = bucket_of(&from_key);
    struct futex_bucket* to = bucket_of(&to_key);
    for (;;) {
        struct wake_list wl;
        wake_list_begin(&wl);
        lock_both(from, to);
        status_t status = requeue_check_locked(r, from, &from_key, to, &to_key);
        if (status == STATUS_OK) {
            requeue_locked(spare, r, from, &from_key, to, &to_key, &wl);
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
    struct futex_bucket* b = bucket_of(&key);
    *koid = ZX_KOID_INVALID;
    SPIN_GUARD(&b->lock);
    struct futex* f = find_locked(b, &key);
    if (f != nullptr) {
        SPIN_IRQ_GUARD(&f->queue.lock);
        // A thread's memory outlives every section without preemption that saw it as an owner.
        struct thread* owner = atomic_load_explicit(&f->queue.owner, memory_order_acquire);
        if (owner != nullptr && !wait_queue_empty(&f->queue)) {
            *koid = owner->tid;
        }
    }
    return STATUS_OK;
}
