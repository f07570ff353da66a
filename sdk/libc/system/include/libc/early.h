// Memory for the few objects that nearly every program has: its first descriptors and the
// directories of its namespace. They lie in a small static place, so that a program which allocates
// nothing by itself never makes a heap. When that place is full, memory comes from malloc().
//
// What is given back of the static place is not used again: it is small, and filled once.
#pragma once

#include <stddef.h>

// Zeros; null: no memory.
[[nodiscard]] void* early_alloc(size_t size);
void early_free(void* memory); // null is nothing to do
