// Sockets. See <object/socket.h>.
//
// Both ends live in one allocation and share its lock. Writing fills blocks from user memory with
// no lock held and queues them in one step; what does not fit any more by then is cut off again.
// Reading a stream copies block by block under the lock with faults disabled (a page at most), so
// that what a bad pointer refuses is still there; reading a datagram takes it out of the queue
// first, or, for a peek, holds it by a count.
//
// Under the lock, for an end E and its peer P: E's signals READABLE and READ_THRESHOLD, and P's
// WRITABLE and WRITE_THRESHOLD, follow from the states of both (refresh_locked()). E's
// WRITE_DISABLED is P's PEER_WRITE_DISABLED.

#include <object/socket.h>

#include <arch/user_copy.h>
#include <object/user_fault.h>
#include <vm/heap.h>

#include "socket_buffer.h"

// What the pair's lock protects for one end.
struct socket_state {
    struct list queue; // struct socket_block or struct socket_datagram, oldest first
    size_t used;       // bytes in the queue; a datagram put back may exceed SOCKET_BUFFER_SIZE
    uint32_t datagrams;
    size_t read_threshold, write_threshold;
    bool write_disabled;
    bool closed;
};

struct socket {
    struct object base;
    bool second; // which end of the pair; immutable
    struct socket_state guarded_;
};

struct socket_pair {
    spinlock_t lock;
    _Atomic(uint32_t) ends_left; // ends whose memory is still in use
    uint32_t options;            // immutable
    struct socket end[2];
};

SLAB_CACHE(socket_cache, struct socket_pair);

static inline struct socket_state* socket_state(struct socket* s) TA_REQ(s->base.lock) {
    return &s->guarded_;
}

static struct socket* socket_of(struct object* o) {
    return container_of(o, struct socket, base);
}

static struct socket_pair* pair_of(struct socket* s) {
    return (struct socket_pair*)(void*)((char*)(s - s->second) - offsetof(struct socket_pair, end));
}

static struct socket* peer_of(struct socket* s) {
    return &pair_of(s)->end[!s->second];
}

static bool is_datagram(struct socket* s) {
    return (pair_of(s)->options & ZX_SOCKET_DATAGRAM) != 0;
}

static struct socket_block* block_of(struct list_node* n) {
    return container_of(n, struct socket_block, node);
}

static struct socket_datagram* datagram_of(struct list_node* n) {
    return container_of(n, struct socket_datagram, node);
}

// The lock of one end is the lock of the other, which the analysis cannot know.
static inline void peer_lock_held(struct socket* peer) TA_ASSERT(peer->base.lock) {
    DEBUG_ASSERT(spin_held(peer->base.lock));
}

// Bytes that can be queued for this end.
static size_t room_locked(struct socket* s) TA_REQ(s->base.lock) {
    const struct socket_state* st = socket_state(s);
    bool full = st->used >= SOCKET_BUFFER_SIZE || st->datagrams >= SOCKET_DATAGRAMS_MAX;
    return full ? 0 : SOCKET_BUFFER_SIZE - st->used;
}

// Nobody looks at a closed end, and nobody need be keeping its object.
static void assert_exactly(struct socket* s, zx_signals_t mask, zx_signals_t asserted,
                           struct wake_list* wl) TA_REQ(s->base.lock) {
    if (!socket_state(s)->closed) {
        object_signal_locked(&s->base, mask & ~asserted, asserted, wl);
    }
}

// After a change of what is queued for `s`, or of who may write it.
static void refresh_locked(struct socket* s, struct wake_list* wl) TA_REQ(s->base.lock) {
    struct socket* writer = peer_of(s);
    peer_lock_held(writer);
    const struct socket_state* mine = socket_state(s);
    const struct socket_state* theirs = socket_state(writer);
    if (!mine->closed) {
        bool enough = mine->read_threshold != 0 && mine->used >= mine->read_threshold;
        assert_exactly(s, ZX_SOCKET_READABLE | ZX_SOCKET_READ_THRESHOLD,
                       (mine->used != 0 ? ZX_SOCKET_READABLE : 0) |
                           (enough ? ZX_SOCKET_READ_THRESHOLD : 0),
                       wl);
    }
    if (!theirs->closed) {
        size_t room = mine->closed || theirs->write_disabled ? 0 : room_locked(s);
        bool enough = theirs->write_threshold != 0 && room >= theirs->write_threshold;
        assert_exactly(
            writer, ZX_SOCKET_WRITABLE | ZX_SOCKET_WRITE_THRESHOLD,
            (room != 0 ? ZX_SOCKET_WRITABLE : 0) | (enough ? ZX_SOCKET_WRITE_THRESHOLD : 0), wl);
    }
}

// ---- life ----

// One reader less; the last one frees it. Not under the lock.
static void datagram_drop(struct socket* s, struct socket_datagram* d) {
    spin_acquire(object_lock(&s->base));
    bool last = --d->readers == 0;
    spin_release(object_lock(&s->base));
    if (last) {
        socket_datagram_free(d);
    }
}

static void drop_queue(struct socket* s, struct list* queue) {
    if (!is_datagram(s)) {
        socket_blocks_free(queue);
        return;
    }
    struct list_node* n;
    while ((n = list_pop_front(queue)) != nullptr) {
        datagram_drop(s, datagram_of(n));
    }
}

static void socket_on_zero_handles(struct object* o) {
    struct socket* s = socket_of(o);
    struct socket* peer = peer_of(s);
    struct list dropped;
    list_init(&dropped);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    peer_lock_held(peer);
    struct socket_state* mine = socket_state(s);
    mine->closed = true;
    list_splice_back(&dropped, &mine->queue);
    mine->used = 0;
    mine->datagrams = 0;
    refresh_locked(s, &wl);
    if (!socket_state(peer)->closed) {
        object_signal_locked(&peer->base, 0, ZX_SOCKET_PEER_CLOSED, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    drop_queue(s, &dropped);
}

static void socket_free_memory(struct object* o) {
    struct socket_pair* pair = pair_of(socket_of(o));
    if (atomic_fetch_sub_explicit(&pair->ends_left, 1, memory_order_acq_rel) == 1) {
        slab_free(&socket_cache, pair);
    }
}

static zx_koid_t socket_related_koid(struct object* o) {
    return peer_of(socket_of(o))->base.koid;
}

static struct object* socket_peer_ref(struct object* o) {
    struct socket* peer = peer_of(socket_of(o));
    spin_acquire(object_lock(o));
    peer_lock_held(peer);
    bool alive = !socket_state(peer)->closed && object_ref_unless_dead(&peer->base);
    spin_release(object_lock(o));
    return alive ? &peer->base : nullptr;
}

static const struct object_ops socket_ops = {
    .type = ZX_OBJ_TYPE_SOCKET,
    .name = "socket",
    .default_rights = ZX_DEFAULT_SOCKET_RIGHTS,
    .waitable = true,
    .on_zero_handles = socket_on_zero_handles,
    .destroy = op_none,
    .free_memory = socket_free_memory,
    .related_koid = socket_related_koid,
    .peer_ref = socket_peer_ref,
};
OBJECT_TYPE(socket_ops);

status_t socket_create(uint32_t options, struct socket** a, struct socket** b) {
    struct socket_pair* pair = slab_alloc_zero(&socket_cache);
    if (pair == nullptr) {
        return STATUS_NO_MEMORY;
    }
    spinlock_init(&pair->lock, LOCK_CLASS_OBJECT);
    atomic_store_explicit(&pair->ends_left, 2, memory_order_relaxed);
    pair->options = options;
    for (size_t i = 0; i < 2; i++) {
        object_init(&pair->end[i].base, &socket_ops, &pair->lock, ZX_SOCKET_WRITABLE);
        pair->end[i].second = i == 1;
        list_init(&pair->end[i].guarded_.queue);
    }
    *a = &pair->end[0];
    *b = &pair->end[1];
    return STATUS_OK;
}

struct socket* socket_from_object(struct object* o) {
    return o->ops == &socket_ops ? socket_of(o) : nullptr;
}

struct object* socket_object(struct socket* s) {
    return &s->base;
}

// ---- writing ----

// Whether `s` may write `len` bytes now, and how many of them; `whole`: all or none.
static status_t may_write_locked(struct socket* s, bool whole, size_t len, size_t* taken)
    TA_REQ(s->base.lock) {
    struct socket* peer = peer_of(s);
    peer_lock_held(peer);
    if (socket_state(peer)->closed) {
        return STATUS_PEER_CLOSED;
    }
    if (socket_state(s)->write_disabled) {
        return STATUS_BAD_STATE;
    }
    if (whole && len > SOCKET_BUFFER_SIZE) {
        return STATUS_OUT_OF_RANGE;
    }
    size_t room = room_locked(peer);
    *taken = whole && len > room ? 0 : min(len, room);
    return *taken != 0 || len == 0 ? STATUS_OK : STATUS_SHOULD_WAIT;
}

static status_t may_write(struct socket* s, bool whole, size_t len, size_t* taken) {
    spin_acquire(object_lock(&s->base));
    status_t status = may_write_locked(s, whole, len, taken);
    spin_release(object_lock(&s->base));
    return status;
}

// `blocks` hold `len` bytes; what fits moves on, the rest is left in `dropped`.
static status_t stream_commit(struct socket* s, bool whole, struct list* blocks, size_t len,
                              struct list* dropped, size_t* actual) {
    struct socket* peer = peer_of(s);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    peer_lock_held(peer);
    status_t status = may_write_locked(s, whole, len, actual);
    if (likely(status == STATUS_OK)) {
        struct socket_state* to = socket_state(peer);
        socket_blocks_trim(blocks, len - *actual, dropped);
        socket_blocks_append(&to->queue, blocks, dropped);
        to->used += *actual;
        refresh_locked(peer, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    return status;
}

static status_t stream_write(struct socket* s, bool whole, const uint8_t __user* data, size_t len,
                             size_t* actual) {
    struct list blocks;
    struct list dropped;
    list_init(&blocks);
    list_init(&dropped);
    TRY(socket_blocks_fill(&blocks, data, len, false));
    status_t status = stream_commit(s, whole, &blocks, len, &dropped, actual);
    socket_blocks_free(&blocks);
    socket_blocks_free(&dropped);
    return status;
}

static status_t datagram_commit(struct socket* s, struct socket_datagram* d, size_t* actual) {
    struct socket* peer = peer_of(s);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    peer_lock_held(peer);
    status_t status = may_write_locked(s, true, d->size, actual);
    if (likely(status == STATUS_OK)) {
        struct socket_state* to = socket_state(peer);
        list_push_back(&to->queue, &d->node);
        to->used += d->size;
        to->datagrams++;
        refresh_locked(peer, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    return status;
}

static status_t datagram_write(struct socket* s, const uint8_t __user* data, size_t len,
                               size_t* actual) {
    struct socket_datagram* d = socket_datagram_new();
    if (d == nullptr) {
        return STATUS_NO_MEMORY;
    }
    d->size = len;
    status_t status = socket_blocks_fill(&d->blocks, data, len, true);
    if (status == STATUS_OK) {
        status = datagram_commit(s, d, actual);
    }
    if (status != STATUS_OK) {
        socket_datagram_free(d);
    }
    return status;
}

status_t socket_write(struct socket* s, bool whole, const void __user* data, size_t len,
                      size_t* actual) {
    whole |= is_datagram(s);
    // A first look, so that nothing is copied that could not be taken.
    size_t taken;
    TRY(may_write(s, whole, len, &taken));
    if (len == 0) {
        *actual = 0;
        return STATUS_OK;
    }
    return is_datagram(s) ? datagram_write(s, data, taken, actual)
                          : stream_write(s, whole, data, taken, actual);
}

// ---- reading ----

static status_t nothing_there_locked(struct socket* s) TA_REQ(s->base.lock) {
    struct socket* peer = peer_of(s);
    peer_lock_held(peer);
    if (socket_state(peer)->closed) {
        return STATUS_PEER_CLOSED;
    }
    return socket_state(peer)->write_disabled ? STATUS_BAD_STATE : STATUS_SHOULD_WAIT;
}

// The block that holds the byte `offset` after the front, and that byte's place in it.
static struct socket_block* find_block(struct list* queue, size_t offset, uint32_t* at) {
    list_for_each(n, queue) {
        struct socket_block* b = block_of(n);
        if (offset < b->end - b->begin) {
            *at = b->begin + (uint32_t)offset;
            return b;
        }
        offset -= b->end - b->begin;
    }
    return nullptr;
}

struct stream_read {
    uint8_t __user* to;
    size_t len;
    size_t done;
    bool peek;
    vaddr_t fault_va;
};

// One block's worth. NEXT: the copy stopped at fault_va; another failure: nothing is there.
static status_t stream_read_locked(struct socket* s, struct stream_read* r, struct list* dropped,
                                   struct wake_list* wl) TA_REQ(s->base.lock) {
    struct socket_state* st = socket_state(s);
    uint32_t at;
    struct socket_block* b = find_block(&st->queue, r->peek ? r->done : 0, &at);
    if (b == nullptr) {
        return nothing_there_locked(s);
    }
    size_t n = min(r->len - r->done, (size_t)(b->end - at));
    size_t left = arch_copy_to_user_nofault(r->to + r->done, b->data + at, n, &r->fault_va);
    n -= left;
    r->done += n;
    if (!r->peek && n != 0) {
        b->begin += (uint32_t)n;
        st->used -= n;
        if (b->begin == b->end) {
            list_remove(&b->node);
            list_push_back(dropped, &b->node);
        }
        refresh_locked(s, wl);
    }
    return left == 0 ? STATUS_OK : STATUS_NEXT;
}

static status_t stream_read(struct socket* s, struct stream_read* r) {
    status_t status;
    do {
        struct list dropped;
        list_init(&dropped);
        struct wake_list wl;
        wake_list_begin(&wl);
        spin_acquire(object_lock(&s->base));
        status = stream_read_locked(s, r, &dropped, &wl);
        spin_release(object_lock(&s->base));
        wake_list_flush(&wl);
        socket_blocks_free(&dropped);
        if (status == STATUS_NEXT) {
            status = user_fault_resolve(r->fault_va, FAULT_USER | FAULT_WRITE);
        }
    } while (status == STATUS_OK && r->done < r->len);
    return r->done != 0 ? STATUS_OK : status;
}

// The first datagram, counted for the caller; out of the queue unless it is a peek.
static status_t datagram_take(struct socket* s, bool peek, struct socket_datagram** out) {
    status_t status = STATUS_OK;
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    struct socket_state* st = socket_state(s);
    struct list_node* n = list_first(&st->queue);
    if (n == nullptr) {
        status = nothing_there_locked(s);
    } else if (peek) {
        *out = datagram_of(n);
        (*out)->readers++;
    } else {
        *out = datagram_of(n);
        list_remove(n);
        st->used -= (*out)->size;
        st->datagrams--;
        refresh_locked(s, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    return status;
}

// Puts it back in front, unless the end was closed meanwhile.
static void datagram_return(struct socket* s, struct socket_datagram* d) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    struct socket_state* st = socket_state(s);
    bool closed = st->closed;
    if (!closed) {
        list_push_front(&st->queue, &d->node);
        st->used += d->size;
        st->datagrams++;
        refresh_locked(s, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    if (closed) {
        datagram_drop(s, d);
    }
}

static status_t datagram_read(struct socket* s, bool peek, uint8_t __user* to, size_t len,
                              size_t* actual) {
    struct socket_datagram* d;
    TRY(datagram_take(s, peek, &d));
    *actual = min(len, d->size);
    status_t status = socket_datagram_copy_out(d, to, len);
    if (status != STATUS_OK && !peek) {
        datagram_return(s, d);
    } else {
        datagram_drop(s, d);
    }
    return status;
}

status_t socket_read(struct socket* s, bool peek, void __user* data, size_t len, size_t* actual) {
    if (is_datagram(s)) {
        return datagram_read(s, peek, data, len, actual);
    }
    struct stream_read r = {.to = data, .len = len, .peek = peek};
    TRY(stream_read(s, &r));
    *actual = r.done;
    return STATUS_OK;
}

// ---- dispositions and thresholds ----

static bool blocked_by_unread_locked(struct socket* s, enum socket_disposition d)
    TA_REQ(s->base.lock) {
    struct socket* peer = peer_of(s);
    peer_lock_held(peer);
    return d == SOCKET_WRITE_ENABLED && socket_state(s)->write_disabled &&
           socket_state(peer)->used != 0;
}

static void set_disposition_locked(struct socket* s, enum socket_disposition d,
                                   struct wake_list* wl) TA_REQ(s->base.lock) {
    struct socket* peer = peer_of(s);
    peer_lock_held(peer);
    if (d == SOCKET_KEEP) {
        return;
    }
    bool disabled = d == SOCKET_WRITE_DISABLED;
    socket_state(s)->write_disabled = disabled;
    assert_exactly(s, ZX_SOCKET_WRITE_DISABLED, disabled ? ZX_SOCKET_WRITE_DISABLED : 0, wl);
    assert_exactly(peer, ZX_SOCKET_PEER_WRITE_DISABLED,
                   disabled ? ZX_SOCKET_PEER_WRITE_DISABLED : 0, wl);
    refresh_locked(peer, wl);
}

status_t socket_set_dispositions(struct socket* s, enum socket_disposition mine,
                                 enum socket_disposition peers) {
    struct socket* peer = peer_of(s);
    status_t status = STATUS_OK;
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    peer_lock_held(peer);
    if ((peers != SOCKET_KEEP && socket_state(peer)->closed) || blocked_by_unread_locked(s, mine) ||
        blocked_by_unread_locked(peer, peers)) {
        status = STATUS_BAD_STATE;
    } else {
        set_disposition_locked(s, mine, &wl);
        set_disposition_locked(peer, peers, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    return status;
}

size_t socket_read_threshold(struct socket* s) {
    spin_acquire(object_lock(&s->base));
    size_t bytes = socket_state(s)->read_threshold;
    spin_release(object_lock(&s->base));
    return bytes;
}

size_t socket_write_threshold(struct socket* s) {
    spin_acquire(object_lock(&s->base));
    size_t bytes = socket_state(s)->write_threshold;
    spin_release(object_lock(&s->base));
    return bytes;
}

status_t socket_set_read_threshold(struct socket* s, size_t bytes) {
    if (bytes > SOCKET_BUFFER_SIZE) {
        return STATUS_INVALID_ARGS;
    }
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    socket_state(s)->read_threshold = bytes;
    refresh_locked(s, &wl);
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    return STATUS_OK;
}

status_t socket_set_write_threshold(struct socket* s, size_t bytes) {
    struct socket* peer = peer_of(s);
    status_t status = STATUS_OK;
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&s->base));
    peer_lock_held(peer);
    if (socket_state(peer)->closed) {
        status = STATUS_PEER_CLOSED;
    } else if (bytes > SOCKET_BUFFER_SIZE) {
        status = STATUS_INVALID_ARGS;
    } else {
        socket_state(s)->write_threshold = bytes;
        refresh_locked(peer, &wl);
    }
    spin_release(object_lock(&s->base));
    wake_list_flush(&wl);
    return status;
}

void socket_get_info(struct socket* s, zx_info_socket_t* out) {
    struct socket* peer = peer_of(s);
    spin_acquire(object_lock(&s->base));
    peer_lock_held(peer);
    const struct socket_state* mine = socket_state(s);
    const struct socket_state* theirs = socket_state(peer);
    struct list_node* first = list_first(&mine->queue);
    size_t next = is_datagram(s) && first != nullptr ? datagram_of(first)->size : mine->used;
    *out = (zx_info_socket_t){.options = pair_of(s)->options,
                              .rx_buf_max = SOCKET_BUFFER_SIZE,
                              .rx_buf_size = mine->used,
                              .rx_buf_available = next,
                              .tx_buf_max = theirs->closed ? 0 : SOCKET_BUFFER_SIZE,
                              .tx_buf_size = theirs->used};
    spin_release(object_lock(&s->base));
}
