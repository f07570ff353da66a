// Events. The base object is all there is.

#include <object/event.h>

#include <vm/heap.h>

struct event {
    struct object base;
};

SLAB_CACHE(event_cache, struct event);

static void event_free_memory(struct object* o) {
    slab_free(&event_cache, o);
}

static const struct object_ops event_ops = {
    .type = ZX_OBJ_TYPE_EVENT,
    .name = "event",
    .default_rights = ZX_DEFAULT_EVENT_RIGHTS,
    .user_settable = ZX_EVENT_SIGNALED,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = op_none,
    .free_memory = event_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(event_ops);

status_t event_create(struct object** out) {
    struct event* e = slab_alloc(&event_cache);
    if (e == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&e->base, &event_ops, nullptr, 0);
    *out = &e->base;
    return STATUS_OK;
}
