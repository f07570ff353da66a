// ChaCha20 (RFC 8439) and a random generator built on it.
//
// The generator erases the key it used after every request ("fast key erasure"): each fill makes
// one key stream, whose first 32 bytes become the next key, so that a later look into memory does
// not reveal what was handed out before. It needs a lock around it: the caller's. Mixing in
// entropy can only add to the unpredictability of the state, also when the input is hostile.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr size_t chacha20_key_len = 32;
constexpr size_t chacha20_nonce_len = 12;
constexpr size_t chacha20_block_len = 64;

// One block of key stream.
void chacha20_block(const uint8_t key[static 32], uint32_t counter, const uint8_t nonce[static 12],
                    uint8_t out[static 64]);

// Encrypts or decrypts in place, starting with block `counter`. The block counter must not wrap:
// len <= 64 * (2^32 - counter), which the caller guarantees.
void chacha20_xor(const uint8_t key[static 32], uint32_t counter, const uint8_t nonce[static 12],
                  void* data, size_t len);

struct chacha20_drbg {
    uint8_t key[32]; // protected by the owner's lock
};

// The starting state depends on all len bytes of seed.
void chacha20_drbg_init(struct chacha20_drbg* drbg, const void* seed, size_t len);

// Adds entropy; the old state is kept in.
void chacha20_drbg_mix(struct chacha20_drbg* drbg, const void* data, size_t len);

// Any length; a request is cut into pieces of at most 1 MiB, each with a key of its own.
void chacha20_drbg_fill(struct chacha20_drbg* drbg, void* out, size_t len);
