// Kernel addresses outside the direct map: device registers and pages gathered into one range.
//
// Every range has an unmapped page behind it. Mapping and unmapping sleep (a mutex, and shoot-downs
// that wait for other CPUs): thread context, no spinlock. Addresses are used again.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <arch/mmu.h>
#include <lib/types.h>

// Maps [pa, pa + len), device memory or RAM, read-write; `cache`: MMU_UNCACHED_DEVICE for
// registers. The result keeps the offset within the page. Null: no memory.
[[nodiscard]] void* kernel_map_mmio(paddr_t pa, size_t len, enum mmu_flags cache);

// Maps pages one after the other, read-write, cached. Null: no memory. The pages stay the caller's.
[[nodiscard]] void* kernel_vmap(const paddr_t* pages, size_t count);

// Ends either, by the address that it returned.
void kernel_unmap(void* at);
