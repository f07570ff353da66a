// The life of an object: references, handles, destruction.
//
// Destruction runs in the thread that drops the last reference, one object at a time: destroy() may
// drop other references, which queue in thread.dying and are taken in turn. A thread that may not
// sleep there (preemption off, or no thread at all yet) leaves the object to a worker. After
// destroy() the memory waits for an epoch: a lock-free handle look-up may still be reading `ops`
// and `refs`.

#include <object/object.h>

#include <debug/init.h>

constexpr zx_koid_t KOID_FIRST = 1024;
constexpr size_t TYPE_LIMIT = 64; // ABI upper bound of object types

static struct {
    _Atomic(zx_koid_t) next_koid;
    _Atomic(int64_t) live[TYPE_LIMIT];
    struct work work;                // runs drain_orphans()
    _Atomic(struct object*) orphans; // lock-free stack of dead objects that a worker destroys
    _Atomic(bool) work_queued;
} objects = {.next_koid = KOID_FIRST};

void op_none(struct object*) {}
zx_koid_t op_no_related(struct object*) {
    return 0;
}
struct object* op_no_peer(struct object*) {
    return nullptr;
}

zx_koid_t koid_new(void) {
    return atomic_fetch_add_explicit(&objects.next_koid, 1, memory_order_relaxed);
}

void object_init(struct object* o, const struct object_ops* ops, spinlock_t* shared_lock,
                 zx_signals_t initial) {
    o->ops = ops;
    spinlock_init(&o->own_lock, LOCK_CLASS_OBJECT);
    o->lock = shared_lock != nullptr ? shared_lock : &o->own_lock;
    atomic_store_explicit(&o->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&o->handles, 0, memory_order_relaxed);
    atomic_store_explicit(&o->signals, initial, memory_order_relaxed);
    list_init(&o->observers);
    o->next_handleless = nullptr;
    atomic_store_explicit(&o->handleless_queued, false, memory_order_relaxed);
    o->async_waits = 0;
    o->koid = koid_new();
    atomic_fetch_add_explicit(&objects.live[ops->type], 1, memory_order_relaxed);
}

static void free_after_epoch(struct epoch_item* item) {
    struct object* o = container_of(item, struct object, epoch);
    o->ops->free_memory(o);
}

static void destroy_one(struct object* o) {
    zx_obj_type_t type = o->ops->type;
    o->ops->destroy(o);
    atomic_fetch_sub_explicit(&objects.live[type], 1, memory_order_relaxed);
    epoch_defer(&o->epoch, free_after_epoch);
}

static void drain_orphans(struct work*) {
    atomic_store_explicit(&objects.work_queued, false, memory_order_release);
    struct object* o = atomic_exchange_explicit(&objects.orphans, nullptr, memory_order_acquire);
    while (o != nullptr) {
        struct object* next = o->next_dead;
        destroy_one(o);
        o = next;
    }
}

static void orphan(struct object* o) {
    struct object* head = atomic_load_explicit(&objects.orphans, memory_order_relaxed);
    do {
        o->next_dead = head;
    } while (!atomic_compare_exchange_weak_explicit(&objects.orphans, &head, o,
                                                    memory_order_release, memory_order_relaxed));
    if (!atomic_exchange_explicit(&objects.work_queued, true, memory_order_acq_rel)) {
        objects.work.fn = drain_orphans;
        worker_queue(&objects.work);
    }
}

// Preemption on, interrupts on: no spinlock is held and no lock-free read is under way.
static bool may_sleep(void) {
    return (arch_preempt_count() & ~PREEMPT_NOTHING_PENDING) == 0 && irq_enabled();
}

PRESERVES_REGISTERS void object_last_unref(struct object* o) {
    atomic_thread_fence(memory_order_acquire);
    DEBUG_ASSERT(atomic_load_explicit(&o->handles, memory_order_relaxed) == 0);
    if (!may_sleep()) {
        orphan(o);
        return;
    }
    struct thread* self = thread_current();
    if (self->destroying) {
        o->next_dead = self->dying;
        self->dying = o;
        return;
    }
    self->destroying = true;
    destroy_one(o);
    while ((o = self->dying) != nullptr) {
        self->dying = o->next_dead;
        destroy_one(o);
    }
    self->destroying = false;
}

// For later, with a reference. An object that got a handle again meanwhile (by its koid) and lost
// it may be queued already: then it is told once for both.
static void queue_handleless(struct thread* self, struct object* o) {
    if (!atomic_exchange_explicit(&o->handleless_queued, true, memory_order_acq_rel)) {
        o->next_handleless = self->handleless;
        self->handleless = object_ref(o);
    }
}

// One at a time: a channel that goes closes the handles in its messages, whose objects may be
// channels with messages; a chain of any length must not nest on the kernel's stack.
static void tell_handleless(struct object* o) {
    struct thread* self = thread_current();
    if (self->closing) {
        queue_handleless(self, o);
        return;
    }
    self->closing = true;
    o->ops->on_zero_handles(o);
    while ((o = self->handleless) != nullptr) {
        self->handleless = o->next_handleless;
        atomic_store_explicit(&o->handleless_queued, false, memory_order_release);
        o->ops->on_zero_handles(o);
        object_unref(o);
    }
    self->closing = false;
}

void object_last_handle_removed(struct object* o) {
    if (o->ops->on_zero_handles != op_none) {
        tell_handleless(o);
    }
}

uint64_t object_live_count(zx_obj_type_t type) {
    int64_t sum = 0;
    for (size_t i = 0; i < TYPE_LIMIT; i++) {
        if (type == 0 || type == i) {
            sum += atomic_load_explicit(&objects.live[i], memory_order_relaxed);
        }
    }
    return sum < 0 ? 0 : (uint64_t)sum;
}

// Every slot of every type is filled: a missing designated initialiser draws no warning in C.
extern const struct object_ops* const __object_ops_start[];
extern const struct object_ops* const __object_ops_end[];

static void check_object_types(void) {
    for (const struct object_ops* const* p = __object_ops_start; p < __object_ops_end; p++) {
        const struct object_ops* ops = *p;
        ASSERT(ops->type != 0 && ops->type < TYPE_LIMIT && ops->name != nullptr);
        ASSERT(ops->on_zero_handles != nullptr && ops->destroy != nullptr);
        ASSERT(ops->free_memory != nullptr && ops->related_koid != nullptr);
        ASSERT(ops->peer_ref != nullptr);
    }
}
INIT_HOOK(INIT_OBJECTS, check_object_types);
