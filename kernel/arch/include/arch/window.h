// The early window: a small range of kernel addresses for looking at physical memory and device
// registers outside the direct map, usable from the first instruction on and without any
// allocation. Contract.
//
// Two kinds of mapping. Permanent ones (interrupt controllers, the platform timer) stay for ever.
// Scratch ones are for reading firmware tables on the boot CPU before the others start: one user at
// a time, dropped all at once. Both map whole pages; the returned pointer keeps the offset within
// the page. Null when the window is full, which the caller reports.
//
// Single-threaded: boot CPU, before other CPUs run. Everything later uses the kernel address space
// proper.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/types.h>

enum window_cache : uint32_t {
    WINDOW_CACHED,   // tables in memory
    WINDOW_UNCACHED, // device registers
};

[[nodiscard]] void* arch_window_map(paddr_t pa, size_t len, enum window_cache cache);
[[nodiscard]] const void* arch_window_scratch(paddr_t pa, size_t len);
void arch_window_scratch_drop(void);
