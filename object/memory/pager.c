// Pagers. See <object/pager.h>.
//
// A pager_source stands between one VMO's page source and a port. It has one packet, so that asking
// never lacks memory: the next ask is sent when the packet has been taken.
//
// Locks: the source's PAGER mutex, then the port's. A pager's list of sources is under its object's
// lock; a source that is going leaves it by itself, so the list counts no reference.

#include <object/pager.h>

#include <object/port.h>
#include <vm/heap.h>
#include <vm/page_set.h>
#include <vm/page_source.h>
#include <vm/reclaim.h>
#include <vm/vmo.h>

struct pager {
    struct object base;
    struct list sources; // of struct pager_source; under the object's lock
    bool closed;         // no handle is left; under the object's lock
};

struct pager_source {
    struct page_source base;
    struct list_node node;     // in pager->sources
    struct pager* pager;       // immutable, with a reference
    struct port* port;         // immutable, with a reference
    struct port_packet packet; // the port's while the source is `busy`
};

SLAB_CACHE(pager_cache, struct pager);
SLAB_CACHE(pager_source_cache, struct pager_source);

static struct pager* pager_of(struct object* o) {
    return container_of(o, struct pager, base);
}
static struct pager_source* source_of(struct page_source* s) {
    return container_of(s, struct pager_source, base);
}

// ---- sources ----

static status_t source_tell(struct page_source* base, enum page_need need, uint64_t offset,
                            uint64_t length, struct wake_list* wl) {
    struct pager_source* s = source_of(base);
    s->packet.packet.page_request = (zx_packet_page_request_t){
        .command = need == PAGE_NEED_READ    ? ZX_PAGER_VMO_READ
                   : need == PAGE_NEED_DIRTY ? ZX_PAGER_VMO_DIRTY
                                             : ZX_PAGER_VMO_COMPLETE,
        .offset = offset,
        .length = length,
    };
    reclaim_count(&reclaim_counters.asked, need != 0);
    status_t status = port_queue_packet(s->port, &s->packet, wl);
    return status == STATUS_OK ? STATUS_SHOULD_WAIT : status;
}

static bool source_untell(struct page_source* base) {
    struct pager_source* s = source_of(base);
    return port_unqueue_packet(s->port, &s->packet);
}

// Delivered; or dropped with its port, and then nobody will answer.
static void packet_release(struct port_packet* packet) {
    struct pager_source* s = container_of(packet, struct pager_source, packet);
    if (port_closed(s->port)) {
        page_source_detach(&s->base);
    }
    page_source_heard(&s->base);
}

static uint64_t source_koid(const struct page_source* base) {
    return container_of((struct page_source*)base, struct pager_source, base)->pager->base.koid;
}

static void source_destroy(struct page_source* base) {
    struct pager_source* s = source_of(base);
    struct object* pager = &s->pager->base;
    spin_acquire(object_lock(pager));
    if (list_linked(&s->node)) {
        list_remove(&s->node);
    }
    spin_release(object_lock(pager));
    object_unref(pager);
    object_unref(port_object(s->port));
    slab_free(&pager_source_cache, s);
}

static const struct page_source_ops source_ops = {
    .tell = source_tell,
    .untell = source_untell,
    .koid = source_koid,
    .destroy = source_destroy,
};

static struct pager_source* source_create(struct pager* p, struct port* port, uint64_t key) {
    struct pager_source* s = slab_alloc_zero(&pager_source_cache);
    if (s != nullptr) {
        page_source_init(&s->base, &source_ops);
        s->pager = pager_of(object_ref(&p->base));
        s->port = port_from_object(object_ref(port_object(port)));
        s->packet.packet.key = key;
        s->packet.packet.type = ZX_PKT_TYPE_PAGE_REQUEST;
        s->packet.release = packet_release;
    }
    return s;
}

// ---- pagers ----

// A source of the pager, with a reference and out of the list; null: none is left.
static struct pager_source* take_source(struct pager* p) {
    struct pager_source* found = nullptr;
    spin_acquire(object_lock(&p->base));
    p->closed = true;
    struct list_node* n;
    while (found == nullptr && (n = list_pop_front(&p->sources)) != nullptr) {
        struct pager_source* s = container_of(n, struct pager_source, node);
        found = page_source_ref_unless_dead(&s->base) ? s : nullptr;
    }
    spin_release(object_lock(&p->base));
    return found;
}

// The pager is gone: what it was asked for fails, and what would be asked.
static void pager_on_zero_handles(struct object* o) {
    struct pager_source* s;
    while ((s = take_source(pager_of(o))) != nullptr) {
        page_source_detach(&s->base);
        page_source_unref(&s->base);
    }
}

static void pager_free_memory(struct object* o) {
    slab_free(&pager_cache, pager_of(o));
}

static const struct object_ops pager_ops = {
    .type = ZX_OBJ_TYPE_PAGER,
    .name = "pager",
    .default_rights = ZX_DEFAULT_PAGER_RIGHTS,
    .waitable = false,
    .on_zero_handles = pager_on_zero_handles,
    .destroy = op_none,
    .free_memory = pager_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(pager_ops);

status_t pager_create(struct pager** out) {
    struct pager* p = slab_alloc_zero(&pager_cache);
    if (p == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&p->base, &pager_ops, nullptr, 0);
    list_init(&p->sources);
    *out = p;
    return STATUS_OK;
}

struct pager* pager_from_object(struct object* o) {
    return o->ops == &pager_ops ? pager_of(o) : nullptr;
}

struct object* pager_object(struct pager* p) {
    return &p->base;
}

status_t pager_create_vmo(struct pager* p, uint32_t options, struct port* port, uint64_t key,
                          uint64_t size, struct vmo** out) {
    struct pager_source* s = source_create(p, port, key);
    if (s == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = vmo_create_paged(&s->base, size, options, out);
    if (status != STATUS_OK) {
        page_source_unref(&s->base);
        return status;
    }
    spin_acquire(object_lock(&p->base));
    bool closed = p->closed;
    if (!closed) {
        list_push_back(&p->sources, &s->node);
    }
    spin_release(object_lock(&p->base));
    if (closed) {
        page_source_detach(&s->base); // its last handle was closed while this call was on its way
    }
    return STATUS_OK;
}

bool pager_owns(const struct pager* p, const struct vmo* v) {
    struct page_source* source = v->set->source;
    return source != nullptr && source->ops == &source_ops && source_of(source)->pager == p;
}
