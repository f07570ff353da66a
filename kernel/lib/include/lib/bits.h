// Bit operations that <stdbit.h> would give us (clang 19 has no such header).
#pragma once

#include <stdint.h>

// The index of the lowest or highest set bit; undefined for 0.
static inline unsigned bit_lowest(uint64_t x) {
    return (unsigned)__builtin_ctzll(x);
}
static inline unsigned bit_highest(uint64_t x) {
    return 63u - (unsigned)__builtin_clzll(x);
}
static inline unsigned bit_count(uint64_t x) {
    return (unsigned)__builtin_popcountll(x);
}
static inline bool is_power_of_two(uint64_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}
// The smallest n with 2^n >= x; 0 for 0 and 1.
static inline unsigned log2_ceil(uint64_t x) {
    return x <= 1 ? 0 : bit_highest(x - 1) + 1;
}
static inline uint64_t bit(unsigned n) {
    return (uint64_t)1 << n;
}
