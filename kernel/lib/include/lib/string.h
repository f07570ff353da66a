// Memory and string primitives for freestanding code.
//
// The compiler calls memcpy, memmove, memset and memcmp on its own, so they carry their standard
// names and meanings; everything else here is the small part of <string.h> the kernel uses. Nothing
// here knows about user memory: user copies have their own entry points that survive faults.
//
// None of these take locks or fail. Overlap is allowed for memmove only. The bounded functions
// (strnlen, strncmp, str_copy) never read or write past their limit, which makes them the ones to
// use on anything that was not written by the kernel itself.
#pragma once

#include <stddef.h>

void* memcpy(void* restrict dst, const void* restrict src, size_t len);
void* memmove(void* dst, const void* src, size_t len);
void* memset(void* dst, int byte, size_t len);
int memcmp(const void* a, const void* b, size_t len);
void* memchr(const void* data, int byte, size_t len);

size_t strlen(const char* text);
size_t strnlen(const char* text, size_t max);
int strcmp(const char* a, const char* b);
int strncmp(const char* a, const char* b, size_t max);
char* strchr(const char* text, int ch);

// Replaces what a terminal might act on by '?': everything that is not printable ASCII, up to a
// terminator or `len`. For names that programs choose, before the kernel prints them.
void text_make_printable(char* text, size_t len);

// Copies as much of src as fits into dst[cap], always terminates when cap > 0, and returns the
// number of characters copied without the terminator. Truncation shows as src[result] != 0.
size_t str_copy(char* dst, size_t cap, const char* src);
