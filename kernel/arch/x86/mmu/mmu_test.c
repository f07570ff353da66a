// Page-table editing against a map of pages: random operations on a small window of addresses that
// crosses tables of every level, with large entries. After each step every page must translate as
// the model says, counts must be exact, freed tables all zero, and whatever lost a right while it
// could be cached must be in the gather.
#include "mmu_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <lib/align.h>
#include <lib/random.h>

// The lock checker is linked in and never runs here.
struct lock_held_list* lock_check_thread_list(void) {
    return nullptr;
}
void arch_upcall_table_wire(struct mmu_table* t) {
    (void)t;
}

// ---- tables in fake memory ----

constexpr size_t TABLES = 512;
static struct table_reserve spare;
static struct pt pt;

static char* table_at(size_t i) {
    return (char*)PTE_DIRECT_MAP + i * PAGE_SIZE;
}

static int machine(void** state) {
    (void)state;
    static const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    void* at = mmap(table_at(0), TABLES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    assert_true(at != MAP_FAILED);
    for (size_t i = 1; i < TABLES; i++) {
        table_push(&spare.head, table_at(i));
        spare.count++;
    }
    return 0;
}

static void tables_back(struct mmu_table* list) {
    for (struct mmu_table* t; (t = table_pop(&list)) != nullptr;) {
        const uint64_t* words = (const uint64_t*)t;
        for (uint32_t i = 0; i < PT_ENTRIES; i++) {
            assert_int_equal(words[i], 0);
        }
        table_push(&spare.head, t);
        spare.count++;
    }
}

static void root_new(void) {
    pt = (struct pt){.root = (pte_t*)table_pop(&spare.head), .user = true};
    spare.count--;
}

static void root_back(void) {
    struct mmu_table* root = nullptr;
    table_push(&root, pt.root);
    tables_back(root);
}

// Counts entries and tables below an entry; checks the noted count and U=1 at every level.
static uint32_t tables_check(const pte_t* table, uint32_t level, const pte_t* parent) {
    uint32_t present = 0;
    uint32_t tables = 1;
    for (uint32_t i = 0; i < PT_ENTRIES; i++) {
        pte_t e = table[i];
        if ((e & PTE_PRESENT) == 0) {
            assert_int_equal(e, 0);
            continue;
        }
        present++;
        assert_true((e & PTE_USER) != 0);
        if (level == PT_TOP || !pte_is_leaf(e, level)) {
            tables += tables_check(pte_table(e), level - 1, &e);
        }
    }
    if (parent != nullptr) {
        assert_int_equal(pte_count(*parent), present);
    }
    return tables;
}

// ---- the model: pages of a window that crosses a 512 GiB, a 1 GiB and several 2 MiB boundaries
// ----

constexpr size_t WINDOW = 3 * 512 + 40;
static const vaddr_t window_start = ((uint64_t)1 << 39) - 700 * PAGE_SIZE;

struct model {
    uint64_t pa; // 0: nothing
    bool write, exec;
    bool accessed; // somebody used it: it may be cached
};
static struct model model[WINDOW];

static vaddr_t page_va(size_t i) {
    return window_start + i * PAGE_SIZE;
}

// Marks pages as used, in the tables as the CPU would.
static void use(size_t first, size_t count) {
    for (size_t i = first; i < first + count; i++) {
        if (model[i].pa == 0) {
            continue;
        }
        pte_t* table = pt.root;
        for (uint32_t level = PT_TOP;; level--) {
            pte_t* e = &table[level_index(page_va(i), level)];
            if (level < PT_TOP && pte_is_leaf(*e, level)) {
                *e |= PTE_ACCESSED;
                break;
            }
            table = pte_table(*e);
        }
    }
}

// What the CPU would allow there.
static uint32_t rights(size_t i) {
    paddr_t pa;
    enum mmu_flags flags;
    return pt_query(&pt, page_va(i), &pa, &flags) == STATUS_OK ? flags : 0;
}

static bool gathered(const struct tlb_gather* g, vaddr_t va) {
    for (uint32_t i = 0; i < g->count; i++) {
        if (va >= g->ranges[i].va && va < g->ranges[i].va + g->ranges[i].pages * PAGE_SIZE) {
            return true;
        }
    }
    return g->full;
}

static void model_check(void) {
    for (size_t i = 0; i < WINDOW; i++) {
        paddr_t pa;
        enum mmu_flags flags;
        status_t s = pt_query(&pt, page_va(i) + 123, &pa, &flags);
        if (model[i].pa == 0) {
            assert_int_equal(s, STATUS_NOT_FOUND);
            continue;
        }
        assert_int_equal(s, STATUS_OK);
        assert_int_equal(pa.raw, model[i].pa + 123);
        // A right may be missing where a neighbour was write-protected, never too much.
        assert_true(model[i].write || (flags & MMU_WRITE) == 0);
        assert_int_equal((flags & MMU_EXEC) != 0, model[i].exec);
    }
    uint32_t tables = tables_check(pt.root, PT_TOP, nullptr);
    assert_int_equal(tables + spare.count, TABLES - 1);
    assert_int_equal(pt.grown, tables - 1);
}

static enum mmu_flags pick_flags(struct random* rng) {
    uint32_t flags = MMU_USER | MMU_READ;
    flags |= random_below(rng, 2) != 0 ? MMU_WRITE : 0;
    flags |= random_below(rng, 3) == 0 ? MMU_EXEC : 0;
    return (enum mmu_flags)flags;
}

static void set_range(size_t first, size_t count, uint64_t pa, enum mmu_flags flags) {
    for (size_t i = first; i < first + count; i++, pa += pa != 0 ? PAGE_SIZE : 0) {
        model[i] = (struct model){
            .pa = pa, .write = (flags & MMU_WRITE) != 0, .exec = (flags & MMU_EXEC) != 0};
    }
}

static size_t free_run(size_t first, size_t limit) {
    size_t n = 0;
    while (n < limit && first + n < WINDOW && model[first + n].pa == 0) {
        n++;
    }
    return n;
}

static void step_map(struct random* rng, size_t first, size_t count) {
    static paddr_t pages[WINDOW];
    enum mmu_flags flags = pick_flags(rng);
    size_t n = free_run(first, count);
    uint64_t pa = (1 + random_below(rng, 1000)) * 0x20'0000ull + page_va(first) % 0x20'0000;
    if (random_below(rng, 2) == 0) {
        assert_int_equal(
            pt_map_run(&pt, page_va(first), (paddr_t){pa}, n * PAGE_SIZE, flags, 2, &spare),
            STATUS_OK);
    } else {
        for (size_t i = 0; i < n; i++) {
            pages[i].raw = pa + i * PAGE_SIZE;
        }
        assert_int_equal(pt_map_pages(&pt, page_va(first), pages, n, flags, false, &spare),
                         STATUS_OK);
    }
    set_range(first, n, pa, flags);
    if (first + n < WINDOW && n < count) {
        pages[0].raw = 0x7000;
        assert_int_equal(pt_map_pages(&pt, page_va(first + n), pages, 1, flags, true, &spare),
                         STATUS_ALREADY_EXISTS);
    }
}

// The fault path: the same pages once more, with more rights perhaps.
static void step_remap(struct random* rng, size_t first, size_t count) {
    enum mmu_flags flags = pick_flags(rng);
    for (size_t i = first; i < first + count; i++) {
        paddr_t pa = {model[i].pa != 0 ? model[i].pa : MMU_HOLE};
        if (pa.raw == MMU_HOLE && random_below(rng, 20) == 0) {
            pa.raw = 0x123'4000;
            if (pt_map_user_page(&pt, page_va(i), pa, flags)) {
                set_range(i, 1, pa.raw, flags);
            }
            continue;
        }
        status_t s = pt_map_pages(&pt, page_va(i), &pa, 1, flags, true, &spare);
        if (s == STATUS_OK && pa.raw != MMU_HOLE) {
            model[i].write = model[i].write || (flags & MMU_WRITE) != 0;
            model[i].exec = model[i].exec || (flags & MMU_EXEC) != 0;
            paddr_t now;
            enum mmu_flags have;
            assert_int_equal(pt_query(&pt, page_va(i), &now, &have), STATUS_OK);
            assert_true((flags & MMU_WRITE) == 0 || (have & MMU_WRITE) != 0);
        }
    }
}

static void step_unmap(struct tlb_gather* g, size_t first, size_t count) {
    assert_int_equal(pt_unmap(&pt, g, page_va(first), count * PAGE_SIZE, &spare), STATUS_OK);
    set_range(first, count, 0, (enum mmu_flags)0);
}

static void random_edits(void** state) {
    (void)state;
    root_new();
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct random rng = random_init(seed);
        for (int step = 0; step < 1500; step++) {
            static const uint32_t sizes[] = {1, 20, 600, WINDOW};
            size_t first = random_below(&rng, WINDOW);
            size_t count =
                min(WINDOW - first, (size_t)1 + random_below(&rng, sizes[random_below(&rng, 4)]));
            struct tlb_gather g = {};
            use(first, random_below(&rng, 2) == 0 ? count : 0);
            static uint32_t had[WINDOW];
            static bool cached[WINDOW];
            for (size_t i = 0; i < WINDOW; i++) {
                pte_t* table = pt.root;
                cached[i] = false;
                had[i] = rights(i);
                for (uint32_t level = PT_TOP; model[i].pa != 0; level--) {
                    pte_t e = table[level_index(page_va(i), level)];
                    if (level < PT_TOP && pte_is_leaf(e, level)) {
                        cached[i] = (e & PTE_ACCESSED) != 0;
                        break;
                    }
                    table = pte_table(e);
                }
            }
            enum mmu_flags flags = pick_flags(&rng);
            switch (random_below(&rng, 6)) {
            case 0:
            case 1:
                step_map(&rng, first, count);
                break;
            case 2:
                step_remap(&rng, first, count);
                break;
            case 3:
                step_unmap(&g, first, count);
                break;
            case 4:
                assert_int_equal(
                    pt_protect(&pt, &g, page_va(first), count * PAGE_SIZE, flags, &spare),
                    STATUS_OK);
                for (size_t i = first; i < first + count; i++) {
                    model[i].write = (flags & MMU_WRITE) != 0;
                    model[i].exec = (flags & MMU_EXEC) != 0;
                }
                break;
            default:
                pt_write_protect(&pt, &g, page_va(first), count * PAGE_SIZE);
                for (size_t i = first; i < first + count; i++) {
                    model[i].write = false;
                }
                break;
            }
            for (size_t i = 0; i < WINDOW; i++) {
                uint32_t lost = had[i] & ~rights(i);
                if (cached[i] && (lost & (MMU_READ | MMU_WRITE | MMU_EXEC)) != 0) {
                    assert_true(gathered(&g, page_va(i)));
                }
            }
            tables_back(g.free_tables);
            model_check();
        }
        struct tlb_gather g = {};
        step_unmap(&g, 0, WINDOW);
        tables_back(g.free_tables);
        model_check();
        assert_int_equal(pt.grown, 0);
    }
    root_back();
}

static void snapshot_of_large_mapping(void** state) {
    (void)state;
    root_new();
    constexpr enum mmu_flags flags = (enum mmu_flags)(MMU_USER | MMU_READ | MMU_WRITE);
    constexpr size_t count = 4 * 512;
    static paddr_t pages[count];
    for (size_t i = 0; i < count; i++) {
        pages[i].raw = (i + 7) * PAGE_SIZE;
    }
    constexpr vaddr_t va = 0x4000'0000 - 0x20'0000;
    assert_int_equal(pt_map_pages(&pt, va, pages, count, flags, false, &spare), STATUS_OK);
    struct tlb_gather g = {};
    pt_write_protect(&pt, &g, va, count * PAGE_SIZE);
    assert_true(g.full); // directories may be cached
    // The pages' own entries were not touched.
    pte_t* pdpt = pte_table(pt.root[0]);
    pte_t* pt_first = pte_table(pte_table(pdpt[1])[0]);
    assert_true((pt_first[0] & PTE_WRITE) != 0);
    paddr_t pa;
    enum mmu_flags have;
    assert_int_equal(pt_query(&pt, va + 600 * PAGE_SIZE, &pa, &have), STATUS_OK);
    assert_true((have & MMU_WRITE) == 0);
    // One page becomes writable again, and only it.
    assert_int_equal(pt_map_pages(&pt, va + 600 * PAGE_SIZE, &pages[600], 1, flags, true, &spare),
                     STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pt_query(&pt, va + i * PAGE_SIZE, &pa, &have), STATUS_OK);
        assert_int_equal((have & MMU_WRITE) != 0, i == 600);
    }
    // Without a reserve a new table is refused, and nothing is lost.
    struct table_reserve none = {};
    assert_int_equal(pt_map_pages(&pt, 0x7000'0000'0000, pages, 3, flags, false, &none),
                     STATUS_NO_MEMORY);
    assert_int_equal(pt_unmap(&pt, &g, 0, (uint64_t)1 << 47, &none), STATUS_OK);
    tables_back(g.free_tables);
    assert_int_equal(pt.grown, 0);
    root_back();
}

static void bits_of_leaves(void** state) {
    (void)state;
    root_new();
    paddr_t one = {0x5000};
    enum mmu_flags ro = (enum mmu_flags)(MMU_READ | MMU_USER);
    assert_false(pt_map_user_page(&pt, 0x1000, one, ro)); // no table
    assert_int_equal(pt_map_pages(&pt, 0x1000, &one, 1, ro, false, &spare), STATUS_OK);
    assert_false(pt_map_user_page(&pt, 0x1000, one, ro)); // present
    for (uint32_t f = 0; f < 64; f += 2) {
        enum mmu_flags flags = (enum mmu_flags)(MMU_READ | MMU_USER | (f & 6) | (f & 0x30));
        assert_true(pt_map_user_page(&pt, 0x2000 + f * PAGE_SIZE, one, flags));
        pte_t* table = pte_table(pte_table(pte_table(pt.root[0])[0])[0]);
        assert_int_equal(table[2 + f], one.raw | leaf_bits(flags, 0));
    }
    struct tlb_gather all = {};
    assert_int_equal(pt_unmap(&pt, &all, 0, 0x20'0000, &spare), STATUS_OK);
    tables_back(all.free_tables);
    root_back();
    assert_int_equal(leaf_bits((enum mmu_flags)(MMU_READ | MMU_USER), 0),
                     PTE_PRESENT | PTE_USER | PTE_NO_EXEC);
    assert_int_equal(leaf_bits((enum mmu_flags)(MMU_READ | MMU_WRITE_COMBINING), 1),
                     PTE_PRESENT | PTE_GLOBAL | PTE_NO_EXEC | PTE_LARGE | PTE_PAT_LARGE);
    // A large write-combining entry splits into small ones that are the same.
    root_new();
    constexpr enum mmu_flags flags =
        (enum mmu_flags)(MMU_USER | MMU_READ | MMU_WRITE | MMU_WRITE_COMBINING);
    assert_int_equal(
        pt_map_run(&pt, 0x4000'0000, (paddr_t){0x8000'0000}, 0x4000'0000, flags, 2, &spare),
        STATUS_OK);
    struct tlb_gather g = {};
    assert_int_equal(pt_unmap(&pt, &g, 0x4000'0000 + 5 * PAGE_SIZE, PAGE_SIZE, &spare), STATUS_OK);
    paddr_t pa;
    enum mmu_flags have;
    assert_int_equal(pt_query(&pt, 0x4000'0000 + 6 * PAGE_SIZE, &pa, &have), STATUS_OK);
    assert_int_equal(pa.raw, 0x8000'0000 + 6 * PAGE_SIZE);
    assert_int_equal(have, flags);
    assert_int_equal(pt_query(&pt, 0x7fff'f000, &pa, &have), STATUS_OK);
    assert_int_equal(pa.raw, 0xbfff'f000);
    assert_int_equal(have, flags);
    assert_int_equal(pt_query(&pt, 0x4000'0000 + 5 * PAGE_SIZE, &pa, &have), STATUS_NOT_FOUND);
    assert_int_equal(pt_unmap(&pt, &g, 0, (uint64_t)1 << 47, &spare), STATUS_OK);
    tables_back(g.free_tables);
    root_back();
}

// ---- the accessed bit against another CPU's page walks ----

// A thread that does what a page walk does: as long as the leaf is present and unaccessed it tries
// to set the bit in one step, and then has the translation in its TLB.
static struct {
    _Atomic(uint64_t) round; // a new one begins a walk
    _Atomic(bool) done;      // the edit of this round is over
    _Atomic(bool) cached;    // a translation with the right that the edit took away
    _Atomic(bool) answered;
    _Atomic(bool) end;
    pte_t* leaf;
    pte_t right; // PTE_PRESENT or PTE_WRITE
} walker;

static void walk(void) {
    bool last = false;
    while (!last) {
        last = atomic_load(&walker.done); // one more look after the edit
        pte_t e = __atomic_load_n(walker.leaf, __ATOMIC_RELAXED);
        if ((e & walker.right) != 0 && (e & PTE_ACCESSED) == 0 &&
            pte_replace(walker.leaf, &e, e | PTE_ACCESSED)) {
            atomic_store(&walker.cached, true);
            return;
        }
    }
}

static void* walker_main(void* arg) {
    for (uint64_t seen = 0; !atomic_load(&walker.end);) {
        uint64_t now = atomic_load(&walker.round);
        if (now == seen) {
            sched_yield();
            continue;
        }
        seen = now;
        walk();
        atomic_store(&walker.answered, true);
    }
    return arg;
}

typedef void (*race_edit)(struct tlb_gather* g, vaddr_t va);

static void race_unmap(struct tlb_gather* g, vaddr_t va) {
    assert_int_equal(pt_unmap(&pt, g, va, PAGE_SIZE, &spare), STATUS_OK);
}
static void race_write_protect(struct tlb_gather* g, vaddr_t va) {
    pt_write_protect(&pt, g, va, PAGE_SIZE);
}
static void race_protect(struct tlb_gather* g, vaddr_t va) {
    constexpr enum mmu_flags flags = (enum mmu_flags)(MMU_USER | MMU_READ);
    assert_int_equal(pt_protect(&pt, g, va, PAGE_SIZE, flags, &spare), STATUS_OK);
}
// Widened first, as a second fault does: the bit must survive that, too.
static void race_widen_and_unmap(struct tlb_gather* g, vaddr_t va) {
    constexpr enum mmu_flags flags = (enum mmu_flags)(MMU_USER | MMU_READ | MMU_WRITE | MMU_EXEC);
    const paddr_t pa = {0x8000'0000};
    assert_int_equal(pt_map_pages(&pt, va, &pa, 1, flags, true, &spare), STATUS_OK);
    race_unmap(g, va);
}

// Whatever the walker could cache with the right that went must be in the gather.
static void race(race_edit edit, pte_t right) {
    constexpr vaddr_t va = 0x4000'0000;
    constexpr enum mmu_flags flags = (enum mmu_flags)(MMU_USER | MMU_READ | MMU_WRITE);
    const paddr_t pa = {0x8000'0000};
    for (int i = 0; i < 20'000; i++) {
        pte_t* parent;
        assert_int_equal(pt_map_pages(&pt, va, &pa, 1, flags, true, &spare), STATUS_OK);
        walker.leaf = &pt_leaf_table(&pt, va, false, &parent)[level_index(va, 0)];
        walker.right = right;
        atomic_store(&walker.done, false);
        atomic_store(&walker.cached, false);
        atomic_store(&walker.answered, false);
        atomic_fetch_add(&walker.round, 1);
        struct tlb_gather g = {};
        for (int spin = i % 512; spin > 0; spin--) {
            __asm__ volatile("" ::: "memory");
        }
        edit(&g, va);
        atomic_store(&walker.done, true);
        while (!atomic_load(&walker.answered)) {
            sched_yield();
        }
        if (atomic_load(&walker.cached)) {
            assert_true(g.count != 0 || g.full);
        }
        race_unmap(&g, va);
    }
}

static void accessed_bit_races(void** state) {
    (void)state;
    root_new();
    // A neighbour keeps the page table in place.
    const paddr_t pa = {0x9000'0000};
    constexpr enum mmu_flags flags = (enum mmu_flags)(MMU_USER | MMU_READ);
    assert_int_equal(pt_map_pages(&pt, 0x4000'1000, &pa, 1, flags, false, &spare), STATUS_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, nullptr, walker_main, nullptr), 0);
    race(race_unmap, PTE_PRESENT);
    race(race_write_protect, PTE_WRITE);
    race(race_protect, PTE_WRITE);
    race(race_widen_and_unmap, PTE_PRESENT);
    atomic_store(&walker.end, true);
    assert_int_equal(pthread_join(thread, nullptr), 0);
    struct tlb_gather all = {};
    assert_int_equal(pt_unmap(&pt, &all, 0, (uint64_t)1 << 47, &spare), STATUS_OK);
    tables_back(all.free_tables);
    root_back();
}

// A long edit in steps: everything that is there lies in exactly one of them, none is longer than
// it may be, none cuts an entry, and what is absent costs none.
static void steps_cover_what_is_there(void** state) {
    (void)state;
    constexpr vaddr_t gib = (vaddr_t)1 << 30;
    static const vaddr_t pages[] = {0x20'0000,        0x20'1000,
                                    0xff'f000,        0x100'0000,
                                    5 * gib - 0x1000, 7 * gib + 12345 * (vaddr_t)PAGE_SIZE,
                                    600 * gib};
    constexpr enum mmu_flags rw = (enum mmu_flags)(MMU_USER | MMU_READ | MMU_WRITE);
    root_new();
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        paddr_t pa = {(i + 1) * PAGE_SIZE};
        assert_int_equal(pt_map_pages(&pt, pages[i], &pa, 1, rw, false, &spare), STATUS_OK);
    }
    assert_int_equal(pt_map_run(&pt, 5 * gib, (paddr_t){8 * gib}, gib, rw, 2, &spare), STATUS_OK);
    const vaddr_t starts[] = {0x20'0000,
                              0x100'0000,
                              5 * gib - 0x1000 - 511 * 0x1000,
                              5 * gib,
                              7 * gib + align_down((vaddr_t)12345 * PAGE_SIZE, 0x20'0000),
                              600 * gib};
    constexpr vaddr_t end = (vaddr_t)1 << 47;
    size_t n = 0;
    for (vaddr_t va = 0x20'0000; va != end;) {
        vaddr_t stop;
        va = pt_next_step(&pt, va, end, &stop);
        if (va != end) {
            assert_true(n < sizeof(starts) / sizeof(starts[0]));
            assert_int_equal(va, starts[n]);
            assert_int_equal(stop, va == 5 * gib ? 6 * gib
                                                 : align_down(va, MMU_STEP_BYTES) + MMU_STEP_BYTES);
            n++;
        }
        struct tlb_gather g = {};
        struct table_reserve none = {};
        assert_int_equal(pt_unmap(&pt, &g, va, stop - va, &none), STATUS_OK);
        tables_back(g.free_tables);
        va = stop;
    }
    assert_int_equal(n, sizeof(starts) / sizeof(starts[0]));
    root_back(); // nothing is left
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_cover_what_is_there),
        cmocka_unit_test(bits_of_leaves),
        cmocka_unit_test(random_edits),
        cmocka_unit_test(snapshot_of_large_mapping),
        cmocka_unit_test(accessed_bit_races),
    };
    return cmocka_run_group_tests(tests, machine, nullptr);
}
