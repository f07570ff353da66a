// Making translations, and looking them up. Contract in mmu_core.h.
#include "mmu_core.h"

#include <lib/align.h>
#include <lib/assert.h>

pte_t leaf_bits(enum mmu_flags flags, uint32_t level) {
    pte_t bits = PTE_PRESENT;
    if ((flags & MMU_WRITE) != 0) {
        bits |= PTE_WRITE | PTE_DIRTY; // the dirty bit is not used: spare the CPU setting it
    }
    bits |= (flags & MMU_EXEC) != 0 ? 0 : PTE_NO_EXEC;
    bits |= (flags & MMU_USER) != 0 ? PTE_USER : PTE_GLOBAL;
    bits |= level > 0 ? PTE_LARGE : 0;
    switch (flags & MMU_CACHE_MASK) {
    case MMU_UNCACHED:
    case MMU_UNCACHED_DEVICE:
        bits |= PTE_CACHE_DISABLE | PTE_WRITE_THROUGH; // PAT entry 3
        break;
    case MMU_WRITE_COMBINING:
        bits |= level > 0 ? PTE_PAT_LARGE : PTE_PAT_SMALL; // PAT entry 4
        break;
    default:
        break;
    }
    return bits;
}

pte_t* pt_table_take(struct pt* pt, struct table_reserve* reserve) {
    struct mmu_table* t = reserve == nullptr ? nullptr : table_pop(&reserve->head);
    if (t == nullptr) {
        return nullptr;
    }
    reserve->count--;
    pt->grown++;
    if (!pt->user) {
        arch_upcall_table_wire(t);
    }
    return (pte_t*)t;
}

// The entry that leads to a table. U is at every level of the user half and at none of the other.
static pte_t dir_bits(const struct pt* pt, const pte_t* table) {
    pte_t bits = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | (pt->user ? PTE_USER : 0);
    return table_paddr(table) | bits;
}

bool pt_split(struct pt* pt, pte_t* entry, uint32_t level, struct table_reserve* reserve) {
    pte_t* table = pt_table_take(pt, reserve);
    if (table == nullptr) {
        return false;
    }
    pte_t e = *entry;
    // Accessed, as the CPU may make the large entry while we read it: all are flushed when they go.
    pte_t bits = (e & ~PTE_ADDRESS & ~PTE_LARGE) | PTE_ACCESSED;
    if (level > 1) {
        bits |= PTE_LARGE | (e & PTE_PAT_LARGE);
    } else {
        bits |= (e & PTE_PAT_LARGE) != 0 ? PTE_PAT_SMALL : 0;
    }
    uint64_t pa = leaf_address(e, level);
    for (uint32_t i = 0; i < PT_ENTRIES; i++) {
        table[i] = (pa + i * level_span(level - 1)) | bits;
    }
    pte_set(entry, dir_bits(pt, table) | (pt->user ? PT_ENTRIES * PTE_COUNT_ONE : 0));
    return true;
}

void pt_push_down_write(struct pt* pt, pte_t* entry) {
    pte_t* table = pte_table(*entry);
    uint32_t left = pt->user ? pte_count(*entry) : PT_ENTRIES;
    for (uint32_t i = 0; i < PT_ENTRIES && left > 0; i++) {
        if ((table[i] & PTE_PRESENT) != 0) {
            (void)pte_clear_bits(&table[i], PTE_WRITE);
            left--;
        }
    }
    // Only now: no page becomes writable on the way.
    pte_set(entry, *entry | PTE_WRITE);
}

// Where a walk to a level ended.
struct path {
    pte_t* table;  // of `level`
    pte_t* parent; // the entry that leads to it, null for the root
    uint32_t level;
};

// Walks to the table of `level` for va and makes what is missing. Stops above where a large entry
// is in the way. With `write`, W is given back to directories that a snapshot took it from. False:
// the reserve is empty.
static bool path_make(struct pt* pt, vaddr_t va, uint32_t level, bool write,
                      struct table_reserve* reserve, struct path* out) {
    pte_t* table = pt->root;
    pte_t* parent = nullptr;
    uint32_t at = PT_TOP;
    for (; at > level; at--) {
        pte_t* entry = &table[level_index(va, at)];
        if ((*entry & PTE_PRESENT) == 0) {
            pte_t* fresh = pt_table_take(pt, reserve);
            if (fresh == nullptr) {
                return false;
            }
            pte_set(entry, dir_bits(pt, fresh));
            pt_count(pt, parent, 1);
        } else if (at < PT_TOP && pte_is_leaf(*entry, at)) {
            break;
        } else if (write && (*entry & PTE_WRITE) == 0) {
            pt_push_down_write(pt, entry);
        }
        parent = entry;
        table = pte_table(*entry);
    }
    *out = (struct path){table, parent, at};
    return true;
}

// What an entry that is present becomes when the same page is mapped again: rights only grow.
static pte_t leaf_widen(pte_t old, pte_t bits) {
    pte_t e = old | (bits & (PTE_WRITE | PTE_DIRTY));
    return (bits & PTE_NO_EXEC) == 0 ? e & ~PTE_NO_EXEC : e;
}

// A page inside a large entry is mapped again: fine if it is the same page and asks for no more.
static status_t covered_by_large(const struct path* path, vaddr_t va, uint64_t pa, pte_t bits,
                                 bool overwrite) {
    pte_t e = path->table[level_index(va, path->level)];
    uint64_t inside = va & (level_span(path->level) - 1);
    bool same = leaf_address(e, path->level) + inside == pa;
    bool enough = leaf_widen(e, bits) == e;
    return overwrite && same && enough ? STATUS_OK : STATUS_ALREADY_EXISTS;
}

// Fills entries of one page table; *added counts new ones.
static status_t fill_pages(pte_t* entry, const paddr_t* pages, size_t count, pte_t bits,
                           bool overwrite, int64_t* added) {
    for (size_t i = 0; i < count; i++) {
        uint64_t pa = pages[i].raw;
        if (pa == MMU_HOLE) {
            continue;
        }
        pte_t old = entry[i];
        if (likely((old & PTE_PRESENT) == 0)) {
            pte_set(&entry[i], pa | bits);
            ++*added;
        } else if (overwrite && (old & PTE_ADDRESS) == pa) {
            // The CPU may have set the accessed bit since: it must not be lost.
            while (!pte_replace(&entry[i], &old, leaf_widen(old, bits))) {
            }
        } else {
            return STATUS_ALREADY_EXISTS;
        }
    }
    return STATUS_OK;
}

// Maps what one page table takes of the pages; *mapped says how many that was.
static status_t map_chunk(struct pt* pt, vaddr_t va, const paddr_t* pages, size_t count, pte_t bits,
                          bool overwrite, struct table_reserve* reserve, size_t* mapped) {
    bool write = (bits & PTE_WRITE) != 0;
    pte_t* parent;
    pte_t* table = pt_leaf_table(pt, va, write, &parent);
    if (unlikely(table == nullptr)) {
        struct path path;
        if (!path_make(pt, va, 0, write, reserve, &path)) {
            return STATUS_NO_MEMORY;
        }
        if (path.level > 0) {
            *mapped = 1;
            return covered_by_large(&path, va, pages->raw, bits, overwrite);
        }
        table = path.table;
        parent = path.parent;
    }
    uint32_t first = level_index(va, 0);
    *mapped = min(count, (size_t)(PT_ENTRIES - first));
    int64_t added = 0;
    status_t s = fill_pages(&table[first], pages, *mapped, bits, overwrite, &added);
    pt_count(pt, parent, added);
    return s;
}

status_t pt_map_pages(struct pt* pt, vaddr_t va, const paddr_t* pages, size_t count,
                      enum mmu_flags flags, bool overwrite, struct table_reserve* reserve) {
    pte_t bits = leaf_bits(flags, 0);
    while (count > 0) {
        size_t n = 1;
        if (pages->raw != MMU_HOLE) { // a hole needs no table
            TRY(map_chunk(pt, va, pages, count, bits, overwrite, reserve, &n));
        }
        va += n * PAGE_SIZE;
        pages += n;
        count -= n;
    }
    return STATUS_OK;
}

// The largest entry for the start of a run.
static uint32_t run_level(vaddr_t va, uint64_t pa, size_t len, uint32_t largest) {
    uint32_t level = largest;
    while (level > 0 && (len < level_span(level) || !is_aligned(va | pa, level_span(level)))) {
        level--;
    }
    return level;
}

status_t pt_map_run(struct pt* pt, vaddr_t va, paddr_t pa, size_t len, enum mmu_flags flags,
                    uint32_t largest, struct table_reserve* reserve) {
    uint64_t from = pa.raw;
    while (len > 0) {
        uint32_t level = run_level(va, from, len, largest);
        struct path path;
        if (!path_make(pt, va, level, (flags & MMU_WRITE) != 0, reserve, &path)) {
            return STATUS_NO_MEMORY;
        }
        if (path.level != level) {
            return STATUS_ALREADY_EXISTS;
        }
        pte_t* entry = &path.table[level_index(va, level)];
        if (level > 0 && (*entry & PTE_PRESENT) != 0 && !pte_is_leaf(*entry, level)) {
            // A table stands there, perhaps empty: smaller entries below it.
            largest = level - 1;
            continue;
        }
        if ((*entry & PTE_PRESENT) != 0) {
            return STATUS_ALREADY_EXISTS;
        }
        pte_set(entry, from | leaf_bits(flags, level));
        pt_count(pt, path.parent, 1);
        va += level_span(level);
        from += level_span(level);
        len -= level_span(level);
    }
    return STATUS_OK;
}

static enum mmu_flags leaf_cache_flags(pte_t e, uint32_t level) {
    pte_t pat = level > 0 ? PTE_PAT_LARGE : PTE_PAT_SMALL;
    return (e & pat) != 0                 ? MMU_WRITE_COMBINING
           : (e & PTE_CACHE_DISABLE) != 0 ? MMU_UNCACHED
                                          : (enum mmu_flags)0;
}

status_t pt_query(const struct pt* pt, vaddr_t va, paddr_t* pa, enum mmu_flags* flags) {
    const pte_t* table = pt->root;
    pte_t all = PTE_WRITE | PTE_USER; // what every level grants
    pte_t any = 0;                    // what one level is enough to forbid
    for (uint32_t level = PT_TOP;; level--) {
        pte_t e = table[level_index(va, level)];
        if ((e & PTE_PRESENT) == 0) {
            return STATUS_NOT_FOUND;
        }
        all &= e;
        any |= e;
        if (level < PT_TOP && pte_is_leaf(e, level)) {
            pa->raw = leaf_address(e, level) + (va & (level_span(level) - 1));
            uint32_t result = MMU_READ | leaf_cache_flags(e, level);
            result |= (all & PTE_WRITE) != 0 ? MMU_WRITE : 0;
            result |= (all & PTE_USER) != 0 ? MMU_USER : 0;
            result |= (any & PTE_NO_EXEC) == 0 ? MMU_EXEC : 0;
            *flags = (enum mmu_flags)result;
            return STATUS_OK;
        }
        table = pte_table(e);
    }
}
