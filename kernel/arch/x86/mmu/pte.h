// Page-table entries of x86-64 and how this port uses the bits that the CPU ignores.
//
// Levels count from the pages up: 0 = page table, 1 = directory, 2 = PDPT, 3 = PML4. An entry at
// level n spans 512^n pages.
//
// An entry of the user half that points to a table holds, in bits 52..61, how many entries of that
// table are present: a table is freed when it becomes empty, which then means all zero, without a
// look at it. The accessed bit of such an entry is set from the start, so that the CPU never writes
// to it and the count is ours alone. Tables of the kernel half are not counted and never freed.
//
// Entries are 64-bit words that CPUs read at any time: they are written whole, through pte_set().
#pragma once

#include <stdint.h>

#include <lib/bits.h>
#include <lib/compiler.h>
#include <lib/types.h>

#ifdef JX_HOST
constexpr uintptr_t PTE_DIRECT_MAP = 0x3000'0000'0000u; // where a test may map memory
#else
#include <arch/layout.h>
constexpr uintptr_t PTE_DIRECT_MAP = DIRECT_MAP_BASE;
#endif

typedef uint64_t pte_t;

constexpr pte_t PTE_PRESENT = 1u << 0;
constexpr pte_t PTE_WRITE = 1u << 1;
constexpr pte_t PTE_USER = 1u << 2;
constexpr pte_t PTE_WRITE_THROUGH = 1u << 3;
constexpr pte_t PTE_CACHE_DISABLE = 1u << 4;
constexpr pte_t PTE_ACCESSED = 1u << 5;
constexpr pte_t PTE_DIRTY = 1u << 6;
constexpr pte_t PTE_LARGE = 1u << 7;      // levels 1 and 2
constexpr pte_t PTE_PAT_SMALL = 1u << 7;  // level 0
constexpr pte_t PTE_PAT_LARGE = 1u << 12; // levels 1 and 2
constexpr pte_t PTE_GLOBAL = 1u << 8;
constexpr pte_t PTE_NO_EXEC = (pte_t)1 << 63;
constexpr pte_t PTE_ADDRESS = 0x000f'ffff'ffff'f000u;
constexpr uint32_t PTE_COUNT_SHIFT = 52;
constexpr pte_t PTE_COUNT_ONE = (pte_t)1 << PTE_COUNT_SHIFT;
constexpr pte_t PTE_COUNT_MASK = 0x3ffu * PTE_COUNT_ONE;

constexpr uint32_t PT_ENTRIES = 512;
constexpr uint32_t PT_TOP = 3;

static inline void pte_set(pte_t* at, pte_t value) {
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}
// For leaves that are present: a CPU may set the accessed bit at any moment. All return what stood
// there.
static inline pte_t pte_swap(pte_t* at, pte_t value) {
    return __atomic_exchange_n(at, value, __ATOMIC_ACQ_REL);
}
static inline pte_t pte_clear_bits(pte_t* at, pte_t bits) {
    return __atomic_fetch_and(at, ~bits, __ATOMIC_ACQ_REL);
}
// False: it was not *old, which now is what stood there.
static inline bool pte_replace(pte_t* at, pte_t* old, pte_t value) {
    return __atomic_compare_exchange_n(at, old, value, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline bool pte_is_leaf(pte_t e, uint32_t level) {
    return level == 0 || (e & PTE_LARGE) != 0;
}
static inline pte_t* pte_table(pte_t e) {
    return (pte_t*)(PTE_DIRECT_MAP + (e & PTE_ADDRESS));
}
static inline uint64_t table_paddr(const void* table) {
    return (uintptr_t)table - PTE_DIRECT_MAP;
}
static inline uint32_t pte_count(pte_t e) {
    return (uint32_t)((e & PTE_COUNT_MASK) >> PTE_COUNT_SHIFT);
}

static inline uint64_t level_span(uint32_t level) {
    return (uint64_t)PAGE_SIZE << (9 * level);
}
static inline uint32_t level_index(vaddr_t va, uint32_t level) {
    return (uint32_t)(va >> (PAGE_SHIFT + 9 * level)) & (PT_ENTRIES - 1);
}

// The address of a leaf's memory: the PAT bit of a large one is no part of it.
static inline uint64_t leaf_address(pte_t e, uint32_t level) {
    return e & PTE_ADDRESS & ~(level_span(level) - 1);
}
