// Memory and string primitives.
//
// Every copy of up to 64 bytes is a straight line of word moves in which the last word overlaps the
// one before it: no loop, no byte tail. All loads of such a block happen before its first store, so
// the same code serves memmove. Longer copies go to the port's bulk mover with the ragged end
// again covered by one overlapping word. Downward moves (memmove with dst inside src) use a plain
// loop of words: the string instructions need DF set for it and are slow there on real machines.
//
// Freestanding compilation keeps the compiler from turning the loops below into calls of the very
// functions they implement. Hosted builds leave this file out: there the C library has the names.
#include <lib/string.h>

#include <stdint.h>

#include "words.h"

typedef uint64_t __attribute__((aligned(1), may_alias)) word64_t;
typedef uint32_t __attribute__((aligned(1), may_alias)) word32_t;
typedef uint16_t __attribute__((aligned(1), may_alias)) word16_t;

constexpr size_t word_len = sizeof(uint64_t);
constexpr size_t straight_len_max = 64;

static inline uint64_t word_load(const unsigned char* from) {
    return *(const word64_t*)from;
}

static inline void word_store(unsigned char* to, uint64_t value) {
    *(word64_t*)to = value;
}

// 0..16 bytes.
static inline void block_move_16(unsigned char* to, const unsigned char* from, size_t len) {
    if (len >= 8) {
        uint64_t head = word_load(from);
        uint64_t tail = word_load(from + len - 8);
        word_store(to, head);
        word_store(to + len - 8, tail);
    } else if (len >= 4) {
        uint32_t head = *(const word32_t*)from;
        uint32_t tail = *(const word32_t*)(from + len - 4);
        *(word32_t*)to = head;
        *(word32_t*)(to + len - 4) = tail;
    } else if (len >= 2) {
        uint16_t head = *(const word16_t*)from;
        uint16_t tail = *(const word16_t*)(from + len - 2);
        *(word16_t*)to = head;
        *(word16_t*)(to + len - 2) = tail;
    } else if (len == 1) {
        *to = *from;
    }
}

// 17..32 bytes.
static inline void block_move_32(unsigned char* to, const unsigned char* from, size_t len) {
    uint64_t a = word_load(from);
    uint64_t b = word_load(from + 8);
    uint64_t c = word_load(from + len - 16);
    uint64_t d = word_load(from + len - 8);
    word_store(to, a);
    word_store(to + 8, b);
    word_store(to + len - 16, c);
    word_store(to + len - 8, d);
}

// 33..64 bytes.
static inline void block_move_64(unsigned char* to, const unsigned char* from, size_t len) {
    uint64_t a = word_load(from);
    uint64_t b = word_load(from + 8);
    uint64_t c = word_load(from + 16);
    uint64_t d = word_load(from + 24);
    uint64_t e = word_load(from + len - 32);
    uint64_t f = word_load(from + len - 24);
    uint64_t g = word_load(from + len - 16);
    uint64_t h = word_load(from + len - 8);
    word_store(to, a);
    word_store(to + 8, b);
    word_store(to + 16, c);
    word_store(to + 24, d);
    word_store(to + len - 32, e);
    word_store(to + len - 24, f);
    word_store(to + len - 16, g);
    word_store(to + len - 8, h);
}

static inline void block_move(unsigned char* to, const unsigned char* from, size_t len) {
    if (len <= 16) {
        block_move_16(to, from, len);
    } else if (len <= 32) {
        block_move_32(to, from, len);
    } else {
        block_move_64(to, from, len);
    }
}

// Correct for disjoint ranges and for overlap with to < from: the last word is loaded before the
// bulk mover can overwrite it.
static inline void bulk_move_up(unsigned char* to, const unsigned char* from, size_t len) {
    uint64_t tail = word_load(from + len - word_len);
    arch_words_copy_up(to, from, (len - 1) / word_len);
    word_store(to + len - word_len, tail);
}

static void bulk_move_down(unsigned char* to, const unsigned char* from, size_t len) {
    uint64_t head = word_load(from);
    while (len > word_len) {
        len -= word_len;
        word_store(to + len, word_load(from + len));
    }
    word_store(to, head);
}

void* memcpy(void* restrict dst, const void* restrict src, size_t len) {
    if (len <= straight_len_max) {
        block_move(dst, src, len);
    } else {
        bulk_move_up(dst, src, len);
    }
    return dst;
}

void* memmove(void* dst, const void* src, size_t len) {
    if (len <= straight_len_max) {
        block_move(dst, src, len);
    } else if ((uintptr_t)dst - (uintptr_t)src >= len) {
        bulk_move_up(dst, src, len);
    } else {
        bulk_move_down(dst, src, len);
    }
    return dst;
}

void* memset(void* dst, int byte, size_t len) {
    unsigned char* to = dst;
    uint64_t word = (unsigned char)byte * 0x0101010101010101u;
    if (len > 32) {
        arch_words_fill(to, word, (len - 1) / word_len);
        word_store(to + len - word_len, word);
    } else if (len > 16) {
        word_store(to, word);
        word_store(to + 8, word);
        word_store(to + len - 16, word);
        word_store(to + len - 8, word);
    } else if (len >= 8) {
        word_store(to, word);
        word_store(to + len - 8, word);
    } else if (len >= 4) {
        *(word32_t*)to = (uint32_t)word;
        *(word32_t*)(to + len - 4) = (uint32_t)word;
    } else {
        for (size_t i = 0; i < len; i++) {
            to[i] = (unsigned char)byte;
        }
    }
    return dst;
}

int memcmp(const void* a, const void* b, size_t len) {
    const unsigned char* left = a;
    const unsigned char* right = b;
    size_t i = 0;
    while (len - i >= word_len && word_load(left + i) == word_load(right + i)) {
        i += word_len;
    }
    for (; i < len; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

void* memchr(const void* data, int byte, size_t len) {
    const unsigned char* bytes = data;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == (unsigned char)byte) {
            return (void*)(bytes + i);
        }
    }
    return nullptr;
}

size_t strlen(const char* text) {
    size_t len = 0;
    while (text[len] != '\0') {
        len++;
    }
    return len;
}

size_t strnlen(const char* text, size_t max) {
    size_t len = 0;
    while (len < max && text[len] != '\0') {
        len++;
    }
    return len;
}

int strcmp(const char* a, const char* b) {
    return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char* a, const char* b, size_t max) {
    for (size_t i = 0; i < max; i++) {
        unsigned char left = (unsigned char)a[i];
        unsigned char right = (unsigned char)b[i];
        if (left != right) {
            return left < right ? -1 : 1;
        }
        if (left == 0) {
            break;
        }
    }
    return 0;
}

char* strchr(const char* text, int ch) {
    for (;; text++) {
        if (*text == (char)ch) {
            return (char*)text;
        }
        if (*text == '\0') {
            return nullptr;
        }
    }
}

void text_make_printable(char* text, size_t len) {
    for (size_t i = 0; i < len && text[i] != '\0'; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            text[i] = '?';
        }
    }
}
