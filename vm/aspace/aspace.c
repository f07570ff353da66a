// Address spaces: life, look-up, usage. See <vm/aspace.h>.
#include <vm/aspace.h>

#include <lib/assert.h>
#include <sched/thread.h>
#include <vm/heap.h>
#include <vm/page_set.h>

#include "vmar_priv.h"

SLAB_CACHE(aspace_cache, struct aspace);

status_t aspace_create_range(vaddr_t base, size_t size, const uint64_t random_key[2],
                             struct aspace** out) {
    struct aspace* as = slab_alloc_zero(&aspace_cache);
    if (as == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = arch_aspace_init(&as->arch, base, size);
    if (status != STATUS_OK) {
        slab_free(&aspace_cache, as);
        return status;
    }
    mutex_init(&as->lock, LOCK_CLASS_ASPACE);
    atomic_init(&as->refs, 1);
    as->random_key[0] = random_key[0];
    as->random_key[1] = random_key[1];
    struct vmar* root = vmar_new(as, base, size, PERM_MASK, true, false);
    if (root == nullptr) {
        aspace_unref(as);
        return STATUS_NO_MEMORY;
    }
    root->alive = true;
    as->guarded_.root = root;
    *out = as;
    return STATUS_OK;
}

status_t aspace_create(const uint64_t random_key[2], struct aspace** out) {
    return aspace_create_range(ASPACE_BASE, ASPACE_END - ASPACE_BASE, random_key, out);
}

struct aspace* aspace_ref(struct aspace* as) {
    uint32_t before = atomic_fetch_add_explicit(&as->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX / 2);
    return as;
}

void aspace_unref(struct aspace* as) {
    uint32_t before = atomic_fetch_sub_explicit(&as->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        ASSERT(as->guarded_.root == nullptr);
        arch_aspace_destroy(&as->arch);
        slab_free(&aspace_cache, as);
    }
}

void aspace_destroy(struct aspace* as) {
    struct dead_list dead = {};
    // Whole mappings go: nothing is split, so no table is needed.
    struct table_reserve none = {};
    mutex_acquire(&as->lock);
    struct aspace_state* st = aspace_state(as);
    struct vmar* root = st->root;
    if (root != nullptr) {
        st->vdso_code = nullptr;
        vmar_kill_locked(as, root, &none, &dead);
        st->root = nullptr;
    }
    mutex_release(&as->lock);
    dead_list_free(&dead);
    if (root != nullptr) {
        vmar_unref(root);
    }
}

struct vmar* aspace_root(struct aspace* as) {
    MUTEX_GUARD(&as->lock);
    struct vmar* root = aspace_state(as)->root;
    return root != nullptr ? vmar_ref(root) : nullptr;
}

void aspace_activate(struct aspace* as) {
    struct arch_aspace* next = as != nullptr ? &as->arch : nullptr;
    irq_state_t state = irq_save();
    thread_current()->arch_aspace = next;
    arch_aspace_switch(next);
    irq_restore(state);
}

struct aspace* aspace_current(void) {
    struct arch_aspace* arch = thread_current()->arch_aspace;
    return arch != nullptr ? aspace_from_arch(arch) : nullptr;
}

struct mapping* aspace_search_locked(struct aspace* as, vaddr_t va) {
    struct aspace_state* st = aspace_state(as);
    const struct vmar* v = st->root;
    while (v != nullptr) {
        struct region* r = region_tree_find(&v->regions, va);
        if (r == nullptr) {
            return nullptr;
        }
        if (r->is_mapping) {
            st->last_found = mapping_from_region(r);
            return st->last_found;
        }
        v = vmar_from_region(r);
    }
    return nullptr;
}

// The mappings in address order, whatever VMAR they are in: the first that ends above va.
static struct mapping* mapping_above_locked(struct aspace* as, vaddr_t va) TA_REQ(as->lock) {
    struct vmar* v = aspace_state(as)->root;
    while (v != nullptr) {
        struct region* r = region_tree_above(&v->regions, va);
        if (r == nullptr) {
            // Nothing more in this VMAR: go on behind it.
            va = max(va, region_end(&v->region));
            v = v->region.parent;
        } else if (r->is_mapping) {
            return mapping_from_region(r);
        } else {
            v = vmar_from_region(r);
        }
    }
    return nullptr;
}

MINSIZE void aspace_get_usage(struct aspace* as, struct aspace_usage* out) {
    *out = (struct aspace_usage){
        .page_tables = atomic_load_explicit(&as->arch.table_pages, memory_order_relaxed)
                       << PAGE_SHIFT,
    };
    MUTEX_GUARD(&as->lock);
    out->mapped = aspace_state(as)->mapped_bytes;
    struct mapping* m = mapping_above_locked(as, 0);
    // As many as memory holds: a kill must be able to end this.
    while (m != nullptr && !thread_killed()) {
        struct page_set* set = m->set;
        struct page_counts counts;
        mutex_acquire(&set->lock);
        bool alone = page_set_state(set)->mapping_count == 1;
        page_set_count_locked(set, m->first_page, mapping_pages(m), &counts);
        mutex_release(&set->lock);
        uint64_t private = alone ? counts.private : 0;
        out->private += private << PAGE_SHIFT;
        out->shared += (counts.committed - private) << PAGE_SHIFT;
        out->scaled_shared += ((counts.committed - private) / 2) << PAGE_SHIFT;
        m = mapping_above_locked(as, region_end(&m->region));
    }
}
