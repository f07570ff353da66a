// Threads that wait on a channel for a message: calls, reply-and-wait, and the short way of small
// messages to them. See <object/channel.h>; the invariants are in channel.c.
#include "channel_priv.h"

#include <arch/user_copy.h>
#include <lib/string.h>

// ---- calls ----

static zx_txid_t txid_new_locked(struct channel* c) TA_REQ(c->base.lock) {
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

// After the block: unlinks what is still linked. The status says who claimed the waiter.
static void unlink_waiter(struct channel* c, struct channel_waiter* w) {
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
        unlink_waiter(c, w);
    }
    return status;
}

// An interrupted call goes on without its system call, and needs the end for that.
static NOINLINE status_t call_broken(struct channel* c, struct channel_waiter* w, status_t status) {
    status = call_finish(c, w, status);
    if (status == STATUS_INTR_RETRY) {
        w->channel = container_of(object_ref(&c->base), struct channel, base);
    }
    return status;
}

static status_t call_blocked(struct channel* c, struct channel_waiter* w, status_t status) {
    return likely(status == STATUS_OK) ? status : call_broken(c, w, status);
}

status_t channel_call(struct channel* c, struct message* m, int64_t deadline_ns,
                      struct channel_waiter* w, bool* sent) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    w->txid = txid_new_locked(c);
    message_set_txid(m, w->txid);
    status_t status =
        channel_state(c)->closed ? STATUS_CANCELED : channel_deliver_locked(c, m, &wl);
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
    status = waiter_block_handoff_hot(&w->waiter, deadline_ns, ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8,
                                      &wl);
    return call_blocked(c, w, status);
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
    unlink_waiter(c, w);
    if (!mine && atomic_load_explicit(&w->waiter.result, memory_order_acquire) == STATUS_OK) {
        message_free(channel_waiter_message(w));
    }
    w->channel = nullptr;
    object_unref(&c->base);
}

// ---- reply and wait ----

// Under the lock, after the answer went out: takes what is queued, or registers as a reader.
static status_t next_locked(struct channel* c, struct channel_waiter* w) TA_REQ(c->base.lock) {
    struct channel_state* s = channel_state(c);
    if (likely((s->queued | (uint32_t)s->closed | (uint32_t)channel_peer_closed_locked(c)) == 0)) {
        list_push_back(&s->readers, &w->waiter.node);
        return STATUS_SHOULD_WAIT;
    }
    if (s->closed) {
        return STATUS_CANCELED;
    }
    if (s->queued != 0) {
        channel_waiter_set(w, channel_pop_locked(c));
        return STATUS_OK;
    }
    return STATUS_PEER_CLOSED;
}

static status_t read_blocked(struct channel* c, struct channel_waiter* w, status_t status) {
    if (unlikely(status != STATUS_OK)) {
        unlink_waiter(c, w);
    }
    return status;
}

status_t channel_reply_wait(struct channel* c, struct message* answer, int64_t deadline_ns,
                            struct channel_waiter* w, bool* sent) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    status_t status = answer != nullptr ? channel_deliver_locked(c, answer, &wl) : STATUS_OK;
    *sent = status == STATUS_OK;
    if (likely(status == STATUS_OK)) {
        status = next_locked(c, w);
    }
    spin_release(object_lock(&c->base));
    if (status != STATUS_SHOULD_WAIT) {
        wake_list_flush_next(&wl);
        return status;
    }
    status =
        waiter_block_handoff(&w->waiter, deadline_ns, ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, &wl);
    return read_blocked(c, w, status);
}

// ---- small messages ----
//
// Straight from the sender's memory into the waiter of a receiver, under the pair's lock. The copy
// resolves no faults, which is why it may happen there; where it would have to, or where anything
// else is not the plain case, nothing has happened yet (NEXT) and the caller sends a message.
//
// A waiter that is linked may be written to by whoever holds the lock: what it holds means
// something only once it is claimed with OK, and its thread looks no earlier.

// The bytes are in `from`, a call that they do not answer: whom they are for; null: nobody who
// takes them so.
static NOINLINE struct channel_waiter* hand_on(struct channel_state* to,
                                               const struct channel_waiter* from, uint32_t size) {
    zx_txid_t txid = *(const zx_txid_t*)(const void*)from->small;
    struct channel_waiter* w = nullptr;
    list_for_each(n, &to->callers) {
        if (txid >= TXID_FIRST && waiter_of(n)->txid == txid) {
            w = waiter_of(n);
            break;
        }
    }
    if (w == nullptr && !list_empty(&to->readers)) {
        w = waiter_of(list_first(&to->readers));
    }
    if (w == nullptr || size > w->room) {
        return nullptr;
    }
    memcpy(w->small, from->small, size);
    return w;
}

// The message goes to a thread that waits at the other end of `c`: that thread, claimed, for the
// caller to wake; or null and nothing has happened. `txid`: the first word of a call; null: the
// message has its own.
//
// Who the receiver is depends on the message's first word, which is read once, with the rest: the
// bytes go to whoever waited first there, and on to whom they are for if that is another.
ALWAYS_INLINE struct thread* give_locked(struct channel* c, const void __user* bytes, uint32_t size,
                                         const zx_txid_t* txid) TA_REQ(c->base.lock) {
    struct channel* peer = peer_of(c);
    peer_lock_held(peer);
    struct channel_state* to = channel_state(peer);
    struct list_node* first = to->callers.head.next;
    bool answers = first != &to->callers.head;
    if (!answers) {
        first = to->readers.head.next;
        if (unlikely(first == &to->readers.head)) {
            return nullptr;
        }
    }
    struct channel_waiter* w = waiter_of(first);
    if (unlikely(size > w->room) || unlikely(!arch_copy_from_user_present(w->small, bytes, size))) {
        return nullptr;
    }
    if (txid != nullptr) {
        __builtin_memcpy(w->small, txid, sizeof(*txid));
    }
    if (answers && unlikely(*(zx_txid_t*)(void*)w->small != w->txid)) {
        w = hand_on(to, w, size);
        if (w == nullptr) {
            return nullptr;
        }
    }
    w->small_bytes = size;
    struct thread* t = w->waiter.thread;
    struct list_node* before = w->waiter.node.prev;
    list_remove(&w->waiter.node); // before the claim: afterwards the waiter is its thread's again
    if (unlikely(!waiter_claim(&w->waiter, STATUS_OK))) {
        // Timed out, or interrupted: its thread comes for the lock, and may have to be found.
        list_insert_after(before, &w->waiter.node);
        return nullptr;
    }
    return t;
}

// Whether anybody may be waiting for a message from `c`; a hint without the lock, so that messages
// for the queue do not take it twice. A question goes to a reader most likely, an answer to a
// caller.
ALWAYS_INLINE bool waits_in(const struct list* l) {
    return __atomic_load_n(&l->head.next, __ATOMIC_RELAXED) != &l->head;
}
ALWAYS_INLINE bool receiver_waits(const struct channel* c) {
    const struct channel_state* to = &c->peer->guarded_;
    return waits_in(&to->readers) || waits_in(&to->callers);
}
ALWAYS_INLINE bool caller_waits(const struct channel* c) {
    const struct channel_state* to = &c->peer->guarded_;
    return waits_in(&to->callers) || waits_in(&to->readers);
}

status_t channel_write_small(struct channel* c, const void __user* bytes, uint32_t size) {
    if (!receiver_waits(c)) {
        return STATUS_NEXT;
    }
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    struct thread* t = give_locked(c, bytes, size, nullptr);
    spin_release(object_lock(&c->base));
    if (t != nullptr) {
        wake_list_append(&wl, t);
    }
    wake_list_flush(&wl);
    return t != nullptr ? STATUS_OK : STATUS_NEXT;
}

INLINE_ACROSS_FILES status_t channel_call_small(struct channel* c, const void __user* bytes,
                                                uint32_t size, int64_t deadline_ns,
                                                struct channel_waiter* w) {
    if (!receiver_waits(c)) {
        return STATUS_NEXT;
    }
    preempt_disable(); // the thread we claim stays valid until it is woken
    spin_acquire_raw(object_lock(&c->base));
    w->txid = txid_new_locked(c);
    struct thread* t = channel_state(c)->closed ? nullptr : give_locked(c, bytes, size, &w->txid);
    if (likely(t != nullptr)) {
        list_push_back(&channel_state(c)->callers, &w->waiter.node);
    }
    spin_release_raw(object_lock(&c->base));
    if (unlikely(t == nullptr)) {
        preempt_enable();
        return STATUS_NEXT;
    }
    status_t status =
        waiter_block_to_hot(&w->waiter, deadline_ns, ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, t);
    return call_blocked(c, w, status);
}

INLINE_ACROSS_FILES status_t channel_reply_wait_small(struct channel* c, const void __user* bytes,
                                                      uint32_t size, int64_t deadline_ns,
                                                      struct channel_waiter* w) {
    if (!caller_waits(c)) {
        return STATUS_NEXT;
    }
    preempt_disable(); // as above
    spin_acquire_raw(object_lock(&c->base));
    struct thread* t = give_locked(c, bytes, size, nullptr);
    status_t status = likely(t != nullptr) ? next_locked(c, w) : STATUS_NEXT;
    spin_release_raw(object_lock(&c->base));
    if (unlikely(status != STATUS_SHOULD_WAIT)) {
        struct wake_list wl;
        wake_list_begin(&wl);
        if (t != nullptr) {
            wake_list_append(&wl, t);
        }
        wake_list_flush_next(&wl);
        preempt_enable();
        return status;
    }
    status = waiter_block_to_hot(&w->waiter, deadline_ns, ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, t);
    return read_blocked(c, w, status);
}
