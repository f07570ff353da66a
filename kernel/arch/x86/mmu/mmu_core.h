// Editing one tree of page tables: pure work on tables in memory. The callers hold the lock of the
// tree and do the flushing; this part only notes in the gather what must be flushed.
#pragma once

#include <arch/mmu.h>

#include "pte.h"

struct pt {
    pte_t* root;
    bool user;     // entries U=1, tables counted and freed when empty
    int64_t grown; // tables taken from reserves minus tables put on free lists
};

status_t pt_map_pages(struct pt* pt, vaddr_t va, const paddr_t* pages, size_t count,
                      enum mmu_flags flags, bool overwrite, struct table_reserve* reserve);
// `largest`: the level of the largest entry to use (2 where the CPU has 1 GiB pages, else 1).
status_t pt_map_run(struct pt* pt, vaddr_t va, paddr_t pa, size_t len, enum mmu_flags flags,
                    uint32_t largest, struct table_reserve* reserve);
status_t pt_unmap(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t len,
                  struct table_reserve* reserve);
status_t pt_protect(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t len,
                    enum mmu_flags flags, struct table_reserve* reserve);
void pt_write_protect(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t len);
// Where the next step of a long edit of [va, end) begins, and in *stop where it ends: what is
// absent is skipped, a step takes MMU_STEP_BYTES at most but never ends inside an entry. Nothing
// left: end.
vaddr_t pt_next_step(const struct pt* pt, vaddr_t va, vaddr_t end, vaddr_t* stop);
uint64_t pt_harvest_accessed(struct pt* pt, struct tlb_gather* g, vaddr_t va, size_t page_count);
status_t pt_query(const struct pt* pt, vaddr_t va, paddr_t* pa, enum mmu_flags* flags);

// The bits of a leaf at a level for these flags, without the address.
pte_t leaf_bits(enum mmu_flags flags, uint32_t level);

// ---- between the files of this part ----

struct mmu_table {
    struct mmu_table* next; // while it is in a list; the low bits of a table's address are zero
};

static inline void table_push(struct mmu_table** list, void* table) {
    struct mmu_table* t = table;
    t->next = *list;
    *list = t;
}
// Clean again; null if the list is empty.
static inline struct mmu_table* table_pop(struct mmu_table** list) {
    struct mmu_table* t = *list;
    if (t != nullptr) {
        *list = t->next;
        t->next = nullptr;
    }
    return t;
}

// A table from the reserve, to be put in place at once; null: the reserve is empty.
pte_t* pt_table_take(struct pt* pt, struct table_reserve* reserve);
// Replaces a large leaf by a table of the next level that maps the same. False: reserve empty.
bool pt_split(struct pt* pt, pte_t* entry, uint32_t level, struct table_reserve* reserve);
// Makes an entry that points to a table writable, after taking W from everything in that table.
void pt_push_down_write(struct pt* pt, pte_t* entry);
void pt_gather(struct tlb_gather* g, vaddr_t va, uint64_t bytes);

// The page table for va if all of the way to it is there, and writable if `write`; else null.
// *parent: the entry that leads to it. The fast way of the commonest operations.
static inline pte_t* pt_leaf_table(const struct pt* pt, vaddr_t va, bool write, pte_t** parent) {
    pte_t wanted = PTE_PRESENT | (write ? PTE_WRITE : 0);
    pte_t* table = pt->root;
    for (uint32_t level = PT_TOP; level > 0; level--) {
        pte_t* entry = &table[level_index(va, level)];
        if ((*entry & (wanted | PTE_LARGE)) != wanted) {
            return nullptr;
        }
        *parent = entry;
        table = pte_table(*entry);
    }
    return table;
}

static inline void pt_count(struct pt* pt, pte_t* parent, int64_t change) {
    if (pt->user && parent != nullptr) {
        pte_set(parent, *parent + (uint64_t)change * PTE_COUNT_ONE);
    }
}

// Leaf bits of user pages, by write (1), execute (2) and cache policy (4, 8).
#define CACHE_BITS(cache)                                                       \
    PTE_PRESENT | PTE_USER | PTE_NO_EXEC | (cache),                             \
        PTE_PRESENT | PTE_USER | PTE_NO_EXEC | PTE_WRITE | PTE_DIRTY | (cache), \
        PTE_PRESENT | PTE_USER | (cache), PTE_PRESENT | PTE_USER | PTE_WRITE | PTE_DIRTY | (cache)
static const pte_t user_bits[16] = {
    CACHE_BITS(0),
    CACHE_BITS(PTE_CACHE_DISABLE | PTE_WRITE_THROUGH),
    CACHE_BITS(PTE_CACHE_DISABLE | PTE_WRITE_THROUGH),
    CACHE_BITS(PTE_PAT_SMALL),
};
#undef CACHE_BITS

// One page of the user half whose entry is not present and whose tables are there. False: not that
// simple; nothing changed.
static inline bool pt_map_user_page(struct pt* pt, vaddr_t va, paddr_t pa, enum mmu_flags flags) {
    pte_t bits = user_bits[((flags >> 1) & 3) | (flags & MMU_CACHE_MASK) >> 2];
    pte_t* parent;
    pte_t* table = pt_leaf_table(pt, va, (flags & MMU_WRITE) != 0, &parent);
    if (table == nullptr || (table[level_index(va, 0)] & PTE_PRESENT) != 0) {
        return false;
    }
    pte_set(&table[level_index(va, 0)], pa.raw | bits);
    pt_count(pt, parent, 1);
    return true;
}
