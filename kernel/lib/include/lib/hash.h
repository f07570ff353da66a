// Hash functions for tables.
//
// SipHash is keyed: use it for every table whose keys user code can choose (futex addresses,
// names), with a key drawn at boot or per table, so that nobody can aim at one bucket. The 1-3
// variant is the one for tables; 2-4 is the conservative one for anything that leaves the kernel as
// a tag. hash_mix_u64 is not keyed and serves kernel-chosen keys only.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

[[nodiscard]] uint64_t siphash_24(const struct siphash_key* key, const void* data, size_t len);
[[nodiscard]] uint64_t siphash_13(const struct siphash_key* key, const void* data, size_t len);

// The same value as siphash_13 over the 8 or 16 bytes of the words, without the byte loop.
[[nodiscard]] uint64_t siphash_13_u64(const struct siphash_key* key, uint64_t word);
[[nodiscard]] uint64_t siphash_13_u64x2(const struct siphash_key* key, uint64_t a, uint64_t b);

// A bijection that spreads every input bit over all output bits.
[[nodiscard]] static inline uint64_t hash_mix_u64(uint64_t value) {
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    return value;
}
