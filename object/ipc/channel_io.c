// Messages in and out of a channel's queues. See <object/channel.h>; the invariants are in
// channel.c.
//
// This file and channel_call.c stand apart from the type's registration in channel.c because the
// optimiser carries functions into other files only from where nothing is kept by force.
#include "channel_priv.h"

// ---- writing ----

INLINE_ACROSS_FILES status_t channel_write(struct channel* c, struct message* m) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    status_t status = channel_deliver_locked(c, m, &wl);
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
    return status;
}

// ---- reading ----

INLINE_ACROSS_FILES struct message* channel_pop_locked(struct channel* c) {
    struct channel_state* s = channel_state(c);
    struct list_node* n = list_pop_front(&s->queue);
    if (--s->queued == 0) {
        // Clearing a signal wakes nobody.
        object_signal_locked(&c->base, ZX_CHANNEL_READABLE, 0, nullptr);
    }
    return container_of(n, struct message, node);
}

INLINE_ACROSS_FILES status_t channel_read(struct channel* c, uint32_t max_bytes,
                                          uint32_t max_handles, bool discard, struct message** out,
                                          uint32_t* bytes, uint32_t* handles) {
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
    if (!closed && !channel_feed_reader(s, m, &wl)) {
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
