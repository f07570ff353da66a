// Page tables as the machine uses them: translations, rights and shoot-downs seen by real accesses
// on several CPUs; a walk over the live tables that checks what must hold everywhere; kernel stacks
// and kernel ranges.
#include <stdatomic.h>

#include <arch/boot_mmu.h>
#include <arch/cpu.h>
#include <arch/layout.h>
#include <arch/mmu.h>
#include <arch/user_copy.h>
#include <debug/command.h>
#include <debug/ktest.h>
#include <lib/string.h>
#include <sched/thread.h>
#include <vm/kernel_vm.h>
#include <vm/kstack.h>
#include <vm/pmm.h>

#include "ktest_cpus.h"

constexpr vaddr_t BASE = 0x20'0000;
constexpr enum mmu_flags USER_RO = (enum mmu_flags)(MMU_READ | MMU_USER);
constexpr enum mmu_flags USER_RW = (enum mmu_flags)(MMU_READ | MMU_WRITE | MMU_USER);

static void enter(struct arch_aspace* as) {
    irq_state_t state = irq_save();
    thread_current()->arch_aspace = as;
    arch_aspace_switch(as);
    irq_restore(state);
}

static bool load(vaddr_t va, uint64_t* out) {
    vaddr_t fault;
    return arch_copy_from_user_nofault(out, (const void __user*)(void*)va, sizeof(*out), &fault) ==
           0;
}
static bool store(vaddr_t va, uint64_t value) {
    vaddr_t fault;
    return arch_copy_to_user_nofault((void __user*)(void*)va, &value, sizeof(value), &fault) == 0;
}

static void unmap(struct ktest* t, struct arch_aspace* as, vaddr_t va, size_t len) {
    struct table_reserve r = {};
    KEXPECT(t, mmu_reserve_fill(&r, 2));
    struct tlb_gather g;
    tlb_gather_begin(&g, as);
    status_t s = mmu_unmap(&g, va, len, &r);
    tlb_gather_commit(&g, as);
    KEXPECT_EQ(t, s, STATUS_OK);
    mmu_reserve_drain(&r);
}

static void map_one(struct ktest* t, struct arch_aspace* as, vaddr_t va, struct page* p,
                    enum mmu_flags flags) {
    struct table_reserve r = {};
    KEXPECT(t, mmu_reserve_fill(&r, MMU_TABLES_PER_FAULT));
    paddr_t pa = page_to_paddr(p);
    KEXPECT_EQ(t, mmu_map(as, va, &pa, 1, flags, true, &r), STATUS_OK);
    mmu_reserve_drain(&r);
}

static void rights_are_real(struct ktest* t) {
    struct arch_aspace as;
    KASSERT(t, arch_aspace_init(&as, BASE, USER_HALF_END - PAGE_SIZE - BASE) == STATUS_OK);
    struct page* p = pmm_alloc_page(PMM_ZERO);
    KASSERT(t, p != nullptr);
    constexpr vaddr_t va = 0x1234'5000;
    enter(&as);
    uint64_t value;
    KEXPECT(t, !load(va, &value));
    map_one(t, &as, va, p, USER_RO);
    KEXPECT(t, load(va, &value) && value == 0);
    KEXPECT(t, !store(va, 1));
    map_one(t, &as, va, p, USER_RW);
    KEXPECT(t, store(va, 77) && load(va, &value) && value == 77);
    struct tlb_gather g;
    tlb_gather_begin(&g, &as);
    mmu_write_protect(&g, BASE, 0x4000'0000 - BASE); // at directory level
    tlb_gather_commit(&g, &as);
    KEXPECT(t, !store(va, 78) && load(va, &value) && value == 77);
    map_one(t, &as, va, p, USER_RW);
    KEXPECT(t, store(va, 79));
    tlb_gather_begin(&g, &as);
    KEXPECT_EQ(t, mmu_harvest_accessed(&g, va - PAGE_SIZE, 3), 2u);
    tlb_gather_commit(&g, &as);
    tlb_gather_begin(&g, &as);
    KEXPECT_EQ(t, mmu_harvest_accessed(&g, va - PAGE_SIZE, 3), 0u);
    KEXPECT_EQ(t, mmu_protect(&g, va, PAGE_SIZE, USER_RO, nullptr), STATUS_OK);
    tlb_gather_commit(&g, &as);
    KEXPECT(t, !store(va, 80) && load(va, &value) && value == 79);
    unmap(t, &as, BASE, USER_HALF_END - PAGE_SIZE - BASE);
    KEXPECT(t, !load(va, &value));
    KEXPECT_EQ(t, atomic_load(&as.table_pages), 1u);
    enter(nullptr);
    arch_aspace_destroy(&as);
    pmm_free_page(p);
}
KTEST(mmu, rights_are_real);

static void large_entries_split(struct ktest* t) {
    struct arch_aspace as;
    KASSERT(t, arch_aspace_init(&as, BASE, USER_HALF_END - PAGE_SIZE - BASE) == STATUS_OK);
    constexpr size_t count = 1024;
    constexpr vaddr_t va = 0x4000'0000 - 0x20'0000;
    struct page* p = pmm_alloc_contiguous(count, 21, PMM_ZERO);
    KASSERT(t, p != nullptr);
    struct table_reserve r = {};
    KASSERT(t, mmu_reserve_fill(&r, mmu_tables_needed(va, count * PAGE_SIZE)));
    KEXPECT_EQ(t, mmu_map_run(&as, va, page_to_paddr(p), count * PAGE_SIZE, USER_RW, &r),
               STATUS_OK);
    mmu_reserve_drain(&r);
    KEXPECT_EQ(t, atomic_load(&as.table_pages), 4u); // root, one PDPT, two directories
    enter(&as);
    for (size_t i = 0; i < count; i += 31) {
        KEXPECT(t, store(va + i * PAGE_SIZE, i + 1));
    }
    unmap(t, &as, va + 62 * PAGE_SIZE, PAGE_SIZE); // splits one of them
    uint64_t value;
    for (size_t i = 0; i < count; i += 31) {
        bool ok = load(va + i * PAGE_SIZE, &value);
        KEXPECT_EQ(t, ok, i != 62);
        KEXPECT(t, !ok || value == i + 1);
        KEXPECT_EQ(t, *(uint64_t*)page_to_virt(p + i), i + 1);
    }
    unmap(t, &as, va, count * PAGE_SIZE);
    enter(nullptr);
    arch_aspace_destroy(&as);
    pmm_free_contiguous(p, count);
}
KTEST(mmu, large_entries_split);

// ---- shoot-down: readers on other CPUs must never see a page after its unmapping committed ----

constexpr uint64_t LIVE = 0x1111'2222'3333'4444u;
constexpr uint64_t DEAD = 0xdead'dead'dead'deadu;
constexpr vaddr_t SHOT = 0x7000'0000'0000;

struct shot {
    struct arch_aspace as;
    _Atomic(bool) stop;
    _Atomic(uint32_t) dead_seen;
    _Atomic(uint64_t) live_seen;
    _Atomic(uint32_t) entered;
};

static int shot_reader(void* arg) {
    struct shot* s = arg;
    enter(&s->as);
    atomic_fetch_add(&s->entered, 1);
    while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
        uint64_t value;
        if (load(SHOT, &value)) {
            atomic_fetch_add_explicit(&s->live_seen, value == LIVE, memory_order_relaxed);
            if (value != LIVE) {
                atomic_fetch_add_explicit(&s->dead_seen, 1, memory_order_relaxed);
            }
        }
    }
    enter(nullptr);
    return 0;
}

static void gather_reaches_all_cpus(struct ktest* t) {
    if (arch_cpu_count() < 2) {
        ktest_skip(t, "one CPU only");
        return;
    }
    static struct shot s;
    s = (struct shot){};
    KASSERT(t, arch_aspace_init(&s.as, BASE, USER_HALF_END - PAGE_SIZE - BASE) == STATUS_OK);
    struct page* page[2] = {pmm_alloc_page(PMM_ZERO), pmm_alloc_page(PMM_ZERO)};
    KASSERT(t, page[0] != nullptr && page[1] != nullptr);
    void* args[KTEST_CPUS] = {&s, &s, &s, &s};
    thread_set_affinity(thread_current(), 1);
    struct cpu_threads readers;
    cpu_threads_start(t, &readers, 1, shot_reader, args);
    while (atomic_load(&s.entered) < readers.count) {
        thread_yield();
    }
    for (uint32_t i = 0; i < 40; i++) {
        uint64_t* now = page_to_virt(page[i % 2]);
        __atomic_store_n(now, LIVE, __ATOMIC_RELEASE);
        map_one(t, &s.as, SHOT, page[i % 2], i % 3 == 0 ? USER_RO : USER_RW);
        uint64_t seen = atomic_load(&s.live_seen);
        for (uint32_t k = 0; k < 5000 && atomic_load(&s.live_seen) < seen + 3; k++) {
            cpu_relax();
        }
        unmap(t, &s.as, SHOT, PAGE_SIZE);
        __atomic_store_n(now, DEAD, __ATOMIC_RELEASE);
    }
    atomic_store(&s.stop, true);
    cpu_threads_join(&readers);
    thread_set_affinity(thread_current(), arch_cpus_online());
    KEXPECT_EQ(t, atomic_load(&s.dead_seen), 0u);
    KEXPECT(t, atomic_load(&s.live_seen) > 0);
    KEXPECT_EQ(t, atomic_load(&s.as.active_cpus), 0u);
    arch_aspace_destroy(&s.as);
    pmm_free_page(page[0]);
    pmm_free_page(page[1]);
}
KTEST_WITH(mmu, gather_reaches_all_cpus, 0, 60'000);

// ---- the live tables ----

constexpr uint64_t E_PRESENT = 1, E_WRITE = 2, E_USER = 4, E_LARGE = 1 << 7;
constexpr uint64_t E_ADDRESS = 0x000f'ffff'ffff'f000u, E_NO_EXEC = (uint64_t)1 << 63;

struct walk {
    struct ktest* t;
    bool user;
    uint64_t executable; // pages
    uint64_t writable_executable;
    uint64_t wrong_u;
    uint64_t alias; // executable pages that the direct map lets anyone write
};

static uint64_t* table(uint64_t e) {
    return phys_to_virt((paddr_t){e & E_ADDRESS});
}

// Whether the direct map has the page, writable.
static bool direct_writable(uint64_t pa) {
    paddr_t back;
    enum mmu_flags flags;
    return mmu_kernel_query(DIRECT_MAP_BASE + pa, &back, &flags) == STATUS_OK &&
           (flags & MMU_WRITE) != 0;
}

static void walk_table(struct walk* w, const uint64_t* entries, uint32_t level, uint32_t first,
                       bool writable, bool executable) {
    for (uint32_t i = first; i < 512; i++) {
        uint64_t e = entries[i];
        if ((e & E_PRESENT) == 0) {
            continue;
        }
        w->wrong_u += ((e & E_USER) != 0) != w->user;
        bool can_write = writable && (e & E_WRITE) != 0;
        bool can_execute = executable && (e & E_NO_EXEC) == 0;
        if (level > 0 && (level == 3 || (e & E_LARGE) == 0)) {
            walk_table(w, table(e), level - 1, 0, can_write, can_execute);
            continue;
        }
        if (can_execute) {
            w->executable++;
            w->writable_executable += can_write;
            w->alias += level == 0 && direct_writable(e & E_ADDRESS);
        }
    }
}

static void kernel_half_is_sealed(struct ktest* t) {
    const uint64_t* root = phys_to_virt(boot_mmu_root());
    struct walk w = {.t = t};
    walk_table(&w, root, 3, 256, true, true);
    KEXPECT_EQ(t, w.wrong_u, 0u);
    KEXPECT_EQ(t, w.writable_executable, 0u);
    KEXPECT_EQ(t, w.alias, 0u);
    KEXPECT(t, w.executable > 0);
    // Some of our own code is among it, none of the stack.
    paddr_t pa;
    enum mmu_flags flags;
    KEXPECT_EQ(t, mmu_kernel_query((vaddr_t)&kernel_half_is_sealed, &pa, &flags), STATUS_OK);
    KEXPECT_EQ(t, (uint32_t)flags & (MMU_WRITE | MMU_EXEC | MMU_USER), (uint32_t)MMU_EXEC);
    KEXPECT_EQ(t, mmu_kernel_query((vaddr_t)&w, &pa, &flags), STATUS_OK);
    KEXPECT_EQ(t, (uint32_t)flags & (MMU_WRITE | MMU_EXEC | MMU_USER), (uint32_t)MMU_WRITE);
}
KTEST(mmu, kernel_half_is_sealed);

// The lowest 256 entries of two roots: tables of the one must not be in the other.
static bool tables_shared(const uint64_t* a, const uint64_t* b, uint32_t level, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if ((a[i] & E_PRESENT) == 0 || (b[i] & E_PRESENT) == 0) {
            continue;
        }
        if ((a[i] & E_ADDRESS) == (b[i] & E_ADDRESS) ||
            (level > 1 && tables_shared(table(a[i]), table(b[i]), level - 1, 512))) {
            return true;
        }
    }
    return false;
}

static void user_halves_are_private(struct ktest* t) {
    struct arch_aspace as[2];
    struct page* p = pmm_alloc_page(PMM_ZERO);
    KASSERT(t, p != nullptr);
    const uint64_t* kernel = phys_to_virt(boot_mmu_root());
    const uint64_t* root[2];
    for (uint32_t i = 0; i < 2; i++) {
        KASSERT(t, arch_aspace_init(&as[i], BASE, USER_HALF_END - PAGE_SIZE - BASE) == STATUS_OK);
        map_one(t, &as[i], BASE, p, USER_RW);
        map_one(t, &as[i], SHOT, p, USER_RO);
        root[i] = phys_to_virt(as[i].root);
        struct walk w = {.t = t, .user = true};
        for (uint32_t slot = 0; slot < 256; slot++) {
            if ((root[i][slot] & E_PRESENT) != 0) {
                w.wrong_u += (root[i][slot] & E_USER) == 0;
                walk_table(&w, table(root[i][slot]), 2, 0, true, true);
            }
        }
        KEXPECT_EQ(t, w.wrong_u, 0u);
        for (uint32_t slot = 256; slot < 512; slot++) {
            KEXPECT_EQ(t, root[i][slot], kernel[slot]);
        }
    }
    KEXPECT(t, !tables_shared(root[0], root[1], 3, 256));
    for (uint32_t i = 0; i < 2; i++) {
        unmap(t, &as[i], BASE, USER_HALF_END - PAGE_SIZE - BASE);
        arch_aspace_destroy(&as[i]);
    }
    pmm_free_page(p);
}
KTEST(mmu, user_halves_are_private);

// ---- kernel stacks and ranges ----

static void stacks_have_guards(struct ktest* t) {
    vaddr_t top[70];
    for (size_t i = 0; i < array_size(top); i++) {
        top[i] = kstack_alloc();
        KASSERT(t, top[i] != 0);
        paddr_t pa;
        enum mmu_flags flags;
        for (size_t off = PAGE_SIZE; off <= KSTACK_BYTES; off += PAGE_SIZE) {
            KEXPECT_EQ(t, mmu_kernel_query(top[i] - off, &pa, &flags), STATUS_OK);
            KEXPECT_EQ(t, (uint32_t)flags, (uint32_t)(MMU_READ | MMU_WRITE));
        }
        KEXPECT_EQ(t, mmu_kernel_query(top[i] - KSTACK_BYTES - 1, &pa, &flags), STATUS_NOT_FOUND);
        KEXPECT_EQ(t, mmu_kernel_query(top[i], &pa, &flags), STATUS_NOT_FOUND);
        KEXPECT(t, kstack_is_guard(top[i] - KSTACK_BYTES - 8));
        KEXPECT(t, !kstack_is_guard(top[i] - 8));
        memset((void*)(top[i] - KSTACK_BYTES), 0x5a, KSTACK_BYTES);
    }
    for (size_t i = 0; i < array_size(top); i++) {
        kstack_free(top[i]);
    }
    kdrain_all();
    struct pmm_stats s;
    pmm_get_stats(&s);
    vaddr_t again = kstack_alloc();
    struct pmm_stats after;
    pmm_get_stats(&after);
    KEXPECT_EQ(t, after.stack_pages, s.stack_pages + KSTACK_BYTES / PAGE_SIZE);
    kstack_free(again);
}
KTEST(kstack, stacks_have_guards);

// Not a tail call: each level keeps its frame.
static NOINLINE uint32_t descend(uint32_t levels) {
    volatile uint8_t room[400];
    room[0] = (uint8_t)levels;
    return levels == 0 ? room[0] : descend(levels - 1) + room[0];
}

static void highest_use_is_known(struct ktest* t) {
    constexpr uint32_t levels = 20;
    vaddr_t top = thread_current()->arch.stack_top;
    size_t before = kstack_used(top);
    KEXPECT(t, before > 0 && before < KSTACK_BYTES);
    (void)descend(levels);
    size_t after = kstack_used(top);
    KEXPECT(t, after >= levels * 400 && after < KSTACK_BYTES);
    KEXPECT(t, after >= before);
    KEXPECT_EQ(t, kstack_used(KERNEL_HEAP_BASE), 0u); // nobody's stack
    // One that nobody has had is clear but for the list's link.
    kstack_drain();
    vaddr_t fresh = kstack_alloc();
    KASSERT(t, fresh != 0);
    KEXPECT_EQ(t, kstack_used(fresh), 0u);
    *(uint64_t*)(fresh - 5000) = 1;
    kstack_free(fresh);
    kstack_drain();
    KEXPECT(t, kstack_deepest_unmapped() >= 5000);
}
KTEST(kstack, highest_use_is_known);

static void ranges_map_and_end(struct ktest* t) {
    struct page* list = pmm_alloc_pages(5, PMM_ZERO);
    KASSERT(t, list != nullptr);
    paddr_t pages[5];
    size_t n = 0;
    for (struct page* p = list; p != nullptr; p = p->next) {
        *(uint64_t*)page_to_virt(p) = n;
        pages[n++] = page_to_paddr(p);
    }
    char* a = kernel_vmap(pages, 5);
    char* b = kernel_map_mmio((paddr_t){pages[3].raw + 24}, 8, (enum mmu_flags)0);
    KASSERT(t, a != nullptr && b != nullptr);
    for (size_t i = 0; i < 5; i++) {
        KEXPECT_EQ(t, *(uint64_t*)(a + i * PAGE_SIZE), i);
    }
    *(uint64_t*)(a + 3 * PAGE_SIZE + 24) = 99;
    KEXPECT_EQ(t, *(uint64_t*)b, 99u);
    paddr_t pa;
    enum mmu_flags flags;
    KEXPECT_EQ(t, mmu_kernel_query((vaddr_t)a + 5 * PAGE_SIZE, &pa, &flags), STATUS_NOT_FOUND);
    kernel_unmap(b);
    kernel_unmap(a);
    KEXPECT_EQ(t, mmu_kernel_query((vaddr_t)a, &pa, &flags), STATUS_NOT_FOUND);
    KEXPECT(t, kernel_vmap(pages, 0) == nullptr);
    KEXPECT(t, kernel_map_mmio((paddr_t){0}, SIZE_MAX, (enum mmu_flags)0) == nullptr);
    pmm_free_list(list);
}
KTEST(kernel_vm, ranges_map_and_end);
