// Published vectors for CRC-32, SipHash and ChaCha20, and properties of what is built on them.
#include <lib/chacha20.h>
#include <lib/crc32.h>
#include <lib/hash.h>
#include <lib/random.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static uint32_t crc32_bitwise(const uint8_t* data, size_t len) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    return ~crc;
}

static void test_crc32(void**) {
    assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(crc32_update(0, "", 0), 0);
    struct random random = random_init(60);
    uint8_t data[300];
    for (int i = 0; i < 500; i++) {
        size_t len = random_below(&random, sizeof(data) + 1);
        for (size_t j = 0; j < len; j++) {
            data[j] = (uint8_t)random_u64(&random);
        }
        uint32_t whole = crc32_update(0, data, len);
        assert_int_equal(whole, crc32_bitwise(data, len));
        size_t cut = random_below(&random, (uint32_t)len + 1);
        assert_int_equal(crc32_update(crc32_update(0, data, cut), data + cut, len - cut), whole);
    }
}

static void test_siphash_vectors(void**) {
    const struct siphash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint8_t data[64];
    for (uint8_t i = 0; i < 64; i++) {
        data[i] = i;
    }
    assert_true(siphash_24(&key, data, 0) == 0x726fdb47dd0e0e31u);
    assert_true(siphash_24(&key, data, 1) == 0x74f839c593dc67fdu);
    assert_true(siphash_24(&key, data, 15) == 0xa129ca6149be45e5u);
    uint64_t words[2];
    memcpy(words, data + 3, sizeof(words));
    assert_true(siphash_13_u64(&key, words[0]) == siphash_13(&key, words, 8));
    assert_true(siphash_13_u64x2(&key, words[0], words[1]) == siphash_13(&key, words, 16));
    assert_true(siphash_13(&key, data, 8) != siphash_24(&key, data, 8));
}

// The value CPython computes for hash(b"jacinth") with its key set to zero (PYTHONHASHSEED=0).
static void test_siphash_13_reference(void**) {
    const struct siphash_key key = {};
    assert_true((int64_t)siphash_13(&key, "jacinth", 7) == 7548749151087921674);
}

static void test_mix_is_injective_on_sample(void**) {
    for (uint64_t i = 1; i < 2000; i++) {
        assert_true(hash_mix_u64(i) != hash_mix_u64(i - 1));
        assert_true(hash_mix_u64(i) != hash_mix_u64(i << 32));
    }
}

static void test_chacha20_block(void**) {
    uint8_t key[32];
    for (uint8_t i = 0; i < 32; i++) {
        key[i] = i;
    }
    const uint8_t nonce[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a};
    const uint8_t expected[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
    };
    uint8_t block[64];
    chacha20_block(key, 1, nonce, block);
    assert_memory_equal(block, expected, 64);
}

static void test_chacha20_xor(void**) {
    uint8_t key[32] = {1};
    uint8_t nonce[12] = {2};
    for (size_t len = 0; len < 300; len += 7) {
        uint8_t* data = malloc(len + 1);
        memset(data, 0xaa, len);
        data[len] = 0x55;
        chacha20_xor(key, 5, nonce, data, len);
        for (size_t i = 0; i < len; i++) {
            uint8_t block[64];
            chacha20_block(key, 5 + (uint32_t)(i / 64), nonce, block);
            assert_int_equal(data[i], 0xaa ^ block[i % 64]);
        }
        assert_int_equal(data[len], 0x55);
        free(data);
    }
}

static void test_drbg(void**) {
    struct chacha20_drbg a;
    struct chacha20_drbg b;
    chacha20_drbg_init(&a, "seed", 4);
    chacha20_drbg_init(&b, "seed", 4);
    for (size_t len = 0; len < 200; len++) {
        uint8_t* x = calloc(1, len + 1);
        uint8_t* y = calloc(1, len + 1);
        uint8_t key_before[32];
        memcpy(key_before, a.key, 32);
        chacha20_drbg_fill(&a, x, len);
        chacha20_drbg_fill(&b, y, len);
        assert_memory_equal(x, y, len + 1);
        assert_int_equal(x[len], 0);
        assert_true(len == 0 || memcmp(a.key, key_before, 32) != 0);
        free(x);
        free(y);
    }
    uint8_t x[32];
    uint8_t y[32];
    chacha20_drbg_mix(&b, "more", 4);
    chacha20_drbg_fill(&a, x, 32);
    chacha20_drbg_fill(&b, y, 32);
    assert_memory_not_equal(x, y, 32);
    chacha20_drbg_init(&a, "", 0);
    chacha20_drbg_init(&b, "\0", 1);
    assert_memory_not_equal(a.key, b.key, 32);
}

static void test_drbg_large_request_has_no_repeats(void**) {
    constexpr size_t len = (3u << 20) + 5;
    uint64_t* words = malloc(len + 8);
    struct chacha20_drbg drbg;
    chacha20_drbg_init(&drbg, "x", 1);
    chacha20_drbg_fill(&drbg, words, len);
    // Streams of different pieces must differ: compare the pieces word by word.
    for (size_t i = 0; i < (1u << 20) / 8; i++) {
        assert_true(words[i] != words[i + (1u << 20) / 8]);
        assert_true(words[i] != words[i + (2u << 20) / 8]);
    }
    free(words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_siphash_13_reference),
        cmocka_unit_test(test_mix_is_injective_on_sample),
        cmocka_unit_test(test_chacha20_block),
        cmocka_unit_test(test_chacha20_xor),
        cmocka_unit_test(test_drbg),
        cmocka_unit_test(test_drbg_large_request_has_no_repeats),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
