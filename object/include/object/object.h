// The base of every kernel object: reference count, handle count, koid, signals and observers.
//
// Two counts. `refs` keeps the memory; `handles` counts handles in tables and in messages: when it
// falls to zero, ops->on_zero_handles runs once (the user-visible end: peers are told, children are
// orphaned). Both saturate by assertion. An object_unref() that drops the last reference while
// another object is being destroyed by the same thread queues behind it instead of recursing
// (kernel stacks are small), and one that runs with preemption off hands the destruction to a
// worker. Memory is returned only after an epoch, because handle look-up is lock-free.
//
// `lock` points to the lock that protects signals, observers and the type's own state: the object's
// own, or the one that a pair of peers shares. Object locks are spinlocks, never taken in interrupt
// context (interrupt-driven signalling comes through deferred work). Wake-ups and port packets that
// a signal change causes are collected under the lock and delivered after it (struct wake_list).
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <zircon/types.h>

#include <lib/assert.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/status.h>
#include <locking/spinlock.h>
#include <sched/deferred.h>
#include <sched/thread.h>

struct object;

// Every slot is mandatory (use the op_* defaults below where a type has nothing to do); a boot-time
// walk of the table asserts it.
struct object_ops {
    zx_obj_type_t type;
    const char* name;
    zx_rights_t default_rights;
    zx_signals_t user_settable; // signals that object_signal may change besides the user signals
    void (*on_zero_handles)(struct object* o); // no lock held; may sleep
    void (*destroy)(
        struct object* o); // last reference gone: releases what the object holds; may sleep
    void (*free_memory)(
        struct object* o); // an epoch later: returns the memory itself; does not sleep
    zx_koid_t (*related_koid)(struct object* o);
    // The peer with a reference, or null; for object_signal_peer.
    struct object* (*peer_ref)(struct object* o);
    // NOT_SUPPORTED unless the type's handles can be waited on.
    bool waitable;
};
#define OBJECT_TYPE(ops_)                                                \
    static const struct object_ops* const CAT(object_type_, __COUNTER__) \
        __attribute__((used, section(".object_ops"))) = &(ops_)

struct object {
    const struct object_ops* ops; // immutable
    spinlock_t* lock;             // immutable
    _Atomic(uint32_t) refs;
    _Atomic(uint32_t) handles;
    _Atomic(zx_signals_t) signals; // written under lock, read anywhere
    union {
        struct list observers;   // under lock, until destroy(): who signals without a reference
                                 // (a VMO's family, the log) is detached only there
        struct epoch_item epoch; // after destroy()
    };
    union {
        struct object* next_handleless; // queue of objects without handles; its thread's own
        struct object* next_dead;       // destruction queue, refs == 0
    };
    zx_koid_t koid;      // immutable
    spinlock_t own_lock; // unused by peers that share one
    _Atomic(bool) handleless_queued;
    uint16_t async_waits; // how many of `observers` are asynchronous waits (port.c); under lock
};

void op_none(struct object* o);
zx_koid_t op_no_related(struct object* o);
struct object* op_no_peer(struct object* o);

// refs = 1, handles = 0. `shared_lock` null: the object's own.
void object_init(struct object* o, const struct object_ops* ops, spinlock_t* shared_lock,
                 zx_signals_t initial);
constexpr uint32_t OBJECT_COUNT_LIMIT = UINT32_MAX / 2;
[[nodiscard]] static inline struct object* object_ref(struct object* o) {
    uint32_t before = atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    ASSERT(before != 0 && before < OBJECT_COUNT_LIMIT);
    return o;
}
// For lock-free readers (preemption off): false if the last reference is gone.
[[nodiscard]] static inline bool object_ref_unless_dead(struct object* o) {
    uint32_t refs = atomic_load_explicit(&o->refs, memory_order_relaxed);
    do {
        if (unlikely(refs - 1 >= OBJECT_COUNT_LIMIT)) {
            ASSERT(refs == 0);
            return false;
        }
    } while (unlikely(!atomic_compare_exchange_weak_explicit(
        &o->refs, &refs, refs + 1, memory_order_acquire, memory_order_relaxed)));
    return true;
}
PRESERVES_REGISTERS void object_last_unref(struct object* o); // the count has fallen to 0
static inline void object_unref(struct object* o) {
    uint32_t before = atomic_fetch_sub_explicit(&o->refs, 1, memory_order_release);
    DEBUG_ASSERT(before != 0);
    if (unlikely(before == 1)) {
        object_last_unref(o);
    }
}
static inline void object_unref_cleanup(struct object** o) {
    if (*o != nullptr) {
        object_unref(*o);
    }
}
#define OBJECT_REF CLEANUP(object_unref_cleanup) struct object*
[[nodiscard]] static inline struct object* object_move(struct object** o) {
    struct object* moved = *o;
    *o = nullptr;
    return moved;
}
static inline void object_handle_added(struct object* o) {
    uint32_t before = atomic_fetch_add_explicit(&o->handles, 1, memory_order_relaxed);
    ASSERT(before < OBJECT_COUNT_LIMIT);
}
void object_last_handle_removed(struct object* o); // runs on_zero_handles
static inline void object_handle_removed(struct object* o) {
    uint32_t before = atomic_fetch_sub_explicit(&o->handles, 1, memory_order_acq_rel);
    ASSERT(before != 0);
    if (before == 1) {
        object_last_handle_removed(o);
    }
}
zx_koid_t koid_new(void);

static inline spinlock_t* object_lock(struct object* o) TA_RET_CAP(o->lock) {
    return o->lock;
}

// ---- signals ----
// Changes signals and notifies matching observers into `wl` (delivered by the caller after the
// lock).
static inline void object_signal_locked(struct object* o, zx_signals_t clear, zx_signals_t set,
                                        struct wake_list* wl) TA_REQ(o->lock);
// The second half, where anybody observes: `asserted` were not before.
void object_notify_locked(struct object* o, zx_signals_t now, zx_signals_t asserted,
                          struct wake_list* wl) TA_REQ(o->lock);
static inline void object_signal_locked(struct object* o, zx_signals_t clear, zx_signals_t set,
                                        struct wake_list* wl) {
    zx_signals_t before = atomic_load_explicit(&o->signals, memory_order_relaxed);
    zx_signals_t after = (before & ~clear) | set;
    atomic_store_explicit(&o->signals, after, memory_order_release);
    zx_signals_t asserted = after & ~before;
    if (asserted != 0 && unlikely(!list_empty(&o->observers))) {
        object_notify_locked(o, after, asserted, wl);
    }
}
void object_signal(struct object* o, zx_signals_t clear,
                   zx_signals_t set); // takes and releases everything itself
static inline zx_signals_t object_signals(const struct object* o) {
    return atomic_load_explicit(&o->signals, memory_order_acquire);
}

// ---- observers ----
// An observer is one-shot: it is unlinked, then told once, that one of `watched` is asserted
// (on_match) or that its handle was closed (on_cancel); never after object_remove_observer()
// returned.
struct observer;
struct observer_ops {
    // Both under the object's lock, the observer already unlinked. on_cancel: its handle was closed
    // or transferred.
    void (*on_match)(struct observer* ob, zx_signals_t observed, struct wake_list* wl);
    void (*on_cancel)(struct observer* ob, zx_signals_t observed, struct wake_list* wl);
};
struct observer {
    struct list_node node; // under the object's lock
    const struct observer_ops* ops;
    const void* handle; // identity of the handle entry it was made through, for on_cancel
    zx_signals_t watched;
};
// If the signals match already (and `edge` is false), on_match is called at once and the observer
// is not linked.
void object_add_observer(struct object* o, struct observer* ob, bool edge, struct wake_list* wl)
    TA_REQ(o->lock);
void object_remove_observer(struct object* o, struct observer* ob); // idempotent
void object_cancel_observers(struct object* o, const void* handle, struct wake_list* wl)
    TA_REQ(o->lock);

// ---- counts for leak checks (`k drain`, tests) ----
uint64_t object_live_count(zx_obj_type_t type); // 0 = all types
