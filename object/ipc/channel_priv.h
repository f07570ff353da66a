// What the files of channels share: the ends, and how a message reaches the other one.
#pragma once

#include <zircon/syscalls/object.h>

#include <object/channel.h>

// Messages one end may have waiting; beyond it the writer is told NO_RESOURCES, so that nobody can
// fill the kernel with messages.
constexpr uint32_t QUEUE_LIMIT = 3500;

constexpr zx_txid_t TXID_FIRST = 0x80000000u;

// What the pair's lock protects for one end.
struct channel_state {
    struct list queue;   // struct message, oldest first
    struct list callers; // struct channel_waiter: calls that wait for their answer on this end
    struct list readers; // struct channel_waiter: threads that take any message
    uint32_t queued;
    zx_txid_t next_txid;
    bool closed;
};

struct channel {
    struct object base;
    struct channel* peer; // the other end; immutable
    struct channel_state guarded_;
};

static inline struct channel_state* channel_state(struct channel* c) TA_REQ(c->base.lock) {
    return &c->guarded_;
}

static inline struct channel* peer_of(struct channel* c) {
    return c->peer;
}

// The lock of one end is the lock of the other, which the analysis cannot know.
static inline void peer_lock_held(struct channel* peer) TA_ASSERT(peer->base.lock) {
    DEBUG_ASSERT(spin_held(peer->base.lock));
}

static inline bool channel_peer_closed_locked(struct channel* c) TA_REQ(c->base.lock) {
    struct channel* peer = peer_of(c);
    peer_lock_held(peer);
    return channel_state(peer)->closed;
}

static inline struct channel_waiter* waiter_of(struct list_node* n) {
    return container_of(container_of(n, struct waiter, node), struct channel_waiter, waiter);
}

// The first message of a queue that is not empty.
struct message* channel_pop_locked(struct channel* c) TA_REQ(c->base.lock);

// ---- delivery ----

// A call that was interrupted is still under way: its end is left with the waiter, where
// call_interrupted() or the resumed call finds it. False: it ended otherwise.
static inline bool channel_end_interrupted(struct waiter* w, status_t status) {
    int32_t interrupted = STATUS_INTR_RETRY;
    return atomic_compare_exchange_strong_explicit(&w->result, &interrupted, (int32_t)status,
                                                   memory_order_release, memory_order_relaxed);
}

// False: the waiter timed out or was killed meanwhile; its thread does not look at `message` then.
static inline bool channel_hand_over(struct channel_waiter* w, struct message* m,
                                     struct wake_list* wl) {
    list_remove(&w->waiter.node);
    channel_waiter_set(w, m); // before the claim: afterwards the waiter is its thread's again
    return wake_list_add(wl, &w->waiter, STATUS_OK);
}

static inline bool channel_answer_call(struct channel_state* to, struct message* m,
                                       struct wake_list* wl) {
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
            return channel_hand_over(w, m, wl) || channel_end_interrupted(&w->waiter, STATUS_OK);
        }
    }
    return false;
}

static inline bool channel_feed_reader(struct channel_state* to, struct message* m,
                                       struct wake_list* wl) {
    while (!list_empty(&to->readers)) {
        if (channel_hand_over(waiter_of(list_first(&to->readers)), m, wl)) {
            return true;
        }
    }
    return false;
}

// The message goes to the other end of `c`. The pair's lock is held.
ALWAYS_INLINE status_t channel_deliver_locked(struct channel* c, struct message* m,
                                              struct wake_list* wl) TA_REQ(c->base.lock) {
    struct channel* peer = peer_of(c);
    peer_lock_held(peer);
    struct channel_state* to = channel_state(peer);
    if (unlikely(to->closed)) {
        return STATUS_PEER_CLOSED;
    }
    if (channel_answer_call(to, m, wl) || channel_feed_reader(to, m, wl)) {
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
