// Scalar types of the kernel. A physical address is a struct so that it cannot be mixed with a
// virtual one.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct paddr {
    uint64_t raw;
} paddr_t;

typedef uintptr_t vaddr_t;

// Points in time are absolute monotonic nanoseconds, durations nanoseconds; both int64_t with the
// suffix _ns.
constexpr int64_t TIME_INFINITE = INT64_MAX;
constexpr int64_t TIME_INFINITE_PAST = INT64_MIN;

constexpr size_t PAGE_SHIFT = 12;
constexpr size_t PAGE_SIZE = (size_t)1 << PAGE_SHIFT;
constexpr size_t PAGE_MASK = PAGE_SIZE - 1;
