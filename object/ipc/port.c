// Ports. See <object/port.h>.
//
// Lock order: the lock of an observed object, then the port's. A pending asynchronous wait (struct
// async_wait) is linked in its object's observers (under the object's lock) and in its port's
// `pending` (under the port's). Whoever unlinks it from the object owns it and unlinks it from the
// port as well; until then it keeps its port alive by a reference. Its object is alive while it is
// linked there, because closing the handle that it was made through unlinks it first.
//
//      object_wait_async          signal (on_match)             port_wait
//   [free] ---------> [pending] ---------------> [queued] ---------------> [free]
//                        | handle closed (on_cancel), port_cancel, port closed      ^
//                        +-----------------------------------------------------------+

#include <object/port.h>

#include <zircon/syscalls/object.h>

#include <arch/cpu.h>
#include <object/wait.h>
#include <vm/heap.h>

// What the port's lock protects.
struct port_state {
    struct list urgent;  // struct port_packet of interrupts, oldest first: taken before the others
    struct list packets; // struct port_packet, oldest first
    struct list waiters; // struct port_waiter
    struct list pending; // struct async_wait, by port_node
    uint32_t waits;      // asynchronous waits: pending, or with their packet in `packets`
    uint32_t user_packets;
    bool closed;
};

struct port {
    struct object base;
    spinlock_t lock;
    uint32_t options; // immutable
    struct port_state guarded_;
};

struct port_waiter {
    struct waiter waiter;
    struct port_packet* packet; // set by whoever claims with OK
};

struct user_packet {
    struct port_packet base;
};

struct async_wait {
    struct observer observer;   // in the object's list
    struct list_node port_node; // in the port's `pending`; under the port's lock
    struct port_packet packet;
    struct port* port;     // a reference while pending
    struct object* object; // valid while pending
    uint32_t options;
};

SLAB_CACHE(port_cache, struct port);
SLAB_CACHE(user_packet_cache, struct user_packet);
SLAB_CACHE(async_wait_cache, struct async_wait);

static inline struct port_state* port_state(struct port* p) TA_REQ(p->lock) {
    return &p->guarded_;
}

// ---- life ----

static void release_packets(struct list* packets) {
    struct list_node* n;
    while ((n = list_pop_front(packets)) != nullptr) {
        struct port_packet* packet = container_of(n, struct port_packet, node);
        packet->release(packet);
    }
}

// The object behind a pending wait, with a reference; null: it is going. Then somebody has taken
// the wait from its list to signal it, and the close of its last handle, which found that list
// empty, did not wait for him: he unlinks the wait from the port presently, and the memory is there
// until he has, because it goes through an epoch after the object's end, which does wait.
static struct object* pending_object(struct async_wait* a) {
    return object_ref_unless_dead(a->object) ? a->object : nullptr;
}

// The object behind the first pending wait that is not being signalled, with a reference; null:
// none is left.
static struct object* first_pending(struct port* p) {
    struct object* o = nullptr;
    spin_acquire(&p->lock);
    list_for_each(n, &port_state(p)->pending) {
        o = pending_object(container_of(n, struct async_wait, port_node));
        if (o != nullptr) {
            break;
        }
    }
    spin_release(&p->lock);
    return o;
}

typedef bool (*async_filter)(const struct async_wait* a, const void* identity, uint64_t key);
static size_t remove_pending(struct port* p, struct object* o, async_filter filter,
                             const void* identity, uint64_t key);

static bool filter_all(const struct async_wait*, const void*, uint64_t) {
    return true;
}
static bool filter_key(const struct async_wait* a, const void*, uint64_t key) {
    return a->packet.packet.key == key;
}
static bool filter_source(const struct async_wait* a, const void* identity, uint64_t key) {
    return a->observer.handle == identity && a->packet.packet.key == key;
}

static void port_on_zero_handles(struct object* o) {
    struct port* p = container_of(o, struct port, base);
    struct list dropped;
    list_init(&dropped);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&p->lock);
    struct port_state* s = port_state(p);
    s->closed = true;
    list_splice_back(&dropped, &s->urgent);
    list_splice_back(&dropped, &s->packets);
    struct list_node* n;
    while ((n = list_pop_front(&s->waiters)) != nullptr) {
        (void)wake_list_add(&wl, container_of(n, struct waiter, node), STATUS_CANCELED);
    }
    spin_release(&p->lock);
    wake_list_flush(&wl);
    release_packets(&dropped);
    struct object* source;
    while ((source = first_pending(p)) != nullptr) {
        remove_pending(p, source, filter_all, nullptr, 0);
        object_unref(source);
    }
}

static void port_free_memory(struct object* o) {
    slab_free(&port_cache, container_of(o, struct port, base));
}

static const struct object_ops port_ops = {
    .type = ZX_OBJ_TYPE_PORT,
    .name = "port",
    .default_rights = ZX_DEFAULT_PORT_RIGHTS,
    .waitable = false,
    .on_zero_handles = port_on_zero_handles,
    .destroy = op_none,
    .free_memory = port_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(port_ops);

status_t port_create(uint32_t options, struct port** out) {
    struct port* p = slab_alloc(&port_cache);
    if (p == nullptr) {
        return STATUS_NO_MEMORY;
    }
    spinlock_init(&p->lock, LOCK_CLASS_PORT);
    object_init(&p->base, &port_ops, &p->lock, 0);
    p->options = options;
    struct port_state* s = &p->guarded_;
    list_init(&s->urgent);
    list_init(&s->packets);
    list_init(&s->waiters);
    list_init(&s->pending);
    s->waits = 0;
    s->user_packets = 0;
    s->closed = false;
    *out = p;
    return STATUS_OK;
}

static_assert(offsetof(struct port, base) == 0); // `embedded` in syscall/defs/types.def

struct port* port_from_object(struct object* o) {
    return o->ops == &port_ops ? container_of(o, struct port, base) : nullptr;
}

struct object* port_object(struct port* p) {
    return &p->base;
}
uint32_t port_options(const struct port* p) {
    return p->options;
}

// ---- queueing ----

static bool is_user(const struct port_packet* packet) {
    return packet->packet.type == ZX_PKT_TYPE_USER;
}

static bool is_wait(const struct port_packet* packet) {
    return packet->packet.type == ZX_PKT_TYPE_SIGNAL_ONE;
}

// A packet leaves the queue: taken, or dropped.
static void uncount_locked(struct port* p, const struct port_packet* packet) TA_REQ(p->lock) {
    port_state(p)->user_packets -= is_user(packet);
    port_state(p)->waits -= is_wait(packet);
}

static inline void queue_locked(struct port* p, struct port_packet* packet, struct wake_list* wl)
    TA_REQ(p->lock) {
    struct port_state* s = port_state(p);
    struct list_node* n;
    bool wait = is_wait(packet); // looked at before the claim: afterwards its thread may free it
    while ((n = list_pop_front(&s->waiters)) != nullptr) {
        struct port_waiter* w =
            container_of(container_of(n, struct waiter, node), struct port_waiter, waiter);
        w->packet = packet;
        if (wake_list_add(wl, &w->waiter, STATUS_OK)) {
            s->waits -= wait;
            return;
        }
    }
    s->user_packets += is_user(packet);
    list_push_back(packet->packet.type == ZX_PKT_TYPE_INTERRUPT ? &s->urgent : &s->packets,
                   &packet->node);
}

status_t port_queue_packet(struct port* p, struct port_packet* packet, struct wake_list* wl) {
    spin_acquire(&p->lock);
    bool closed = port_state(p)->closed;
    if (!closed) {
        queue_locked(p, packet, wl);
    }
    spin_release(&p->lock);
    return closed ? STATUS_BAD_STATE : STATUS_OK;
}

bool port_unqueue_packet(struct port* p, struct port_packet* packet) {
    spin_acquire(&p->lock);
    // What a closing port drops is linked, too, and will be released.
    bool queued = !port_state(p)->closed && list_linked(&packet->node);
    if (queued) {
        list_remove(&packet->node);
    }
    spin_release(&p->lock);
    return queued;
}

bool port_closed(struct port* p) {
    spin_acquire(&p->lock);
    bool closed = port_state(p)->closed;
    spin_release(&p->lock);
    return closed;
}

static void user_packet_release(struct port_packet* packet) {
    slab_free(&user_packet_cache, container_of(packet, struct user_packet, base));
}

status_t port_queue_user(struct port* p, const zx_port_packet_t* packet) {
    struct user_packet* u = slab_alloc(&user_packet_cache);
    if (u == nullptr) {
        return STATUS_NO_MEMORY;
    }
    u->base.node = (struct list_node){};
    u->base.packet = *packet;
    u->base.packet.type = ZX_PKT_TYPE_USER;
    u->base.source = nullptr;
    u->base.release = user_packet_release;
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&p->lock);
    bool full = port_state(p)->user_packets >= PORT_USER_PACKETS_MAX;
    bool closed = port_state(p)->closed;
    if (!full && !closed) {
        queue_locked(p, &u->base, &wl);
    }
    spin_release(&p->lock);
    wake_list_flush(&wl);
    if (full || closed) {
        user_packet_release(&u->base);
    }
    return full ? STATUS_NO_RESOURCES : STATUS_OK;
}

// ---- waiting ----

status_t port_wait(struct port* p, int64_t deadline_ns, zx_port_packet_t* out) {
    UNINITIALIZED struct port_waiter w;
    struct port_packet* packet = nullptr;
    spin_acquire(&p->lock);
    struct port_state* s = port_state(p);
    bool closed = s->closed;
    struct list_node* n = list_pop_front(&s->urgent);
    if (likely(n == nullptr)) {
        n = list_pop_front(&s->packets);
    }
    if (n != nullptr) {
        packet = container_of(n, struct port_packet, node);
        uncount_locked(p, packet);
    } else if (deadline_ns > 0 && !closed) {
        waiter_init(&w.waiter);
        list_push_back(&s->waiters, &w.waiter.node);
    }
    spin_release(&p->lock);
    if (packet == nullptr) {
        if (closed) {
            return STATUS_CANCELED; // its last handle was closed while this call was on its way
        }
        if (deadline_ns <= 0) {
            return STATUS_TIMED_OUT;
        }
        status_t status = waiter_block_hot(&w.waiter, deadline_ns, WAIT_INTERRUPTIBLE,
                                           ZX_THREAD_STATE_BLOCKED_PORT >> 8);
        if (unlikely(status != STATUS_OK)) {
            spin_acquire(&p->lock);
            if (list_linked(&w.waiter.node)) {
                list_remove(&w.waiter.node);
            }
            spin_release(&p->lock);
            return status;
        }
        packet = w.packet;
    }
    *out = packet->packet;
    packet->release(packet);
    return STATUS_OK;
}

// ---- asynchronous waits ----

static void async_wait_release(struct port_packet* packet) {
    slab_free(&async_wait_cache, container_of(packet, struct async_wait, packet));
}

// The wait is no longer linked to its object: unlinks it from its port. The port's reference passes
// to the caller.
static struct port* unlink_from_port(struct async_wait* a) {
    struct port* p = a->port;
    spin_acquire(&p->lock);
    list_remove(&a->port_node);
    port_state(p)->waits--;
    spin_release(&p->lock);
    return p;
}

static void async_matched(struct observer* ob, zx_signals_t observed, struct wake_list* wl) {
    struct async_wait* a = container_of(ob, struct async_wait, observer);
    zx_packet_signal_t* signal = &a->packet.packet.signal;
    signal->observed = observed;
    signal->count = 1;
    if ((a->options & (ZX_WAIT_ASYNC_TIMESTAMP | ZX_WAIT_ASYNC_BOOT_TIMESTAMP)) != 0) {
        signal->timestamp = clock_monotonic_ns();
    }
    a->object->async_waits--;
    struct port* p = a->port;
    // One step: port_cancel_key(), which does not know the object, finds it pending or queued.
    spin_acquire(&p->lock);
    list_remove(&a->port_node);
    bool closed = port_state(p)->closed;
    if (!closed) {
        queue_locked(p, &a->packet, wl);
    }
    spin_release(&p->lock);
    if (closed) {
        async_wait_release(&a->packet);
    }
    object_unref(&p->base);
}

static void async_canceled(struct observer* ob, zx_signals_t, struct wake_list*) {
    struct async_wait* a = container_of(ob, struct async_wait, observer);
    a->object->async_waits--;
    struct port* p = unlink_from_port(a);
    async_wait_release(&a->packet);
    object_unref(&p->base);
}

static const struct observer_ops async_ops = {.on_match = async_matched,
                                              .on_cancel = async_canceled};

status_t port_wait_async(struct port* p, struct wait_target* target, uint64_t key,
                         uint32_t options) {
    struct async_wait* a = slab_alloc(&async_wait_cache);
    if (a == nullptr) {
        return STATUS_NO_MEMORY;
    }
    *a = (struct async_wait){
        .observer = {.ops = &async_ops, .handle = target->identity, .watched = target->signals},
        .packet = {.packet = {.key = key,
                              .type = ZX_PKT_TYPE_SIGNAL_ONE,
                              .status = ZX_OK,
                              .signal = {.trigger = target->signals}},
                   .source = target->identity,
                   .release = async_wait_release},
        .port = container_of(object_ref(&p->base), struct port, base),
        .object = target->object,
        .options = options,
    };
    struct object* o = target->object;
    bool closed = false;
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(o));
    spin_acquire(&p->lock);
    struct port_state* s = port_state(p);
    bool full = s->waits >= PORT_WAITS_MAX;
    bool crowded = o->async_waits >= OBJECT_ASYNC_WAITS_MAX;
    bool refused = s->closed || full || crowded;
    if (!refused) {
        list_push_back(&s->pending, &a->port_node);
        s->waits++;
    }
    spin_release(&p->lock);
    if (!refused) {
        o->async_waits++;
        object_add_observer(o, &a->observer, (options & ZX_WAIT_ASYNC_EDGE) != 0, &wl);
        // `a` may be gone already if it matched at once; the target tells whether the handle still
        // stands.
        if (unlikely(!handle_identity_current(target->identity, target->value))) {
            object_cancel_observers(o, target->identity, &wl);
            closed = true;
        }
    }
    spin_release(object_lock(o));
    wake_list_flush(&wl);
    if (refused) {
        async_wait_release(&a->packet);
        object_unref(&p->base);
        return full ? STATUS_NO_RESOURCES : crowded ? STATUS_UNAVAILABLE : STATUS_BAD_HANDLE;
    }
    return closed ? STATUS_BAD_HANDLE : STATUS_OK;
}

// Drops the waits of this port on object `o` that the filter names.
static size_t remove_pending(struct port* p, struct object* o, async_filter filter,
                             const void* identity, uint64_t key) {
    size_t removed = 0;
    spin_acquire(object_lock(o));
    list_for_each_safe(n, &o->observers) {
        struct observer* ob = container_of(n, struct observer, node);
        if (ob->ops != &async_ops) {
            continue;
        }
        struct async_wait* a = container_of(ob, struct async_wait, observer);
        if (a->port == p && filter(a, identity, key)) {
            list_remove(&ob->node);
            async_canceled(ob, 0, nullptr);
            removed++;
        }
    }
    spin_release(object_lock(o));
    return removed;
}

static size_t remove_queued(struct port* p, bool any_source, const void* identity, uint64_t key) {
    struct list dropped;
    list_init(&dropped);
    size_t removed = 0;
    spin_acquire(&p->lock);
    struct port_state* s = port_state(p);
    list_for_each_safe(n, &s->packets) {
        struct port_packet* packet = container_of(n, struct port_packet, node);
        bool matches = any_source ? packet->packet.type != ZX_PKT_TYPE_PAGE_REQUEST
                                  : packet->source != nullptr && packet->source == identity;
        if (matches && packet->packet.key == key) {
            list_remove(n);
            uncount_locked(p, packet);
            list_push_back(&dropped, n);
            removed++;
        }
    }
    spin_release(&p->lock);
    release_packets(&dropped);
    return removed;
}

status_t port_cancel(struct port* p, struct object* source, const void* identity, uint64_t key) {
    size_t removed = remove_pending(p, source, filter_source, identity, key);
    removed += remove_queued(p, false, identity, key);
    return removed != 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

// The object behind the first pending wait with this key, with a reference.
static struct object* pending_with_key(struct port* p, uint64_t key) {
    struct object* o = nullptr;
    spin_acquire(&p->lock);
    list_for_each(n, &port_state(p)->pending) {
        struct async_wait* a = container_of(n, struct async_wait, port_node);
        if (a->packet.packet.key == key && (o = pending_object(a)) != nullptr) {
            break;
        }
    }
    spin_release(&p->lock);
    return o;
}

status_t port_cancel_key(struct port* p, uint64_t key) {
    size_t removed = 0;
    struct object* source;
    while ((source = pending_with_key(p, key)) != nullptr) {
        removed += remove_pending(p, source, filter_key, nullptr, key);
        object_unref(source);
        // Each step may look at as many waits as memory holds: a kill must be able to end this.
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    removed += remove_queued(p, true, nullptr, key);
    return removed != 0 ? STATUS_OK : STATUS_NOT_FOUND;
}
