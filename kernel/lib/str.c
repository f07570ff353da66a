// String helpers of our own; unlike string.c they exist on the build machine too.
#include <lib/string.h>

size_t str_copy(char* dst, size_t cap, const char* src) {
    if (cap == 0) {
        return 0;
    }
    size_t len = strnlen(src, cap - 1);
    memcpy(dst, src, len);
    dst[len] = '\0';
    return len;
}
