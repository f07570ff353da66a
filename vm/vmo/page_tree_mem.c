// The page tree's memory: nodes from a slab cache, and the end of dropped trees.
//
// A small drop is taken apart by whoever made it. A large one goes to the common list, from which a
// worker takes it apart in slices, so that nobody's system call pays for a gigabyte of pages.
#include <stdatomic.h>

#include <lib/assert.h>
#include <locking/spinlock.h>
#include <sched/deferred.h>
#include <vm/heap.h>
#include <vm/page_tree.h>
#include <vm/pmm.h>

constexpr size_t SLICE = 1024;

SLAB_CACHE(page_node_cache, struct page_node);

static void collect(struct work* w);

static struct {
    spinlock_t lock;
    struct page_node* dying; // under lock
    _Atomic(bool) queued;
    struct work work; // the worker's once queued
} heap_of_trees = {.lock = SPINLOCK_INIT(LOCK_CLASS_PAGE_GARBAGE), .work = WORK_INIT(collect)};

bool page_node_reserve_fill(struct page_node_reserve* r, uint32_t count) {
    while (r->count < count) {
        struct page_node* node = slab_alloc(&page_node_cache);
        if (node == nullptr) {
            return false;
        }
        node->link = r->head;
        r->head = node;
        r->count++;
    }
    return true;
}

static void nodes_free(struct page_node* node) {
    while (node != nullptr) {
        struct page_node* next = node->link;
        slab_free(&page_node_cache, node);
        node = next;
    }
}

void page_node_reserve_drain(struct page_node_reserve* r) {
    nodes_free(r->head);
    *r = (struct page_node_reserve){};
}

// Frees what has been taken apart so far.
static void garbage_flush(struct page_garbage* g) {
    nodes_free(g->nodes);
    for (struct page* p = g->pages; p != nullptr;) {
        struct page* next = p->next;
        p->next = nullptr;
        pmm_free_page(p);
        p = next;
    }
    g->nodes = nullptr;
    g->pages = nullptr;
    g->page_count = 0;
}

static uint64_t dying_pages(const struct page_garbage* g) {
    uint64_t pages = 0;
    for (const struct page_node* n = g->dying; n != nullptr; n = n->link) {
        pages += n->pages;
    }
    return pages;
}

static void collect(struct work*) {
    atomic_store(&heap_of_trees.queued, false);
    struct page_garbage g = {};
    irq_state_t state = spin_acquire_irq(&heap_of_trees.lock);
    g.dying = heap_of_trees.dying;
    heap_of_trees.dying = nullptr;
    spin_release_irq(&heap_of_trees.lock, state);
    page_garbage_free(&g); // the worker can be preempted at any point of this
}

// Hands the dying nodes to the worker.
static void garbage_defer(struct page_garbage* g) {
    irq_state_t state = spin_acquire_irq(&heap_of_trees.lock);
    while (g->dying != nullptr) {
        struct page_node* node = g->dying;
        g->dying = node->link;
        node->link = heap_of_trees.dying;
        heap_of_trees.dying = node;
    }
    spin_release_irq(&heap_of_trees.lock, state);
    if (!atomic_exchange(&heap_of_trees.queued, true)) {
        worker_queue(&heap_of_trees.work);
    }
}

void page_garbage_free(struct page_garbage* g) {
    while (!page_garbage_step(g, SLICE)) {
        garbage_flush(g);
    }
    garbage_flush(g);
}

void page_garbage_dispose(struct page_garbage* g) {
    if (page_garbage_empty(g)) {
        return;
    }
    if (dying_pages(g) > SLICE) {
        garbage_defer(g);
    }
    page_garbage_free(g);
}
