// The memory map against one kind per page: random additions in random order, alignment, limits,
// and an array that is too small.
#include <early/memory_map.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/random.h>

constexpr uint32_t page_count = 300;
constexpr uint32_t no_kind = 0;

struct model {
    uint32_t kinds[page_count];
};

// What the header promises, page by page.
static void model_add(struct model* model, uint64_t base, uint64_t length, uint32_t kind) {
    for (uint64_t page = 0; page < page_count; page++) {
        uint64_t first = page * BOOT_PAGE_BYTES;
        uint64_t end = first + BOOT_PAGE_BYTES;
        bool covered = base <= first && base + length >= end;
        bool touched = length != 0 && base < end && base + length > first;
        if ((kind == HANDOFF_MEMORY_USABLE ? covered : touched) && kind > model->kinds[page]) {
            model->kinds[page] = kind;
        }
    }
}

static void assert_well_formed(const struct memory_map* map) {
    assert_true(map->count <= map->capacity);
    for (uint32_t i = 0; i < map->count; i++) {
        const struct handoff_memory* e = &map->entries[i];
        assert_int_not_equal(e->length, 0);
        assert_int_equal(e->base % BOOT_PAGE_BYTES, 0);
        assert_int_equal(e->length % BOOT_PAGE_BYTES, 0);
        if (i > 0) {
            const struct handoff_memory* before = &map->entries[i - 1];
            assert_true(before->base + before->length <= e->base);
            assert_false(before->base + before->length == e->base && before->kind == e->kind);
        }
    }
    for (uint32_t i = map->count; i < map->capacity; i++) {
        assert_int_equal(map->entries[i].length, 0);
    }
}

static uint32_t map_kind_at(const struct memory_map* map, uint64_t paddr) {
    for (uint32_t i = 0; i < map->count; i++) {
        if (paddr >= map->entries[i].base &&
            paddr - map->entries[i].base < map->entries[i].length) {
            return map->entries[i].kind;
        }
    }
    return no_kind;
}

static void add_random(struct random* random, struct memory_map* map, struct model* model,
                       bool* all_fitted) {
    uint64_t base = random_below(random, (page_count - 40) * BOOT_PAGE_BYTES);
    uint64_t length = random_below(random, 40 * BOOT_PAGE_BYTES);
    if (random_below(random, 2) == 0) {
        base &= ~(BOOT_PAGE_BYTES - 1);
        length &= ~(BOOT_PAGE_BYTES - 1);
    }
    uint32_t kind = 1 + random_below(random, HANDOFF_MEMORY_DEFECTIVE);
    if (!memory_map_add(map, base, length, (enum handoff_memory_kind)kind)) {
        *all_fitted = false;
    }
    model_add(model, base, length, kind);
}

static void additions_match_the_model(void** state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct random random = random_init(seed);
        struct handoff_memory entries[2 * page_count] = {};
        struct memory_map map = {.entries = entries, .capacity = 2 * page_count};
        struct model model = {};
        bool fitted = true;
        uint32_t additions = 1 + random_below(&random, 60);
        for (uint32_t i = 0; i < additions; i++) {
            add_random(&random, &map, &model, &fitted);
            assert_well_formed(&map);
        }
        assert_true(fitted);
        for (uint64_t page = 0; page < page_count; page++) {
            assert_int_equal(map_kind_at(&map, page * BOOT_PAGE_BYTES), model.kinds[page]);
        }
    }
}

// With too little room, usable memory may be missing, but nothing may be usable that is not.
static void full_map_only_loses_usable_memory(void** state) {
    (void)state;
    uint32_t squeezed = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct random random = random_init(seed);
        struct handoff_memory entries[12] = {};
        struct memory_map map = {.entries = entries, .capacity = 12};
        struct model model = {};
        bool fitted = true;
        for (uint32_t i = 0; i < 30 && fitted; i++) {
            add_random(&random, &map, &model, &fitted);
            assert_well_formed(&map);
        }
        squeezed += fitted ? 0 : 1;
        for (uint64_t page = 0; page < page_count && fitted; page++) {
            uint32_t kind = map_kind_at(&map, page * BOOT_PAGE_BYTES);
            if (kind != no_kind || model.kinds[page] != HANDOFF_MEMORY_USABLE) {
                // A usable page that was forgotten may have been re-added or overlaid later.
                assert_true(kind == model.kinds[page]);
            }
        }
    }
    assert_true(squeezed > 0 && squeezed < 400);
}

static void addresses_past_the_limit_are_cut(void** state) {
    (void)state;
    struct handoff_memory entries[8] = {};
    struct memory_map map = {.entries = entries, .capacity = 8};
    assert_true(memory_map_add(&map, UINT64_MAX - 10, 100, HANDOFF_MEMORY_RESERVED));
    assert_true(memory_map_add(&map, MEMORY_MAP_LIMIT, 1ull << 40, HANDOFF_MEMORY_USABLE));
    assert_int_equal(map.count, 0);
    assert_true(memory_map_add(&map, MEMORY_MAP_LIMIT - 8192, UINT64_MAX, HANDOFF_MEMORY_USABLE));
    assert_int_equal(map.count, 1);
    assert_int_equal(map.entries[0].base, MEMORY_MAP_LIMIT - 8192);
    assert_int_equal(map.entries[0].length, 8192);
}

static void ram_runs_join_adjoining_kinds(void** state) {
    (void)state;
    struct handoff_memory entries[8] = {};
    struct memory_map map = {.entries = entries, .capacity = 8};
    assert_true(memory_map_add(&map, 0x1000, 0x3000, HANDOFF_MEMORY_USABLE));
    assert_true(memory_map_add(&map, 0x4000, 0x1000, HANDOFF_MEMORY_ACPI_RECLAIM));
    assert_true(memory_map_add(&map, 0x5000, 0x1000, HANDOFF_MEMORY_ACPI_NVS));
    assert_true(memory_map_add(&map, 0x6000, 0x1000, HANDOFF_MEMORY_USABLE));
    uint32_t cursor = 0;
    struct handoff_span run;
    assert_true(memory_map_next_ram(&map, &cursor, &run));
    assert_int_equal(run.base, 0x1000);
    assert_int_equal(run.length, 0x4000);
    assert_true(memory_map_next_ram(&map, &cursor, &run));
    assert_int_equal(run.base, 0x6000);
    assert_int_equal(run.length, 0x1000);
    assert_false(memory_map_next_ram(&map, &cursor, &run));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additions_match_the_model),
        cmocka_unit_test(full_map_only_loses_usable_memory),
        cmocka_unit_test(addresses_past_the_limit_are_cut),
        cmocka_unit_test(ram_runs_join_adjoining_kinds),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
