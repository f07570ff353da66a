// Taking translations or rights away. Contract in mmu_core.h.
//
// All of it walks a range down the levels. Only a leaf whose accessed bit is set can be in a TLB,
// so others need no flush (whoever clears that bit flushes, therefore). Another CPU's page walk may
// set the bit at any moment, so every edit of a leaf that is present takes its old value, or keeps
// the bit, in one atomic step: a bit that came between a look and a store would be lost, and the
// translation that it stands for would stay behind. Only where the whole root is flushed in any
// case does a plain store do. A table that became empty leaves the tree and waits in the gather's
// list: a CPU may still walk it until the flush, and finds nothing present.
#include "mmu_core.h"

#include <lib/align.h>
#include <lib/assert.h>

void pt_gather(struct tlb_gather* g, vaddr_t va, uint64_t bytes) {
    uint64_t pages = bytes / PAGE_SIZE;
    if (g->full) {
        return;
    }
    if (g->pages + pages > MMU_GATHER_PAGES) {
        g->full = true;
        return;
    }
    g->pages += (uint32_t)pages;
    if (g->count > 0 &&
        g->ranges[g->count - 1].va + g->ranges[g->count - 1].pages * PAGE_SIZE == va) {
        g->ranges[g->count - 1].pages += (uint32_t)pages;
    } else if (g->count == MMU_GATHER_RANGES) {
        g->full = true;
    } else {
        g->ranges[g->count].va = va;
        g->ranges[g->count].pages = (uint32_t)pages;
        g->count++;
    }
}

// The end of the part of [va, end) that lies in the entry of this level.
static vaddr_t entry_end(vaddr_t va, vaddr_t end, uint32_t level) {
    vaddr_t next = align_down(va, level_span(level)) + level_span(level);
    return min(next - 1, end - 1) + 1; // the last entry of all ends at 2^64
}

// ---- steps ----

vaddr_t pt_next_step(const struct pt* pt, vaddr_t va, vaddr_t end, vaddr_t* stop) {
    while (va != end) {
        const pte_t* table = pt->root;
        uint32_t level = PT_TOP;
        pte_t e;
        while (((e = table[level_index(va, level)]) & PTE_PRESENT) != 0 && level > 1 &&
               (level == PT_TOP || !pte_is_leaf(e, level))) {
            table = pte_table(e);
            level--;
        }
        if ((e & PTE_PRESENT) != 0) {
            // A page table or a large entry. Steps are aligned to more than 2 MiB; an entry of
            // 1 GiB begins where one of them does.
            vaddr_t next = align_down(va, MMU_STEP_BYTES) + MMU_STEP_BYTES;
            *stop = min(max(next, entry_end(va, end, level)), end);
            return va;
        }
        va = entry_end(va, end, level);
    }
    *stop = end;
    return end;
}

// ---- unmap ----

struct edit {
    struct pt* pt;
    struct tlb_gather* g;
    struct table_reserve* reserve;
    pte_t set;   // protect: the new permission bits
    pte_t clear; // protect: the bits that `set` decides
};

static void leaf_remove(const struct edit* e, pte_t* entry, vaddr_t va, uint32_t level) {
    pte_t old = pte_swap(entry, 0);
    if ((old & PTE_ACCESSED) != 0 && !e->g->full) {
        pt_gather(e->g, va, level_span(level));
    }
}

// Clears entries when all will be flushed in any case: then nobody asks which were accessed, and
// plain stores do (a CPU sets the bit only in an entry that is still present). Stops once `left`
// were there; returns how many.
static uint32_t clear_pages(pte_t* entry, uint64_t count, uint32_t left) {
    constexpr uint64_t step = 8;
    uint32_t removed = 0;
    for (; count >= step && removed < left; count -= step, entry += step) {
#pragma clang loop unroll(full)
        for (uint64_t i = 0; i < step; i++) {
            removed += (uint32_t)(entry[i] & PTE_PRESENT);
            pte_set(&entry[i], 0);
        }
    }
    for (uint64_t i = 0; i < count && removed < left; i++) {
        removed += (uint32_t)(entry[i] & PTE_PRESENT);
        pte_set(&entry[i], 0);
    }
    return removed;
}

// Clears entries of one page table; the hot loop of unmapping.
static void unmap_pages(const struct edit* e, pte_t* table, pte_t* parent, vaddr_t va,
                        vaddr_t end) {
    uint32_t left = e->pt->user ? pte_count(*parent) : PT_ENTRIES;
    int64_t removed = 0;
    pte_t* entry = &table[level_index(va, 0)];
    for (; va != end && left > 0 && !e->g->full; va += PAGE_SIZE, entry++) {
        if ((*entry & PTE_PRESENT) != 0) {
            leaf_remove(e, entry, va, 0);
            removed++;
            left--;
        }
    }
    if (va != end) {
        removed += clear_pages(entry, (end - va) / PAGE_SIZE, left);
    }
    pt_count(e->pt, parent, -removed);
}

static status_t unmap_table(const struct edit* e, pte_t* table, pte_t* parent, uint32_t level,
                            vaddr_t va, vaddr_t end) {
    if (level == 0) {
        unmap_pages(e, table, parent, va, end);
        return STATUS_OK;
    }
    for (vaddr_t next; va != end; va = next) {
        next = entry_end(va, end, level);
        pte_t* entry = &table[level_index(va, level)];
        if ((*entry & PTE_PRESENT) == 0) {
            continue;
        }
        if (level < PT_TOP && pte_is_leaf(*entry, level)) {
            if (next - va == level_span(level)) {
                leaf_remove(e, entry, va, level);
                pt_count(e->pt, parent, -1);
                continue;
            }
            if (!pt_split(e->pt, entry, level, e->reserve)) {
                return STATUS_NO_MEMORY;
            }
        }
        TRY(unmap_table(e, pte_table(*entry), entry, level - 1, va, next));
        if (e->pt->user && pte_count(*entry) == 0) {
            pte_t* empty = pte_table(*entry);
            pte_set(entry, 0);
            pt_count(e->pt, parent, -1);
            table_push(&e->g->free_tables, empty);
            e->pt->grown--;
        }
    }
    return STATUS_OK;
}

// The page table for va became empty: it leaves the tree, and every table above that does then.
static void free_empty_path(struct pt* pt, struct tlb_gather* g, vaddr_t va) {
    pte_t* entry[PT_TOP + 2] = {}; // by level; the root has none
    pte_t* table = pt->root;
    for (uint32_t level = PT_TOP; level > 0; level--) {
        entry[level] = &table[level_index(va, level)];
        table = pte_table(*entry[level]);
    }
    for (uint32_t level = 1; level <= PT_TOP && pte_count(*entry[level]) == 0; level++) {
        pte_t* empty = pte_table(*entry[level]);
        pte_set(entry[level], 0);
        pt_count(pt, entry[level + 1], -1);
        table_push(&g->free_tables, empty);
        pt->grown--;
    }
}

// The commonest case: the range lies in one page table, which is there. False: the general way.
static bool unmap_in_one_table(const struct edit* e, vaddr_t va, vaddr_t end) {
    pte_t* parent;
    pte_t* table = pt_leaf_table(e->pt, va, false, &parent);
    if (table == nullptr) {
        return false;
    }
    unmap_pages(e, table, parent, va, end);
    if (e->pt->user && pte_count(*parent) == 0) {
        free_empty_path(e->pt, e->g, va);
    }
    return true;
}

// One page of the user half in a page table that is there. False: not that simple; nothing changed.
static bool unmap_user_page(struct pt* pt, struct tlb_gather* g, vaddr_t va) {
    pte_t* parent;
    pte_t* table = pt->user ? pt_leaf_table(pt, va, false, &parent) : nullptr;
    if (table == nullptr) {
        return false;
    }
    pte_t* entry = &table[level_index(va, 0)];
    if ((*entry & PTE_PRESENT) == 0) {
        return true;
    }
    pte_t old = pte_swap(entry, 0);
    if ((old & PTE_ACCESSED) != 0) {
        pt_gather(g, va, PAGE_SIZE);
    }
    pt_count(pt, parent, -1);
    if (pte_count(*parent) == 0) {
        free_empty_path(pt, g, va);
    }
    return true;
}

status_t pt_unmap(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t len,
                  struct table_reserve* reserve) {
    if (len == PAGE_SIZE && unmap_user_page(pt, g, va)) {
        return STATUS_OK;
    }
    struct edit e = {.pt = pt, .g = g, .reserve = reserve};
    vaddr_t end = va + len;
    bool narrow = align_down(va, level_span(1)) == align_down(end - 1, level_span(1));
    if (len == 0 || (narrow && unmap_in_one_table(&e, va, end))) {
        return STATUS_OK;
    }
    return unmap_table(&e, pt->root, nullptr, PT_TOP, va, end);
}

// ---- protect ----

static void leaf_protect(const struct edit* e, pte_t* entry, vaddr_t va, uint32_t level) {
    pte_t old = *entry;
    pte_t now;
    do {
        now = (old & ~e->clear) | e->set;
        if (now == old) {
            return;
        }
    } while (!pte_replace(entry, &old, now));
    bool lost = (old & ~now & PTE_WRITE) != 0 || (now & ~old & PTE_NO_EXEC) != 0;
    if (lost && (old & PTE_ACCESSED) != 0) {
        pt_gather(e->g, va, level_span(level));
    }
}

static status_t protect_table(const struct edit* e, pte_t* table, uint32_t level, vaddr_t va,
                              vaddr_t end) {
    for (vaddr_t next; va != end; va = next) {
        next = entry_end(va, end, level);
        pte_t* entry = &table[level_index(va, level)];
        if ((*entry & PTE_PRESENT) == 0) {
            continue;
        }
        if (level == 0 || (level < PT_TOP && pte_is_leaf(*entry, level))) {
            if (next - va == level_span(level)) {
                leaf_protect(e, entry, va, level);
                continue;
            }
            if (!pt_split(e->pt, entry, level, e->reserve)) {
                return STATUS_NO_MEMORY;
            }
        }
        if ((e->set & PTE_WRITE) != 0 && (*entry & PTE_WRITE) == 0) {
            pt_push_down_write(e->pt, entry);
        }
        TRY(protect_table(e, pte_table(*entry), level - 1, va, next));
    }
    return STATUS_OK;
}

status_t pt_protect(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t len,
                    enum mmu_flags flags, struct table_reserve* reserve) {
    if (len == 0) {
        return STATUS_OK;
    }
    if ((flags & MMU_READ) ==
        0) { // nothing is allowed: the CPU knows no such page but an absent one
        return pt_unmap(pt, g, va, len, reserve);
    }
    constexpr pte_t decided = PTE_WRITE | PTE_DIRTY | PTE_NO_EXEC;
    struct edit e = {
        .pt = pt,
        .g = g,
        .reserve = reserve,
        .set = leaf_bits(flags, 0) & decided,
        .clear = decided,
    };
    return protect_table(&e, pt->root, PT_TOP, va, va + len);
}

// ---- write-protect ----

// Entries of one page table; at the edges of a snapshot this is most of its cost.
static void write_protect_pages(const struct edit* e, pte_t* table, vaddr_t va, vaddr_t end) {
    constexpr pte_t writable = PTE_PRESENT | PTE_WRITE;
    pte_t* entry = &table[level_index(va, 0)];
    for (; va != end; va += PAGE_SIZE, entry++) {
        if ((*entry & writable) == writable) {
            pte_t old = pte_clear_bits(entry, PTE_WRITE);
            if ((old & PTE_ACCESSED) != 0 && !e->g->full) {
                pt_gather(e->g, va, PAGE_SIZE);
            }
        }
    }
}

static void write_protect_table(const struct edit* e, pte_t* table, uint32_t level, vaddr_t va,
                                vaddr_t end) {
    if (level == 0) {
        write_protect_pages(e, table, va, end);
        return;
    }
    for (vaddr_t next; va != end; va = next) {
        next = entry_end(va, end, level);
        pte_t* entry = &table[level_index(va, level)];
        pte_t old = *entry;
        // Not writable means that nothing below is.
        if ((old & (PTE_PRESENT | PTE_WRITE)) != (PTE_PRESENT | PTE_WRITE)) {
            continue;
        }
        bool leaf = level < PT_TOP && pte_is_leaf(old, level);
        if (!leaf && (level == PT_TOP || next - va != level_span(level))) {
            write_protect_table(e, pte_table(old), level - 1, va, next);
            continue;
        }
        old = pte_clear_bits(entry, PTE_WRITE);
        if ((old & PTE_ACCESSED) != 0) {
            pt_gather(e->g, align_down(va, level_span(level)), level_span(level));
        }
    }
}

void pt_write_protect(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t len) {
    struct edit e = {.pt = pt, .g = g};
    if (len != 0) {
        write_protect_table(&e, pt->root, PT_TOP, va, va + len);
    }
}

// ---- accessed bits ----

uint64_t pt_harvest_accessed(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t page_count) {
    uint64_t accessed = 0;
    DEBUG_ASSERT(page_count <= 64);
    for (size_t i = 0; i < page_count; i++, va += PAGE_SIZE) {
        pte_t* table = pt->root;
        for (uint32_t level = PT_TOP;; level--) {
            pte_t* entry = &table[level_index(va, level)];
            if ((*entry & PTE_PRESENT) == 0) {
                break;
            }
            if (level < PT_TOP && pte_is_leaf(*entry, level)) {
                pte_t old = pte_clear_bits(entry, PTE_ACCESSED);
                if ((old & PTE_ACCESSED) != 0) {
                    accessed |= bit((unsigned)i);
                    pt_gather(g, align_down(va, level_span(level)), level_span(level));
                }
                break;
            }
            table = pte_table(*entry);
        }
    }
    return accessed;
}
