// Parsing of small texts. All arithmetic is checked; nothing looks past the end of a span.
#include <lib/parse.h>

#include <lib/string.h>
#include <stdckdint.h>

struct text_span text_span_from(const char* text) {
    return (struct text_span){.data = text, .len = strlen(text)};
}

bool text_span_equals(struct text_span span, const char* text) {
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

bool text_span_starts(struct text_span span, const char* prefix) {
    size_t len = strlen(prefix);
    return span.len >= len && memcmp(span.data, prefix, len) == 0;
}

static struct text_span span_from_offset(struct text_span span, size_t offset) {
    return (struct text_span){.data = span.data + offset, .len = span.len - offset};
}

// Large enough to be no digit in any base if ch is none.
static unsigned digit_value(char ch) {
    if (ch >= '0' && ch <= '9') {
        return (unsigned)(ch - '0');
    }
    char lower = (char)(ch | 0x20);
    if (lower >= 'a' && lower <= 'f') {
        return (unsigned)(lower - 'a') + 10;
    }
    return 255;
}

static unsigned take_base(struct text_span* text) {
    if (text->len > 2 && text->data[0] == '0') {
        unsigned base = 10;
        switch (text->data[1] | 0x20) {
        case 'x':
            base = 16;
            break;
        case 'o':
            base = 8;
            break;
        case 'b':
            base = 2;
            break;
        default:
            return 10;
        }
        *text = span_from_offset(*text, 2);
        return base;
    }
    return 10;
}

bool parse_u64(struct text_span text, uint64_t* out) {
    unsigned base = take_base(&text);
    if (text.len == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = digit_value(text.data[i]);
        if (digit >= base || ckd_mul(&value, value, base) || ckd_add(&value, value, digit)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool parse_i64(struct text_span text, int64_t* out) {
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (!parse_u64(negative ? span_from_offset(text, 1) : text, &magnitude)) {
        return false;
    }
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > limit) {
        return false;
    }
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

// Bits to shift for a unit letter, or -1.
static int unit_shift(char letter) {
    switch (letter | 0x20) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    case 't':
        return 40;
    default:
        return -1;
    }
}

bool parse_size(struct text_span text, uint64_t* out_bytes) {
    // Strip "B" or "iB", but only when a unit letter or digit is left, and never the b of 0b or a
    // hexadecimal digit: units follow decimal numbers only.
    bool decimal = !(text.len > 1 && text.data[0] == '0' && digit_value(text.data[1]) > 9);
    int shift = 0;
    if (decimal) {
        struct text_span number = text;
        if (number.len > 1 && (number.data[number.len - 1] | 0x20) == 'b') {
            number.len--;
            if (number.len > 2 && number.data[number.len - 1] == 'i') {
                number.len--;
                if (unit_shift(number.data[number.len - 1]) < 0) {
                    return false;
                }
            }
        }
        if (number.len > 1 && unit_shift(number.data[number.len - 1]) >= 0) {
            shift = unit_shift(number.data[number.len - 1]);
            number.len--;
        }
        text = number;
    }
    uint64_t value;
    if (!parse_u64(text, &value) || ckd_mul(&value, value, (uint64_t)1 << shift)) {
        return false;
    }
    *out_bytes = value;
    return true;
}

bool parse_bool(struct text_span text, bool* out) {
    static const char* const words[][2] = {
        {"false", "true"}, {"off", "on"}, {"no", "yes"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (unsigned value = 0; value < 2; value++) {
            if (text_span_equals(text, words[i][value])) {
                *out = value != 0;
                return true;
            }
        }
    }
    return false;
}

static bool is_blank(char ch) {
    return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r' || ch == '\0';
}

// Removes quotes that enclose everything from `offset` on; false if they do not.
static bool unquote_from(struct text_span* word, size_t offset) {
    return word->len >= offset + 2 && word->data[offset] == '"' &&
           memchr(word->data + offset + 1, '"', word->len - offset - 1) ==
               word->data + word->len - 1;
}

bool parse_next_word(struct text_span* rest, struct text_span* out_word) {
    size_t start = 0;
    while (start < rest->len && is_blank(rest->data[start])) {
        start++;
    }
    if (start == rest->len) {
        *rest = span_from_offset(*rest, start);
        return false;
    }
    size_t end = start;
    bool quoted = false;
    while (end < rest->len && (quoted || !is_blank(rest->data[end]))) {
        quoted ^= rest->data[end] == '"';
        end++;
    }
    struct text_span word = {.data = rest->data + start, .len = end - start};
    *rest = span_from_offset(*rest, end);
    if (unquote_from(&word, 0)) {
        word = (struct text_span){.data = word.data + 1, .len = word.len - 2};
    }
    *out_word = word;
    return true;
}

static struct text_span option_value(struct text_span word, size_t offset) {
    if (unquote_from(&word, offset)) {
        return (struct text_span){.data = word.data + offset + 1, .len = word.len - offset - 2};
    }
    return span_from_offset(word, offset);
}

bool parse_option(struct text_span line, const char* key, struct text_span* out_value) {
    size_t key_len = strlen(key);
    bool found = false;
    struct text_span word;
    while (parse_next_word(&line, &word)) {
        if (!text_span_starts(word, key)) {
            continue;
        }
        if (word.len == key_len) {
            *out_value = span_from_offset(word, key_len);
            found = true;
        } else if (word.data[key_len] == '=') {
            *out_value = option_value(word, key_len + 1);
            found = true;
        }
    }
    return found;
}

bool parse_option_bool(struct text_span line, const char* key, bool fallback) {
    struct text_span value;
    if (!parse_option(line, key, &value)) {
        return fallback;
    }
    if (value.len == 0) {
        return true;
    }
    bool result = fallback;
    return parse_bool(value, &result) ? result : fallback;
}

uint64_t parse_option_u64(struct text_span line, const char* key, uint64_t fallback) {
    struct text_span value;
    uint64_t result;
    return parse_option(line, key, &value) && parse_u64(value, &result) ? result : fallback;
}

uint64_t parse_option_size(struct text_span line, const char* key, uint64_t fallback) {
    struct text_span value;
    uint64_t result;
    return parse_option(line, key, &value) && parse_size(value, &result) ? result : fallback;
}
