#pragma once

#include <early/block.h>
#include <stdint.h>

// Gives the tables in use the kernel half of the new root, so that code on either side of the jump
// is mapped, and jumps. Interrupts off, EFER.NXE on, `tables_in_use` reachable at its physical
// address.
[[noreturn]] void enter_kernel(uint64_t* tables_in_use, const struct kernel_start* start);
