// SipHash (Aumasson and Bernstein): c rounds per 8-byte word, d rounds to finish, 64-bit result.
//
// Words are read little-endian; the last word carries the remaining bytes and the length modulo 256
// in its top byte. The fixed-length forms build that last word directly.
#include <lib/hash.h>

struct sip_state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t rotate_left(uint64_t value, unsigned count) {
    return value << count | value >> (64 - count);
}

static inline void sip_rounds(struct sip_state* s, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 = rotate_left(s->v2, 32);
    }
}

static inline struct sip_state sip_begin(const struct siphash_key* key) {
    return (struct sip_state){
        .v0 = key->k0 ^ 0x736f6d6570736575u,
        .v1 = key->k1 ^ 0x646f72616e646f6du,
        .v2 = key->k0 ^ 0x6c7967656e657261u,
        .v3 = key->k1 ^ 0x7465646279746573u,
    };
}

static inline void sip_word(struct sip_state* s, uint64_t word, unsigned rounds) {
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

static inline uint64_t sip_end(struct sip_state* s, unsigned rounds) {
    s->v2 ^= 0xff;
    sip_rounds(s, rounds);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t load_le(const unsigned char* bytes, size_t len) {
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static uint64_t siphash(const struct siphash_key* key, const void* data, size_t len,
                        unsigned word_rounds, unsigned end_rounds) {
    struct sip_state s = sip_begin(key);
    const unsigned char* bytes = data;
    size_t at = 0;
    for (; len - at >= 8; at += 8) {
        sip_word(&s, load_le(bytes + at, 8), word_rounds);
    }
    uint64_t last = (uint64_t)len << 56;
    if (at < len) {
        last |= load_le(bytes + at, len - at);
    }
    sip_word(&s, last, word_rounds);
    return sip_end(&s, end_rounds);
}

uint64_t siphash_24(const struct siphash_key* key, const void* data, size_t len) {
    return siphash(key, data, len, 2, 4);
}

uint64_t siphash_13(const struct siphash_key* key, const void* data, size_t len) {
    return siphash(key, data, len, 1, 3);
}

uint64_t siphash_13_u64(const struct siphash_key* key, uint64_t word) {
    struct sip_state s = sip_begin(key);
    sip_word(&s, word, 1);
    sip_word(&s, (uint64_t)8 << 56, 1);
    return sip_end(&s, 3);
}

uint64_t siphash_13_u64x2(const struct siphash_key* key, uint64_t a, uint64_t b) {
    struct sip_state s = sip_begin(key);
    sip_word(&s, a, 1);
    sip_word(&s, b, 1);
    sip_word(&s, (uint64_t)16 << 56, 1);
    return sip_end(&s, 3);
}
