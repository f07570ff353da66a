// The part of <stdio.h> that the small C library has: formatted output to two streams.
//
// Stream n goes to the handle that the program was started with as PA_HND(PA_FD, n) if that is a
// socket, else to the debug console. stdout collects a line (or 256 bytes, or what there is at
// exit), so that lines of several programs do not mix; stderr writes at once. One lock per stream.
// Formats are those of <lib/fmt.h>: no floating point, no %n.
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define EOF (-1)

typedef struct minic_file FILE;
extern FILE* const stdout;
extern FILE* const stderr;

int printf(const char* restrict format, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE* restrict file, const char* restrict format, ...)
    __attribute__((format(printf, 2, 3)));
int vprintf(const char* restrict format, va_list args) __attribute__((format(printf, 1, 0)));
int vfprintf(FILE* restrict file, const char* restrict format, va_list args)
    __attribute__((format(printf, 2, 0)));
int snprintf(char* restrict buffer, size_t capacity, const char* restrict format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char* restrict buffer, size_t capacity, const char* restrict format, va_list args)
    __attribute__((format(printf, 3, 0)));

int puts(const char* text);
int putchar(int ch);
int fputs(const char* restrict text, FILE* restrict file);
size_t fwrite(const void* restrict data, size_t size, size_t count, FILE* restrict file);
int fflush(FILE* file); // null: both
