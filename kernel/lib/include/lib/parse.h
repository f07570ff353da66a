// Parsing of small texts: numbers, sizes, command-line words.
//
// Input is a span (pointer and length), not a terminated string, because it comes from boot records
// and messages. Every function takes the whole span or nothing: trailing rubbish, overflow and the
// empty span are failures, and the out-pointer is written on success only.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct text_span {
    const char* data;
    size_t len;
};

struct text_span text_span_from(const char* text);
bool text_span_equals(struct text_span span, const char* text);
bool text_span_starts(struct text_span span, const char* prefix);

// Decimal, or hexadecimal after 0x, octal after 0o, binary after 0b.
[[nodiscard]] bool parse_u64(struct text_span text, uint64_t* out);
[[nodiscard]] bool parse_i64(struct text_span text, int64_t* out);

// A number followed by nothing or by one of K M G T (either case, optionally followed by iB or B):
// powers of 1024.
[[nodiscard]] bool parse_size(struct text_span text, uint64_t* out_bytes);

// true/false, on/off, yes/no, 1/0.
[[nodiscard]] bool parse_bool(struct text_span text, bool* out);

// Splits a line at spaces, tabs and line ends. Double quotes keep blanks inside a word; the quotes
// themselves stay part of the span unless they enclose the whole word or the whole value after
// the first '='. Advances *rest; false at the end.
bool parse_next_word(struct text_span* rest, struct text_span* out_word);

// Looks for `key` (a flag, whose value is empty) or `key=value` among the words; the last one wins.
bool parse_option(struct text_span line, const char* key, struct text_span* out_value);

// Convenience over parse_option: the default if the key is absent or its value is malformed; a
// bare flag counts as true.
bool parse_option_bool(struct text_span line, const char* key, bool fallback);
uint64_t parse_option_u64(struct text_span line, const char* key, uint64_t fallback);
uint64_t parse_option_size(struct text_span line, const char* key, uint64_t fallback);
