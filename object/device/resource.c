// Resources. One list of all, under one lock: they are made a few times per boot.

#include <object/resource.h>

#include <lib/align.h>
#include <lib/string.h>
#include <locking/mutex.h>
#include <vm/heap.h>

// Whoever has one could make parts of parts without end: those above a resource stay, though nobody
// has a handle of them, and are looked at when one is made.
constexpr uint32_t DEPTH_MAX = 32;

struct resource {
    struct object base;
    zx_rsrc_kind_t kind; // immutable, as all that follows but `link`
    uint64_t range_base;
    uint64_t range_size;
    bool exclusive;
    uint32_t depth; // how many are above it
    struct resource*
        parent; // with a reference: a range stays taken while parts of it are; null: a root
    char name[ZX_MAX_NAME_LEN];
    struct list_node link; // in `all`, under its lock
};

SLAB_CACHE(resource_cache, struct resource);

static struct {
    mutex_t lock; // class RESOURCES
    struct list list;
} all = {.lock = MUTEX_INIT(LOCK_CLASS_RESOURCES), .list = LIST_INIT(all.list)};

static struct resource* resource_of(struct object* o) {
    return container_of(o, struct resource, base);
}

static void resource_destroy(struct object* o) {
    struct resource* r = resource_of(o);
    {
        MUTEX_GUARD(&all.lock);
        list_remove(&r->link);
    }
    if (r->parent != nullptr) {
        object_unref(&r->parent->base);
    }
}

static void resource_free_memory(struct object* o) {
    slab_free(&resource_cache, resource_of(o));
}

static const struct object_ops resource_ops = {
    .type = ZX_OBJ_TYPE_RESOURCE,
    .name = "resource",
    .default_rights = ZX_DEFAULT_RESOURCE_RIGHTS,
    .waitable = false,
    .on_zero_handles = op_none,
    .destroy = resource_destroy,
    .free_memory = resource_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(resource_ops);

static struct resource* resource_new(zx_rsrc_kind_t kind, uint64_t base, uint64_t size,
                                     const char* name, size_t name_len) {
    struct resource* r = slab_alloc_zero(&resource_cache);
    if (r != nullptr) {
        r->kind = kind;
        r->range_base = base;
        r->range_size = size;
        memcpy(r->name, name, min(name_len, sizeof(r->name) - 1));
    }
    return r;
}

static bool is_above(const struct resource* r, const struct resource* fresh) {
    const struct resource* above = fresh->parent;
    while (above != nullptr && above != r) {
        above = above->parent;
    }
    return above == r;
}

// Whether a new resource may stand beside those that exist. Those it is made of do not count: who
// has a range to himself may give away parts of it, also to one to himself.
static bool fits_locked(const struct resource* fresh) TA_REQ(all.lock) {
    list_for_each(n, &all.list) {
        const struct resource* r = container_of(n, struct resource, link);
        bool overlaps =
            r->kind == fresh->kind &&
            ranges_overlap(r->range_base, r->range_size, fresh->range_base, fresh->range_size);
        if (overlaps && r->parent != nullptr && (r->exclusive || fresh->exclusive) &&
            !is_above(r, fresh)) {
            return false;
        }
    }
    return true;
}

static status_t publish(struct resource* r) {
    MUTEX_GUARD(&all.lock);
    if (r->parent != nullptr && !fits_locked(r)) {
        return STATUS_NOT_FOUND;
    }
    object_init(&r->base, &resource_ops, nullptr, 0);
    list_push_back(&all.list, &r->link);
    return STATUS_OK;
}

status_t resource_create_root(zx_rsrc_kind_t kind, uint64_t base, uint64_t size, const char* name,
                              struct resource** out) {
    struct resource* r = resource_new(kind, base, size, name, strlen(name));
    if (r == nullptr) {
        return STATUS_NO_MEMORY;
    }
    *out = r;
    return publish(r);
}

status_t resource_create(struct resource* parent, uint32_t options, uint64_t base, uint64_t size,
                         const char* name, size_t name_len, struct resource** out) {
    zx_rsrc_kind_t kind = options & 0xffff;
    uint32_t flags = options & ~(uint32_t)0xffff;
    uint64_t end;
    if ((flags & ~ZX_RSRC_FLAG_EXCLUSIVE) != 0 || size == 0 || ckd_add(&end, base, size)) {
        return STATUS_INVALID_ARGS;
    }
    if (kind != parent->kind || base < parent->range_base ||
        !range_ok(base - parent->range_base, size, parent->range_size)) {
        return STATUS_ACCESS_DENIED;
    }
    if (parent->depth == DEPTH_MAX) {
        return STATUS_NO_RESOURCES;
    }
    struct resource* r = resource_new(kind, base, size, name, name_len);
    if (r == nullptr) {
        return STATUS_NO_MEMORY;
    }
    r->exclusive = (flags & ZX_RSRC_FLAG_EXCLUSIVE) != 0;
    r->depth = parent->depth + 1;
    r->parent = parent;
    status_t status = publish(r);
    if (status != STATUS_OK) {
        slab_free(&resource_cache, r);
        return status;
    }
    (void)object_ref(&parent->base);
    *out = r;
    return STATUS_OK;
}

struct resource* resource_from_object(struct object* o) {
    return o->ops == &resource_ops ? resource_of(o) : nullptr;
}

struct object* resource_object(struct resource* r) {
    return &r->base;
}

status_t resource_check(const struct resource* r, zx_rsrc_kind_t kind, uint64_t base,
                        uint64_t size) {
    if (r->kind != kind) {
        return STATUS_WRONG_TYPE;
    }
    if (base < r->range_base || !range_ok(base - r->range_base, size, r->range_size)) {
        return STATUS_OUT_OF_RANGE;
    }
    return STATUS_OK;
}

void resource_get_info(const struct resource* r, zx_info_resource_t* out) {
    *out = (zx_info_resource_t){.kind = r->kind,
                                .flags = r->exclusive ? ZX_RSRC_FLAG_EXCLUSIVE : 0,
                                .base = r->range_base,
                                .size = r->range_size};
    memcpy(out->name, r->name, sizeof(out->name));
}
