// VMARs as handles. Closing the last handle leaves the region and its mappings in place.

#include <object/vmo_object.h>

#include <vm/heap.h>
#include <vm/vmar.h>

struct vmar_object {
    struct object base;
    struct vmar* vmar; // immutable, with a reference
};

SLAB_CACHE(vmar_object_cache, struct vmar_object);

static struct vmar_object* vmar_object_of(struct object* o) {
    return container_of(o, struct vmar_object, base);
}

static void vmar_object_destroy(struct object* o) {
    vmar_unref(vmar_object_of(o)->vmar);
}

static void vmar_object_free_memory(struct object* o) {
    slab_free(&vmar_object_cache, vmar_object_of(o));
}

static const struct object_ops vmar_object_ops = {
    .type = ZX_OBJ_TYPE_VMAR,
    .name = "vmar",
    .default_rights = ZX_DEFAULT_VMAR_RIGHTS,
    .waitable = false,
    .on_zero_handles = op_none,
    .destroy = vmar_object_destroy,
    .free_memory = vmar_object_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(vmar_object_ops);

status_t vmar_object_create(struct vmar* v, struct object** out) {
    struct vmar_object* o = slab_alloc(&vmar_object_cache);
    if (o == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&o->base, &vmar_object_ops, nullptr, 0);
    o->vmar = v;
    *out = &o->base;
    return STATUS_OK;
}

struct vmar* vmar_from_object(struct object* o) {
    return o->ops == &vmar_object_ops ? vmar_object_of(o)->vmar : nullptr;
}

static const struct {
    uint32_t perm;
    zx_rights_t right;
} perm_rights[] = {
    {ZX_VM_PERM_READ, ZX_RIGHT_READ},
    {ZX_VM_PERM_WRITE, ZX_RIGHT_WRITE},
    {ZX_VM_PERM_EXECUTE, ZX_RIGHT_EXECUTE},
};

zx_rights_t vmar_rights_for(uint32_t can_map) {
    zx_rights_t rights = ZX_DEFAULT_VMAR_RIGHTS;
    for (size_t i = 0; i < array_size(perm_rights); i++) {
        rights |= (can_map & perm_rights[i].perm) != 0 ? perm_rights[i].right : 0;
    }
    return rights;
}

uint32_t perms_of_rights(zx_rights_t rights) {
    uint32_t perms = 0;
    for (size_t i = 0; i < array_size(perm_rights); i++) {
        perms |= (rights & perm_rights[i].right) != 0 ? perm_rights[i].perm : 0;
    }
    return perms;
}
