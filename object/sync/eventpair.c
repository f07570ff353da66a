// Eventpairs: two ends in one allocation that share a lock. An end is `closed` once its last handle
// is gone; its peer then has PEER_CLOSED.

#include <object/event.h>

#include <vm/heap.h>

struct eventpair_end {
    struct object base;
    bool second; // immutable
    bool closed; // under the pair's lock
};

struct eventpair {
    spinlock_t lock;
    _Atomic(uint32_t) ends_left; // ends whose memory is still in use
    struct eventpair_end end[2];
};

SLAB_CACHE(eventpair_cache, struct eventpair);

static struct eventpair_end* end_of(struct object* o) {
    return container_of(o, struct eventpair_end, base);
}

static struct eventpair* pair_of(struct eventpair_end* e) {
    return (struct eventpair*)(void*)((char*)(e - e->second) - offsetof(struct eventpair, end));
}

static struct eventpair_end* peer_of(struct eventpair_end* e) {
    return &pair_of(e)->end[!e->second];
}

static void eventpair_on_zero_handles(struct object* o) {
    struct eventpair_end* e = end_of(o);
    struct eventpair_end* peer = peer_of(e);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&peer->base)); // also this end's lock
    e->closed = true;
    if (!peer->closed) {
        object_signal_locked(&peer->base, 0, ZX_EVENTPAIR_PEER_CLOSED, &wl);
    }
    spin_release(object_lock(&peer->base));
    wake_list_flush(&wl);
}

static void eventpair_free_memory(struct object* o) {
    struct eventpair* pair = pair_of(end_of(o));
    if (atomic_fetch_sub_explicit(&pair->ends_left, 1, memory_order_acq_rel) == 1) {
        slab_free(&eventpair_cache, pair);
    }
}

static zx_koid_t eventpair_related_koid(struct object* o) {
    return peer_of(end_of(o))->base.koid;
}

static struct object* eventpair_peer_ref(struct object* o) {
    struct eventpair_end* peer = peer_of(end_of(o));
    spin_acquire(object_lock(o));
    bool alive = !peer->closed && object_ref_unless_dead(&peer->base);
    spin_release(object_lock(o));
    return alive ? &peer->base : nullptr;
}

static const struct object_ops eventpair_ops = {
    .type = ZX_OBJ_TYPE_EVENTPAIR,
    .name = "eventpair",
    .default_rights = ZX_DEFAULT_EVENTPAIR_RIGHTS,
    .user_settable = ZX_EVENTPAIR_SIGNALED,
    .waitable = true,
    .on_zero_handles = eventpair_on_zero_handles,
    .destroy = op_none,
    .free_memory = eventpair_free_memory,
    .related_koid = eventpair_related_koid,
    .peer_ref = eventpair_peer_ref,
};
OBJECT_TYPE(eventpair_ops);

status_t eventpair_create(struct object** a, struct object** b) {
    struct eventpair* pair = slab_alloc(&eventpair_cache);
    if (pair == nullptr) {
        return STATUS_NO_MEMORY;
    }
    spinlock_init(&pair->lock, LOCK_CLASS_OBJECT);
    atomic_store_explicit(&pair->ends_left, 2, memory_order_relaxed);
    for (size_t i = 0; i < 2; i++) {
        object_init(&pair->end[i].base, &eventpair_ops, &pair->lock, 0);
        pair->end[i].second = i == 1;
        pair->end[i].closed = false;
    }
    *a = &pair->end[0].base;
    *b = &pair->end[1].base;
    return STATUS_OK;
}
