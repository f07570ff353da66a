#include "marker.h"

#include <stdarg.h>
#include <stdio.h>

#include <zircon/syscalls.h>

constexpr size_t MARKER_MAX = 1024; // what one zx_debug_write keeps together

void mark(const char* format, ...) {
    char line[MARKER_MAX];
    line[0] = 0x1e;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line + 1, sizeof(line) - 2, format, args) + 1;
    va_end(args);
    size_t end = len < (int)sizeof(line) - 2 ? (size_t)len : sizeof(line) - 2;
    line[end++] = '\n';
    (void)fflush(stdout);
    (void)zx_debug_write(line, end);
}
