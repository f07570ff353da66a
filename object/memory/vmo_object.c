// VMOs as handles. The vm layer's struct vmo outlives its object while mappings keep it; it then
// has no owner and nobody to signal.

#include <object/vmo_object.h>

#include <vm/heap.h>
#include <vm/vmo.h>

struct vmo_object {
    struct object base;
    struct vmo* vmo; // immutable, with a reference
};

SLAB_CACHE(vmo_object_cache, struct vmo_object);

static struct vmo_object* vmo_object_of(struct object* o) {
    return container_of(o, struct vmo_object, base);
}

static void vmo_object_destroy(struct object* o) {
    struct vmo_object* v = vmo_object_of(o);
    vmo_set_owner(v->vmo, nullptr, nullptr, o->koid);
    vmo_unref(v->vmo);
}

static void vmo_object_free_memory(struct object* o) {
    slab_free(&vmo_object_cache, vmo_object_of(o));
}

static zx_koid_t vmo_related_koid(struct object* o) {
    return vmo_parent_koid(vmo_object_of(o)->vmo);
}

static const struct object_ops vmo_object_ops = {
    .type = ZX_OBJ_TYPE_VMO,
    .name = "vmo",
    .default_rights = ZX_DEFAULT_VMO_RIGHTS,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = vmo_object_destroy,
    .free_memory = vmo_object_free_memory,
    .related_koid = vmo_related_koid,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(vmo_object_ops);

static void children_changed(struct vmo* v, void* owner, bool none) {
    (void)v;
    struct object* o = owner;
    if (none) {
        object_signal(o, 0, ZX_VMO_ZERO_CHILDREN);
    } else {
        object_signal(o, ZX_VMO_ZERO_CHILDREN, 0);
    }
}

static const struct vmo_owner_ops owner_ops = {.children_changed = children_changed};

status_t vmo_object_create(struct vmo* v, struct object** out) {
    struct vmo_object* o = slab_alloc(&vmo_object_cache);
    if (o == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&o->base, &vmo_object_ops, nullptr, ZX_VMO_ZERO_CHILDREN);
    o->vmo = v;
    vmo_set_owner(v, &owner_ops, &o->base, o->base.koid);
    *out = &o->base;
    return STATUS_OK;
}

struct vmo* vmo_from_object(struct object* o) {
    return o->ops == &vmo_object_ops ? vmo_object_of(o)->vmo : nullptr;
}
