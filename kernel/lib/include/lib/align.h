// Alignment and range arithmetic. Sizes that come from outside pass through range_ok() or ckd_*.
#pragma once

#include <stdckdint.h>
#include <stddef.h>
#include <stdint.h>

#include <lib/types.h>

static inline uint64_t align_down(uint64_t value, uint64_t alignment) {
    return value & ~(alignment - 1);
}

// The caller guarantees that the result fits (see page_round_up_checked() for outside values).
static inline uint64_t align_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t alignment) {
    return (value & (alignment - 1)) == 0;
}

static inline bool is_page_aligned(uint64_t value) {
    return (value & PAGE_MASK) == 0;
}
static inline uint64_t page_round_up(uint64_t value) {
    return align_up(value, PAGE_SIZE);
}
static inline uint64_t page_round_down(uint64_t value) {
    return align_down(value, PAGE_SIZE);
}

// False, and `*out` untouched, when rounding up would wrap.
[[nodiscard]] static inline bool page_round_up_checked(uint64_t value, uint64_t* out) {
    uint64_t sum;
    if (ckd_add(&sum, value, (uint64_t)PAGE_MASK)) {
        return false;
    }
    *out = page_round_down(sum);
    return true;
}

// Whether [offset, offset + length) lies within [0, limit): never overflows.
[[nodiscard]] static inline bool range_ok(uint64_t offset, uint64_t length, uint64_t limit) {
    return offset <= limit && length <= limit - offset;
}

// Whether two half-open ranges share a byte; an empty range shares nothing. Neither range wraps.
static inline bool ranges_overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length) {
    return a_length != 0 && b_length != 0 && a < b + b_length && b < a + a_length;
}
