// The part of <string.h> that the small C library has.
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
char* strrchr(const char* text, int ch);
char* strdup(const char* text);
