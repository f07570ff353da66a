// Kernel address ranges. The contract is in <vm/kernel_vm.h>.
//
// The ranges in use stand in a list by address; a new one takes the first gap after the one made
// last, so that addresses are not used again at once. There are tens of them: a list is enough.
//
// Lock: ranges.lock (KERNEL_VM) guards the list. Tables are edited outside of it: a range belongs
// to whoever made it.
#include <vm/kernel_vm.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <locking/mutex.h>
#include <vm/heap.h>

#include "arena.h"

struct range {
    struct list_node node; // under ranges.lock, as is the rest
    vaddr_t base;
    size_t len; // mapped; a guard page follows
};

SLAB_CACHE(range_cache, struct range);

static struct {
    mutex_t lock;
    struct list list; // by address
    vaddr_t hint;     // end of the range made last
} ranges = {.lock = MUTEX_INIT(LOCK_CLASS_KERNEL_VM),
            .list = LIST_INIT(ranges.list),
            .hint = ARENA_RANGES_BASE};

constexpr vaddr_t RANGES_END = ARENA_RANGES_BASE + ARENA_RANGES_BYTES;

static struct range* range_of(struct list_node* n) {
    return n == nullptr ? nullptr : container_of(n, struct range, node);
}

// The first gap at or above `from` for `len` bytes, and the range after it. False: there is none.
static bool gap_find(vaddr_t from, size_t len, size_t align, vaddr_t* base, struct range** after) {
    vaddr_t at = align_up(from, align);
    struct range* next = range_of(list_first(&ranges.list));
    for (; next != nullptr; next = range_of(list_next(&ranges.list, &next->node))) {
        vaddr_t end = next->base + next->len + PAGE_SIZE;
        if (end <= at) {
            continue;
        }
        if (next->base >= at && next->base - at >= len) {
            break;
        }
        at = max(at, align_up(end, align));
    }
    *base = at;
    *after = next;
    return at <= RANGES_END && len <= RANGES_END - at;
}

static struct range* range_make(size_t len, size_t align) {
    if (len > ARENA_RANGES_BYTES - PAGE_SIZE) {
        return nullptr;
    }
    struct range* r = slab_alloc_zero(&range_cache);
    if (r == nullptr) {
        return nullptr;
    }
    MUTEX_GUARD(&ranges.lock);
    struct range* after;
    if (!gap_find(ranges.hint, len + PAGE_SIZE, align, &r->base, &after) &&
        !gap_find(ARENA_RANGES_BASE, len + PAGE_SIZE, align, &r->base, &after)) {
        slab_free(&range_cache, r);
        return nullptr;
    }
    r->len = len;
    if (after != nullptr) {
        list_insert_before(&after->node, &r->node);
    } else {
        list_push_back(&ranges.list, &r->node);
    }
    ranges.hint = r->base + len + PAGE_SIZE;
    return r;
}

static void range_end(struct range* r) {
    {
        MUTEX_GUARD(&ranges.lock);
        list_remove(&r->node);
    }
    slab_free(&range_cache, r);
}

void* kernel_map_mmio(paddr_t pa, size_t len, enum mmu_flags cache) {
    uint64_t offset = pa.raw & PAGE_MASK;
    uint64_t bytes;
    if (len == 0 || len > ARENA_RANGES_BYTES || !page_round_up_checked(len + offset, &bytes)) {
        return nullptr;
    }
    // Large entries for large windows: the address is aligned as the memory is.
    size_t align = bytes >= 0x20'0000 ? 0x20'0000 : PAGE_SIZE;
    struct range* r = range_make(bytes, align);
    if (r == nullptr) {
        return nullptr;
    }
    uint32_t flags = MMU_READ | MMU_WRITE | (cache & MMU_CACHE_MASK);
    if (mmu_kernel_map(r->base, (paddr_t){pa.raw - offset}, bytes, (enum mmu_flags)flags) !=
        STATUS_OK) {
        range_end(r);
        return nullptr;
    }
    return (void*)(r->base + offset);
}

void* kernel_vmap(const paddr_t* pages, size_t count) {
    if (count == 0 || count > ARENA_RANGES_BYTES / PAGE_SIZE) {
        return nullptr;
    }
    struct range* r = range_make(count * PAGE_SIZE, PAGE_SIZE);
    if (r == nullptr) {
        return nullptr;
    }
    constexpr enum mmu_flags flags = (enum mmu_flags)(MMU_READ | MMU_WRITE);
    if (mmu_kernel_map_pages(r->base, pages, count, flags) != STATUS_OK) {
        range_end(r);
        return nullptr;
    }
    return (void*)r->base;
}

static struct range* range_find(vaddr_t base) {
    MUTEX_GUARD(&ranges.lock);
    struct range* r = range_of(list_first(&ranges.list));
    while (r != nullptr && r->base != base) {
        r = range_of(list_next(&ranges.list, &r->node));
    }
    return r;
}

void kernel_unmap(void* at) {
    struct range* r = range_find(page_round_down((vaddr_t)at));
    ASSERT(r != nullptr);
    mmu_kernel_unmap(&(struct mmu_range){r->base, r->len}, 1);
    range_end(r);
}
