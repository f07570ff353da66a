// Mappings: linking, cutting, unmapping, protecting. Every change of geometry or permission holds
// the aspace lock and the page set's (PS3).
#include "mapping.h"

#include <lib/assert.h>
#include <vm/heap.h>
#include <vm/page_set.h>
#include <vm/slab_fast.h>
#include <vm/vmo.h>

#include "vmar_priv.h"

SLAB_CACHE(mapping_cache, struct mapping);

struct mapping* mapping_alloc(void) {
    return slab_alloc_fast(&mapping_cache);
}

void mapping_free(struct mapping* m) {
    slab_free(&mapping_cache, m);
}

void dead_list_free_some(struct dead_list* dead) {
    while (dead->head != nullptr) {
        struct region* r = dead->head;
        dead->head = r->next_dead;
        if (!r->is_mapping) {
            vmar_unref(vmar_from_region(r)); // the parent's reference
            continue;
        }
        struct mapping* m = mapping_from_region(r);
        atomic_fetch_sub_explicit(&m->vmo->mapping_count, 1, memory_order_relaxed);
        vmo_unref(m->vmo);
        slab_free_fast(&mapping_cache, m);
    }
}

// Recomputes m->mmu after perms changed.
static void set_mmu_flags(struct mapping* m) {
    enum mmu_flags flags = MMU_USER | (m->mmu & MMU_CACHE_MASK);
    flags |= (m->perms & ZX_VM_PERM_READ) != 0 ? MMU_READ : 0;
    flags |= (m->perms & ZX_VM_PERM_WRITE) != 0 ? MMU_WRITE : 0;
    flags |= (m->perms & ZX_VM_PERM_EXECUTE) != 0 ? MMU_EXEC : 0;
    m->mmu = flags;
}

void mapping_link_locked(struct aspace* as, struct vmar* v, struct mapping* m) {
    struct page_set* set = m->set;
    m->region.parent = v;
    region_tree_insert(&v->regions, &m->region);
    struct aspace_state* st = aspace_state(as);
    st->mapped_bytes += m->region.size;
    st->region_count++;
    st->last_found = m; // likely the next to be touched
    mutex_acquire(&set->lock);
    m->mmu = (enum mmu_flags)(page_set_state(set)->cache_policy << MMU_CACHE_SHIFT);
    set_mmu_flags(m);
    page_set_lock_backing(set);
    page_set_add_mapping_locked(set, m);
    page_set_unlock_backing(set);
    mutex_release(&set->lock);
}

void mapping_split_locked(struct aspace* as, struct mapping* m, vaddr_t at, struct mapping* upper) {
    struct vmar* v = m->region.parent;
    struct page_set* set = m->set;
    size_t below = at - m->region.base;
    DEBUG_ASSERT(below > 0 && below < m->region.size);
    // The translations stay as they are: both parts show what the whole did. Nobody may meet a part
    // that is in no list (PS3).
    mutex_acquire(&set->lock);
    page_set_lock_backing(set);
    page_set_remove_mapping_locked(set, m);
    *upper = *m;
    upper->region = (struct region){
        .base = at,
        .size = m->region.size - below,
        .parent = v,
        .is_mapping = true,
    };
    upper->first_page = m->first_page + (below >> PAGE_SHIFT);
    upper->own = upper->clone = (struct interval){};
    region_tree_adjust(&v->regions, &m->region, m->region.base, below);
    page_set_add_mapping_locked(set, m);
    page_set_add_mapping_locked(set, upper);
    page_set_unlock_backing(set);
    mutex_release(&set->lock);
    region_tree_insert(&v->regions, &upper->region);
    (void)vmo_ref(upper->vmo);
    atomic_fetch_add_explicit(&upper->vmo->mapping_count, 1, memory_order_relaxed);
    aspace_state(as)->region_count++;
}

static void unmap_all(struct mapping* m, struct table_reserve* tables) {
    status_t status = mmu_unmap_range(&m->as->arch, m->region.base, m->region.size, tables);
    ASSERT(status == STATUS_OK); // the reserve was filled for the worst case
}

void mapping_remove_locked(struct aspace* as, struct mapping* m, struct table_reserve* tables,
                           struct dead_list* dead) {
    struct page_set* set = m->set;
    mutex_acquire(&set->lock);
    unmap_all(m, tables);
    page_set_lock_backing(set);
    page_set_remove_mapping_locked(set, m);
    page_set_unlock_backing(set);
    mutex_release(&set->lock);

    struct aspace_state* st = aspace_state(as);
    region_tree_erase(&m->region.parent->regions, &m->region);
    st->mapped_bytes -= m->region.size;
    st->region_count--;
    if (st->last_found == m) {
        st->last_found = nullptr;
    }
    m->region.next_dead = dead->head;
    dead->head = &m->region;
}

// Present translations never gain W here: which pages may have it is the fault path's to decide
// (PS2), so a widened mapping takes one more fault per page written.
void mapping_protect_locked(struct aspace* as, struct mapping* m, uint32_t perms,
                            struct table_reserve* tables) {
    (void)as; // its lock protects the order of perms and translations
    struct page_set* set = m->set;
    mutex_acquire(&set->lock);
    if (m->perms != perms) {
        bool only_gains_write = perms == (m->perms | ZX_VM_PERM_WRITE);
        m->perms = perms;
        set_mmu_flags(m);
        if ((perms & ZX_VM_PERM_READ) == 0) {
            unmap_all(m, tables);
        } else if (!only_gains_write) {
            status_t status = mmu_protect_range(&m->as->arch, m->region.base, m->region.size,
                                                mapping_mmu_flags(m, false), tables);
            ASSERT(status == STATUS_OK);
        }
        page_set_await_backing_locked(set);
    }
    mutex_release(&set->lock);
}
