/*
 * What is left of the boot stages' address space once the kernel runs: the root table, and the
 * early window (<arch/window.h>). The window's leaf table is a page of the boot stages' pool, empty
 * at first, and reached through the direct map.
 *
 * Permanent mappings grow from the window's start, scratch mappings from its end; the window is
 * full when they meet. Only scratch entries are ever removed. They are local translations that only
 * the boot CPU can have cached (the contract says one CPU), so they are flushed page by page.
 */

#include <arch/boot_mmu.h>

#include <arch/layout.h>
#include <arch/window.h>
#include <boot/handoff.h>

constexpr uint64_t PTE_PRESENT = 1ull << 0;
constexpr uint64_t PTE_WRITE = 1ull << 1;
constexpr uint64_t PTE_WRITE_THROUGH = 1ull << 3;
constexpr uint64_t PTE_CACHE_DISABLE = 1ull << 4;
constexpr uint64_t PTE_ACCESSED = 1ull << 5;
constexpr uint64_t PTE_DIRTY = 1ull << 6;
constexpr uint64_t PTE_GLOBAL = 1ull << 8;
constexpr uint64_t PTE_NO_EXEC = 1ull << 63;

constexpr uint64_t BITS_SCRATCH = PTE_PRESENT | PTE_ACCESSED | PTE_NO_EXEC;
constexpr uint64_t BITS_PERMANENT =
    PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL | PTE_NO_EXEC;
constexpr uint64_t BITS_UNCACHED = PTE_CACHE_DISABLE | PTE_WRITE_THROUGH;

constexpr size_t WINDOW_PAGES = EARLY_WINDOW_BYTES / PAGE_SIZE;
constexpr uint64_t PADDR_LIMIT = 1ull << 52;

static struct {
    paddr_t root;           // constant after boot_mmu_init()
    uint64_t* table;        // constant after boot_mmu_init()
    size_t permanent_pages; // boot CPU only, as is the next
    size_t scratch_pages;
} boot_mmu;

void boot_mmu_init(const struct handoff* handoff) {
    boot_mmu.root = (paddr_t){handoff->root_table};
    boot_mmu.table = (uint64_t*)(DIRECT_MAP_BASE + handoff->window_table);
}

paddr_t boot_mmu_root(void) {
    return boot_mmu.root;
}

// The pages that [pa, pa + len) touches; 0 if that is none, or more than the window has left.
static size_t pages_that_fit(paddr_t pa, size_t len) {
    size_t left = WINDOW_PAGES - boot_mmu.permanent_pages - boot_mmu.scratch_pages;
    if (len == 0 || len > EARLY_WINDOW_BYTES || pa.raw > PADDR_LIMIT - len) {
        return 0;
    }
    size_t pages = ((pa.raw & PAGE_MASK) + len + PAGE_MASK) >> PAGE_SHIFT;
    return pages <= left ? pages : 0;
}

static vaddr_t window_fill(size_t first, size_t pages, paddr_t pa, uint64_t bits) {
    uint64_t page_pa = pa.raw & ~PAGE_MASK;
    for (size_t i = 0; i < pages; i++) {
        boot_mmu.table[first + i] = (page_pa + i * PAGE_SIZE) | bits;
    }
    return EARLY_WINDOW_BASE + first * PAGE_SIZE + (pa.raw & PAGE_MASK);
}

void* arch_window_map(paddr_t pa, size_t len, enum window_cache cache) {
    size_t pages = pages_that_fit(pa, len);
    if (pages == 0) {
        return nullptr;
    }
    uint64_t bits = BITS_PERMANENT | (cache == WINDOW_UNCACHED ? BITS_UNCACHED : 0);
    vaddr_t va = window_fill(boot_mmu.permanent_pages, pages, pa, bits);
    boot_mmu.permanent_pages += pages;
    return (void*)va;
}

const void* arch_window_scratch(paddr_t pa, size_t len) {
    size_t pages = pages_that_fit(pa, len);
    if (pages == 0) {
        return nullptr;
    }
    boot_mmu.scratch_pages += pages;
    return (const void*)window_fill(WINDOW_PAGES - boot_mmu.scratch_pages, pages, pa, BITS_SCRATCH);
}

void arch_window_scratch_drop(void) {
    for (size_t i = WINDOW_PAGES - boot_mmu.scratch_pages; i < WINDOW_PAGES; i++) {
        boot_mmu.table[i] = 0;
        vaddr_t va = EARLY_WINDOW_BASE + i * PAGE_SIZE;
        __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
    }
    boot_mmu.scratch_pages = 0;
}
