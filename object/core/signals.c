// Signals and observers.
//
// `signals` changes only under the object's lock, and the walk over the observers happens in the
// same critical section, so no wake-up is lost: an observer is either linked before the change (and
// told by the walk) or looks at the changed signals when it is added. A level observer that is
// linked did not match when it was added, nor at any change since; so only newly asserted signals
// can match, and edge observers need nothing else.

#include <object/object.h>

#include <lib/assert.h>

void object_notify_locked(struct object* o, zx_signals_t now, zx_signals_t asserted,
                          struct wake_list* wl) {
    list_for_each_safe(n, &o->observers) {
        struct observer* ob = container_of(n, struct observer, node);
        if ((ob->watched & asserted) != 0) {
            // Unlinked first: on_match may hand the observer's memory to another thread.
            list_remove(&ob->node);
            ob->ops->on_match(ob, now, wl);
        }
    }
}

void object_signal(struct object* o, zx_signals_t clear, zx_signals_t set) {
    struct wake_list wl;
    wake_list_begin(&wl); // preemption is off from here to the flush
    spin_acquire_raw(object_lock(o));
    object_signal_locked(o, clear, set, &wl);
    spin_release_raw(object_lock(o));
    wake_list_flush(&wl);
}

void object_add_observer(struct object* o, struct observer* ob, bool edge, struct wake_list* wl) {
    zx_signals_t now = atomic_load_explicit(&o->signals, memory_order_relaxed);
    ob->node = (struct list_node){};
    if (!edge && (now & ob->watched) != 0) {
        ob->ops->on_match(ob, now, wl);
        return;
    }
    list_push_back(&o->observers, &ob->node);
}

void object_remove_observer(struct object* o, struct observer* ob) {
    spin_acquire(object_lock(o));
    if (list_linked(&ob->node)) {
        list_remove(&ob->node);
    }
    spin_release(object_lock(o));
}

void object_cancel_observers(struct object* o, const void* handle, struct wake_list* wl) {
    zx_signals_t observed =
        atomic_load_explicit(&o->signals, memory_order_relaxed) | ZX_SIGNAL_HANDLE_CLOSED;
    list_for_each_safe(n, &o->observers) {
        struct observer* ob = container_of(n, struct observer, node);
        if (ob->handle == handle) {
            list_remove(&ob->node);
            ob->ops->on_cancel(ob, observed, wl);
        }
    }
}
