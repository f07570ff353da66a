// object_wait_one and object_wait_many. See <object/wait.h>.
//
// Each target gets an observer that points to the one waiter of the thread; the first match or
// cancellation claims it. The others may match as well: they record what they saw, their claim
// fails. Observers are removed before the call returns, so they may live on this thread's stack.
//
// An observer is unlinked before it is told, and who tells it does not touch it after the claim. So
// where there is one observer, a claim that is its own says that it is out: no lock is needed to
// take it out. Deadline, kill and suspend leave it linked.

#include <object/wait.h>

#include <zircon/syscalls/object.h>

#include <vm/heap.h>

struct wait_observer {
    struct observer base;
    struct waiter* waiter;
    zx_signals_t observed; // under the object's lock until the observer is removed
};

static struct wait_observer* wait_observer_of(struct observer* ob) {
    return container_of(ob, struct wait_observer, base);
}

static void wait_matched(struct observer* ob, zx_signals_t observed, struct wake_list* wl) {
    struct wait_observer* w = wait_observer_of(ob);
    w->observed |= observed;
    (void)wake_list_add(wl, w->waiter, STATUS_OK);
}

static void wait_canceled(struct observer* ob, zx_signals_t observed, struct wake_list* wl) {
    struct wait_observer* w = wait_observer_of(ob);
    w->observed |= observed;
    (void)wake_list_add(wl, w->waiter, STATUS_CANCELED);
}

static const struct observer_ops wait_observer_ops = {.on_match = wait_matched,
                                                      .on_cancel = wait_canceled};

status_t wait_target_get(struct handle_table* t, zx_handle_t value, zx_signals_t signals,
                         struct wait_target* out) {
    struct object* o;
    const void* identity;
    TRY(handle_get_identity(t, value, OBJECT_ANY, ZX_RIGHT_WAIT, &o, &identity));
    if (unlikely(!o->ops->waitable)) {
        object_unref(o);
        return STATUS_NOT_SUPPORTED;
    }
    *out =
        (struct wait_target){.object = o, .identity = identity, .value = value, .signals = signals};
    return STATUS_OK;
}

static void begin(struct wait_target* target, struct wait_observer* w, struct waiter* waiter) {
    w->base.ops = &wait_observer_ops;
    w->base.handle = target->identity;
    w->base.watched = target->signals;
    w->waiter = waiter;
    w->observed = 0;
    struct object* o = target->object;
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(o));
    object_add_observer(o, &w->base, false, &wl);
    if (target->identity != nullptr &&
        unlikely(!handle_identity_current(target->identity, target->value)) &&
        list_linked(&w->base.node)) {
        list_remove(&w->base.node);
        wait_canceled(&w->base, object_signals(o) | ZX_SIGNAL_HANDLE_CLOSED, &wl);
    }
    spin_release(object_lock(o));
    wake_list_flush(&wl);
}

static void end(struct wait_target* target, struct wait_observer* w) {
    object_remove_observer(target->object, &w->base);
    target->observed = w->observed | object_signals(target->object);
}

// False: there is nothing to wait for, *status is the result.
static inline bool link_one(const struct wait_target* target, struct wait_observer* w,
                            status_t* status) {
    struct object* o = target->object;
    bool linked = false;
    spin_acquire(object_lock(o));
    zx_signals_t now = atomic_load_explicit(&o->signals, memory_order_relaxed);
    if (likely((now & target->signals) == 0)) {
        list_push_back(&o->observers, &w->base.node);
        linked = true;
        // Linked first, then asked: see handle_identity_current().
        if (target->identity != nullptr &&
            unlikely(!handle_identity_current(target->identity, target->value))) {
            list_remove(&w->base.node);
            linked = false;
            w->observed = now | ZX_SIGNAL_HANDLE_CLOSED;
            *status = STATUS_CANCELED;
        }
    } else {
        w->observed = now;
        *status = STATUS_OK;
    }
    spin_release(object_lock(o));
    return linked;
}

status_t wait_one(struct wait_target* target, int64_t deadline_ns) {
    // Asserted already, or a poll: no observer needed.
    zx_signals_t now = object_signals(target->object);
    if ((now & target->signals) != 0 || deadline_ns <= 0) {
        target->observed = now;
        return (now & target->signals) != 0 ? STATUS_OK : STATUS_TIMED_OUT;
    }
    UNINITIALIZED struct waiter waiter;
    waiter_init(&waiter);
    struct wait_observer w = {
        .base = {.ops = &wait_observer_ops, .handle = target->identity, .watched = target->signals},
        .waiter = &waiter};
    status_t status;
    if (likely(link_one(target, &w, &status))) {
        status = waiter_block_hot(&waiter, deadline_ns, WAIT_INTERRUPTIBLE,
                                  ZX_THREAD_STATE_BLOCKED_WAIT_ONE >> 8);
        if (status != STATUS_OK && status != STATUS_CANCELED) {
            object_remove_observer(target->object, &w.base);
        }
    }
    target->observed = w.observed | object_signals(target->object);
    return status;
}

// True if a target matches as it stands; fills `observed` of all.
static bool poll_all(struct wait_target* targets, size_t count) {
    bool matched = false;
    for (size_t i = 0; i < count; i++) {
        targets[i].observed = object_signals(targets[i].object);
        matched = matched || (targets[i].observed & targets[i].signals) != 0;
    }
    return matched;
}

static status_t wait_many_with(struct wait_target* targets, size_t count, int64_t deadline_ns,
                               struct wait_observer* observers) {
    UNINITIALIZED struct waiter waiter;
    waiter_init(&waiter);
    size_t begun = 0;
    while (begun < count &&
           atomic_load_explicit(&waiter.result, memory_order_relaxed) == WAITER_PENDING) {
        begin(&targets[begun], &observers[begun], &waiter);
        begun++;
    }
    status_t status = waiter_block(&waiter, deadline_ns, WAIT_INTERRUPTIBLE,
                                   ZX_THREAD_STATE_BLOCKED_WAIT_MANY >> 8);
    for (size_t i = 0; i < begun; i++) {
        end(&targets[i], &observers[i]);
    }
    for (size_t i = begun; i < count; i++) {
        targets[i].observed = object_signals(targets[i].object);
    }
    return status;
}

status_t wait_many(struct wait_target* targets, size_t count, int64_t deadline_ns) {
    if (poll_all(targets, count)) {
        return STATUS_OK;
    }
    if (deadline_ns <= 0) {
        return STATUS_TIMED_OUT;
    }
    constexpr size_t ON_STACK = 8;
    if (count <= ON_STACK) {
        UNINITIALIZED struct wait_observer observers[ON_STACK];
        return wait_many_with(targets, count, deadline_ns, observers);
    }
    struct wait_observer* observers = heap_alloc(count * sizeof(*observers));
    if (observers == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = wait_many_with(targets, count, deadline_ns, observers);
    heap_free(observers);
    return status;
}
