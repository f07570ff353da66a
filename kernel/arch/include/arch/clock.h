// The tick counter as a clock, for whoever converts ticks itself (the vDSO). Contract.
#pragma once

#include <stdint.h>

// nanoseconds = ((ticks - base_ticks) * mult) >> shift, in 128-bit arithmetic. Immutable after
// arch_init().
struct clock_scale {
    uint64_t base_ticks;
    uint64_t ticks_per_second;
    uint32_t mult;
    uint32_t shift;
    bool trusted; // false: ticks are not comparable between CPUs; ask the kernel
};
const struct clock_scale* arch_clock_scale(void);
// The tick count at which the monotonic clock shows `ns` (rounded up).
uint64_t clock_ns_to_ticks(int64_t ns);
