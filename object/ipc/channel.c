// Channels. See <object/channel.h> for the ways a message can take.
//
// Both ends live in one allocation and share its lock, which protects queues, waiters and the ends'
// signals. The pair is freed when both ends' memory is released. An end is `closed` once its last
// handle is gone: nothing is queued for it any more and its peer has PEER_CLOSED.
//
// Invariants, under the lock:
//   (I1) READABLE is asserted on an end exactly while its queue is not empty.
//   (I2) PEER_CLOSED and WRITABLE on an end are exclusive; PEER_CLOSED exactly when the peer is
//   closed. (I3) a waiter in `readers` implies an empty queue. (I4) transaction ids of the waiters
//   in `callers` are distinct.
// A waiter that timed out stays linked until its thread takes the lock; whoever meets it there
// fails to claim it and passes it over.

#include "channel_priv.h"

#include <vm/heap.h>

struct channel_pair {
    spinlock_t lock;
    _Atomic(uint32_t) ends_left; // ends whose memory is still in use
    struct channel end[2];
};

SLAB_CACHE(pair_cache, struct channel_pair);

static struct channel_pair* pair_of(struct channel* c) {
    struct channel* first = c < c->peer ? c : c->peer;
    return (struct channel_pair*)(void*)((char*)first - offsetof(struct channel_pair, end));
}

// ---- life ----

static inline void wake_all(struct list* waiters, status_t status, struct wake_list* wl) {
    struct list_node* n;
    while ((n = list_pop_front(waiters)) != nullptr) {
        struct waiter* w = container_of(n, struct waiter, node);
        if (!wake_list_add(wl, w, status)) {
            (void)channel_end_interrupted(w, status); // or it has timed out
        }
    }
}

static void channel_on_zero_handles(struct object* o) {
    struct channel* c = container_of(o, struct channel, base);
    struct list dropped;
    list_init(&dropped);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    struct channel_state* mine = channel_state(c);
    struct channel* peer = peer_of(c);
    peer_lock_held(peer);
    struct channel_state* theirs = channel_state(peer);
    mine->closed = true;
    list_splice_back(&dropped, &mine->queue);
    mine->queued = 0;
    wake_all(&mine->callers, STATUS_CANCELED, &wl);
    wake_all(&mine->readers, STATUS_CANCELED, &wl);
    if (!theirs->closed) {
        wake_all(&theirs->callers, STATUS_PEER_CLOSED, &wl);
        wake_all(&theirs->readers, STATUS_PEER_CLOSED, &wl);
        object_signal_locked(&peer->base, ZX_CHANNEL_WRITABLE, ZX_CHANNEL_PEER_CLOSED, &wl);
    }
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
    message_free_all(&dropped);
}

static void channel_free_memory(struct object* o) {
    struct channel_pair* pair = pair_of(container_of(o, struct channel, base));
    if (atomic_fetch_sub_explicit(&pair->ends_left, 1, memory_order_acq_rel) == 1) {
        slab_free(&pair_cache, pair);
    }
}

static zx_koid_t channel_related_koid(struct object* o) {
    return peer_of(container_of(o, struct channel, base))->base.koid;
}

static struct object* channel_peer_ref(struct object* o) {
    struct channel* peer = peer_of(container_of(o, struct channel, base));
    spin_acquire(object_lock(o));
    peer_lock_held(peer);
    bool alive = !channel_state(peer)->closed && object_ref_unless_dead(&peer->base);
    spin_release(object_lock(o));
    return alive ? &peer->base : nullptr;
}

static const struct object_ops channel_ops = {
    .type = ZX_OBJ_TYPE_CHANNEL,
    .name = "channel",
    .default_rights = ZX_DEFAULT_CHANNEL_RIGHTS,
    .waitable = true,
    .on_zero_handles = channel_on_zero_handles,
    .destroy = op_none,
    .free_memory = channel_free_memory,
    .related_koid = channel_related_koid,
    .peer_ref = channel_peer_ref,
};
OBJECT_TYPE(channel_ops);

static void end_init(struct channel_pair* pair, bool second) {
    struct channel* c = &pair->end[second];
    object_init(&c->base, &channel_ops, &pair->lock, ZX_CHANNEL_WRITABLE);
    c->peer = &pair->end[!second];
    struct channel_state* s = &c->guarded_;
    list_init(&s->queue);
    list_init(&s->callers);
    list_init(&s->readers);
    s->queued = 0;
    s->next_txid = TXID_FIRST;
    s->closed = false;
}

status_t channel_create(struct channel** a, struct channel** b) {
    struct channel_pair* pair = slab_alloc(&pair_cache);
    if (pair == nullptr) {
        return STATUS_NO_MEMORY;
    }
    spinlock_init(&pair->lock, LOCK_CLASS_OBJECT);
    atomic_store_explicit(&pair->ends_left, 2, memory_order_relaxed);
    end_init(pair, false);
    end_init(pair, true);
    *a = &pair->end[0];
    *b = &pair->end[1];
    return STATUS_OK;
}

// channel_object(), and `embedded` in syscall/defs/types.def.
static_assert(offsetof(struct channel, base) == 0);

struct channel* channel_from_object(struct object* o) {
    return o->ops == &channel_ops ? container_of(o, struct channel, base) : nullptr;
}
