// Straight lines from reference time to a clock's time, in exact integer arithmetic.
#pragma once

#include <stdint.h>

#include <zircon/syscalls/clock.h>

// shown = value + (at - reference) * (1 + ppm / 10^6), rounded down, kept within int64_t.
struct clock_line {
    int64_t reference;
    int64_t value;
    int32_t ppm; // ZX_CLOCK_UPDATE_MIN_RATE_ADJUST .. ZX_CLOCK_UPDATE_MAX_RATE_ADJUST
};

int64_t clock_line_at(const struct clock_line* l, int64_t at);
// As a ratio in lowest terms.
zx_clock_rate_t clock_line_rate(const struct clock_line* l);
// The same with a reference that counts `per_second` ticks; rounded to what 32 bits can express.
zx_clock_rate_t clock_line_tick_rate(const struct clock_line* l, uint64_t per_second);
