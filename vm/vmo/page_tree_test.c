// The page tree against arrays: random edits over many snapshots of each other. After every few
// steps each tree must read as its array does, and a walk over everything reachable must find each
// node and each page with exactly the references that it counts, and nothing leaked.
#include <vm/page_tree.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/bits.h>
#include <lib/compiler.h>
#include <lib/random.h>

// ---- memory behind the tree, counted ----

static size_t live_nodes;
static size_t live_pages;

bool page_node_reserve_fill(struct page_node_reserve* r, uint32_t count) {
    while (r->count < count) {
        struct page_node* node = malloc(sizeof(*node));
        memset(node, 0xa5, sizeof(*node));
        node->link = r->head;
        r->head = node;
        r->count++;
        live_nodes++;
    }
    return true;
}

static void node_list_free(struct page_node* head) {
    while (head != nullptr) {
        struct page_node* next = head->link;
        free(head);
        live_nodes--;
        head = next;
    }
}

void page_node_reserve_drain(struct page_node_reserve* r) {
    node_list_free(r->head);
    *r = (struct page_node_reserve){};
}

static void page_list_free(struct page* head) {
    while (head != nullptr) {
        struct page* next = head->next;
        assert_int_equal(atomic_load(&head->refs), 0);
        free(head);
        live_pages--;
        head = next;
    }
}

void page_garbage_dispose(struct page_garbage* g) {
    while (!page_garbage_step(g, 100)) {
    }
    node_list_free(g->nodes);
    page_list_free(g->pages);
    *g = (struct page_garbage){};
}

static struct page* page_new(void) {
    struct page* p = aligned_alloc(32, sizeof(*p));
    *p = (struct page){.state = PAGE_VMO, .refs = 1};
    live_pages++;
    return p;
}

static void page_free_unused(struct page* p) {
    assert_int_equal(atomic_load(&p->refs), 1);
    free(p);
    live_pages--;
}

// ---- exact reference counts ----

constexpr size_t seen_max = 1 << 16;
struct seen {
    const void* what;
    uint32_t refs;
};
static struct seen seen[seen_max];
static size_t seen_nodes;
static size_t seen_pages;

static struct seen* seen_find(const void* what) {
    size_t i = ((uintptr_t)what >> 4) * 0x9e3779b97f4a7c15u >> 48;
    while (seen[i].what != nullptr && seen[i].what != what) {
        i = (i + 1) % seen_max;
    }
    return &seen[i];
}

// Counts the reference that a slot is; a node's own slots are walked once. Returns the pages in the
// slot.
static uint64_t slot_walk(page_slot_t slot, uint32_t span) {
    if (slot <= PAGE_SLOT_ZERO) {
        return 0;
    }
    struct seen* s = seen_find((const void*)slot);
    bool first = s->what == nullptr;
    s->what = (const void*)slot;
    s->refs++;
    if (span == 0) {
        seen_pages += first;
        return 1;
    }
    const struct page_node* node = (const struct page_node*)slot;
    seen_nodes += first;
    assert_int_equal(node->level, span - 1);
    assert_true(node->present != 0);
    if (!first) {
        return node->pages;
    }
    uint64_t pages = 0;
    for (uint32_t i = 0; i < PAGE_NODE_SLOTS; i++) {
        assert_int_equal((node->present >> i) & 1, node->slot[i] != PAGE_SLOT_ABSENT);
        pages += slot_walk(node->slot[i], span - 1);
    }
    assert_int_equal(pages, node->pages);
    return pages;
}

static void counts_check_slot(page_slot_t slot, uint32_t span) {
    if (slot <= PAGE_SLOT_ZERO) {
        return;
    }
    uint32_t expected = seen_find((const void*)slot)->refs;
    if (span == 0) {
        assert_int_equal(atomic_load(&((struct page*)slot)->refs), expected);
        return;
    }
    struct page_node* node = (struct page_node*)slot;
    assert_int_equal(atomic_load(&node->refs), expected);
    for (uint32_t i = 0; i < PAGE_NODE_SLOTS; i++) {
        counts_check_slot(node->slot[i], span - 1);
    }
}

static void counts_check(const struct page_tree* trees, size_t count, size_t spare_nodes) {
    memset(seen, 0, sizeof(seen));
    seen_nodes = seen_pages = 0;
    for (size_t i = 0; i < count; i++) {
        slot_walk(trees[i].root, trees[i].levels);
        assert_true(trees[i].root != PAGE_SLOT_ABSENT || trees[i].levels == 0);
    }
    for (size_t i = 0; i < count; i++) {
        counts_check_slot(trees[i].root, trees[i].levels);
    }
    assert_int_equal(live_nodes, seen_nodes + spare_nodes);
    assert_int_equal(live_pages, seen_pages);
}

// ---- random edits ----

constexpr size_t tree_max = 10;
constexpr uint64_t size_max = 3 * 4096 + 100; // three levels, with an odd end

struct world {
    struct random rng;
    struct page_tree tree[tree_max];
    uint64_t size[tree_max];
    page_slot_t model[tree_max][size_max];
    struct page_node_reserve reserve;
    struct page_garbage garbage;
};

static uint64_t below(struct world* w, uint64_t limit) {
    return random_below(&w->rng, (uint32_t)limit);
}

// Mostly short ranges, some that cover leaves or everything.
static uint64_t pick_count(struct world* w, uint64_t limit) {
    static const uint64_t sizes[] = {1, 2, 70, 700, size_max};
    return min(limit, 1 + below(w, sizes[below(w, array_size(sizes))]));
}

static void settle(struct world* w) {
    page_garbage_dispose(&w->garbage);
    page_node_reserve_drain(&w->reserve);
}

static void edit_set(struct world* w, size_t i) {
    uint64_t at = below(w, w->size[i]);
    page_slot_t value = below(w, 8) == 0   ? PAGE_SLOT_ZERO
                        : below(w, 4) == 0 ? PAGE_SLOT_ABSENT
                                           : page_slot_from_page(page_new());
    uint32_t need = page_tree_nodes_set(&w->tree[i], at);
    assert_true(need <= PAGE_TREE_NODES_MAX);
    bool hand_out = below(w, 2) == 0;
    struct page* old = (struct page*)&old;
    struct page** old_to = hand_out ? &old : nullptr;
    if (need > 0 && (page_slot_is_page(value) || w->model[i][at] != value)) {
        assert_true(page_node_reserve_fill(&w->reserve, need - 1));
        struct page_tree before = w->tree[i];
        assert_int_equal(page_tree_set(&w->tree[i], at, value, &w->reserve, &w->garbage, old_to),
                         STATUS_NO_MEMORY);
        assert_memory_equal(&before, &w->tree[i], sizeof(before));
    }
    if (page_slot_is_page(value) && !hand_out) {
        struct page_tree before = w->tree[i];
        if (page_tree_put(&w->tree[i], at, page_tree_lookup(&w->tree[i], at, nullptr),
                          page_slot_page(value), &w->garbage)) {
            assert_int_equal(need, 0);
            w->model[i][at] = value;
            return;
        }
        assert_memory_equal(&before, &w->tree[i], sizeof(before));
        assert_true(need > 0 || w->tree[i].levels == 0);
    }
    assert_true(page_node_reserve_fill(&w->reserve, need));
    assert_int_equal(page_tree_set(&w->tree[i], at, value, &w->reserve, &w->garbage, old_to),
                     STATUS_OK);
    if (hand_out && old != nullptr) {
        assert_ptr_equal(old, page_slot_page(w->model[i][at]));
        page_free_unused(old);
    }
    w->model[i][at] = value;
}

static void edit_insert_run(struct world* w, size_t i) {
    uint64_t at = below(w, w->size[i]);
    uint64_t count = min(w->size[i] - at, 1 + below(w, 70));
    struct page* list = nullptr;
    for (uint64_t n = 0; n < count; n++) {
        struct page* p = page_new();
        p->next = list;
        list = p;
    }
    uint32_t max = (uint32_t)(1 + below(w, count));
    assert_true(page_node_reserve_fill(&w->reserve, PAGE_TREE_NODES_MAX));
    struct page* next = list;
    uint32_t stored;
    assert_int_equal(page_tree_insert_run(&w->tree[i], at, &next, max, &w->reserve, &stored),
                     STATUS_OK);
    assert_true(stored <= max);
    for (uint32_t n = 0; n < stored; n++) {
        assert_false(page_slot_is_page(w->model[i][at + n]));
        bool exclusive;
        page_slot_t slot = page_tree_lookup(&w->tree[i], at + n, &exclusive);
        assert_true(page_slot_is_page(slot) && exclusive);
        w->model[i][at + n] = slot;
    }
    if (stored < max) {
        assert_true(page_slot_is_page(w->model[i][at + stored]) ||
                    (w->tree[i].origin + at + stored) % 64 == 0);
    }
    while (next != nullptr) {
        struct page* p = next;
        next = p->next;
        page_free_unused(p);
    }
}

// Moves a run of a tree's own pages to where the same tree has none, if it finds such.
static void edit_move_run(struct world* w, size_t i) {
    struct page_tree* t = &w->tree[i];
    page_slot_t slots[PAGE_NODE_SLOTS];
    uint64_t own;
    uint64_t at = below(w, w->size[i]), to = below(w, w->size[i]);
    uint32_t most = (uint32_t)min(w->size[i] - max(at, to), (uint64_t)PAGE_NODE_SLOTS);
    most = page_tree_lookup_run(t, at, most, slots, &own);
    uint32_t count = 0;
    while (count < most && (own >> count & 1) != 0 && !page_slot_is_page(w->model[i][to + count])) {
        count++;
    }
    if (count == 0) {
        return;
    }
    struct page* list = nullptr;
    for (uint32_t n = count; n-- > 0;) {
        page_slot_page(slots[n])->next = list;
        list = page_slot_page(slots[n]);
        w->model[i][at + n] = PAGE_SLOT_ABSENT;
    }
    page_tree_take_run(t, at, count, &w->reserve);
    settle(w);
    assert_true(page_node_reserve_fill(&w->reserve, page_tree_nodes_range(t, to, count)));
    page_tree_insert_all(t, to, list, &w->reserve);
    memcpy(&w->model[i][to], slots, count * sizeof(slots[0]));
}

static void edit_range(struct world* w, size_t i, bool zero) {
    uint64_t first = below(w, w->size[i]);
    uint64_t count = pick_count(w, w->size[i] - first);
    uint32_t bound = page_tree_nodes_range(&w->tree[i], first, count);
    assert_true(bound <= PAGE_TREE_NODES_RANGE_MAX);
    assert_true(page_node_reserve_fill(&w->reserve, bound));
    status_t s = zero ? page_tree_zero_range(&w->tree[i], first, count, &w->reserve, &w->garbage)
                      : page_tree_remove_range(&w->tree[i], first, count, &w->reserve, &w->garbage);
    assert_int_equal(s, STATUS_OK);
    for (uint64_t n = first; n < first + count; n++) {
        w->model[i][n] = zero ? PAGE_SLOT_ZERO : PAGE_SLOT_ABSENT;
    }
}

static void edit_snapshot(struct world* w, size_t i) {
    size_t to = below(w, tree_max);
    if (to == i) {
        return;
    }
    page_tree_clear(&w->tree[to], &w->garbage);
    uint64_t first = below(w, 3) == 0 ? 0 : below(w, w->size[i]);
    uint64_t count = below(w, 3) == 0 ? w->size[i] - first : pick_count(w, w->size[i] - first);
    uint32_t bound = page_tree_nodes_snapshot(&w->tree[i], w->size[i], first, count);
    if (first == 0 && count == w->size[i]) {
        assert_int_equal(bound, 0);
    }
    assert_true(page_node_reserve_fill(&w->reserve, bound));
    assert_int_equal(
        page_tree_snapshot(&w->tree[to], &w->tree[i], w->size[i], first, count, &w->reserve),
        STATUS_OK);
    w->size[to] = below(w, 2) == 0 ? count : size_max; // some grow
    memset(w->model[to], 0, sizeof(w->model[to]));
    memcpy(w->model[to], w->model[i] + first, count * sizeof(page_slot_t));
}

static void world_check(struct world* w) {
    for (size_t i = 0; i < tree_max; i++) {
        const struct page_tree* t = &w->tree[i];
        uint64_t pages = 0;
        page_slot_t slots[PAGE_NODE_SLOTS];
        uint64_t exclusive;
        for (uint64_t at = 0; at < w->size[i];) {
            uint32_t n = page_tree_lookup_run(t, at, (uint32_t)min(w->size[i] - at, (uint64_t)64),
                                              slots, &exclusive);
            assert_true(n >= 1 && n <= 64);
            for (uint32_t k = 0; k < n; k++) {
                assert_int_equal(slots[k], w->model[i][at + k]);
                pages += page_slot_is_page(slots[k]);
            }
            uint32_t k = (uint32_t)below(w, n);
            bool one;
            assert_int_equal(page_tree_lookup(t, at + k, &one), slots[k]);
            assert_int_equal(one, (exclusive >> k) & 1);
            at += n;
        }
        assert_int_equal(page_tree_pages(t), pages);
        uint64_t first = below(w, w->size[i]);
        uint64_t end = first + pick_count(w, w->size[i] - first);
        bool pages_only = below(w, 2) == 0;
        uint64_t at = first;
        uint64_t in_range = 0;
        struct page_tree_entry e;
        uint64_t private_pages = 0;
        while (pages_only ? page_tree_next_page(t, at, end, &e) : page_tree_next(t, at, end, &e)) {
            for (; at < e.index; at++) {
                assert_true(w->model[i][at] == PAGE_SLOT_ABSENT ||
                            (pages_only && w->model[i][at] == PAGE_SLOT_ZERO));
            }
            for (; at < e.index + e.count; at++) {
                assert_int_equal(w->model[i][at], e.slot);
            }
            assert_true(at <= end);
            in_range += page_slot_is_page(e.slot);
            bool mine;
            (void)page_tree_lookup(t, e.index, &mine);
            private_pages += mine;
        }
        for (; at < end; at++) {
            assert_true(w->model[i][at] == PAGE_SLOT_ABSENT ||
                        (pages_only && w->model[i][at] == PAGE_SLOT_ZERO));
        }
        assert_int_equal(page_tree_pages_in(t, first, end - first), in_range);
        assert_int_equal(page_tree_private_in(t, first, end - first), private_pages);
    }
    counts_check(w->tree, tree_max, w->reserve.count);
}

static void random_edits(void** state) {
    (void)state;
    struct world* w = calloc(1, sizeof(*w));
    for (uint64_t seed = 1; seed <= 6; seed++) {
        w->rng = random_init(seed);
        for (size_t i = 0; i < tree_max; i++) {
            w->size[i] = i == 0 ? 1 : size_max;
        }
        for (int step = 0; step < 2700; step++) {
            size_t i = below(w, tree_max);
            switch (below(w, 11)) {
            case 0:
            case 1:
            case 2:
                edit_set(w, i);
                break;
            case 10:
                edit_move_run(w, i);
                break;
            case 3:
            case 4:
            case 5:
                edit_insert_run(w, i);
                break;
            case 6:
                edit_range(w, i, true);
                break;
            case 7:
                edit_range(w, i, false);
                break;
            default:
                edit_snapshot(w, i);
                break;
            }
            settle(w);
            if (step % 40 == 0) {
                world_check(w);
            }
        }
        for (size_t i = 0; i < tree_max; i++) {
            page_tree_clear(&w->tree[i], &w->garbage);
            memset(w->model[i], 0, sizeof(w->model[i]));
        }
        settle(w);
        assert_int_equal(live_nodes, 0);
        assert_int_equal(live_pages, 0);
    }
    free(w);
}

// ---- what the model's size cannot show ----

static void far_indices(void** state) {
    (void)state;
    struct page_tree t = {};
    struct page_node_reserve r = {};
    struct page_garbage g = {};
    constexpr uint64_t end = PAGE_TREE_MAX_PAGES;
    assert_true(page_node_reserve_fill(&r, PAGE_TREE_NODES_RANGE_MAX));
    struct page* low = page_new();
    struct page* high = page_new();
    assert_int_equal(page_tree_set(&t, 0, page_slot_from_page(low), &r, &g, nullptr), STATUS_OK);
    assert_int_equal(t.levels, 0); // one page, no node
    assert_int_equal(page_tree_nodes_set(&t, end - 1), 17);
    assert_int_equal(page_tree_set(&t, end - 1, page_slot_from_page(high), &r, &g, nullptr),
                     STATUS_OK);
    assert_int_equal(page_tree_pages(&t), 2);
    assert_true(page_node_reserve_fill(&r, page_tree_nodes_range(&t, 1, end - 2)));
    assert_int_equal(page_tree_zero_range(&t, 1, end - 2, &r, &g), STATUS_OK);
    struct page_tree_entry e;
    uint64_t at = 1;
    uint32_t runs = 0;
    while (at < end && page_tree_next(&t, at, end, &e)) {
        assert_int_equal(e.index, at);
        at += e.count;
        runs++;
    }
    assert_int_equal(at, end);
    assert_true(runs < 2 * 9 * 64);
    assert_int_equal(page_tree_lookup(&t, 1ull << 40, nullptr), PAGE_SLOT_ZERO);
    // Everything zero collapses into markers.
    assert_true(page_node_reserve_fill(&r, page_tree_nodes_range(&t, 0, end)));
    assert_int_equal(page_tree_zero_range(&t, 0, end, &r, &g), STATUS_OK);
    assert_int_equal(page_tree_pages(&t), 0);
    page_tree_clear(&t, &g);
    page_garbage_dispose(&g);
    page_node_reserve_drain(&r);
    assert_int_equal(live_nodes + live_pages, 0);
}

// Snapshots of the far ends of snapshots: the origin must not add up past what a tree can span.
static void origins_do_not_add_up(void** state) {
    (void)state;
    struct page_node_reserve r = {};
    struct page_garbage g = {};
    struct page_tree t = {};
    constexpr uint64_t size = 1ull << 51;
    for (int round = 0; round < 100; round++) {
        for (uint64_t at = size - 100; at < size + 100; at += 50) {
            struct page* p = page_new();
            assert_true(page_node_reserve_fill(&r, page_tree_nodes_set(&t, at)));
            assert_int_equal(page_tree_set(&t, at, page_slot_from_page(p), &r, &g, nullptr),
                             STATUS_OK);
        }
        struct page_tree next = {};
        uint64_t first = size - 60 + (uint64_t)round % 3;
        uint32_t need = page_tree_nodes_snapshot(&t, 2 * size, first, size);
        assert_true(page_node_reserve_fill(&r, need));
        assert_int_equal(page_tree_snapshot(&next, &t, 2 * size, first, size, &r), STATUS_OK);
        assert_true(next.origin < PAGE_TREE_MAX_PAGES);
        assert_true(page_tree_pages(&next) >= 3);
        page_tree_clear(&t, &g);
        page_garbage_dispose(&g);
        t = next;
    }
    page_tree_clear(&t, &g);
    page_garbage_dispose(&g);
    page_node_reserve_drain(&r);
    assert_int_equal(live_nodes + live_pages, 0);
}

static void small_window_holds_little(void** state) {
    (void)state;
    struct page_node_reserve r = {};
    struct page_garbage g = {};
    struct page_tree t[2] = {};
    constexpr uint64_t size = 64 * 64;
    for (uint64_t at = 0; at < size; at++) {
        struct page* p = page_new();
        assert_true(page_node_reserve_fill(&r, page_tree_nodes_set(&t[0], at)));
        assert_int_equal(page_tree_set(&t[0], at, page_slot_from_page(p), &r, &g, nullptr),
                         STATUS_OK);
    }
    assert_true(page_node_reserve_fill(&r, page_tree_nodes_snapshot(&t[0], size, 4000, 1)));
    assert_int_equal(page_tree_snapshot(&t[1], &t[0], size, 4000, 1, &r), STATUS_OK);
    assert_int_equal(t[1].levels, 0);
    bool exclusive;
    (void)page_tree_lookup(&t[0], 4000, &exclusive);
    assert_false(exclusive);
    (void)page_tree_lookup(&t[0], 4001, &exclusive);
    assert_true(exclusive);
    page_tree_clear(&t[0], &g);
    page_garbage_dispose(&g);
    page_node_reserve_drain(&r);
    assert_int_equal(live_pages, 1);
    assert_int_equal(live_nodes, 0);
    (void)page_tree_lookup(&t[1], 0, &exclusive);
    assert_true(exclusive);
    page_tree_clear(&t[1], &g);
    page_garbage_dispose(&g);
    assert_int_equal(live_pages, 0);
}

static void garbage_is_taken_apart_in_slices(void** state) {
    (void)state;
    struct page_node_reserve r = {};
    struct page_garbage g = {};
    struct page_tree t = {};
    for (uint64_t at = 0; at < 5000; at++) {
        assert_true(page_node_reserve_fill(&r, page_tree_nodes_set(&t, at)));
        assert_int_equal(page_tree_set(&t, at, page_slot_from_page(page_new()), &r, &g, nullptr),
                         STATUS_OK);
    }
    page_tree_clear(&t, &g);
    int slices = 1;
    while (!page_garbage_step(&g, 1000)) {
        assert_true(g.page_count <= 1000u * (unsigned)slices);
        slices++;
    }
    assert_true(slices >= 5 && slices <= 6);
    assert_int_equal(g.page_count, 5000);
    page_garbage_dispose(&g);
    page_node_reserve_drain(&r);
    assert_int_equal(live_nodes + live_pages, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_edits),
        cmocka_unit_test(far_indices),
        cmocka_unit_test(origins_do_not_add_up),
        cmocka_unit_test(small_window_holds_little),
        cmocka_unit_test(garbage_is_taken_apart_in_slices),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
