// The bootstrap message (<zircon/processargs.h>): building one and taking one apart.
//
// Parsing trusts nothing: every offset, count and terminator is checked against the message's
// length, and the result points into the message. No allocation on either side.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/processargs.h>

typedef enum [[nodiscard]] processargs_error : uint8_t {
    PROCESSARGS_OK,
    PROCESSARGS_TRUNCATED,    // shorter than its header
    PROCESSARGS_BAD_PROTOCOL, // protocol or version is another
    PROCESSARGS_BAD_HANDLES, // the handle table is misplaced, or does not have one entry per handle
    PROCESSARGS_BAD_STRINGS, // a string table is misplaced or ends inside a string
    PROCESSARGS_TOO_LARGE,   // building: does not fit the buffer
} processargs_error_t;

// A table of NUL-terminated strings, one after the other.
struct processargs_strings {
    const char* first;
    uint32_t count;
};

struct processargs {
    const uint32_t* handle_infos; // PA_HND words, one per handle of the message
    uint32_t handle_count;
    struct processargs_strings args, environ, names;
};

// `message` is 4-byte aligned and stays valid as long as *out is used. `handle_count`: how many
// handles came with it.
processargs_error_t processargs_parse(const void* message, size_t len, uint32_t handle_count,
                                      struct processargs* out);
// Fills pointers[0..count) and pointers[count] = null.
void processargs_string_pointers(const struct processargs_strings* strings, const char** pointers);

struct processargs_input {
    const uint32_t* handle_infos;
    uint32_t handle_count;
    const char* const* args;
    uint32_t arg_count;
    const char* const* environ;
    uint32_t environ_count;
    const char* const* names;
    uint32_t name_count;
};
// Writes the message to `buffer` (4-byte aligned); *len is its length.
processargs_error_t processargs_build(const struct processargs_input* in, void* buffer,
                                      size_t capacity, size_t* len);
