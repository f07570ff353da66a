// The fault loop. See <vm/fault.h>.
#include <vm/fault.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <sched/thread.h>
#include <vm/aspace.h>
#include <vm/reclaim.h>

#include "../aspace/vmar_priv.h"
#include "enter.h"

static_assert((FAULT_AROUND_PAGES & (FAULT_AROUND_PAGES - 1)) == 0);

static bool access_allowed(const struct mapping* m, enum fault_flags flags) {
    uint32_t need = (flags & FAULT_EXEC) != 0    ? ZX_VM_PERM_EXECUTE
                    : (flags & FAULT_WRITE) != 0 ? ZX_VM_PERM_WRITE
                                                 : ZX_VM_PERM_READ;
    return (m->perms & need) != 0;
}

// The part of the aligned block of `size` pages around `index` that the mapping may show.
static void block_around(const struct mapping* m, uint64_t index, uint64_t limit, uint64_t size,
                         uint64_t* first, uint64_t* count) {
    uint64_t low = max(align_down(index, size), m->first_page);
    uint64_t high = align_down(index, size) + size;
    high = min(high, limit);
    high = min(high, m->first_page + mapping_pages(m));
    *first = low;
    *count = high - low;
}

// A physical run: 2 MiB at once where the whole large page is inside and aligned, else a few pages.
static status_t fault_run_locked(const struct mapping* m, struct page_set* set, uint64_t index,
                                 uint64_t limit, struct table_reserve* tables) TA_REQ(set->lock) {
    constexpr uint64_t large = (2u << 20) >> PAGE_SHIFT;
    // Blocks are counted in virtual pages.
    uint64_t va_page = mapping_va(m, index) >> PAGE_SHIFT;
    uint64_t back = va_page % large;
    uint64_t paddr_page = (set->phys_base.raw >> PAGE_SHIFT) + index;
    bool fits = index - m->first_page >= back && paddr_page % large == back &&
                index - back + large <= min(limit, m->first_page + mapping_pages(m));
    if (fits) {
        return enter_run_locked(m, set, index - back, large, tables);
    }
    uint64_t first;
    uint64_t count;
    block_around(m, index, limit, FAULT_AROUND_PAGES, &first, &count);
    return enter_run_locked(m, set, first, count, tables);
}

// The neighbours up to FAULT_AROUND_PAGES - 1 to either side in what page_tree_lookup_near() says.
constexpr uint64_t NEAR_BITS =
    ((uint64_t)1 << FAULT_AROUND_PAGES) - 2 | UINT64_MAX << (65 - FAULT_AROUND_PAGES);

// The page is there already: its neighbours that are there too come along. A conflict with what
// others mapped meanwhile is left to the single page.
static status_t fault_around_locked(const struct mapping* m, struct page_set* set, uint64_t index,
                                    uint64_t limit, paddr_t paddr, bool writable,
                                    struct table_reserve* tables) TA_REQ(set->lock) {
    uint64_t first;
    uint64_t count;
    block_around(m, index, limit, FAULT_AROUND_PAGES, &first, &count);
    if (count > 1) {
        bool rest; // other neighbours fault for themselves
        status_t status = enter_present_locked(m, set, first, count, writable, tables, &rest);
        if (status != STATUS_ALREADY_EXISTS) {
            return status;
        }
    }
    return enter_page(m, mapping_va(m, index), paddr, writable, tables);
}

// There is no page that would do: make one, or find one elsewhere.
static status_t fault_make_locked(const struct mapping* m, struct page_set* set, vaddr_t va,
                                  uint64_t index, page_slot_t slot, enum fault_flags flags,
                                  struct fault_ctx* ctx) TA_REQ(set->lock) {
    enum page_access access = (flags & FAULT_WRITE) != 0 ? PAGE_WRITE : PAGE_LOOK;
    access |= (flags & FAULT_PRESENT) == 0 ? PAGE_UNMAPPED : 0;
    ctx->request.wanted = 0;
    UNINITIALIZED struct page_view view;
    TRY(page_set_make_locked(set, index, slot, access, &ctx->request, &view));
    if (view.zero) {
        page_set_note_zero_locked(set, &view);
    }
    status_t status = enter_page(m, va, view.paddr, view.writable, &ctx->tables);
    page_set_put(&view);
    return status;
}

static status_t fault_page_locked(const struct mapping* m, struct page_set* set, vaddr_t va,
                                  uint64_t index, uint64_t limit, enum fault_flags flags,
                                  struct fault_ctx* ctx) TA_REQ(set->lock) {
    UNINITIALIZED bool own;
    UNINITIALIZED uint64_t near;
    page_slot_t slot = page_tree_lookup_near(&page_set_state(set)->tree, index, &own, &near);
    if (unlikely(set->kind == PAGE_SET_PAGER) && page_slot_is_page(slot)) {
        own = page_is_dirty(page_slot_page(slot));
    }
    if (!page_slot_is_page(slot) || ((flags & FAULT_WRITE) != 0 && !own)) {
        return fault_make_locked(m, set, va, index, slot, flags, ctx);
    }
    paddr_t paddr = page_to_paddr(page_slot_page(slot));
    return (near & NEAR_BITS) != 0 && (flags & FAULT_PRESENT) == 0
               ? fault_around_locked(m, set, index, limit, paddr, own, &ctx->tables)
               : enter_page(m, va, paddr, own, &ctx->tables);
}

static status_t fault_set_locked(const struct mapping* m, struct page_set* set, vaddr_t va,
                                 enum fault_flags flags, struct fault_ctx* ctx) TA_REQ(set->lock) {
    uint64_t index = mapping_index(m, va);
    uint64_t limit = mapping_limit_locked(m, set);
    if (index >= limit) {
        return STATUS_OUT_OF_RANGE;
    }
    return unlikely(page_set_is_run(set)) ? fault_run_locked(m, set, index, limit, &ctx->tables)
                                          : fault_page_locked(m, set, va, index, limit, flags, ctx);
}

// One round. SHOULD_WAIT: ctx->request is armed.
static status_t fault_round(struct aspace* as, vaddr_t va, enum fault_flags flags,
                            struct fault_ctx* ctx) {
    mutex_acquire(&as->lock);
    const struct mapping* m = aspace_find_locked(as, va);
    if (m == nullptr) {
        mutex_release(&as->lock);
        return STATUS_NOT_FOUND;
    }
    if (!access_allowed(m, flags)) {
        mutex_release(&as->lock);
        return STATUS_ACCESS_DENIED;
    }
    struct page_set* set = m->set;
    mutex_acquire(&set->lock);
    mutex_release(&as->lock); // PS3: the mapping stays while set->lock is held
    status_t status = fault_set_locked(m, set, va, flags, ctx);
    mutex_release(&set->lock);
    return status;
}

status_t vm_fault(struct aspace* as, vaddr_t va, enum fault_flags flags) {
    UNINITIALIZED struct fault_ctx ctx;
    ctx.tables = (struct table_reserve){};
    ctx.request.source = nullptr; // page_source_request() fills in the rest
    ctx.memory_tries = 0;
    va = page_round_down(va);
    status_t status;
    for (;;) {
        status = fault_round(as, va, flags, &ctx);
        if (likely(status == STATUS_OK)) {
            break;
        }
        if (status == STATUS_SHOULD_WAIT) {
            status = page_source_wait(&ctx.request);
            if (status != STATUS_OK) {
                break;
            }
        } else if (status != STATUS_NO_MEMORY || !reclaim_wait(&ctx.memory_tries)) {
            break;
        }
    }
    if (ctx.tables.count != 0) {
        mmu_reserve_drain(&ctx.tables);
    }
    return status;
}

status_t arch_upcall_page_fault(vaddr_t va, enum fault_flags flags) {
    struct aspace* as = aspace_current();
    return as != nullptr ? vm_fault(as, va, flags) : STATUS_NOT_FOUND;
}

status_t vm_fault_in(vaddr_t va, enum fault_flags flags) {
    struct aspace* as = aspace_current();
    if (as == nullptr || va - as->arch.base >= as->arch.size) {
        return STATUS_INVALID_ARGS;
    }
    status_t status = vm_fault(as, va, flags);
    return status == STATUS_ACCESS_DENIED ? STATUS_INVALID_ARGS : status;
}
