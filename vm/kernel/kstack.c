// Kernel stacks. The contract is in <vm/kstack.h>.
//
// A stack's address is a slot of the stack area; one bit per slot says that it is in use or kept.
// Stacks that are kept stay mapped and are linked through their lowest word: first in a short list
// per CPU (with interrupts off, no lock), then in the common list under its lock.
//
// Lock: spare.lock guards the common list and the slot numbers. Mapping and unmapping happen
// outside of it: a slot belongs to whoever took its number.
#include <vm/kstack.h>

#include <stdatomic.h>

#include <arch/layout.h>
#include <arch/mmu.h>
#include <arch/percpu.h>
#include <lib/bits.h>
#include <lib/compiler.h>
#include <locking/spinlock.h>
#include <sched/deferred.h>
#include <vm/inject.h>
#include <vm/pmm.h>

#include "arena.h"

constexpr size_t STACK_PAGES = KSTACK_BYTES / PAGE_SIZE;
constexpr uint32_t SLOT_MAX = (uint32_t)(ARENA_STACKS_BYTES / KSTACK_STRIDE);
constexpr uint32_t CPU_KEEPS = 4;
constexpr uint32_t COMMON_KEEPS = 32; // more than this and the worker unmaps
constexpr uint32_t UNMAP_BATCH = 16;
constexpr enum mmu_flags STACK_FLAGS = (enum mmu_flags)(MMU_READ | MMU_WRITE);

struct kept_stack {
    struct kept_stack* next;
};

// By its CPU with interrupts off.
struct cpu_stacks {
    struct kept_stack* head;
    uint32_t count;
};
static struct cpu_stacks cpu_stacks[CPU_MAX];

static void trim(struct work* w);

static struct {
    spinlock_t lock;
    struct kept_stack* head; // under lock, as are the next three
    uint32_t count;
    uint32_t first_word; // no free number below this word
    uint64_t used[SLOT_MAX / 64];
    _Atomic(size_t) deepest; // of the stacks that were unmapped
    _Atomic(bool) trim_queued;
    struct work trim_work; // the worker's once queued
} spare = {.lock = SPINLOCK_INIT(LOCK_CLASS_KERNEL_STACK), .trim_work = WORK_INIT(trim)};

static vaddr_t slot_low(uint32_t slot) { // the lowest mapped address
    return ARENA_STACKS_BASE + (slot + 1) * KSTACK_STRIDE - KSTACK_BYTES;
}
static uint32_t slot_of(vaddr_t low) {
    return (uint32_t)((low - ARENA_STACKS_BASE) / KSTACK_STRIDE);
}

// ---- slot numbers ----

static bool slot_take(uint32_t* slot) {
    irq_state_t state = spin_acquire_irq(&spare.lock);
    uint32_t word = spare.first_word;
    while (word < array_size(spare.used) && spare.used[word] == UINT64_MAX) {
        word++;
    }
    spare.first_word = word;
    bool found = word < array_size(spare.used);
    if (found) {
        unsigned b = bit_lowest(~spare.used[word]);
        spare.used[word] |= bit(b);
        *slot = word * 64 + b;
    }
    spin_release_irq(&spare.lock, state);
    return found;
}

static void slot_give(uint32_t slot) {
    irq_state_t state = spin_acquire_irq(&spare.lock);
    spare.used[slot / 64] &= ~bit(slot % 64);
    spare.first_word = min(spare.first_word, slot / 64);
    spin_release_irq(&spare.lock, state);
}

// ---- making and unmaking ----

static vaddr_t stack_make(void) {
    uint32_t slot;
    if (!slot_take(&slot)) {
        return 0;
    }
    paddr_t pages[STACK_PAGES];
    struct page* list =
        pmm_alloc_pages(STACK_PAGES, (enum pmm_flags)(PMM_STACK | PMM_ZERO | PMM_NOT_INJECTED));
    size_t i = 0;
    for (struct page* p = list; p != nullptr; p = p->next) {
        pages[i++] = page_to_paddr(p);
    }
    if (list == nullptr ||
        mmu_kernel_map_pages(slot_low(slot), pages, STACK_PAGES, STACK_FLAGS) != STATUS_OK) {
        pmm_free_list(list);
        slot_give(slot);
        return 0;
    }
    return slot_low(slot);
}

static bool is_stack(vaddr_t va) {
    return va >= ARENA_STACKS_BASE && va - ARENA_STACKS_BASE < ARENA_STACKS_BYTES;
}

size_t kstack_used(vaddr_t top) {
    if (!is_stack(top - 1)) {
        return 0;
    }
    // The lowest word is the list's while the stack is kept.
    const volatile uint64_t* low = (const volatile uint64_t*)(top - KSTACK_BYTES);
    const volatile uint64_t* end = (const volatile uint64_t*)top;
    do {
        low++;
    } while (low < end && *low == 0);
    return (size_t)((uintptr_t)end - (uintptr_t)low);
}

size_t kstack_deepest_unmapped(void) {
    return atomic_load_explicit(&spare.deepest, memory_order_relaxed);
}

static void note_use(vaddr_t low) {
    size_t used = kstack_used(low + KSTACK_BYTES);
    size_t deepest = atomic_load_explicit(&spare.deepest, memory_order_relaxed);
    while (used > deepest &&
           !atomic_compare_exchange_weak_explicit(&spare.deepest, &deepest, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

// Unmaps a list of at most UNMAP_BATCH stacks with one shoot-down.
static void stacks_unmake(struct kept_stack* list) {
    struct mmu_range ranges[UNMAP_BATCH];
    struct page* pages = nullptr;
    size_t count = 0;
    while (list != nullptr) {
        struct kept_stack* next = list->next;
        vaddr_t low = (vaddr_t)list;
        note_use(low);
        for (size_t i = 0; i < STACK_PAGES; i++) {
            paddr_t pa;
            enum mmu_flags flags;
            status_t s = mmu_kernel_query(low + i * PAGE_SIZE, &pa, &flags);
            ASSERT(s == STATUS_OK);
            struct page* p = page_from_paddr(pa);
            p->next = pages;
            pages = p;
        }
        ranges[count++] = (struct mmu_range){low, KSTACK_BYTES};
        list = next;
    }
    mmu_kernel_unmap(ranges, count);
    pmm_free_list(pages);
    for (size_t i = 0; i < count; i++) {
        slot_give(slot_of(ranges[i].va));
    }
}

// Takes up to `max` kept stacks off the common list while more than `keep` are there.
static inline struct kept_stack* spare_take(uint32_t max, uint32_t keep) {
    struct kept_stack* list = nullptr;
    irq_state_t state = spin_acquire_irq(&spare.lock);
    while (max-- > 0 && spare.count > keep) {
        struct kept_stack* s = spare.head;
        spare.head = s->next;
        spare.count--;
        s->next = list;
        list = s;
    }
    spin_release_irq(&spare.lock, state);
    return list;
}

static void trim(struct work*) {
    atomic_store(&spare.trim_queued, false);
    for (struct kept_stack* list; (list = spare_take(UNMAP_BATCH, COMMON_KEEPS)) != nullptr;) {
        stacks_unmake(list);
    }
}

// ---- the two functions ----

vaddr_t kstack_alloc(void) {
    if (alloc_injected()) {
        return 0;
    }
    irq_state_t state = irq_save();
    struct cpu_stacks* mine = &cpu_stacks[arch_cpu_index()];
    struct kept_stack* s = mine->head;
    if (s != nullptr) {
        mine->head = s->next;
        mine->count--;
    }
    irq_restore(state);
    if (s == nullptr) {
        s = spare_take(1, 0);
    }
    vaddr_t low = s != nullptr ? (vaddr_t)s : stack_make();
    return low != 0 ? low + KSTACK_BYTES : 0;
}

void kstack_free(vaddr_t top) {
    struct kept_stack* s = (struct kept_stack*)(top - KSTACK_BYTES);
    irq_state_t state = irq_save();
    struct cpu_stacks* mine = &cpu_stacks[arch_cpu_index()];
    bool room = mine->count < CPU_KEEPS;
    if (room) {
        s->next = mine->head;
        mine->head = s;
        mine->count++;
    }
    irq_restore(state);
    if (room) {
        return;
    }
    state = spin_acquire_irq(&spare.lock);
    s->next = spare.head;
    spare.head = s;
    bool many = ++spare.count > COMMON_KEEPS + UNMAP_BATCH;
    spin_release_irq(&spare.lock, state);
    if (many && !atomic_exchange(&spare.trim_queued, true)) {
        worker_queue(&spare.trim_work);
    }
}

// On each CPU, from the cross-call.
static void drain_here(void*) {
    struct cpu_stacks* mine = &cpu_stacks[arch_cpu_index()];
    irq_state_t state = spin_acquire_irq(&spare.lock);
    while (mine->head != nullptr) {
        struct kept_stack* s = mine->head;
        mine->head = s->next;
        s->next = spare.head;
        spare.head = s;
        spare.count++;
    }
    mine->count = 0;
    spin_release_irq(&spare.lock, state);
}

void kstack_drain(void) {
    arch_call_on(arch_cpus_online(), drain_here, nullptr);
    for (struct kept_stack* list; (list = spare_take(UNMAP_BATCH, 0)) != nullptr;) {
        stacks_unmake(list);
    }
}

bool kstack_is_guard(vaddr_t va) {
    if (!is_stack(va)) {
        return false;
    }
    uint32_t slot = slot_of(va);
    irq_state_t state = spin_acquire_irq(&spare.lock);
    bool used = (spare.used[slot / 64] >> (slot % 64) & 1) != 0;
    spin_release_irq(&spare.lock, state);
    return used && va < slot_low(slot);
}
