// A small deterministic generator for tests and tie-breaking. Not for secrets: those come from the
// kernel's ChaCha20 generator.
//
// The same seed gives the same sequence on every machine, so that a failing random test can be
// repeated from the seed it printed. State is owned by the caller; nothing is shared.
#pragma once

#include <stdint.h>

struct random {
    uint64_t state;
};

// Any seed will do, zero included.
static inline struct random random_init(uint64_t seed) {
    return (struct random){.state = seed * 2 + 0x9e3779b97f4a7c15u};
}

// xorshift64* over a state that is never zero.
static inline uint64_t random_u64(struct random* random) {
    uint64_t x = random->state != 0 ? random->state : 0x9e3779b97f4a7c15u;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545f4914f6cdd1du;
}

// Uniform enough for tests over 0..bound-1; bound > 0. Uses the high half, whose bits are best.
static inline uint32_t random_below(struct random* random, uint32_t bound) {
    return (uint32_t)(((random_u64(random) >> 32) * bound) >> 32);
}
