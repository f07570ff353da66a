// The kernel's tables against the map they were made from: every translation is walked and the runs
// are compared with what image and map demand, for random maps, with and without 1 GiB pages.
#include <early/page_tables.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <arch/layout.h>
#include <lib/random.h>

enum rights : uint32_t { RIGHTS_R, RIGHTS_RW, RIGHTS_RX };

struct run {
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t length;
    enum rights rights;
};

constexpr uint32_t max_runs = 512;

struct runs {
    struct run list[max_runs];
    uint32_t count;
};

static void runs_add(struct runs* runs, uint64_t vaddr, uint64_t paddr, uint64_t length,
                     enum rights rights) {
    if (length == 0) {
        return;
    }
    struct run* last = runs->count != 0 ? &runs->list[runs->count - 1] : nullptr;
    if (last != nullptr && last->vaddr + last->length == vaddr &&
        last->paddr + last->length == paddr && last->rights == rights) {
        last->length += length;
        return;
    }
    assert_true(runs->count < max_runs);
    runs->list[runs->count++] = (struct run){vaddr, paddr, length, rights};
}

// ---- walking ----------------------------------------------------------------------------------

struct walker {
    const struct table_pool* pool;
    struct runs* runs;
    bool giant_pages;
    uint32_t tables;
};

static void walk_leaf(struct walker* w, uint64_t vaddr, uint64_t entry, uint32_t level) {
    uint64_t bytes = 1ull << (12 + 9 * level);
    uint64_t paddr = entry & 0x000f'ffff'ffff'f000u;
    assert_true(level <= (w->giant_pages ? 2 : 1));
    assert_int_equal(entry >> 7 & 1, level > 0 ? 1 : 0);
    assert_int_equal(paddr % bytes, 0);
    assert_int_equal(entry & 4, 0);                      // supervisor
    assert_int_equal(entry & 0x160, 0x160);              // accessed, dirty, global
    assert_int_equal(entry & 0x0ff0'0000'0000'0e18u, 0); // cached; no bits that mean anything else
    bool write = (entry & 2) != 0;
    bool exec = (entry >> 63) == 0;
    assert_false(write && exec);
    runs_add(w->runs, vaddr, paddr, bytes, write ? RIGHTS_RW : exec ? RIGHTS_RX : RIGHTS_R);
}

static void walk_table(struct walker* w, uint64_t paddr, uint32_t level, uint64_t base) {
    assert_true(paddr >= w->pool->paddr);
    assert_true(paddr < w->pool->paddr + w->pool->used * BOOT_PAGE_BYTES);
    w->tables++;
    const uint64_t* table = (const uint64_t*)(w->pool->memory + (paddr - w->pool->paddr));
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t vaddr = base | i << (12 + 9 * level);
        if (level == 3 && i >= 256) {
            vaddr |= KERNEL_HALF_BASE;
        }
        if ((table[i] & 1) == 0) {
            assert_int_equal(table[i], 0);
        } else if (level == 0 || (table[i] & 0x80) != 0) {
            walk_leaf(w, vaddr, table[i], level);
        } else {
            assert_true(level > 0);
            assert_true(vaddr >= KERNEL_HALF_BASE);
            assert_int_equal(table[i] & ~0x000f'ffff'ffff'f000u, 0x23);
            walk_table(w, table[i] & 0x000f'ffff'ffff'f000u, level - 1, vaddr);
        }
    }
}

// ---- what has to be there ---------------------------------------------------------------------

static uint64_t clamp(uint64_t x, uint64_t low, uint64_t high) {
    return x < low ? low : x > high ? high : x;
}

static void expect_direct(struct runs* runs, const struct kernel_space* space) {
    uint64_t fixed = space->image_paddr;
    uint64_t fixed_end = fixed + space->image->rodata_end;
    for (uint32_t i = 0; i < space->map->count; i++) {
        const struct handoff_memory* e = &space->map->entries[i];
        if (e->kind != HANDOFF_MEMORY_USABLE && e->kind != HANDOFF_MEMORY_ACPI_RECLAIM) {
            continue;
        }
        uint64_t end = e->base + e->length;
        uint64_t a = clamp(fixed, e->base, end);
        uint64_t b = clamp(fixed_end, e->base, end);
        runs_add(runs, DIRECT_MAP_BASE + e->base, e->base, a - e->base, RIGHTS_RW);
        runs_add(runs, DIRECT_MAP_BASE + a, a, b - a, RIGHTS_R);
        runs_add(runs, DIRECT_MAP_BASE + b, b, end - b, RIGHTS_RW);
    }
}

static void expect_image(struct runs* runs, const struct kernel_space* space) {
    const struct image_header* h = space->image;
    uint64_t v = space->image_vaddr;
    uint64_t p = space->image_paddr;
    uint64_t above = h->stack_guard + BOOT_PAGE_BYTES;
    runs_add(runs, v, p, h->text_end, RIGHTS_RX);
    runs_add(runs, v + h->text_end, p + h->text_end, h->rodata_end - h->text_end, RIGHTS_R);
    runs_add(runs, v + h->rodata_end, p + h->rodata_end, h->stack_guard - h->rodata_end, RIGHTS_RW);
    runs_add(runs, v + above, p + above, h->image_end - above, RIGHTS_RW);
}

static void random_image(struct random* random, struct image_header* h) {
    uint64_t scale = random_below(random, 4) == 0 ? 900 : 40; // also images above 2 MiB
    uint64_t text = 1 + random_below(random, (uint32_t)scale);
    uint64_t rodata = text + 1 + random_below(random, (uint32_t)scale);
    uint64_t file = rodata + 1 + random_below(random, 40);
    uint64_t guard = file + random_below(random, 40);
    *h = (struct image_header){.link_base = 0x104000,
                               .text_end = text * BOOT_PAGE_BYTES,
                               .rodata_end = rodata * BOOT_PAGE_BYTES,
                               .file_end = file * BOOT_PAGE_BYTES,
                               .stack_guard = guard * BOOT_PAGE_BYTES,
                               .image_end =
                                   (guard + 1 + random_below(random, 20)) * BOOT_PAGE_BYTES};
}

static void random_map(struct random* random, struct memory_map* map) {
    static const uint32_t shifts[] = {20, 25, 31, 34, 38};
    uint64_t at = BOOT_PAGE_BYTES;
    uint32_t pieces = 1 + random_below(random, 24);
    uint32_t shift = shifts[random_below(random, 5)];
    for (uint32_t i = 0; i < pieces; i++) {
        uint64_t hole = random_below(random, 2) == 0 ? 0 : random_u64(random) % (1ull << shift);
        uint64_t length = 1 + random_u64(random) % (1ull << shift);
        if (random_below(random, 3) == 0) {
            at &= ~((1ull << 30) - 1);
            at += 1ull << 30;
        }
        // In ascending order, so that an addition never changes an earlier one's kind.
        assert_true(memory_map_add(map, at + hole, length,
                                   (enum handoff_memory_kind)(1 + random_below(random, 6))));
        at += hole + length + BOOT_PAGE_BYTES;
    }
    assert_true(memory_map_add(map, 1ull << 24, 1ull << 24, HANDOFF_MEMORY_USABLE));
}

static void build_and_compare(struct random* random, bool giant_pages) {
    struct handoff_memory entries[64] = {};
    struct memory_map map = {.entries = entries, .capacity = 64};
    struct image_header image;
    random_map(random, &map);
    random_image(random, &image);
    struct kernel_space space = {
        .image = &image,
        .image_paddr = (1ull << 24) + random_below(random, 1000) * BOOT_PAGE_BYTES,
        .image_vaddr = KERNEL_IMAGE_BASE + random_below(random, 500'000) * BOOT_PAGE_BYTES,
        .map = &map,
        .giant_pages = giant_pages,
    };
    uint32_t bound = page_tables_bound(&map, &image, giant_pages);
    struct table_pool pool = {.paddr = 0x123'4000, .page_count = bound};
    pool.memory = aligned_alloc(BOOT_PAGE_BYTES, bound * BOOT_PAGE_BYTES);
    assert_non_null(pool.memory);
    memset(pool.memory, 0xa5, bound * BOOT_PAGE_BYTES);

    uint64_t root;
    uint64_t window;
    assert_true(page_tables_build(&pool, &space, &root, &window));
    struct runs* found = calloc(2, sizeof(*found));
    assert_non_null(found);
    struct runs* expected = found + 1;
    struct walker w = {.pool = &pool, .runs = found, .giant_pages = giant_pages};
    walk_table(&w, root, 3, 0);
    expect_direct(expected, &space);
    expect_image(expected, &space);
    assert_int_equal(found->count, expected->count);
    for (uint32_t i = 0; i < found->count; i++) { // (not memcmp: a run has padding)
        assert_int_equal(found->list[i].vaddr, expected->list[i].vaddr);
        assert_int_equal(found->list[i].paddr, expected->list[i].paddr);
        assert_int_equal(found->list[i].length, expected->list[i].length);
        assert_int_equal(found->list[i].rights, expected->list[i].rights);
    }

    // All tables are reachable, the window's is an empty one of them, and the arenas have theirs.
    assert_int_equal(w.tables, pool.used);
    assert_true(window >= pool.paddr && window < pool.paddr + pool.used * BOOT_PAGE_BYTES);
    const uint64_t* root_table = (const uint64_t*)(pool.memory + (root - pool.paddr));
    assert_true(root_table[384] != 0 && root_table[385] != 0 && root_table[386] != 0);
    for (uint32_t i = 0; i < 256; i++) {
        assert_int_equal(root_table[i], 0);
    }

    // One page too few is refused, and nothing is written past the pool (ASan watches).
    struct table_pool small = {.paddr = pool.paddr, .page_count = pool.used - 1};
    small.memory = aligned_alloc(BOOT_PAGE_BYTES, small.page_count * BOOT_PAGE_BYTES);
    assert_non_null(small.memory);
    assert_false(page_tables_build(&small, &space, &root, &window));
    free(small.memory);
    free(found);
    free(pool.memory);
}

static void tables_map_exactly_the_ram(void** state) {
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct random random = random_init(seed);
        build_and_compare(&random, seed % 2 == 0);
    }
}

// A PC with 512 MiB has to get by with little: root, 3 arenas, window 2, image 3, direct map 4.
static void small_machine_needs_few_tables(void** state) {
    (void)state;
    struct handoff_memory entries[8] = {};
    struct memory_map map = {.entries = entries, .capacity = 8};
    assert_true(memory_map_add(&map, 0x1000, 0x9e000, HANDOFF_MEMORY_USABLE));
    assert_true(memory_map_add(&map, 0x10'0000, 0x1fed'f000, HANDOFF_MEMORY_USABLE));
    struct image_header image = {.text_end = 0x5'0000,
                                 .rodata_end = 0x8'0000,
                                 .file_end = 0x9'0000,
                                 .stack_guard = 0xa'0000,
                                 .image_end = 0xb'0000};
    struct kernel_space space = {.image = &image,
                                 .image_paddr = 0x40'0000,
                                 .image_vaddr = KERNEL_IMAGE_BASE + 0x10'0000,
                                 .map = &map,
                                 .giant_pages = true};
    uint32_t bound = page_tables_bound(&map, &image, true);
    assert_true(bound <= 24);
    struct table_pool pool = {.page_count = bound};
    pool.memory = aligned_alloc(BOOT_PAGE_BYTES, bound * BOOT_PAGE_BYTES);
    assert_non_null(pool.memory);
    uint64_t root;
    uint64_t window;
    assert_true(page_tables_build(&pool, &space, &root, &window));
    assert_true(pool.used <= 14);
    free(pool.memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_map_exactly_the_ram),
        cmocka_unit_test(small_machine_needs_few_tables),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
