// The first line of a script: who interprets it.
#pragma once

#include <stddef.h>

// What is looked at: the line with its newline must fit, or end with the file.
constexpr size_t script_line_max = 127;
// A script may name a script as its interpreter, and so on.
constexpr int script_depth_max = 5;

typedef enum script_kind {
    SCRIPT_NONE,  // not a script
    SCRIPT_GOOD,  // *out is filled
    SCRIPT_WRONG, // "#!", and then nothing useful, or no end
} script_kind_t;

struct script_line {
    char interpreter[script_line_max + 1];
    char argument[script_line_max +
                  1]; // the rest of the line as one, without blanks around it; "": none
};

// `head`: the first `len` bytes of the file; `whole`: there are no more.
script_kind_t script_parse(const char* head, size_t len, bool whole, struct script_line* out);
