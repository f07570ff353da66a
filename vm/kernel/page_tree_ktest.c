// Page trees that share nodes under different locks: each CPU edits, snapshots and drops its own
// copies of one tree at the same time, so that counts fall and nodes change hands under everybody's
// feet. A page's contents say which index and which writer it belongs to: nobody may ever see a
// page of another's. At the end every page and node is back.
#include <debug/command.h>
#include <debug/ktest.h>
#include <lib/random.h>
#include <vm/page_tree.h>
#include <vm/pmm.h>

#include "ktest_cpus.h"

constexpr uint64_t COUNT = 64 * 20;
constexpr uint32_t ROUNDS = 60;
constexpr uint64_t COMMON = 0xc0;

struct forest {
    struct page_tree tree; // this CPU's own; the other trees share its nodes
    struct page_node_reserve reserve;
    struct page_garbage garbage;
    uint32_t writer;
    uint32_t errors;
};

static uint64_t* contents(struct page* p) {
    return page_to_virt(p);
}

static bool put(struct forest* f, struct page_tree* tree, uint64_t at, uint64_t writer) {
    struct page* p = pmm_alloc_page(PMM_VMO);
    if (p == nullptr || !page_node_reserve_fill(&f->reserve, PAGE_TREE_NODES_MAX)) {
        return false;
    }
    contents(p)[0] = at;
    contents(p)[1] = writer;
    return page_tree_set(tree, at, page_slot_from_page(p), &f->reserve, &f->garbage, nullptr) ==
           STATUS_OK;
}

// What a write fault does: in place if the page is ours alone, else through a copy.
static bool write_page(struct forest* f, struct page_tree* tree, uint64_t at) {
    bool exclusive;
    page_slot_t slot = page_tree_lookup(tree, at, &exclusive);
    if (page_slot_is_page(slot) && exclusive) {
        contents(page_slot_page(slot))[1] = f->writer;
        return true;
    }
    return put(f, tree, at, f->writer);
}

static void check_tree(struct forest* f, const struct page_tree* tree) {
    struct page_tree_entry e;
    for (uint64_t at = 0; page_tree_next_page(tree, at, COUNT, &e); at = e.index + 1) {
        const uint64_t* words = contents(page_slot_page(e.slot));
        f->errors += words[0] != e.index || (words[1] != COMMON && words[1] != f->writer);
    }
}

static int forest_worker(void* arg) {
    struct forest* f = arg;
    struct random rng = random_init(f->writer);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct page_tree copy = {};
        f->errors += !page_node_reserve_fill(&f->reserve, PAGE_TREE_NODES_RANGE_MAX);
        status_t s = page_tree_snapshot(&copy, &f->tree, COUNT, 0, COUNT, &f->reserve);
        f->errors += s != STATUS_OK;
        for (uint32_t i = 0; i < 40; i++) {
            struct page_tree* tree = random_below(&rng, 2) == 0 ? &copy : &f->tree;
            f->errors += !write_page(f, tree, random_below(&rng, COUNT));
        }
        uint64_t first = random_below(&rng, COUNT);
        f->errors += !page_node_reserve_fill(&f->reserve, PAGE_TREE_NODES_RANGE_MAX);
        s = page_tree_remove_range(&f->tree, first, min(COUNT - first, (uint64_t)100), &f->reserve,
                                   &f->garbage);
        f->errors += s != STATUS_OK;
        if (round % 8 == 0) {
            check_tree(f, &copy);
            check_tree(f, &f->tree);
        }
        page_tree_clear(random_below(&rng, 2) == 0 ? &copy : &f->tree, &f->garbage);
        if (f->tree.root == PAGE_SLOT_ABSENT) {
            f->tree = copy;
        }
        page_garbage_dispose(&f->garbage);
    }
    check_tree(f, &f->tree);
    page_tree_clear(&f->tree, &f->garbage);
    page_garbage_dispose(&f->garbage);
    page_node_reserve_drain(&f->reserve);
    return 0;
}

static void shared_on_all_cpus(struct ktest* t) {
    static struct forest forests[KTEST_CPUS];
    void* args[KTEST_CPUS];
    uint32_t cpus = min(arch_cpu_count(), KTEST_CPUS);
    for (uint32_t i = 0; i < KTEST_CPUS; i++) {
        forests[i] = (struct forest){.writer = i + 1};
        args[i] = &forests[i];
    }
    struct forest* first = &forests[0];
    for (uint64_t at = 0; at < COUNT; at++) {
        KASSERT(t, put(first, &first->tree, at, COMMON));
    }
    // Snapshots of windows too, so that boundary paths are copied.
    for (uint32_t i = 1; i < cpus; i++) {
        KASSERT(t, page_node_reserve_fill(&first->reserve, PAGE_TREE_NODES_RANGE_MAX));
        KEXPECT_EQ(t,
                   page_tree_snapshot(&forests[i].tree, &first->tree, COUNT, 0, COUNT - i * 70,
                                      &first->reserve),
                   STATUS_OK);
    }
    struct cpu_threads threads;
    cpu_threads_start(t, &threads, 0, forest_worker, args);
    cpu_threads_join(&threads);
    for (uint32_t i = 0; i < cpus; i++) {
        KEXPECT_EQ(t, forests[i].errors, 0u);
        page_garbage_dispose(&forests[i].garbage);
    }
    kdrain_all();
}
KTEST_WITH(page_tree, shared_on_all_cpus, 0, 30'000);
