// The heap against a scan for the minimum: random inserts, removals from the middle, key changes.
#include <lib/heap.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <lib/compiler.h>
#include <lib/random.h>

struct item {
    struct heap_node node;
    int64_t key;
    bool linked;
};

constexpr size_t item_count = 200;

static struct item* item_of(const struct heap_node* node) {
    return container_of((struct heap_node*)node, struct item, node);
}

static bool item_before(const struct heap_node* a, const struct heap_node* b) {
    return item_of(a)->key < item_of(b)->key;
}

static int64_t smallest_key(const struct item* items) {
    int64_t best = INT64_MAX;
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].linked && items[i].key < best) {
            best = items[i].key;
        }
    }
    return best;
}

static void step(struct heap* heap, struct item* item, struct random* random, uint32_t key_bound) {
    uint32_t dice = random_below(random, 8);
    if (!item->linked) {
        item->key = random_below(random, key_bound);
        heap_insert(heap, &item->node);
        item->linked = true;
    } else if (dice < 4) {
        heap_remove(heap, &item->node);
        item->linked = false;
        assert_null(item->node.parent);
    } else {
        item->key = random_below(random, key_bound);
        heap_node_changed(heap, &item->node);
    }
}

static void run_random(uint64_t seed, uint32_t key_bound) {
    struct random random = random_init(seed);
    struct item* items = calloc(item_count, sizeof(*items));
    struct heap heap;
    heap_init(&heap, item_before);
    size_t linked_count = 0;
    for (int i = 0; i < 20000; i++) {
        struct item* item = &items[random_below(&random, item_count)];
        bool was_linked = item->linked;
        step(&heap, item, &random, key_bound);
        linked_count += (size_t)item->linked - (size_t)was_linked;
        assert_int_equal(heap.count, linked_count);
        assert_true(heap_verify(&heap));
        if (linked_count > 0) {
            assert_int_equal(item_of(heap_top(&heap))->key, smallest_key(items));
        }
        if (random_below(&random, 300) == 0) {
            int64_t previous = INT64_MIN;
            for (struct heap_node* n; (n = heap_pop(&heap)) != nullptr; linked_count--) {
                assert_true(item_of(n)->key >= previous);
                previous = item_of(n)->key;
                item_of(n)->linked = false;
            }
            assert_int_equal(linked_count, 0);
            assert_true(heap_is_empty(&heap));
        }
    }
    free(items);
}

static void test_random_distinct(void**) {
    run_random(30, 1000000000);
}
static void test_random_equal(void**) {
    run_random(31, 5);
}

static void test_verify_finds_damage(void**) {
    struct item items[7] = {};
    struct heap heap;
    heap_init(&heap, item_before);
    for (int i = 0; i < 7; i++) {
        items[i].key = i;
        heap_insert(&heap, &items[i].node);
    }
    assert_true(heap_verify(&heap));
    items[6].key = -1;
    assert_false(heap_verify(&heap));
    items[6].key = 6;
    heap.count = 6;
    assert_false(heap_verify(&heap));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_distinct),
        cmocka_unit_test(test_random_equal),
        cmocka_unit_test(test_verify_finds_damage),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
