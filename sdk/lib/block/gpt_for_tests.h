// Making partition tables: what the tests and the fuzzer share. The sum is computed in another way
// than the reader's.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t gpt_test_crc(const uint8_t* bytes, size_t len) {
    uint32_t sum = 0xffffffff;
    for (size_t i = 0; i < len * 8; i++) {
        const uint32_t bit = (sum ^ (uint32_t)bytes[i / 8] >> i % 8) & 1;
        sum = sum >> 1 ^ (bit != 0 ? 0xedb88320 : 0);
    }
    return ~sum;
}

static inline void gpt_test_put32(uint8_t* at, uint32_t value) {
    memcpy(at, &value, sizeof(value));
}
