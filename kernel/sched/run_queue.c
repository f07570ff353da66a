// The less usual half of the run queue; see run_queue.h.
#include "run_queue.h"

#include <lib/bits.h>

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
    c->hw_deadline = UINT64_MAX;
}

void run_queue_insert_slow(struct cpu_sched* c, struct thread* t) {
    uint32_t priority = thread_priority(t);
    if (priority >= PRIORITY_FIXED_MIN) {
        uint32_t i = priority - PRIORITY_FIXED_MIN;
        list_push_back(&c->fixed[i], &t->sched.fixed);
        c->fixed_bits |= 1u << i;
        return;
    }
    t->sched.sequence = c->sequence++;
    if (fair_before(t->sched.vruntime, c->first->sched.vruntime)) {
        struct thread* second = c->first;
        c->first = t;
        t = second;
    }
    heap_insert(&c->fair, &t->sched.heap);
}

// The fair thread that goes first leaves; the next moves up.
static void replace_first(struct cpu_sched* c) {
    struct heap_node* top = heap_pop(&c->fair);
    c->first = top != nullptr ? from_heap(top) : nullptr;
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
    } else if (t == c->first) {
        replace_first(c);
    } else {
        heap_remove(&c->fair, &t->sched.heap);
    }
    t->sched.queued = false;
    c->ready_count--;
}

struct thread* run_queue_take_slow(struct cpu_sched* c) {
    struct thread* t = run_queue_best(c);
    if (t != nullptr) {
        run_queue_remove(c, t);
    }
    return t;
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
    if (c->first != nullptr && (c->first->sched.affinity & bit) != 0) {
        return c->first;
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
