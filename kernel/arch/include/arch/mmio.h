// Physical memory that user mode may not map as a device's. Contract.
#pragma once

#include <stdint.h>

// Whether any of [base, base + size), which does not wrap, is RAM or registers of a device that the
// kernel drives itself. After arch_init().
bool arch_memory_claimed(uint64_t base, uint64_t size);
