// The region tree against a bitmap of a small address space: random inserts, erases, adjustments
// and searches for free places, with the cached holes checked by brute force.
#include "region_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <lib/random.h>

enum : uint32_t { SPACE_PAGES = 400, SPACE_BASE = 0x10000 };

struct model {
    struct region_tree tree;
    struct region* owner[SPACE_PAGES]; // by page; null: free
    struct random random;
    uint32_t count;
};

static vaddr_t page_va(uint32_t page) {
    return SPACE_BASE + (vaddr_t)page * PAGE_SIZE;
}

static void mark(struct model* m, const struct region* r, struct region* owner) {
    uint32_t first = (uint32_t)((r->base - SPACE_BASE) / PAGE_SIZE);
    for (uint32_t i = 0; i < r->size / PAGE_SIZE; i++) {
        m->owner[first + i] = owner;
    }
}

static bool model_free(const struct model* m, uint32_t first, uint32_t pages) {
    for (uint32_t i = first; i < first + pages; i++) {
        if (i >= SPACE_PAGES || m->owner[i] != nullptr) {
            return false;
        }
    }
    return true;
}

// The lowest free place by trying every page; UINT32_MAX if none.
static uint32_t model_place(const struct model* m, uint32_t low, uint32_t high, uint32_t from,
                            uint32_t pages, uint32_t align) {
    for (uint32_t i = max(low, from); i + pages <= high; i++) {
        if (page_va(i) % ((vaddr_t)align * PAGE_SIZE) == 0 && model_free(m, i, pages)) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void check_shape(const struct model* m) {
    assert_int_equal(rbtree_verify(&m->tree.tree), m->count);
    size_t hole = 0;
    const struct region* last = nullptr;
    for (const struct region* r = region_tree_first(&m->tree); r != nullptr;
         r = region_tree_next(r)) {
        if (last != nullptr) {
            assert_true(region_end(last) <= r->base);
            hole = max(hole, r->base - region_end(last));
            assert_ptr_equal(region_tree_prev(r), last);
        }
        last = r;
    }
    if (m->count != 0) {
        const struct region* root = container_of(m->tree.tree.root, struct region, node);
        assert_int_equal(root->hole, hole);
        assert_int_equal(root->high, region_end(last));
        assert_int_equal(root->low, region_tree_first(&m->tree)->base);
    }
}

static void check_lookups(struct model* m) {
    for (uint32_t i = 0; i < SPACE_PAGES; i++) {
        assert_ptr_equal(region_tree_find(&m->tree, page_va(i) + 17), m->owner[i]);
        const struct region* above = region_tree_above(&m->tree, page_va(i));
        uint32_t k = i;
        while (k < SPACE_PAGES && m->owner[k] == nullptr) {
            k++;
        }
        assert_ptr_equal(above, k < SPACE_PAGES ? m->owner[k] : nullptr);
    }
}

static void check_placement(struct model* m) {
    uint32_t low = random_below(&m->random, SPACE_PAGES);
    uint32_t high = low + random_below(&m->random, SPACE_PAGES - low + 1);
    uint32_t pages = 1 + random_below(&m->random, 12);
    uint32_t align = 1u << random_below(&m->random, 4);
    uint32_t from = random_below(&m->random, SPACE_PAGES);
    struct place_request want = {
        .low = page_va(low),
        .high = page_va(high),
        .size = pages * PAGE_SIZE,
        .align = align * PAGE_SIZE,
    };
    vaddr_t got;
    bool found = region_tree_place_above(&m->tree, &want, page_va(from), &got);
    uint32_t lowest = model_place(m, low, high, from, pages, align);
    assert_int_equal(found, lowest != UINT32_MAX);
    if (found) {
        uint32_t page = (uint32_t)((got - SPACE_BASE) / PAGE_SIZE);
        assert_true(got % want.align == 0 && got >= want.low && got + want.size <= want.high);
        assert_true(page >= from && model_free(m, page, pages));
        if (align == 1) {
            assert_int_equal(page, lowest);
        }
    }
    bool any = model_place(m, low, high, 0, pages, align) != UINT32_MAX;
    found = region_tree_place_random(&m->tree, &want, random_u64(&m->random), &got);
    assert_int_equal(found, any);
    if (found) {
        uint32_t page = (uint32_t)((got - SPACE_BASE) / PAGE_SIZE);
        assert_true(got % want.align == 0 && got >= want.low && got + want.size <= want.high);
        assert_true(model_free(m, page, pages));
    }
}

static void step(struct model* m) {
    uint32_t first = random_below(&m->random, SPACE_PAGES);
    uint32_t pages = 1 + random_below(&m->random, 10);
    struct region* r = m->owner[first];
    if (r == nullptr) {
        bool is_free = first + pages <= SPACE_PAGES && model_free(m, first, pages);
        if (first + pages <= SPACE_PAGES) {
            assert_int_equal(region_tree_is_free(&m->tree, page_va(first), pages * PAGE_SIZE),
                             is_free);
        }
        if (is_free) {
            r = calloc(1, sizeof(*r));
            r->base = page_va(first);
            r->size = pages * PAGE_SIZE;
            region_tree_insert(&m->tree, r);
            mark(m, r, r);
            m->count++;
        }
    } else if (random_below(&m->random, 2) == 0) {
        region_tree_erase(&m->tree, r);
        mark(m, r, nullptr);
        free(r);
        m->count--;
    } else {
        mark(m, r, nullptr);
        uint32_t keep = 1 + random_below(&m->random, (uint32_t)(r->size / PAGE_SIZE));
        uint32_t cut = random_below(&m->random, (uint32_t)(r->size / PAGE_SIZE) - keep + 1);
        region_tree_adjust(&m->tree, r, r->base + cut * PAGE_SIZE, keep * PAGE_SIZE);
        mark(m, r, r);
    }
}

static void random_operations(void** state) {
    (void)state;
    for (uint32_t seed = 0; seed < 20; seed++) {
        struct model m = {.random = random_init(seed)};
        region_tree_init(&m.tree);
        for (uint32_t i = 0; i < 1500; i++) {
            step(&m);
            check_placement(&m);
            if (i % 50 == 0) {
                check_shape(&m);
                check_lookups(&m);
            }
        }
        for (struct region* r; (r = region_tree_first(&m.tree)) != nullptr;) {
            region_tree_erase(&m.tree, r);
            free(r);
        }
    }
}

// A place is found or refused without visiting the regions: with 100,000 of them, all holes but the
// last too small, a linear search would take minutes here.
static void many_regions(void** state) {
    (void)state;
    enum : uint32_t { COUNT = 100000 };
    struct region_tree tree;
    region_tree_init(&tree);
    struct region* regions = calloc(COUNT, sizeof(*regions));
    for (uint32_t i = 0; i < COUNT; i++) {
        regions[i].base = page_va(2 * i);
        regions[i].size = PAGE_SIZE;
        region_tree_insert(&tree, &regions[i]);
    }
    struct place_request want = {
        .low = SPACE_BASE,
        .high = page_va(2 * COUNT + 1),
        .size = 2 * PAGE_SIZE,
        .align = PAGE_SIZE,
    };
    for (uint32_t i = 0; i < 20000; i++) {
        vaddr_t got;
        assert_true(region_tree_place_above(&tree, &want, SPACE_BASE + i * PAGE_SIZE, &got));
        assert_int_equal(got, page_va(2 * COUNT - 1));
    }
    want.high = page_va(2 * COUNT);
    for (uint32_t i = 0; i < 20000; i++) {
        vaddr_t got;
        assert_false(region_tree_place_random(&tree, &want, (uint64_t)i << 48, &got));
    }
    free(regions);
}

static void random_places_spread(void** state) {
    (void)state;
    struct region_tree tree;
    region_tree_init(&tree);
    struct place_request want = {
        .low = 0x400000000000, .high = 0x7ffffffff000, .size = 0x100000, .align = PAGE_SIZE};
    struct random random = random_init(7);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        vaddr_t got;
        assert_true(region_tree_place_random(&tree, &want, random_u64(&random), &got));
        seen |= (uint64_t)1 << ((got - want.low) / ((want.high - want.low) / 64 + 1));
    }
    assert_true(seen == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(many_regions),
        cmocka_unit_test(random_places_spread),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
