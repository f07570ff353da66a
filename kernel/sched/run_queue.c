// One CPU's run queue: fixed-priority lists above a heap ordered by virtual time. c->lock held
// throughout.
#include "sched_priv.h"

#include <lib/bits.h>

#include "fair.h"

// How far a thief looks before it gives up.
constexpr int FIND_LIMIT = 16;

static struct thread* from_heap(const struct heap_node* n) {
    return container_of(n, struct thread, sched.heap);
}

static struct thread* from_fixed(const struct list_node* n) {
    return container_of(n, struct thread, sched.fixed);
}

static bool runs_before(const struct heap_node* a, const struct heap_node* b) {
    const struct thread_sched* x = &from_heap(a)->sched;
    const struct thread_sched* y = &from_heap(b)->sched;
    return x->vruntime != y->vruntime ? fair_before(x->vruntime, y->vruntime)
                                      : fair_before(x->sequence, y->sequence);
}

void run_queue_init(struct cpu_sched* c, uint32_t index) {
    c->index = index;
    spinlock_init(&c->lock, LOCK_CLASS_RUN_QUEUE);
    heap_init(&c->fair, runs_before);
    for (uint32_t i = 0; i < FIXED_COUNT; i++) {
        list_init(&c->fixed[i]);
    }
    list_init(&c->deferred);
    c->hw_deadline_ns = TIME_INFINITE;
}

void run_queue_insert(struct cpu_sched* c, struct thread* t) {
    DEBUG_ASSERT(!t->sched.queued && c->next != t);
    uint32_t priority = thread_priority(t);
    if (unlikely(priority >= PRIORITY_FIXED_MIN)) {
        uint32_t i = priority - PRIORITY_FIXED_MIN;
        list_push_back(&c->fixed[i], &t->sched.fixed);
        c->fixed_bits |= 1u << i;
    } else {
        t->sched.sequence = c->sequence++;
        heap_insert(&c->fair, &t->sched.heap);
    }
    t->sched.queued = true;
    c->ready_count++;
}

void run_queue_remove(struct cpu_sched* c, struct thread* t) {
    DEBUG_ASSERT(t->sched.queued);
    uint32_t priority = thread_priority(t);
    if (unlikely(priority >= PRIORITY_FIXED_MIN)) {
        uint32_t i = priority - PRIORITY_FIXED_MIN;
        list_remove(&t->sched.fixed);
        if (list_empty(&c->fixed[i])) {
            c->fixed_bits &= ~(1u << i);
        }
    } else {
        heap_remove(&c->fair, &t->sched.heap);
    }
    t->sched.queued = false;
    c->ready_count--;
}

struct thread* run_queue_best(const struct cpu_sched* c) {
    if (unlikely(c->fixed_bits != 0)) {
        return from_fixed(list_first(&c->fixed[bit_highest(c->fixed_bits)]));
    }
    const struct heap_node* top = heap_top(&c->fair);
    return top != nullptr ? from_heap(top) : nullptr;
}

struct thread* run_queue_find_for(const struct cpu_sched* c, uint32_t cpu) {
    cpu_mask_t bit = cpu_bit(cpu);
    int looked = 0;
    for (uint32_t bits = c->fixed_bits; bits != 0 && looked < FIND_LIMIT; bits &= bits - 1) {
        list_for_each(n, &c->fixed[bit_lowest(bits)]) {
            if ((from_fixed(n)->sched.affinity & bit) != 0) {
                return from_fixed(n);
            }
            if (++looked >= FIND_LIMIT) {
                break;
            }
        }
    }
    // Breadth first over the top of the heap: these wait longest.
    const struct heap_node* level[FIND_LIMIT];
    int count = 0;
    if (heap_top(&c->fair) != nullptr) {
        level[count++] = heap_top(&c->fair);
    }
    for (int i = 0; i < count; i++) {
        struct thread* t = from_heap(level[i]);
        if ((t->sched.affinity & bit) != 0) {
            return t;
        }
        if (level[i]->left != nullptr && count < FIND_LIMIT) {
            level[count++] = level[i]->left;
        }
        if (level[i]->right != nullptr && count < FIND_LIMIT) {
            level[count++] = level[i]->right;
        }
    }
    return nullptr;
}

void run_queue_charge(struct cpu_sched* c, struct thread* t, int64_t now_ns) {
    int64_t delta = now_ns - t->sched.started_ns;
    t->sched.started_ns = now_ns;
    int64_t before = atomic_load_explicit(&t->sched.runtime_ns, memory_order_relaxed);
    atomic_store_explicit(&t->sched.runtime_ns, before + (delta > 0 ? delta : 0),
                          memory_order_relaxed);
    const struct heap_node* top = heap_top(&c->fair);
    if (unlikely(t->sched.is_idle || thread_is_fixed(t))) {
        if (top != nullptr) {
            c->min_vruntime = fair_later(c->min_vruntime, from_heap(top)->sched.vruntime);
        }
        return;
    }
    uint64_t v = t->sched.vruntime + fair_virtual(delta, t->sched.inverse_weight);
    t->sched.vruntime = v;
    if (top != nullptr && fair_before(from_heap(top)->sched.vruntime, v)) {
        v = from_heap(top)->sched.vruntime;
    }
    c->min_vruntime = fair_later(c->min_vruntime, v);
}
