// The C library against the host's: each program here prints one line for each case, is run on
// both, and the lines are compared (tests/system/libc_test.py). So a case needs no expected value,
// only a result that the standard fixes: nothing that depends on addresses, locales, or the wording
// of messages.
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// "GROUP.NUMBER: " in front of what the case prints; a case ends with end_case().
static const char* suite_group = "";
static int suite_number;

static inline void begin_group(const char* name) {
    suite_group = name;
    suite_number = 0;
}

static inline void begin_case(void) {
    printf("%s.%d:", suite_group, ++suite_number);
}

static inline void end_case(void) {
    putchar('\n');
}

// Bytes that may be anything: printable ones as they are, others as \xx.
static inline void show_bytes(const void* bytes, size_t len) {
    const unsigned char* b = bytes;
    printf(" [");
    for (size_t i = 0; i < len; i++) {
        if (b[i] > ' ' && b[i] < 0x7f && b[i] != '\\') {
            putchar(b[i]);
        } else {
            printf("\\%02x", b[i]);
        }
    }
    putchar(']');
}

static inline void show_text(const char* s) {
    if (s == NULL) {
        printf(" null");
    } else {
        show_bytes(s, strlen(s));
    }
}

static inline void show(intmax_t value) {
    printf(" %" PRIdMAX, value);
}

// All 64 bits, but one kind of NaN.
static inline void show_double(double d) {
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    if (d != d) {
        printf(" nan");
    } else {
        printf(" %016" PRIx64, bits);
    }
}

static inline int sign(int value) {
    return (value > 0) - (value < 0);
}

// A sequence that is the same everywhere.
static uint64_t suite_random = 0x9e3779b97f4a7c15u;

static inline uint64_t next_random(void) {
    suite_random ^= suite_random << 13;
    suite_random ^= suite_random >> 7;
    suite_random ^= suite_random << 17;
    return suite_random;
}
