#pragma once

#include <stdint.h>

// A sponge over the SipHash permutation: absorbs what the machine offers, gives what boot needs.
struct entropy {
    uint64_t state[4];
    uint32_t sources; // enum handoff_entropy_source
};

void entropy_init(struct entropy* e);
void entropy_absorb(struct entropy* e, uint64_t word);
void entropy_absorb_bytes(struct entropy* e, const void* bytes, uint64_t length);
uint64_t entropy_squeeze(struct entropy* e);

// Absorbs RDSEED, RDRAND and the jitter of the time-stamp counter, as far as this CPU has them.
void entropy_gather_cpu(struct entropy* e);
