// Interval trees against a list: random inserts and erases, every query compared.
#include "interval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lib/compiler.h>
#include <lib/random.h>

enum : uint32_t { COUNT = 60, SPAN = 200 };

static void check_query(const struct rbtree* tree, struct interval items[], const bool linked[],
                        uint64_t first, uint64_t end) {
    bool hit[COUNT] = {};
    uint64_t last = 0;
    for (struct interval* i = interval_first(tree, first, end); i != nullptr;
         i = interval_next(i, first, end)) {
        uint32_t k = (uint32_t)(i - items);
        assert_true(linked[k] && !hit[k]);
        assert_true(i->first >= last);
        last = i->first;
        hit[k] = true;
    }
    for (uint32_t k = 0; k < COUNT; k++) {
        bool wanted = linked[k] && items[k].first < end && items[k].end > first && first < end;
        assert_int_equal(hit[k], wanted);
    }
}

static void random_queries(void** state) {
    (void)state;
    for (uint32_t seed = 0; seed < 30; seed++) {
        struct random random = random_init(seed);
        struct rbtree tree;
        interval_tree_init(&tree);
        struct interval items[COUNT] = {};
        bool linked[COUNT] = {};
        for (uint32_t n = 0; n < 2000; n++) {
            uint32_t k = random_below(&random, COUNT);
            if (linked[k]) {
                interval_erase(&tree, &items[k]);
            } else {
                items[k].first = random_below(&random, SPAN);
                items[k].end = items[k].first + 1 + random_below(&random, SPAN / 4);
                interval_insert(&tree, &items[k]);
            }
            linked[k] = !linked[k];
            uint64_t first = random_below(&random, SPAN);
            check_query(&tree, items, linked, first, first + random_below(&random, SPAN / 4));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_queries)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
