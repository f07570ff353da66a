// From a command line to words.
//
// Blanks separate words. 'x' keeps everything as it stands; "x" too, but \" and \\; outside quotes
// a backslash keeps the next character. Quotes may begin in the middle of a word, and "" is an
// empty word. # at the beginning of a word ends the line.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t shell_words_max = 64;
constexpr size_t shell_line_max = 4096;

typedef enum [[nodiscard]] shell_words_error : uint8_t {
    SHELL_WORDS_OK,
    SHELL_WORDS_UNTERMINATED, // a quote without its end, or a backslash at the end
    SHELL_WORDS_TOO_MANY,
    SHELL_WORDS_TOO_LONG,
} shell_words_error_t;
const char* shell_words_error_text(shell_words_error_t error);

struct shell_words {
    uint32_t count;                        // 0: there is nothing on the line
    const char* word[shell_words_max + 1]; // into text; null after the last
    char text[shell_line_max + shell_words_max];
};

shell_words_error_t shell_words_split(const char* line, struct shell_words* out);

// The line has characters outside quotes that a shell would act on. Here they are like any others.
bool shell_words_are_for_a_shell(const char* line);
