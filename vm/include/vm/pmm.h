// Physical memory: buddy allocator for runs, per-CPU caches for single pages, watermarks that keep
// a reserve for the kernel and for the system's own jobs.
//
// All functions may be called from any context but NMI, with or without spinlocks above PMM held.
// Nothing blocks: out of memory is a null return. Contents are undefined unless PMM_ZERO is given.
//
// RAM that was never needed is untouched: not read, not cleared, without entries in the page array.
// So starting costs the same on any machine.
//
// Three marks on what is free: below `reclaim` the reclaimer is called, PMM_USER requests fail
// below the user floor, PMM_SYSTEM requests below the system floor, kernel requests when nothing is
// left.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vm/page.h>

struct handoff;

enum pmm_flags : uint32_t {
    PMM_KERNEL = 0,       // kernel metadata: may use the last reserve, for a program half of it
    PMM_ZERO = 1u << 0,   // contents zero; otherwise undefined
    PMM_USER = 1u << 1,   // for user-visible memory: respects the user floor
    PMM_SYSTEM = 1u << 2, // for system jobs: may go below the user floor (overrides PMM_USER)
    PMM_BELOW_4G = 1u << 3,
    PMM_NOT_INJECTED = 1u << 4, // an allocator's own refill, not an allocation site (vm/heap.h)
    // The state of the pages, for accounting; PAGE_ALLOC if none is given.
    PMM_KIND_SHIFT = 8,
    PMM_VMO = (uint32_t)PAGE_VMO << PMM_KIND_SHIFT,
    PMM_TABLE = (uint32_t)PAGE_TABLE << PMM_KIND_SHIFT,
    PMM_SLAB = (uint32_t)PAGE_SLAB << PMM_KIND_SHIFT,
    PMM_STACK = (uint32_t)PAGE_STACK << PMM_KIND_SHIFT,
};

// A single page: refs 1, pins 0, vmo_flags 0, next and u.vmo.set null.
struct page* pmm_alloc_page(enum pmm_flags flags);
// `count` single pages as a list through page.next: all or none.
struct page* pmm_alloc_pages(size_t count, enum pmm_flags flags);
// A physically contiguous run of `count` pages (1..), aligned to 2^align_log2 bytes; entries of the
// array are consecutive.
struct page* pmm_alloc_contiguous(size_t count, uint32_t align_log2, enum pmm_flags flags);
void pmm_free_page(struct page* p);
void pmm_free_list(struct page* head);
void pmm_free_contiguous(struct page* p, size_t count);
// Moves a page that the caller owns from one kind to another.
void pmm_retype(struct page* p, enum page_state state);
// A page that stays for ever (a table of the kernel half): it counts as wired from now on.
void pmm_wire(struct page* p);

// Makes wired memory of the hand-off record (the ZBI) ordinary allocated pages of the given kind,
// as if it had come from pmm_alloc_contiguous. Null: no memory for the array.
struct page* pmm_adopt(paddr_t base, size_t count, enum pmm_flags flags);
// Gives whole pages to the allocator that it left alone at boot: a taken span of the hand-off
// record (but for page array entries made by pmm_adopt), and RAM that was no usable memory then
// (ACPI tables that have been read).
void pmm_free_wired(paddr_t base, uint64_t length);
void pmm_add_ram(paddr_t base, uint64_t length);

// total = free + wired + the allocated kinds, at any quiet moment.
struct pmm_stats {
    uint64_t total_pages;     // usable RAM of the memory map
    uint64_t free_pages;      // untouched, in the buddy and in the caches
    uint64_t wired_pages;     // never allocated from: kernel image, ZBI, page array
    uint64_t allocated_pages; // everything handed out: what a leak check compares (the page array
                              // grows with first use, so free pages alone would not be exact)
    uint64_t other_pages, table_pages, slab_pages, stack_pages, vmo_pages; // allocated, by kind
    uint64_t reclaim_mark, user_floor, system_floor;
};
void pmm_get_stats(struct pmm_stats* out);
uint64_t pmm_free_count(void); // free pages, cheap; caches are not counted
// Every CPU's cache back to the buddy, and enough of the page array in place that it need not grow
// because caches fill again. Interrupts on, no spinlock.
void pmm_drain_caches(void);

// Called when free memory falls below the reclaim mark, once per fall, in the context of whoever
// allocated: the hook may only queue work.
void pmm_set_reclaim_hook(void (*hook)(void));

// Once, before anything else here.
void pmm_init(const struct handoff* handoff);
