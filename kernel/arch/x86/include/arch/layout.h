#pragma once

/*
 * The kernel half of every address space, x86-64 (48-bit, CR4.LA57 stays off).
 *
 * The boot stages build exactly this and fill *every* top-level slot that will ever be used here,
 * so that the 256 upper entries of the root table are final when the kernel starts: a new address
 * space copies them once and nothing ever has to be propagated. Everything below them is private to
 * the kernel (U=0 at every level); the lower half is empty at entry.
 *
 *   PML4 slot   what
 *   256..383    direct map: physical p at DIRECT_MAP_BASE + p, RAM only, NX; the kernel's own text
 *               and read-only data are read-only here too, so that no alias is writable
 *   384         page array: one struct page of at most 32 bytes per page of the direct map's reach
 *   385         arena: kernel stacks, device registers, temporary mappings
 *   386         heap arena, for whatever wants virtually contiguous memory
 *   511         top 2 GiB: kernel image at a random page, early window in the last 4 MiB but two
 *
 * Constants only; usable by boot code that is compiled for other targets.
 */

#include <stdint.h>

constexpr uint64_t PML4_SLOT_BYTES = 1ull << 39;

constexpr uint64_t USER_HALF_END = 1ull << 47; // first address past the user half
constexpr uint64_t KERNEL_HALF_BASE = 0xffff'8000'0000'0000u;

constexpr uint64_t DIRECT_MAP_BASE = KERNEL_HALF_BASE;
constexpr uint64_t DIRECT_MAP_MAX_BYTES = 128 * PML4_SLOT_BYTES; // 64 TiB of physical addresses

constexpr uint64_t PAGE_ARRAY_BASE = 0xffff'c000'0000'0000u;
constexpr uint64_t PAGE_ARRAY_BYTES = PML4_SLOT_BYTES;

constexpr uint64_t KERNEL_ARENA_BASE = 0xffff'c080'0000'0000u;
constexpr uint64_t KERNEL_ARENA_BYTES = PML4_SLOT_BYTES;

constexpr uint64_t KERNEL_HEAP_BASE = 0xffff'c100'0000'0000u;
constexpr uint64_t KERNEL_HEAP_BYTES = PML4_SLOT_BYTES;

constexpr uint64_t KERNEL_IMAGE_BASE = 0xffff'ffff'8000'0000u;
constexpr uint64_t KERNEL_IMAGE_BYTES = 0x7fc0'0000u; // up to the early window

// One page table's worth of addresses whose table the boot stages supply (handoff.window_table),
// for looking at physical memory outside the direct map before the VM exists.
constexpr uint64_t EARLY_WINDOW_BASE = 0xffff'ffff'ffc0'0000u;
constexpr uint64_t EARLY_WINDOW_BYTES = 0x20'0000u;

static_assert(DIRECT_MAP_BASE + DIRECT_MAP_MAX_BYTES == PAGE_ARRAY_BASE);
static_assert(DIRECT_MAP_MAX_BYTES / 4096 * 32 <= PAGE_ARRAY_BYTES);
static_assert(KERNEL_IMAGE_BASE + KERNEL_IMAGE_BYTES == EARLY_WINDOW_BASE);
static_assert(EARLY_WINDOW_BASE + EARLY_WINDOW_BYTES < UINT64_MAX);
