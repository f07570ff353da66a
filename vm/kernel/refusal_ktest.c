// Every allocation site of memory's own operations is refused once: the operation must say so,
// leave nothing behind, and work the next time.
#include <arch/layout.h>
#include <arch/mmu.h>
#include <debug/command.h>
#include <debug/ktest.h>
#include <sched/thread.h>
#include <vm/heap.h>
#include <vm/kernel_vm.h>
#include <vm/page_tree.h>
#include <vm/pmm.h>

static uint64_t allocated(void) {
    struct pmm_stats s;
    pmm_get_stats(&s);
    return s.allocated_pages;
}

// Runs `op` (true: it worked and was undone) with the first, second, ... allocation refused, until
// nothing was left to refuse.
static void refuse_each(struct ktest* t, bool (*op)(void), uint64_t at_least) {
    KASSERT(t, op());
    kdrain_all();
    uint64_t before = allocated();
    uint64_t nth = 1;
    for (bool fired = true; fired; nth++) {
        alloc_injection_arm(nth);
        bool worked = op();
        alloc_injection_disarm(&fired);
        KEXPECT_EQ(t, worked, !fired);
        kdrain_all();
        KASSERT(t, allocated() == before);
    }
    KEXPECT(t, nth - 2 >= at_least);
}

static bool op_aspace(void) {
    struct arch_aspace as;
    constexpr vaddr_t base = 0x20'0000;
    if (arch_aspace_init(&as, base, USER_HALF_END - base - PAGE_SIZE) != STATUS_OK) {
        return false;
    }
    struct table_reserve r = {};
    bool ok = mmu_reserve_fill(&r, 3);
    mmu_reserve_drain(&r);
    arch_aspace_destroy(&as);
    return ok;
}

static bool op_vmap(void) {
    paddr_t pages[3];
    struct page* list = pmm_alloc_pages(3, PMM_KERNEL);
    if (list == nullptr) {
        return false;
    }
    size_t n = 0;
    for (struct page* p = list; p != nullptr; p = p->next) {
        pages[n++] = page_to_paddr(p);
    }
    void* a = kernel_vmap(pages, 3);
    void* b = a == nullptr ? nullptr : kernel_map_mmio(pages[1], PAGE_SIZE, MMU_UNCACHED);
    if (b != nullptr) {
        kernel_unmap(b);
    }
    if (a != nullptr) {
        kernel_unmap(a);
    }
    pmm_free_list(list);
    return b != nullptr;
}

static int nothing(void*) {
    return 0;
}

static bool op_thread(void) {
    struct thread* t = kthread_create("refusal", nothing, nullptr, PRIORITY_DEFAULT);
    if (t == nullptr) {
        return false;
    }
    thread_start(t);
    kthread_join(t);
    return true;
}

static bool op_tree(void) {
    struct page_tree tree = {};
    struct page_node_reserve r = {};
    struct page_garbage g = {};
    struct page* p = pmm_alloc_page(PMM_VMO);
    bool ok = p != nullptr && page_node_reserve_fill(&r, page_tree_nodes_set(&tree, 5000)) &&
              page_tree_set(&tree, 5000, page_slot_from_page(p), &r, &g, nullptr) == STATUS_OK;
    if (!ok && p != nullptr) {
        pmm_free_page(p);
    }
    page_tree_clear(&tree, &g);
    page_garbage_dispose(&g);
    page_node_reserve_drain(&r);
    return ok;
}

static void every_site(struct ktest* t) {
    refuse_each(t, op_aspace, 2);
    refuse_each(t, op_vmap, 5);
    refuse_each(t, op_thread, 2);
    refuse_each(t, op_tree, 4);
}
KTEST_WITH(mem, every_site, 0, 30'000);
