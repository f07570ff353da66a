// The arithmetic of fairness: pure functions, also tested on the host.
//
// Priorities 0..23 share the CPU by weight: virtual time runs for a thread at 1024/weight of real
// time, and the thread whose virtual time is least goes next. One priority step is a factor
// of 1.25, so that the same distance means the same ratio anywhere; priority 16 weighs 1024.
// Priorities 24..31 are fixed: they have no weight and run before anything fair.
//
// Time here is in ticks of the CPU's own counter (fair_ticks_init() converts the constants):
// reading it is one instruction, and nothing compares the ticks of two CPUs. Virtual times are
// compared by their signed difference, so wrapping is harmless. A thread's is measured against its
// run queue's `min`, which only grows: on moving to another queue the distance to min is what is
// kept, and a sleeper comes back at most FAIR_CREDIT behind it.
#pragma once

#include <stdint.h>

constexpr uint64_t FAIR_SLICE_NS = 2'000'000;  // how long a thread runs while others wait
constexpr uint64_t FAIR_CREDIT_NS = 1'000'000; // how far behind min a sleeper may come back
constexpr uint64_t FAIR_GRANULARITY_NS =
    500'000; // how far behind the running thread a woken one must be to preempt it
constexpr uint64_t FAIR_SPARE_NS =
    100'000; // how long a thread that has just been switched to is not preempted
constexpr uint32_t FAIR_PRIORITY_COUNT = 24;
constexpr uint32_t FAIR_SCALE_BITS = 20;

static inline uint32_t fair_weight(uint32_t priority) {
    static const uint16_t weights[FAIR_PRIORITY_COUNT] = {
        29,  36,  45,  56,  70,   88,   110,  137,  172,  215,  268,  336,
        419, 524, 655, 819, 1024, 1280, 1600, 2000, 2500, 3125, 3906, 4883,
    };
    return weights[priority < FAIR_PRIORITY_COUNT ? priority : FAIR_PRIORITY_COUNT - 1];
}

// Virtual ticks per real tick, in units of 2^-FAIR_SCALE_BITS; 0 for fixed priorities, which have
// no virtual time.
static inline uint64_t fair_inverse_weight(uint32_t priority) {
    return priority >= FAIR_PRIORITY_COUNT
               ? 0
               : ((uint64_t)1024 << FAIR_SCALE_BITS) / fair_weight(priority);
}

// Overflow is impossible below 2^63 / (36 << 20), some minutes at any tick rate; a longer run
// counts as that much.
static inline uint64_t fair_virtual(uint64_t delta, uint64_t inverse_weight) {
    constexpr uint64_t LONGEST = (uint64_t)1 << 36;
    return ((delta < LONGEST ? delta : LONGEST) * inverse_weight) >> FAIR_SCALE_BITS;
}

static inline bool fair_before(uint64_t a, uint64_t b) {
    return (int64_t)(a - b) < 0;
}

static inline uint64_t fair_later(uint64_t a, uint64_t b) {
    return fair_before(a, b) ? b : a;
}

// Where a thread that wakes or arrives is put.
static inline uint64_t fair_place(uint64_t vruntime, uint64_t min, uint64_t credit) {
    return fair_later(vruntime, min - credit);
}

static inline bool fair_preempts(uint64_t woken, uint64_t running, uint64_t granularity) {
    return fair_before(woken + granularity, running);
}
