#pragma once

#include <lib/types.h>

struct handoff;

// First thing in the kernel, from kernel_entry(): makes <arch/window.h> usable.
void boot_mmu_init(const struct handoff* handoff);

// CR3 of the kernel's own space; its upper 256 entries are final.
paddr_t boot_mmu_root(void);
