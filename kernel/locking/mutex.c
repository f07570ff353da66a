// The sleeping mutex; see the header for how it works.
//
// A thread that spins dereferences the owner's struct thread. It does so with preemption off:
// threads are freed through an epoch, so the memory stays. Whoever reads the owner under queue.lock
// with bit 0 set knows that the owner cannot let go without that lock.
#include <locking/mutex.h>

#include <lib/assert.h>

constexpr uintptr_t CONTENDED = 1;
constexpr int SPIN_LIMIT = 200;

void mutex_init(mutex_t* m, enum lock_class cls) {
    *m = (mutex_t){.class = cls};
    wait_queue_init(&m->queue);
}

static bool take(mutex_t* m, uintptr_t self) {
    uintptr_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&m->word, &expected, self, memory_order_acquire,
                                                   memory_order_relaxed);
}

// Spins while the owner runs on another CPU and nobody queues. True: taken.
static bool spin_for(mutex_t* m, uintptr_t self) {
    if (arch_cpu_count() == 1) {
        return false;
    }
    bool taken = false;
    preempt_disable();
    for (int i = 0; i < SPIN_LIMIT; i++) {
        uintptr_t word = atomic_load_explicit(&m->word, memory_order_relaxed);
        if (word == 0) {
            if ((taken = take(m, self))) {
                break;
            }
            continue;
        }
        const struct thread* owner = (const struct thread*)word;
        if ((word & CONTENDED) != 0 ||
            atomic_load_explicit(&owner->state, memory_order_relaxed) != THREAD_RUNNING) {
            break;
        }
        cpu_relax();
    }
    preempt_enable();
    return taken;
}

// Says in the word that somebody waits; false: it was free and is now ours.
static bool mark_contended(mutex_t* m, uintptr_t self, uintptr_t* owner) {
    uintptr_t word = atomic_load_explicit(&m->word, memory_order_relaxed);
    for (;;) {
        if (word == 0) {
            if (atomic_compare_exchange_weak_explicit(&m->word, &word, self, memory_order_acquire,
                                                      memory_order_relaxed)) {
                return false;
            }
        } else if (atomic_compare_exchange_weak_explicit(&m->word, &word, word | CONTENDED,
                                                         memory_order_relaxed,
                                                         memory_order_relaxed)) {
            *owner = word & ~CONTENDED;
            return true;
        }
    }
}

static void acquire_slow(mutex_t* m, uintptr_t self) {
    if (spin_for(m, self)) {
        return;
    }
    struct wait_queue* q = &m->queue;
    irq_state_t state = spin_acquire_irq(&q->lock);
    if (q->waiters.head.next == nullptr) {
        list_init(&q->waiters); // MUTEX_INIT cannot
    }
    uintptr_t owner;
    if (!mark_contended(m, self, &owner)) {
        spin_release_irq(&q->lock, state);
        return;
    }
    if (atomic_load_explicit(&q->owner, memory_order_relaxed) == nullptr) {
        bool alive = wait_queue_set_owner(q, (struct thread*)owner);
        ASSERT(alive); // a thread that ends holds no mutex
    }
    // The release that wakes us has made us the owner.
    status_t status = wait_block(q, state, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
    ASSERT(status == STATUS_OK);
    // If we had not blocked yet, the releaser, on another CPU, may have claimed us and not written
    // the word; or written it and not let go of the queue, and what we do next may be to free the
    // mutex. Its lock comes to us after both.
    state = spin_acquire_irq(&q->lock);
    spin_release_irq(&q->lock, state);
    DEBUG_ASSERT(mutex_held(m));
}

static void acquire(mutex_t* m, enum lock_how how, const void* pc) {
    uintptr_t self = (uintptr_t)thread_current();
    if (kernel_debug) {
        lock_check_mutex_acquire(m, m->class, how, pc);
    }
    if (unlikely(!take(m, self))) {
        acquire_slow(m, self);
    }
}

// The bodies below are outside the analysis: they are what the capability means.
void mutex_acquire(mutex_t* m) TA_OFF {
    acquire(m, LOCK_HOW_PLAIN, __builtin_return_address(0));
}

// See mutex_acquire.
void mutex_acquire_nested(mutex_t* m) TA_OFF {
    acquire(m, LOCK_HOW_NESTED, __builtin_return_address(0));
}

// See mutex_acquire.
bool mutex_try_acquire(mutex_t* m) TA_OFF {
    if (!take(m, (uintptr_t)thread_current())) {
        return false;
    }
    if (kernel_debug) {
        lock_check_mutex_acquire(m, m->class, LOCK_HOW_TRY, __builtin_return_address(0));
    }
    return true;
}

// Somebody waits: the best waiter becomes the owner.
static NOINLINE void release_slow(mutex_t* m) {
    struct wait_queue* q = &m->queue;
    struct wake_list wl;
    wake_list_begin(&wl);
    irq_state_t state = spin_acquire_irq(&q->lock);
    bool cleared = wait_queue_set_owner(q, nullptr);
    ASSERT(cleared);
    struct thread* next = wait_queue_wake_one(q, &wl, STATUS_OK);
    uintptr_t word = (uintptr_t)next;
    if (next != nullptr && !wait_queue_empty(q)) {
        word |= CONTENDED;
        bool alive = wait_queue_set_owner(q, next);
        ASSERT(alive);
    }
    atomic_store_explicit(&m->word, word, memory_order_release);
    spin_release_irq(&q->lock, state);
    wake_list_flush(&wl);
}

// See mutex_acquire.
void mutex_release(mutex_t* m) TA_OFF {
    DEBUG_ASSERT(mutex_held(m));
    if (kernel_debug) {
        lock_check_mutex_release(m);
    }
    uintptr_t self = (uintptr_t)thread_current();
    if (unlikely(!atomic_compare_exchange_strong_explicit(&m->word, &self, 0, memory_order_release,
                                                          memory_order_relaxed))) {
        release_slow(m);
    }
}
