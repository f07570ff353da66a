// Places against a list made by trying every address: the n-th place for random number n, none
// where none fits, and never a byte that is to be avoided.
#include <early/place.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <lib/random.h>

constexpr uint32_t page_count = 200;
constexpr uint32_t max_avoid = 6;

struct world {
    struct handoff_memory entries[64];
    struct memory_map map;
    struct handoff_span avoid[max_avoid];
    uint32_t avoid_count;
    bool free_page[page_count]; // usable and touched by nothing to avoid
};

static void world_init(struct world* w, struct random* random) {
    *w = (struct world){};
    w->map = (struct memory_map){.entries = w->entries, .capacity = 64};
    for (uint32_t i = 0; i < 12; i++) {
        uint64_t base = random_below(random, page_count) * BOOT_PAGE_BYTES;
        uint64_t pages = 1 + random_below(random, 40);
        enum handoff_memory_kind kind =
            random_below(random, 3) == 0 ? HANDOFF_MEMORY_RESERVED : HANDOFF_MEMORY_USABLE;
        if (base / BOOT_PAGE_BYTES + pages <= page_count) {
            assert_true(memory_map_add(&w->map, base, pages * BOOT_PAGE_BYTES, kind));
        }
    }
    w->avoid_count = random_below(random, max_avoid + 1);
    for (uint32_t i = 0; i < w->avoid_count; i++) {
        w->avoid[i].base = random_below(random, page_count * BOOT_PAGE_BYTES);
        w->avoid[i].length =
            random_below(random, 10) == 0 ? 0 : random_below(random, 20 * BOOT_PAGE_BYTES);
    }
    for (uint32_t i = 0; i < w->map.count; i++) {
        const struct handoff_memory* e = &w->map.entries[i];
        for (uint64_t at = 0; at < e->length && e->kind == HANDOFF_MEMORY_USABLE;
             at += BOOT_PAGE_BYTES) {
            w->free_page[(e->base + at) / BOOT_PAGE_BYTES] = true;
        }
    }
    for (uint32_t i = 0; i < w->avoid_count; i++) {
        for (uint64_t page = 0; page < page_count; page++) {
            uint64_t first = page * BOOT_PAGE_BYTES;
            if (w->avoid[i].length != 0 && w->avoid[i].base < first + BOOT_PAGE_BYTES &&
                w->avoid[i].base + w->avoid[i].length > first) {
                w->free_page[page] = false;
            }
        }
    }
}

static bool fits_at(const struct world* w, const struct place_request* r, uint64_t base) {
    uint64_t pages = (r->length + BOOT_PAGE_BYTES - 1) / BOOT_PAGE_BYTES;
    if (base < r->lowest || base + r->length > r->limit || base % r->align != 0) {
        return false;
    }
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t page = base / BOOT_PAGE_BYTES + i;
        if (page >= page_count || !w->free_page[page]) {
            return false;
        }
    }
    return true;
}

static void compare_places(const struct world* w, const struct place_request* request) {
    uint64_t places[page_count];
    uint32_t count = 0;
    for (uint64_t page = 0; page < page_count; page++) {
        if (fits_at(w, request, page * BOOT_PAGE_BYTES)) {
            places[count++] = page * BOOT_PAGE_BYTES;
        }
    }
    uint64_t base;
    if (count == 0) {
        assert_false(place_find(&w->map, w->avoid, w->avoid_count, request, 0, &base));
        return;
    }
    for (uint32_t n = 0; n < 2 * count; n++) {
        assert_true(place_find(&w->map, w->avoid, w->avoid_count, request, n, &base));
        assert_int_equal(base, places[n % count]);
    }
    assert_true(place_find(&w->map, w->avoid, w->avoid_count, request, UINT64_MAX, &base));
    assert_int_equal(base, places[UINT64_MAX % count]);
}

static void every_place_and_no_other(void** state) {
    (void)state;
    uint32_t none = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct random random = random_init(seed);
        struct world w;
        world_init(&w, &random);
        struct place_request request = {
            .length = (1 + random_below(&random, 12)) * BOOT_PAGE_BYTES,
            .align = BOOT_PAGE_BYTES << random_below(&random, 4),
            .lowest = random_below(&random, 20) * BOOT_PAGE_BYTES,
            .limit = (page_count - random_below(&random, 100)) * BOOT_PAGE_BYTES,
        };
        compare_places(&w, &request);
        uint64_t base;
        none += place_find(&w.map, w.avoid, w.avoid_count, &request, 0, &base) ? 0 : 1;
    }
    assert_true(none > 0 && none < 600);
}

static void nothing_and_everything(void** state) {
    (void)state;
    struct handoff_memory entries[4] = {};
    struct memory_map map = {.entries = entries, .capacity = 4};
    struct place_request request = {
        .length = BOOT_PAGE_BYTES, .align = BOOT_PAGE_BYTES, .lowest = 0, .limit = UINT64_MAX};
    uint64_t base;
    assert_false(place_find(&map, nullptr, 0, &request, 0, &base));
    assert_true(memory_map_add(&map, 0x1000, 0x1000, HANDOFF_MEMORY_USABLE));
    assert_true(place_find(&map, nullptr, 0, &request, 7, &base));
    assert_int_equal(base, 0x1000);
    request.length = 0;
    assert_false(place_find(&map, nullptr, 0, &request, 0, &base));
    request.length = UINT64_MAX - 0x800;
    assert_false(place_find(&map, nullptr, 0, &request, 0, &base));
    // A span that reaches the end of the address space must not wrap to "nothing to avoid".
    request.length = BOOT_PAGE_BYTES;
    struct handoff_span all = {.base = 0x800, .length = UINT64_MAX};
    assert_false(place_find(&map, &all, 1, &request, 0, &base));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_and_no_other),
        cmocka_unit_test(nothing_and_everything),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
