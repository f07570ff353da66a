// The part of <stdlib.h> that the small C library has.
#pragma once

#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1

// Memory comes from VMOs mapped at random places: small blocks from shared chunks by size class,
// large ones each with a mapping of its own, which free() gives back. Aligned to 16 bytes. Safe to
// call from any thread. A block freed twice, or one that malloc() never returned, ends the program.
void* malloc(size_t size);
void* calloc(size_t count, size_t size);
void* realloc(void* block, size_t size);
void free(void* block);

// Ends the program after writing out what stdout still holds.
void exit(int code) __attribute__((noreturn));
void abort(void) __attribute__((noreturn));

long long strtoll(const char* restrict text, char** restrict end, int base);
unsigned long long strtoull(const char* restrict text, char** restrict end, int base);
