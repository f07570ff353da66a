// The tree against a sorted array: random inserts, erases, replacements and searches, with full
// checks of shape and augmentation (subtree sum and subtree maximum end, as an interval tree has).
#include <lib/rbtree.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <lib/random.h>

struct item {
    struct rbtree_node node;
    uint32_t key;
    uint32_t end;
    uint64_t sum;     // of the keys in the subtree
    uint32_t max_end; // over the subtree
    bool linked;
};

constexpr size_t item_count = 300;

static struct item* item_of(const struct rbtree_node* node) {
    return container_of((struct rbtree_node*)node, struct item, node);
}

static int item_compare(const struct rbtree_node* a, const struct rbtree_node* b) {
    uint32_t left = item_of(a)->key;
    uint32_t right = item_of(b)->key;
    return left < right ? -1 : left > right;
}

static bool item_update(struct rbtree_node* node) {
    struct item* item = item_of(node);
    const struct item before = *item;
    item->sum = item->key;
    item->max_end = item->end;
    struct rbtree_node* children[] = {rbtree_node_left(node), rbtree_node_right(node)};
    for (int i = 0; i < 2; i++) {
        if (children[i] != nullptr) {
            item->sum += item_of(children[i])->sum;
            item->max_end = max(item->max_end, item_of(children[i])->max_end);
        }
    }
    return item->sum != before.sum || item->max_end != before.max_end;
}

static int key_compare(const void* key, const struct rbtree_node* node) {
    uint32_t left = *(const uint32_t*)key;
    uint32_t right = item_of(node)->key;
    return left < right ? -1 : left > right;
}

static const struct rbtree_ops augmented_ops = {.compare = item_compare, .update = item_update};
static const struct rbtree_ops plain_ops = {.compare = item_compare};

static uint64_t check_subtree(const struct rbtree_node* node) {
    if (node == nullptr) {
        return 0;
    }
    const struct item* item = item_of(node);
    uint64_t sum = item->key + check_subtree(node->left) + check_subtree(node->right);
    uint32_t max_end = item->end;
    if (node->left != nullptr) {
        max_end = max(max_end, item_of(node->left)->max_end);
    }
    if (node->right != nullptr) {
        max_end = max(max_end, item_of(node->right)->max_end);
    }
    assert_int_equal(item->sum, sum);
    assert_int_equal(item->max_end, max_end);
    return sum;
}

static unsigned depth_of(const struct rbtree_node* node) {
    if (node == nullptr) {
        return 0;
    }
    unsigned left = depth_of(node->left);
    unsigned right = depth_of(node->right);
    return 1 + (left > right ? left : right);
}

struct model {
    struct rbtree tree;
    struct item items[item_count];
    size_t linked_count;
};

static int compare_u32(const void* a, const void* b) {
    uint32_t left = *(const uint32_t*)a;
    uint32_t right = *(const uint32_t*)b;
    return left < right ? -1 : left > right;
}

static size_t sorted_keys(const struct model* model, uint32_t* keys) {
    size_t count = 0;
    for (size_t i = 0; i < item_count; i++) {
        if (model->items[i].linked) {
            keys[count++] = model->items[i].key;
        }
    }
    qsort(keys, count, sizeof(keys[0]), compare_u32);
    return count;
}

static void check_walks(const struct model* model) {
    uint32_t keys[item_count];
    size_t count = sorted_keys(model, keys);
    size_t at = 0;
    for (struct rbtree_node* n = rbtree_first(&model->tree); n != nullptr; n = rbtree_next(n)) {
        assert_int_equal(item_of(n)->key, keys[at++]);
    }
    assert_int_equal(at, count);
    for (struct rbtree_node* n = rbtree_last(&model->tree); n != nullptr; n = rbtree_prev(n)) {
        assert_int_equal(item_of(n)->key, keys[--at]);
    }
    assert_int_equal(at, 0);
}

static void check_searches(const struct model* model, uint32_t key) {
    uint32_t keys[item_count];
    size_t count = sorted_keys(model, keys);
    size_t lower = 0;
    while (lower < count && keys[lower] < key) {
        lower++;
    }
    size_t upper = lower;
    while (upper < count && keys[upper] == key) {
        upper++;
    }
    struct rbtree_node* node = rbtree_lower_bound(&model->tree, &key, key_compare);
    assert_int_equal(node == nullptr, lower == count);
    if (node != nullptr) {
        assert_int_equal(item_of(node)->key, keys[lower]);
        struct rbtree_node* before = rbtree_prev(node);
        assert_true(before == nullptr || item_of(before)->key < key);
    }
    assert_ptr_equal(rbtree_find(&model->tree, &key, key_compare), upper > lower ? node : nullptr);
    node = rbtree_upper_bound(&model->tree, &key, key_compare);
    assert_int_equal(node == nullptr, upper == count);
    if (node != nullptr) {
        assert_int_equal(item_of(node)->key, keys[upper]);
    }
}

static void step_insert(struct model* model, struct random* random, uint32_t key_bound) {
    struct item* item = &model->items[random_below(random, item_count)];
    if (item->linked) {
        return;
    }
    item->key = random_below(random, key_bound);
    item->end = random_below(random, 1000);
    rbtree_insert(&model->tree, &item->node);
    item->linked = true;
    model->linked_count++;
}

static void step_erase(struct model* model, struct random* random) {
    struct item* item = &model->items[random_below(random, item_count)];
    if (item->linked) {
        rbtree_erase(&model->tree, &item->node);
        item->linked = false;
        model->linked_count--;
    }
}

static void step_change(struct model* model, struct random* random) {
    struct item* item = &model->items[random_below(random, item_count)];
    struct item* other = &model->items[random_below(random, item_count)];
    if (!item->linked) {
        return;
    }
    if (other->linked) {
        item->end = random_below(random, 1000);
        rbtree_node_changed(&model->tree, &item->node);
        return;
    }
    other->key = item->key;
    other->end = random_below(random, 1000);
    rbtree_replace(&model->tree, &item->node, &other->node);
    item->linked = false;
    other->linked = true;
}

static void run_random(uint64_t seed, const struct rbtree_ops* ops, uint32_t key_bound) {
    struct random random = random_init(seed);
    struct model* model = calloc(1, sizeof(*model));
    rbtree_init(&model->tree, ops);
    for (int i = 0; i < 6000; i++) {
        // The balance of inserts and erases swings, so that the tree fills and empties.
        uint32_t insert_share = i / 1500 % 2 == 0 ? 6 : 2;
        uint32_t dice = random_below(&random, 10);
        if (dice < insert_share) {
            step_insert(model, &random, key_bound);
        } else if (dice < 8) {
            step_erase(model, &random);
        } else {
            step_change(model, &random);
        }
        assert_int_equal(rbtree_verify(&model->tree), model->linked_count);
        if (ops->update != nullptr) {
            check_subtree(model->tree.root);
        }
        if (i % 16 == 0) {
            check_walks(model);
            check_searches(model, random_below(&random, key_bound + 2));
        }
    }
    free(model);
}

static void test_random_distinct(void**) {
    run_random(20, &augmented_ops, 1000000);
}
static void test_random_equal_keys(void**) {
    run_random(21, &augmented_ops, 12);
}
static void test_random_plain(void**) {
    run_random(22, &plain_ops, 200);
}

static void test_sequential_stays_shallow(void**) {
    constexpr size_t count = 4096;
    struct item* items = calloc(count, sizeof(*items));
    for (int direction = 0; direction < 2; direction++) {
        struct rbtree tree;
        rbtree_init(&tree, &plain_ops);
        for (uint32_t i = 0; i < count; i++) {
            items[i].key = direction == 0 ? i : (uint32_t)count - i;
            rbtree_insert(&tree, &items[i].node);
        }
        assert_int_equal(rbtree_verify(&tree), count);
        assert_true(depth_of(tree.root) <= 24); // 2 log2(n + 1)
        while (!rbtree_is_empty(&tree)) {
            rbtree_erase(&tree, rbtree_first(&tree));
        }
    }
    free(items);
}

static void test_equal_keys_keep_order(void**) {
    struct item items[8] = {};
    struct rbtree tree;
    rbtree_init(&tree, &plain_ops);
    for (int i = 0; i < 8; i++) {
        items[i].key = 5;
        rbtree_insert(&tree, &items[i].node);
    }
    int at = 0;
    for (struct rbtree_node* n = rbtree_first(&tree); n != nullptr; n = rbtree_next(n)) {
        assert_ptr_equal(n, &items[at++].node);
    }
}

static void test_verify_finds_damage(void**) {
    struct item items[16] = {};
    struct rbtree tree;
    rbtree_init(&tree, &plain_ops);
    assert_int_equal(rbtree_verify(&tree), 0);
    for (uint32_t i = 0; i < 16; i++) {
        items[i].key = i;
        rbtree_insert(&tree, &items[i].node);
    }
    assert_int_equal(rbtree_verify(&tree), 16);
    items[3].key = 99;
    assert_int_equal(rbtree_verify(&tree), SIZE_MAX);
    items[3].key = 3;
    items[0].node.parent_and_color ^= 1;
    assert_int_equal(rbtree_verify(&tree), SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_distinct),
        cmocka_unit_test(test_random_equal_keys),
        cmocka_unit_test(test_random_plain),
        cmocka_unit_test(test_sequential_stays_shallow),
        cmocka_unit_test(test_equal_keys_keep_order),
        cmocka_unit_test(test_verify_finds_damage),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
