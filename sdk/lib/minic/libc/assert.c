// Of this library, programs with the C library have what //kernel/lib calls when it finds its own
// error, and nothing else.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <lib/assert.h>

void panic(const char* format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void assert_failed(const char* expression, const char* file, int line) {
    panic("assertion failed: %s (%s:%d)", expression, file, line);
}
