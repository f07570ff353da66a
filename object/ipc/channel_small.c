// Small messages to a receiver that already waits: straight from the sender's memory into the
// receiver's `struct channel_waiter`, under the pair's lock. The copy resolves no faults, which is
// why it may happen there; where it would have to, or where anything else is not the plain case,
// nothing has happened yet (NEXT) and the caller sends a message. See <object/channel.h>.
//
// A waiter that is linked may be written to by whoever holds the lock: what it holds means
// something only once it is claimed with OK, and its thread looks no earlier.
#include "channel_priv.h"

#include <zircon/syscalls/object.h>

#include <arch/user_copy.h>
#include <lib/string.h>

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
    bool answers = !list_empty(&to->callers);
    if (!answers && unlikely(list_empty(&to->readers))) {
        return nullptr;
    }
    struct channel_waiter* w = waiter_of(list_first(answers ? &to->callers : &to->readers));
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
    w->message = nullptr;
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
// for the queue do not take it twice.
static bool receiver_waits(const struct channel* c) {
    const struct channel_state* to = &c->peer->guarded_;
    return __atomic_load_n(&to->readers.head.next, __ATOMIC_RELAXED) != &to->readers.head ||
           __atomic_load_n(&to->callers.head.next, __ATOMIC_RELAXED) != &to->callers.head;
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
    spin_acquire(object_lock(&c->base));
    w->txid = channel_txid_new_locked(c);
    struct thread* t = channel_state(c)->closed ? nullptr : give_locked(c, bytes, size, &w->txid);
    if (likely(t != nullptr)) {
        list_push_back(&channel_state(c)->callers, &w->waiter.node);
    }
    spin_release(object_lock(&c->base));
    if (unlikely(t == nullptr)) {
        preempt_enable();
        return STATUS_NEXT;
    }
    status_t status =
        waiter_block_to(&w->waiter, deadline_ns, ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, t);
    return channel_call_blocked(c, w, status);
}

INLINE_ACROSS_FILES status_t channel_reply_wait_small(struct channel* c, const void __user* bytes,
                                                      uint32_t size, int64_t deadline_ns,
                                                      struct channel_waiter* w) {
    if (!receiver_waits(c)) {
        return STATUS_NEXT;
    }
    preempt_disable(); // as above
    spin_acquire(object_lock(&c->base));
    struct thread* t = give_locked(c, bytes, size, nullptr);
    status_t status = likely(t != nullptr) ? channel_next_locked(c, w) : STATUS_NEXT;
    spin_release(object_lock(&c->base));
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
    status = waiter_block_to(&w->waiter, deadline_ns, ZX_THREAD_STATE_BLOCKED_CHANNEL >> 8, t);
    return channel_read_blocked(c, w, status);
}
