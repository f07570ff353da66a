// Strings beyond the generic library's, and numbers.
#include <stdlib.h>

#include <stdint.h>
#include <string.h>

char* strrchr(const char* text, int ch) {
    const char* found = nullptr;
    for (;; text++) {
        if (*text == (char)ch) {
            found = text;
        }
        if (*text == '\0') {
            return (char*)found;
        }
    }
}

char* strdup(const char* text) {
    size_t size = strlen(text) + 1;
    char* copy = malloc(size);
    if (copy != nullptr) {
        memcpy(copy, text, size);
    }
    return copy;
}

static bool is_blank(char ch) {
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

// The value of a digit; 36 and more: none.
static uint32_t digit_value(char ch) {
    if (ch >= '0' && ch <= '9') {
        return (uint32_t)(ch - '0');
    }
    char lower = (char)(ch | 0x20);
    return lower >= 'a' && lower <= 'z' ? (uint32_t)(lower - 'a') + 10 : 36;
}

struct magnitude {
    unsigned long long value; // ULLONG_MAX if it does not fit
    bool negative;
    bool overflow;
    const char* end; // the text's start if there is no number
};

static struct magnitude parse_magnitude(const char* text, uint32_t base) {
    struct magnitude m = {.end = text};
    const char* at = text;
    while (is_blank(*at)) {
        at++;
    }
    if (*at == '+' || *at == '-') {
        m.negative = *at++ == '-';
    }
    bool hex = at[0] == '0' && (at[1] | 0x20) == 'x' && digit_value(at[2]) < 16;
    if ((base == 0 || base == 16) && hex) {
        at += 2;
        base = 16;
    } else if (base == 0) {
        base = *at == '0' ? 8 : 10;
    }
    for (; digit_value(*at) < base; m.end = ++at) {
        m.overflow |= __builtin_mul_overflow(m.value, base, &m.value) ||
                      __builtin_add_overflow(m.value, digit_value(*at), &m.value);
    }
    if (m.overflow) {
        m.value = UINT64_MAX;
    }
    return m;
}

unsigned long long strtoull(const char* restrict text, char** restrict end, int base) {
    struct magnitude m = parse_magnitude(text, (uint32_t)base);
    if (end != nullptr) {
        *end = (char*)m.end;
    }
    return m.negative && !m.overflow ? 0 - m.value : m.value;
}

long long strtoll(const char* restrict text, char** restrict end, int base) {
    struct magnitude m = parse_magnitude(text, (uint32_t)base);
    if (end != nullptr) {
        *end = (char*)m.end;
    }
    if (m.negative) {
        return m.value > (uint64_t)INT64_MAX ? INT64_MIN : -(long long)m.value;
    }
    return m.value > INT64_MAX ? INT64_MAX : (long long)m.value;
}
