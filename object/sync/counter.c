// Counters. See <object/counter_object.h>.

#include <object/counter_object.h>

#include <stdckdint.h>

#include <vm/heap.h>

struct counter {
    struct object base;
    _Atomic(int64_t) value; // written under the object's lock
};

SLAB_CACHE(counter_cache, struct counter);

static struct counter* counter_of(struct object* o) {
    return container_of(o, struct counter, base);
}

static void counter_free_memory(struct object* o) {
    slab_free(&counter_cache, counter_of(o));
}

static const struct object_ops counter_ops = {
    .type = ZX_OBJ_TYPE_COUNTER,
    .name = "counter",
    .default_rights = ZX_DEFAULT_COUNTER_RIGHTS,
    .user_settable = ZX_COUNTER_SIGNALED,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = op_none,
    .free_memory = counter_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(counter_ops);

status_t counter_object_create(struct counter** out) {
    struct counter* c = slab_alloc(&counter_cache);
    if (c == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&c->base, &counter_ops, nullptr, ZX_COUNTER_NON_POSITIVE);
    atomic_store_explicit(&c->value, 0, memory_order_relaxed);
    *out = c;
    return STATUS_OK;
}

struct counter* counter_from_object(struct object* o) {
    return o->ops == &counter_ops ? counter_of(o) : nullptr;
}

struct object* counter_object_base(struct counter* c) {
    return &c->base;
}

static void set_locked(struct counter* c, int64_t value, struct wake_list* wl)
    TA_REQ(c->base.lock) {
    atomic_store_explicit(&c->value, value, memory_order_relaxed);
    zx_signals_t is = value > 0 ? ZX_COUNTER_POSITIVE : ZX_COUNTER_NON_POSITIVE;
    zx_signals_t is_not = value > 0 ? ZX_COUNTER_NON_POSITIVE : ZX_COUNTER_POSITIVE;
    object_signal_locked(&c->base, is_not, is, wl);
}

status_t counter_object_add(struct counter* c, int64_t value) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    int64_t sum;
    bool overflow = ckd_add(&sum, atomic_load_explicit(&c->value, memory_order_relaxed), value);
    if (!overflow) {
        set_locked(c, sum, &wl);
    }
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
    return overflow ? STATUS_OUT_OF_RANGE : STATUS_OK;
}

int64_t counter_object_read(struct counter* c) {
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

void counter_object_write(struct counter* c, int64_t value) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    set_locked(c, value, &wl);
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
}
