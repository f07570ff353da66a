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

#include <zircon/syscalls/object.h>

#include <vm/heap.h>

// Messages one end may have waiting; beyond it the writer is told NO_RESOURCES, so that nobody can
// fill the kernel with messages.
constexpr uint32_t QUEUE_LIMIT = 3500;
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

// A call that was interrupted is still under way: its end is left with the waiter, where
// call_interrupted() or the resumed call finds it. False: it ended otherwise.
static bool end_interrupted(struct waiter* w, status_t status) {
    int32_t interrupted = STATUS_INTR_RETRY;
    return atomic_compare_exchange_strong_explicit(&w->result, &interrupted, (int32_t)status,
                                                   memory_order_release, memory_order_relaxed);
}

static void wake_all(struct list* waiters, status_t status, struct wake_list* wl) {
    struct list_node* n;
    while ((n = list_pop_front(waiters)) != nullptr) {
        struct waiter* w = container_of(n, struct waiter, node);
        if (!wake_list_add(wl, w, status)) {
            (void)end_interrupted(w, status); // or it has timed out
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

// ---- delivery ----

// False: the waiter timed out or was killed meanwhile; its thread does not look at `message` then.
static bool hand_over(struct channel_waiter* w, struct message* m, struct wake_list* wl) {
    list_remove(&w->waiter.node);
    w->message = m; // before the claim: afterwards the waiter is its thread's again
    return wake_list_add(wl, &w->waiter, STATUS_OK);
}

static bool answer_call(struct channel_state* to, struct message* m, struct wake_list* wl) {
    if (list_empty(&to->callers)) {
        return false;
    }
    zx_txid_t txid = message_txid(m);
    if (txid < TXID_FIRST) {
        return false;
    }
    list_for_each(n, &to->callers) {
        if (waiter_of(n)->txid == txid) {
            struct channel_waiter* w = waiter_of(n);
            return hand_over(w, m, wl) || end_interrupted(&w->waiter, STATUS_OK);
        }
    }
    return false;
}

static bool feed_reader(struct channel_state* to, struct message* m, struct wake_list* wl) {
    while (!list_empty(&to->readers)) {
        if (hand_over(waiter_of(list_first(&to->readers)), m, wl)) {
            return true;
        }
    }
    return false;
}

// The message goes to the other end of `c`. The pair's lock is held.
ALWAYS_INLINE status_t deliver_locked(struct channel* c, struct message* m, struct wake_list* wl)
    TA_REQ(c->base.lock) {
    struct channel* peer = peer_of(c);
    peer_lock_held(peer);
    struct channel_state* to = channel_state(peer);
    if (unlikely(to->closed)) {
        return STATUS_PEER_CLOSED;
    }
    if (answer_call(to, m, wl) || feed_reader(to, m, wl)) {
        return STATUS_OK;
    }
    if (unlikely(to->queued >= QUEUE_LIMIT)) {
        return STATUS_NO_RESOURCES;
    }
    list_push_back(&to->queue, &m->node);
    if (to->queued++ == 0) {
        object_signal_locked(&peer->base, 0, ZX_CHANNEL_READABLE, wl);
    }
    return STATUS_OK;
}

status_t channel_write(struct channel* c, struct message* m) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    status_t status = deliver_locked(c, m, &wl);
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
    return status;
}

// ---- reading ----

struct message* channel_pop_locked(struct channel* c) {
    struct channel_state* s = channel_state(c);
    struct list_node* n = list_pop_front(&s->queue);
    if (--s->queued == 0) {
        // Clearing a signal wakes nobody.
        object_signal_locked(&c->base, ZX_CHANNEL_READABLE, 0, nullptr);
    }
    return container_of(n, struct message, node);
}

status_t channel_read(struct channel* c, uint32_t max_bytes, uint32_t max_handles, bool discard,
                      struct message** out, uint32_t* bytes, uint32_t* handles) {
    struct message* m = nullptr;
    status_t status = STATUS_OK;
    spin_acquire(object_lock(&c->base));
    struct channel_state* s = channel_state(c);
    if (s->queued == 0) {
        status = channel_peer_closed_locked(c) ? STATUS_PEER_CLOSED : STATUS_SHOULD_WAIT;
        *bytes = *handles = 0;
    } else {
        m = container_of(list_first(&s->queue), struct message, node);
        *bytes = m->bytes;
        *handles = m->handles;
        if (unlikely(m->bytes > max_bytes || m->handles > max_handles)) {
            status = STATUS_BUFFER_TOO_SMALL;
            m = nullptr;
        }
        if (m != nullptr || discard) {
            m = channel_pop_locked(c);
        }
    }
    spin_release(object_lock(&c->base));
    if (status != STATUS_OK) {
        message_free(m);
        return status;
    }
    *out = m;
    return STATUS_OK;
}

void channel_unread(struct channel* c, struct message* m) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    struct channel_state* s = channel_state(c);
    bool closed = s->closed;
    if (!closed && !feed_reader(s, m, &wl)) {
        list_push_front(&s->queue, &m->node);
        if (s->queued++ == 0) {
            object_signal_locked(&c->base, 0, ZX_CHANNEL_READABLE, &wl);
        }
    }
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
    if (closed) {
        message_free(m);
    }
}

// ---- waiting for a message ----

// After the block: unlinks what is still linked. The status says who claimed the waiter.
void channel_unlink_waiter(struct channel* c, struct channel_waiter* w) {
    spin_acquire(object_lock(&c->base));
    if (list_linked(&w->waiter.node)) {
        list_remove(&w->waiter.node);
    }
    spin_release(object_lock(&c->base));
}

// The call was interrupted. Unless its answer came in the meantime it stays under way: armed again,
// so that an answer that arrives while the thread is away is claimed for it.
static status_t call_interrupted(struct channel* c, struct channel_waiter* w) {
    spin_acquire(object_lock(&c->base));
    status_t result = (status_t)atomic_load_explicit(&w->waiter.result, memory_order_acquire);
    if (result == STATUS_INTR_RETRY) {
        atomic_store_explicit(&w->waiter.result, WAITER_PENDING, memory_order_relaxed);
    }
    spin_release(object_lock(&c->base));
    return result;
}

static status_t call_finish(struct channel* c, struct channel_waiter* w, status_t status) {
    if (status == STATUS_INTR_RETRY) {
        status = call_interrupted(c, w);
    }
    if (status != STATUS_OK && status != STATUS_INTR_RETRY) {
        channel_unlink_waiter(c, w);
    }
    return status;
}

// An interrupted call goes on without its system call, and needs the end for that.
status_t channel_call_broken(struct channel* c, struct channel_waiter* w, status_t status) {
    status = call_finish(c, w, status);
    if (status == STATUS_INTR_RETRY) {
        w->channel = container_of(object_ref(&c->base), struct channel, base);
    }
    return status;
}

status_t channel_call(struct channel* c, struct message* m, int64_t deadline_ns,
                      struct channel_waiter* w, bool* sent) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    w->txid = channel_txid_new_locked(c);
    message_set_txid(m, w->txid);
    status_t status = channel_state(c)->closed ? STATUS_CANCELED : deliver_locked(c, m, &wl);
    if (likely(status == STATUS_OK)) {
        list_push_back(&channel_state(c)->callers, &w->waiter.node);
    }
    spin_release(object_lock(&c->base));
    if (unlikely(status != STATUS_OK)) {
        wake_list_flush(&wl);
        *sent = false;
        return status;
    }
    *sent = true;
    status = waiter_block_handoff(&w->waiter, deadline_ns, WAIT_INTERRUPTIBLE,
                                  ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, &wl);
    return channel_call_blocked(c, w, status);
}

status_t channel_call_resume(struct channel_waiter* w, int64_t deadline_ns) {
    struct channel* c = w->channel;
    if (c == nullptr) {
        return STATUS_BAD_STATE;
    }
    status_t status = waiter_block(&w->waiter, deadline_ns, WAIT_INTERRUPTIBLE,
                                   ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8);
    status = call_finish(c, w, status);
    if (status != STATUS_INTR_RETRY) {
        w->channel = nullptr;
        object_unref(&c->base);
    }
    return status;
}

void channel_call_abandon(struct channel_waiter* w) {
    struct channel* c = w->channel;
    if (c == nullptr) {
        return;
    }
    bool mine = waiter_claim(&w->waiter, STATUS_INTR_KILLED);
    channel_unlink_waiter(c, w);
    if (!mine && atomic_load_explicit(&w->waiter.result, memory_order_acquire) == STATUS_OK) {
        message_free(w->message);
    }
    w->channel = nullptr;
    object_unref(&c->base);
}

status_t channel_reply_wait(struct channel* c, struct message* answer, int64_t deadline_ns,
                            struct channel_waiter* w, bool* sent) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    status_t status = answer != nullptr ? deliver_locked(c, answer, &wl) : STATUS_OK;
    *sent = status == STATUS_OK;
    if (likely(status == STATUS_OK)) {
        status = channel_next_locked(c, w);
    }
    spin_release(object_lock(&c->base));
    if (status != STATUS_SHOULD_WAIT) {
        wake_list_flush_next(&wl);
        return status;
    }
    status = waiter_block_handoff(&w->waiter, deadline_ns, WAIT_INTERRUPTIBLE,
                                  ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, &wl);
    return channel_read_blocked(c, w, status);
}
