// Names of functions, from the file that is made with the boot image (tools/symbols/symbol_file.py
// describes it).
//
// Nothing is allocated or copied, nothing is believed: whatever the bytes are, what is read lies
// within them, and a damaged file gives no names or wrong ones.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct symbols {
    const uint8_t* data; // stays the caller's
    uint32_t modules, names, blocks_at, text_at, functions_at, len;
};
// False: no such file.
bool symbols_open(struct symbols* s, const void* data, size_t len);

constexpr size_t SYMBOLS_NAME_MAX = 256; // with its zero byte

struct symbols_place {
    char name[SYMBOLS_NAME_MAX];
    uint64_t offset; // into the function
};
// What lies at an offset into an image with this build id (its first eight bytes, below). False:
// nobody knows.
bool symbols_find(const struct symbols* s, uint64_t build_id, uint64_t offset,
                  struct symbols_place* out);

// ---- where an image has its build id ----

constexpr size_t SYMBOLS_HEADERS_MAX = 1024; // as much of an image as is looked at
constexpr size_t SYMBOLS_NOTES_MAX = 256;

struct symbols_range {
    uint64_t offset, len; // into the image
};
// The notes of an image that begins with these bytes. False: it has none, or is none.
bool symbols_find_notes(const void* headers, size_t len, struct symbols_range* out);
// The build id among notes; 0: it is not there.
uint64_t symbols_build_id(const void* notes, size_t len);
