// What the files of channels share: the ends, and how the waiters on them end.
#pragma once

#include <object/channel.h>

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

static inline zx_txid_t channel_txid_new_locked(struct channel* c) TA_REQ(c->base.lock) {
    struct channel_state* s = channel_state(c);
    for (;;) {
        zx_txid_t txid = s->next_txid;
        s->next_txid = txid == UINT32_MAX ? TXID_FIRST : txid + 1;
        bool taken = false;
        list_for_each(n, &s->callers) {
            taken = taken || waiter_of(n)->txid == txid;
        }
        if (!taken) {
            return txid;
        }
    }
}

// The first message of a queue that is not empty.
struct message* channel_pop_locked(struct channel* c) TA_REQ(c->base.lock);

// Under the lock, after the answer went out: takes what is queued, or registers as a reader.
static inline status_t channel_next_locked(struct channel* c, struct channel_waiter* w)
    TA_REQ(c->base.lock) {
    struct channel_state* s = channel_state(c);
    if (s->closed) {
        return STATUS_CANCELED;
    }
    if (s->queued != 0) {
        w->message = channel_pop_locked(c);
        return STATUS_OK;
    }
    if (channel_peer_closed_locked(c)) {
        return STATUS_PEER_CLOSED;
    }
    list_push_back(&s->readers, &w->waiter.node);
    return STATUS_SHOULD_WAIT;
}

// After the block: unlinks what is still linked. The status says who claimed the waiter.
void channel_unlink_waiter(struct channel* c, struct channel_waiter* w);

// What a call's block ended with, and what the wait for the next message did.
status_t channel_call_broken(struct channel* c, struct channel_waiter* w, status_t status);
static inline status_t channel_call_blocked(struct channel* c, struct channel_waiter* w,
                                            status_t status) {
    return likely(status == STATUS_OK) ? status : channel_call_broken(c, w, status);
}
static inline status_t channel_read_blocked(struct channel* c, struct channel_waiter* w,
                                            status_t status) {
    if (unlikely(status != STATUS_OK)) {
        channel_unlink_waiter(c, w);
    }
    return status;
}
