// IOMMUs, bus transaction initiators and pinned memory tokens. See <object/bti.h>.

#include <object/bti.h>

#include <lib/align.h>
#include <locking/mutex.h>
#include <vm/heap.h>
#include <vm/vmo.h>

struct iommu {
    struct object base;
};

struct bti {
    struct object base;
    uint64_t id;              // immutable
    _Atomic(uint64_t) tokens; // made through this BTI and not freed
};

struct pmt {
    struct object base;
    struct bti* bti; // immutable, with a reference, as is the VMO, which the pin holds
    struct vmo* vmo;
    uint64_t offset, size;
    bool unpinned; // written by whoever has taken the only handle out of its table
    // In `quarantine`, under its lock, then with a reference to the token; or of who released it.
    struct list_node node;
};

SLAB_CACHE(iommu_cache, struct iommu);
SLAB_CACHE(bti_cache, struct bti);
SLAB_CACHE(pmt_cache, struct pmt);

static struct {
    mutex_t lock; // class QUARANTINE
    struct list list;
} quarantine = {.lock = MUTEX_INIT(LOCK_CLASS_QUARANTINE), .list = LIST_INIT(quarantine.list)};

// ---- IOMMUs ----

static void iommu_free_memory(struct object* o) {
    slab_free(&iommu_cache, container_of(o, struct iommu, base));
}

static const struct object_ops iommu_ops = {
    .type = ZX_OBJ_TYPE_IOMMU,
    .name = "iommu",
    .default_rights = ZX_DEFAULT_IOMMU_RIGHTS,
    .waitable = false,
    .on_zero_handles = op_none,
    .destroy = op_none,
    .free_memory = iommu_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(iommu_ops);

status_t iommu_create(struct object** out) {
    struct iommu* i = slab_alloc_zero(&iommu_cache);
    if (i == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&i->base, &iommu_ops, nullptr, 0);
    *out = &i->base;
    return STATUS_OK;
}

// ---- BTIs ----

static void bti_free_memory(struct object* o) {
    slab_free(&bti_cache, container_of(o, struct bti, base));
}

static const struct object_ops bti_ops = {
    .type = ZX_OBJ_TYPE_BTI,
    .name = "bti",
    .default_rights = ZX_DEFAULT_BTI_RIGHTS,
    .waitable = false,
    .on_zero_handles = op_none,
    .destroy = op_none,
    .free_memory = bti_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(bti_ops);

status_t bti_create(uint64_t id, struct bti** out) {
    struct bti* b = slab_alloc_zero(&bti_cache);
    if (b == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&b->base, &bti_ops, nullptr, 0);
    b->id = id;
    *out = b;
    return STATUS_OK;
}

struct bti* bti_from_object(struct object* o) {
    return o->ops == &bti_ops ? container_of(o, struct bti, base) : nullptr;
}

struct object* bti_object(struct bti* b) {
    return &b->base;
}

// Once through the list: what drivers of other devices left, however many, is passed only once.
void bti_release_quarantine(struct bti* b) {
    struct list released = LIST_INIT(released);
    {
        MUTEX_GUARD(&quarantine.lock);
        list_for_each_safe(n, &quarantine.list) {
            if (container_of(n, struct pmt, node)->bti->id == b->id) {
                list_remove(n);
                list_push_back(&released, n);
            }
        }
    }
    struct list_node* n;
    while ((n = list_pop_front(&released)) != nullptr) {
        object_unref(&container_of(n, struct pmt, node)->base);
    }
}

void bti_get_info(struct bti* b, zx_info_bti_t* out) {
    *out = (zx_info_bti_t){
        .minimum_contiguity = PAGE_SIZE,
        .aspace_size = UINT64_MAX,
        .pmo_count = atomic_load_explicit(&b->tokens, memory_order_relaxed),
    };
    MUTEX_GUARD(&quarantine.lock);
    list_for_each(n, &quarantine.list) {
        out->quarantine_count += container_of(n, struct pmt, node)->bti->id == b->id;
    }
}

// ---- tokens ----

static void pmt_on_zero_handles(struct object* o) {
    struct pmt* p = container_of(o, struct pmt, base);
    if (!p->unpinned) {
        MUTEX_GUARD(&quarantine.lock);
        (void)object_ref(o);
        list_push_back(&quarantine.list, &p->node);
    }
}

static void pmt_destroy(struct object* o) {
    struct pmt* p = container_of(o, struct pmt, base);
    vmo_unpin(p->vmo, p->offset, p->size);
    atomic_fetch_sub_explicit(&p->bti->tokens, 1, memory_order_relaxed);
    object_unref(&p->bti->base);
}

static void pmt_free_memory(struct object* o) {
    slab_free(&pmt_cache, container_of(o, struct pmt, base));
}

static const struct object_ops pmt_ops = {
    .type = ZX_OBJ_TYPE_PMT,
    .name = "pmt",
    .default_rights = ZX_DEFAULT_PMT_RIGHTS,
    .waitable = false,
    .on_zero_handles = pmt_on_zero_handles,
    .destroy = pmt_destroy,
    .free_memory = pmt_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(pmt_ops);

status_t bti_pin(struct bti* b, struct vmo* v, uint64_t offset, uint64_t size,
                 enum vmo_pin_mode mode, struct pmt** out) {
    struct pmt* p = slab_alloc_zero(&pmt_cache);
    if (p == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = vmo_pin(v, offset, size, mode);
    if (status != STATUS_OK) {
        slab_free(&pmt_cache, p);
        return status;
    }
    object_init(&p->base, &pmt_ops, nullptr, 0);
    p->bti = container_of(object_ref(&b->base), struct bti, base);
    p->vmo = v;
    p->offset = offset;
    p->size = size;
    atomic_fetch_add_explicit(&b->tokens, 1, memory_order_relaxed);
    *out = p;
    return STATUS_OK;
}

struct pmt* pmt_from_object(struct object* o) {
    return o->ops == &pmt_ops ? container_of(o, struct pmt, base) : nullptr;
}

struct object* pmt_object(struct pmt* p) {
    return &p->base;
}

void pmt_set_unpinned(struct pmt* p) {
    p->unpinned = true;
}
