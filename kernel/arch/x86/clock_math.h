// The arithmetic of the tick clock, pure, tested on the host.
#pragma once

#include <stdint.h>

struct clock_ratio {
    uint32_t mult;
    uint32_t shift;
};

// nanoseconds = ticks * mult >> shift, with the most precise pair whose mult fits. hz > 0.
static inline struct clock_ratio clock_ratio_from_hz(uint64_t hz) {
    for (uint32_t shift = 32; shift > 0; shift--) {
        // 10^9 << 32 is below 2^62; the kernel has no 128-bit division.
        const uint64_t mult = (((uint64_t)1'000'000'000 << shift) + hz / 2) / hz;
        if (mult <= UINT32_MAX) {
            return (struct clock_ratio){(uint32_t)mult, shift};
        }
    }
    return (struct clock_ratio){UINT32_MAX, 0}; // slower than a quarter of a hertz
}

static inline uint64_t clock_ticks_to_ns(uint64_t ticks, struct clock_ratio r) {
    return (uint64_t)((unsigned __int128)ticks * r.mult >> r.shift);
}

// The smallest tick count that clock_ticks_to_ns() maps to `ns` or more, or the largest there is.
static inline uint64_t clock_ticks_from_ns(uint64_t ns, struct clock_ratio r) {
    const unsigned __int128 scaled = (unsigned __int128)ns << r.shift;
    if (r.mult == 0) {
        return UINT64_MAX;
    }
    // Past 2^64 ticks; tested first because a 128-bit division is a library call.
    if ((uint64_t)(scaled >> 64) >= r.mult) {
        return UINT64_MAX;
    }
    uint64_t quotient, remainder;
    __asm__("divq %4"
            : "=a"(quotient), "=d"(remainder)
            : "a"((uint64_t)scaled), "d"((uint64_t)(scaled >> 64)), "r"((uint64_t)r.mult));
    return quotient + (remainder != 0 && quotient != UINT64_MAX ? 1 : 0);
}

// Frequency of a counter that advanced by `ticks` while a reference counter of `ref_hz` advanced by
// `ref_ticks`; 0 if that makes no sense.
static inline uint64_t clock_hz_measured(uint64_t ticks, uint64_t ref_ticks, uint64_t ref_hz) {
    uint64_t product;
    if (ref_ticks == 0 || __builtin_mul_overflow(ticks, ref_hz, &product)) {
        return 0;
    }
    return (product + ref_ticks / 2) / ref_ticks;
}
