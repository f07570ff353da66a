// ChaCha20 block function, stream and generator.
//
// The state is sixteen little-endian words: four constants, eight of key, the block counter, three
// of nonce. Twenty rounds run in place on a copy, which is then added to the input. Intermediate
// key material on the stack is wiped with an assignment the compiler may not drop.
#include <lib/chacha20.h>

#include <lib/string.h>

constexpr size_t drbg_piece_len_max = 1u << 20;

static inline uint32_t load_le32(const uint8_t* from) {
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static inline void store_le32(uint8_t* to, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint32_t rotate_left(uint32_t value, unsigned count) {
    return value << count | value >> (32 - count);
}

static inline void quarter_round(uint32_t s[static 16], unsigned a, unsigned b, unsigned c,
                                 unsigned d) {
    s[a] += s[b];
    s[d] = rotate_left(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate_left(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate_left(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate_left(s[b] ^ s[c], 7);
}

static void wipe(void* data, size_t len) {
    memset(data, 0, len);
    __asm__ volatile("" : : "r"(data) : "memory");
}

void chacha20_block(const uint8_t key[static 32], uint32_t counter, const uint8_t nonce[static 12],
                    uint8_t out[static 64]) {
    uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (unsigned i = 0; i < 8; i++) {
        input[4 + i] = load_le32(key + 4 * i);
    }
    input[12] = counter;
    for (unsigned i = 0; i < 3; i++) {
        input[13 + i] = load_le32(nonce + 4 * i);
    }
    uint32_t work[16];
    memcpy(work, input, sizeof(work));
    for (unsigned i = 0; i < 10; i++) {
        quarter_round(work, 0, 4, 8, 12);
        quarter_round(work, 1, 5, 9, 13);
        quarter_round(work, 2, 6, 10, 14);
        quarter_round(work, 3, 7, 11, 15);
        quarter_round(work, 0, 5, 10, 15);
        quarter_round(work, 1, 6, 11, 12);
        quarter_round(work, 2, 7, 8, 13);
        quarter_round(work, 3, 4, 9, 14);
    }
    for (unsigned i = 0; i < 16; i++) {
        store_le32(out + 4 * i, work[i] + input[i]);
    }
    wipe(work, sizeof(work));
    wipe(input, sizeof(input));
}

void chacha20_xor(const uint8_t key[static 32], uint32_t counter, const uint8_t nonce[static 12],
                  void* data, size_t len) {
    uint8_t stream[chacha20_block_len];
    uint8_t* bytes = data;
    while (len > 0) {
        chacha20_block(key, counter++, nonce, stream);
        size_t step = len < sizeof(stream) ? len : sizeof(stream);
        for (size_t i = 0; i < step; i++) {
            bytes[i] ^= stream[i];
        }
        bytes += step;
        len -= step;
    }
    wipe(stream, sizeof(stream));
}

static constexpr uint8_t zero_nonce[chacha20_nonce_len] = {};

void chacha20_drbg_init(struct chacha20_drbg* drbg, const void* seed, size_t len) {
    memset(drbg->key, 0, sizeof(drbg->key));
    chacha20_drbg_mix(drbg, seed, len);
}

// Absorbs 32 bytes at a time: key' = first half of block(key ^ input). The block function with its
// feed-forward is not invertible without the other half, so input cannot steer the state.
void chacha20_drbg_mix(struct chacha20_drbg* drbg, const void* data, size_t len) {
    const uint8_t* bytes = data;
    uint8_t block[chacha20_block_len];
    uint32_t pieces = 0;
    do {
        size_t step = len < sizeof(drbg->key) ? len : sizeof(drbg->key);
        for (size_t i = 0; i < step; i++) {
            drbg->key[i] ^= bytes[i];
        }
        // The counter keeps "a" then "b" apart from "ab" padded with zeros.
        chacha20_block(drbg->key, (uint32_t)step | ++pieces << 8, zero_nonce, block);
        memcpy(drbg->key, block, sizeof(drbg->key));
        bytes += step;
        len -= step;
    } while (len > 0);
    wipe(block, sizeof(block));
}

static void drbg_fill_piece(struct chacha20_drbg* drbg, uint8_t* out, size_t len) {
    uint8_t block[chacha20_block_len];
    uint8_t key[chacha20_key_len];
    memcpy(key, drbg->key, sizeof(key));
    chacha20_block(key, 0, zero_nonce, block);
    memcpy(drbg->key, block, sizeof(drbg->key));
    constexpr size_t first_len = chacha20_block_len - chacha20_key_len;
    size_t step = len < first_len ? len : first_len;
    memcpy(out, block + chacha20_key_len, step);
    for (uint32_t counter = 1; step < len; counter++) {
        chacha20_block(key, counter, zero_nonce, block);
        size_t part = len - step < sizeof(block) ? len - step : sizeof(block);
        memcpy(out + step, block, part);
        step += part;
    }
    wipe(block, sizeof(block));
    wipe(key, sizeof(key));
}

void chacha20_drbg_fill(struct chacha20_drbg* drbg, void* out, size_t len) {
    uint8_t* bytes = out;
    while (len > 0) {
        size_t step = len < drbg_piece_len_max ? len : drbg_piece_len_max;
        drbg_fill_piece(drbg, bytes, step);
        bytes += step;
        len -= step;
    }
}
