// Fifos. See <object/fifo.h>.
//
// Both ends live in one allocation and share its lock. Elements are copied between the ring and
// user memory under that lock with faults disabled; where the copy stops, the lock is dropped, the
// page is faulted in and the whole transfer starts again. So a bad pointer neither loses nor
// doubles an element, and no buffer in between is needed. A ring is at most a page, which bounds
// the time under the lock.
//
// Under the lock: READABLE is asserted on an end exactly while its ring holds something, WRITABLE
// exactly while the peer is open and has room.

#include <object/fifo.h>

#include <zircon/syscalls/object.h>

#include <arch/user_copy.h>
#include <object/user_fault.h>
#include <vm/heap.h>

// What the pair's lock protects for one end. Positions and counts are in bytes.
struct fifo_state {
    uint32_t head; // where the oldest element begins
    uint32_t used;
    bool closed;
};

struct fifo {
    struct object base;
    bool second; // which end of the pair; immutable
    struct fifo_state guarded_;
};

struct fifo_pair {
    spinlock_t lock;
    _Atomic(uint32_t) ends_left; // ends whose memory is still in use
    uint32_t elem_size;          // immutable
    uint32_t capacity;           // bytes of a ring; immutable
    uint8_t* ring[2];            // what arrived for each end; contents under lock
    struct fifo end[2];
};

SLAB_CACHE(fifo_cache, struct fifo_pair);

static inline struct fifo_state* fifo_state(struct fifo* f) TA_REQ(f->base.lock) {
    return &f->guarded_;
}

static struct fifo* fifo_of(struct object* o) {
    return container_of(o, struct fifo, base);
}

static struct fifo_pair* pair_of(struct fifo* f) {
    return (struct fifo_pair*)(void*)((char*)(f - f->second) - offsetof(struct fifo_pair, end));
}

static struct fifo* peer_of(struct fifo* f) {
    return &pair_of(f)->end[!f->second];
}

static uint8_t* ring_of(struct fifo* f) {
    return pair_of(f)->ring[f->second];
}

// The lock of one end is the lock of the other, which the analysis cannot know.
static inline void peer_lock_held(struct fifo* peer) TA_ASSERT(peer->base.lock) {
    DEBUG_ASSERT(spin_held(peer->base.lock));
}

// ---- life ----

static void fifo_on_zero_handles(struct object* o) {
    struct fifo* f = fifo_of(o);
    struct fifo* peer = peer_of(f);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&f->base));
    peer_lock_held(peer);
    fifo_state(f)->closed = true;
    if (!fifo_state(peer)->closed) {
        object_signal_locked(&peer->base, ZX_FIFO_WRITABLE, ZX_FIFO_PEER_CLOSED, &wl);
    }
    spin_release(object_lock(&f->base));
    wake_list_flush(&wl);
}

static void pair_free(struct fifo_pair* pair) {
    heap_free(pair->ring[0]);
    heap_free(pair->ring[1]);
    slab_free(&fifo_cache, pair);
}

static void fifo_free_memory(struct object* o) {
    struct fifo_pair* pair = pair_of(fifo_of(o));
    if (atomic_fetch_sub_explicit(&pair->ends_left, 1, memory_order_acq_rel) == 1) {
        pair_free(pair);
    }
}

static zx_koid_t fifo_related_koid(struct object* o) {
    return peer_of(fifo_of(o))->base.koid;
}

static struct object* fifo_peer_ref(struct object* o) {
    struct fifo* peer = peer_of(fifo_of(o));
    spin_acquire(object_lock(o));
    peer_lock_held(peer);
    bool alive = !fifo_state(peer)->closed && object_ref_unless_dead(&peer->base);
    spin_release(object_lock(o));
    return alive ? &peer->base : nullptr;
}

static const struct object_ops fifo_ops = {
    .type = ZX_OBJ_TYPE_FIFO,
    .name = "fifo",
    .default_rights = ZX_DEFAULT_FIFO_RIGHTS,
    .waitable = true,
    .on_zero_handles = fifo_on_zero_handles,
    .destroy = op_none,
    .free_memory = fifo_free_memory,
    .related_koid = fifo_related_koid,
    .peer_ref = fifo_peer_ref,
};
OBJECT_TYPE(fifo_ops);

status_t fifo_create(size_t elem_count, size_t elem_size, struct fifo** a, struct fifo** b) {
    if (elem_count == 0 || elem_size == 0 || elem_size > ZX_FIFO_MAX_SIZE_BYTES ||
        elem_count > ZX_FIFO_MAX_SIZE_BYTES / elem_size) {
        return STATUS_OUT_OF_RANGE;
    }
    struct fifo_pair* pair = slab_alloc_zero(&fifo_cache);
    if (pair == nullptr) {
        return STATUS_NO_MEMORY;
    }
    pair->elem_size = (uint32_t)elem_size;
    pair->capacity = (uint32_t)(elem_count * elem_size);
    pair->ring[0] = heap_alloc(pair->capacity);
    pair->ring[1] = heap_alloc(pair->capacity);
    if (pair->ring[0] == nullptr || pair->ring[1] == nullptr) {
        pair_free(pair);
        return STATUS_NO_MEMORY;
    }
    spinlock_init(&pair->lock, LOCK_CLASS_OBJECT);
    atomic_store_explicit(&pair->ends_left, 2, memory_order_relaxed);
    for (size_t i = 0; i < 2; i++) {
        object_init(&pair->end[i].base, &fifo_ops, &pair->lock, ZX_FIFO_WRITABLE);
        pair->end[i].second = i == 1;
    }
    *a = &pair->end[0];
    *b = &pair->end[1];
    return STATUS_OK;
}

struct fifo* fifo_from_object(struct object* o) {
    return o->ops == &fifo_ops ? fifo_of(o) : nullptr;
}

struct object* fifo_object(struct fifo* f) {
    return &f->base;
}

// ---- transfers ----

// Bytes of `count` elements, cut to `limit`, which is whole elements.
static uint32_t transfer_size(const struct fifo_pair* pair, size_t count, uint32_t limit) {
    return count < limit / pair->elem_size ? (uint32_t)count * pair->elem_size : limit;
}

// Both copy `n` bytes from or to the ring at `at`, around its end. False: stopped at *fault_va.
static bool copy_in(struct fifo* to, uint32_t at, const uint8_t __user* from, uint32_t n,
                    vaddr_t* fault_va) {
    uint32_t first = min(n, pair_of(to)->capacity - at);
    return arch_copy_from_user_nofault(ring_of(to) + at, from, first, fault_va) == 0 &&
           arch_copy_from_user_nofault(ring_of(to), from + first, n - first, fault_va) == 0;
}

static bool copy_out(struct fifo* from, uint32_t at, uint8_t __user* to, uint32_t n,
                     vaddr_t* fault_va) {
    uint32_t first = min(n, pair_of(from)->capacity - at);
    return arch_copy_to_user_nofault(to, ring_of(from) + at, first, fault_va) == 0 &&
           arch_copy_to_user_nofault(to + first, ring_of(from), n - first, fault_va) == 0;
}

// NEXT: the copy stopped at *fault_va, nothing has changed.
static status_t write_locked(struct fifo* f, const void __user* data, size_t count, size_t* actual,
                             vaddr_t* fault_va, struct wake_list* wl) TA_REQ(f->base.lock) {
    struct fifo_pair* pair = pair_of(f);
    struct fifo* peer = peer_of(f);
    peer_lock_held(peer);
    struct fifo_state* s = fifo_state(peer);
    if (s->closed) {
        return STATUS_PEER_CLOSED;
    }
    uint32_t n = transfer_size(pair, count, pair->capacity - s->used);
    if (n == 0) {
        return STATUS_SHOULD_WAIT;
    }
    uint32_t at = s->head + s->used;
    at = at >= pair->capacity ? at - pair->capacity : at;
    if (!copy_in(peer, at, data, n, fault_va)) {
        return STATUS_NEXT;
    }
    s->used += n;
    if (s->used == n) {
        object_signal_locked(&peer->base, 0, ZX_FIFO_READABLE, wl);
    }
    if (s->used == pair->capacity) {
        object_signal_locked(&f->base, ZX_FIFO_WRITABLE, 0, wl);
    }
    *actual = n / pair->elem_size;
    return STATUS_OK;
}

static status_t read_locked(struct fifo* f, void __user* data, size_t count, size_t* actual,
                            vaddr_t* fault_va, struct wake_list* wl) TA_REQ(f->base.lock) {
    struct fifo_pair* pair = pair_of(f);
    struct fifo_state* s = fifo_state(f);
    struct fifo* peer = peer_of(f);
    peer_lock_held(peer);
    uint32_t n = transfer_size(pair, count, s->used);
    if (n == 0) {
        return fifo_state(peer)->closed ? STATUS_PEER_CLOSED : STATUS_SHOULD_WAIT;
    }
    if (!copy_out(f, s->head, data, n, fault_va)) {
        return STATUS_NEXT;
    }
    bool was_full = s->used == pair->capacity;
    s->head += n;
    s->head = s->head >= pair->capacity ? s->head - pair->capacity : s->head;
    s->used -= n;
    if (s->used == 0) {
        object_signal_locked(&f->base, ZX_FIFO_READABLE, 0, wl);
    }
    if (was_full && !fifo_state(peer)->closed) {
        object_signal_locked(&peer->base, 0, ZX_FIFO_WRITABLE, wl);
    }
    *actual = n / pair->elem_size;
    return STATUS_OK;
}

status_t fifo_write(struct fifo* f, size_t elem_size, const void __user* data, size_t count,
                    size_t* actual) {
    if (elem_size != pair_of(f)->elem_size || count == 0) {
        return STATUS_OUT_OF_RANGE;
    }
    for (;;) {
        vaddr_t fault_va;
        struct wake_list wl;
        wake_list_begin(&wl);
        spin_acquire(object_lock(&f->base));
        status_t status = write_locked(f, data, count, actual, &fault_va, &wl);
        spin_release(object_lock(&f->base));
        wake_list_flush(&wl);
        if (likely(status != STATUS_NEXT)) {
            return status;
        }
        TRY(user_fault_resolve(fault_va, FAULT_USER));
    }
}

status_t fifo_read(struct fifo* f, size_t elem_size, void __user* data, size_t count,
                   size_t* actual) {
    if (elem_size != pair_of(f)->elem_size || count == 0) {
        return STATUS_OUT_OF_RANGE;
    }
    for (;;) {
        vaddr_t fault_va;
        struct wake_list wl;
        wake_list_begin(&wl);
        spin_acquire(object_lock(&f->base));
        status_t status = read_locked(f, data, count, actual, &fault_va, &wl);
        spin_release(object_lock(&f->base));
        wake_list_flush(&wl);
        if (likely(status != STATUS_NEXT)) {
            return status;
        }
        TRY(user_fault_resolve(fault_va, FAULT_USER | FAULT_WRITE));
    }
}
