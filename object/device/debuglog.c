// Debug log objects. See <object/debuglog.h>.
//
// All of them share one lock, which so is every one's object lock: after each write to the log its
// listener (deferred context) takes it once and gives READABLE to all readers. A reader looks at
// the log and takes READABLE back in one section, so a record that comes in between is followed by
// the listener's round.

#include <object/debuglog.h>

#include <debug/init.h>
#include <vm/heap.h>

static struct {
    spinlock_t lock;     // class OBJECT; every debug log object's lock
    struct list readers; // under lock
} logs = {.lock = SPINLOCK_INIT(LOCK_CLASS_OBJECT), .readers = LIST_INIT(logs.readers)};

struct debuglog {
    struct object base;
    bool readable;         // immutable
    struct list_node link; // in `readers` if readable; under the lock
    uint64_t next;         // sequence of the next record; under the lock
};

SLAB_CACHE(debuglog_cache, struct debuglog);

static struct debuglog* debuglog_of(struct object* o) {
    return container_of(o, struct debuglog, base);
}

static void debuglog_destroy(struct object* o) {
    struct debuglog* d = debuglog_of(o);
    if (d->readable) {
        SPIN_GUARD(&logs.lock);
        list_remove(&d->link);
    }
}

static void debuglog_free_memory(struct object* o) {
    slab_free(&debuglog_cache, debuglog_of(o));
}

static const struct object_ops debuglog_ops = {
    .type = ZX_OBJ_TYPE_DEBUGLOG,
    .name = "debuglog",
    .default_rights = ZX_DEFAULT_LOG_RIGHTS,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = debuglog_destroy,
    .free_memory = debuglog_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(debuglog_ops);

// One of the objects that share the lock, which the analysis cannot know.
static inline void shared_lock_held(struct debuglog* d) TA_ASSERT(d->base.lock) {
    DEBUG_ASSERT(spin_held(d->base.lock));
}

static void records_written(void) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&logs.lock);
    uint64_t end = log_next_sequence();
    list_for_each(n, &logs.readers) {
        struct debuglog* d = container_of(n, struct debuglog, link);
        shared_lock_held(d);
        if (d->next < end) {
            object_signal_locked(&d->base, 0, ZX_LOG_READABLE, &wl);
        }
    }
    spin_release(&logs.lock);
    wake_list_flush(&wl);
}

static void listen(void) {
    log_set_listener(records_written);
}
INIT_HOOK(INIT_OBJECTS, listen);

status_t debuglog_create(bool readable, struct debuglog** out) {
    struct debuglog* d = slab_alloc_zero(&debuglog_cache);
    if (d == nullptr) {
        return STATUS_NO_MEMORY;
    }
    bool something = readable && log_next_sequence() != 0;
    object_init(&d->base, &debuglog_ops, &logs.lock,
                ZX_LOG_WRITABLE | (something ? ZX_LOG_READABLE : 0));
    d->readable = readable;
    if (readable) {
        SPIN_GUARD(&logs.lock);
        list_push_back(&logs.readers, &d->link);
    }
    *out = d;
    return STATUS_OK;
}

struct debuglog* debuglog_from_object(struct object* o) {
    return o->ops == &debuglog_ops ? debuglog_of(o) : nullptr;
}

struct object* debuglog_object(struct debuglog* d) {
    return &d->base;
}

status_t debuglog_read(struct debuglog* d, size_t max_data, struct log_record* out) {
    SPIN_GUARD(&logs.lock);
    shared_lock_held(d);
    if (!log_read(d->next, out)) {
        object_signal_locked(&d->base, ZX_LOG_READABLE, 0, nullptr); // clearing wakes nobody
        return STATUS_SHOULD_WAIT;
    }
    if (out->length > max_data) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    d->next = out->sequence + 1;
    if (d->next >= log_next_sequence()) {
        object_signal_locked(&d->base, ZX_LOG_READABLE, 0, nullptr);
    }
    return STATUS_OK;
}

void debuglog_unread(struct debuglog* d, uint64_t sequence) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&logs.lock);
    shared_lock_held(d);
    d->next = min(d->next, sequence);
    object_signal_locked(&d->base, 0, ZX_LOG_READABLE, &wl);
    spin_release(&logs.lock);
    wake_list_flush(&wl);
}
