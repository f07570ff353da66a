// Host tests: an assertion of the kernel's code that fails ends the test program with its text.
#include <lib/assert.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char* expression, const char* file, int line) {
    fprintf(stderr, "assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}

void panic(const char* format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
