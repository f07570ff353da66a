// Mapping ahead what is there already (MAP_RANGE), in pieces, with the locks let go between them.
#include <lib/align.h>
#include <sched/thread.h>
#include <vm/aspace.h>

#include "../aspace/vmar_priv.h"
#include "enter.h"

constexpr uint64_t RUN_PIECE_PAGES = 4096; // 16 MiB

// Maps a piece of `m` from va on; *va moves behind it.
static status_t populate_piece_locked(const struct mapping* m, struct page_set* set, vaddr_t* va,
                                      vaddr_t end, struct table_reserve* tables) TA_REQ(set->lock) {
    end = min(end, region_end(&m->region));
    uint64_t index = mapping_index(m, *va);
    uint64_t limit = min(mapping_limit_locked(m, set), mapping_index(m, end));
    if (index >= limit || (m->perms & ZX_VM_PERM_READ) == 0) {
        *va = end;
        return STATUS_OK;
    }
    uint64_t count = min(limit - index, page_set_is_run(set) ? RUN_PIECE_PAGES : PAGE_NODE_SLOTS);
    status_t status;
    if (page_set_is_run(set)) {
        status = enter_run_locked(m, set, index, count, tables);
    } else {
        // Own pages with W, shared ones without. What others entered meanwhile may stay.
        bool rest = false;
        status = enter_present_locked(m, set, index, count, true, tables, &rest);
        if (status != STATUS_NO_MEMORY && rest) {
            status = enter_present_locked(m, set, index, count, false, tables, &rest);
        }
    }
    if (status == STATUS_NO_MEMORY) {
        return status;
    }
    *va = mapping_va(m, index + count);
    return STATUS_OK;
}

static status_t populate_step(struct aspace* as, vaddr_t* va, vaddr_t end,
                              struct table_reserve* tables) {
    mutex_acquire(&as->lock);
    const struct mapping* m = aspace_find_locked(as, *va);
    if (m == nullptr) {
        mutex_release(&as->lock);
        return STATUS_BAD_STATE;
    }
    struct page_set* set = m->set;
    mutex_acquire(&set->lock);
    mutex_release(&as->lock);
    status_t status = populate_piece_locked(m, set, va, end, tables);
    mutex_release(&set->lock);
    return status;
}

status_t aspace_populate(struct aspace* as, vaddr_t va, vaddr_t end) {
    struct table_reserve tables = {};
    status_t status = STATUS_OK;
    while (status == STATUS_OK && va < end) {
        status = populate_step(as, &va, end, &tables);
        if (status == STATUS_OK && thread_killed()) {
            status = STATUS_INTR_KILLED;
        }
    }
    if (tables.count != 0) {
        mmu_reserve_drain(&tables);
    }
    return status;
}
