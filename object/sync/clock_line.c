// See clock_line.h. 128-bit division would need a library; splitting the distance into millions and
// a rest keeps everything in 64 bits without losing a nanosecond.

#include "clock_line.h"

#include <stdckdint.h>

constexpr int64_t MILLION = 1'000'000;
constexpr uint64_t BILLION = 1'000'000'000;

static int64_t add_saturating(int64_t a, int64_t b) {
    int64_t sum;
    if (!ckd_add(&sum, a, b)) {
        return sum;
    }
    return b < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t subtract_saturating(int64_t a, int64_t b) {
    int64_t difference;
    if (!ckd_sub(&difference, a, b)) {
        return difference;
    }
    return b > 0 ? INT64_MIN : INT64_MAX;
}

static int64_t divide_down(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

int64_t clock_line_at(const struct clock_line* l, int64_t at) {
    int64_t distance = subtract_saturating(at, l->reference);
    int64_t millions = divide_down(distance, MILLION);
    int64_t rest = distance % MILLION;
    rest += rest < 0 ? MILLION : 0; // distance == millions * MILLION + rest, unlike division in C
    int64_t drift = millions * l->ppm + divide_down(rest * l->ppm, MILLION);
    return add_saturating(l->value, add_saturating(distance, drift));
}

static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static zx_clock_rate_t ratio(uint64_t synthetic, uint64_t reference) {
    uint64_t g = gcd(synthetic, reference);
    synthetic /= g;
    reference /= g;
    while (synthetic > UINT32_MAX || reference > UINT32_MAX) {
        synthetic >>= 1;
        reference >>= 1;
    }
    return (zx_clock_rate_t){.synthetic_ticks = (uint32_t)synthetic,
                             .reference_ticks = (uint32_t)reference};
}

zx_clock_rate_t clock_line_rate(const struct clock_line* l) {
    return ratio((uint64_t)(MILLION + l->ppm), (uint64_t)MILLION);
}

zx_clock_rate_t clock_line_tick_rate(const struct clock_line* l, uint64_t per_second) {
    return ratio(BILLION * (uint64_t)(MILLION + l->ppm), per_second * (uint64_t)MILLION);
}
