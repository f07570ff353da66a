// Names that mean something to the library itself: they need no server, or nobody else could know
// what they are.

#include <string.h>

#include <fd/table.h>
#include <fd/terminal.h>
#include <jacinth/startup.h>

#include "names_priv.h"

static const struct {
    const char* path;
    enum names_special special;
    int number;
} fixed[] = {
    {"/dev/null", NAMES_DEVICE, FD_DEVICE_NULL},
    {"/dev/zero", NAMES_DEVICE, FD_DEVICE_ZERO},
    {"/dev/full", NAMES_DEVICE, FD_DEVICE_FULL},
    {"/dev/random", NAMES_DEVICE, FD_DEVICE_RANDOM},
    {"/dev/urandom", NAMES_DEVICE, FD_DEVICE_RANDOM},
    {"/dev/stdin", NAMES_DESCRIPTOR, 0},
    {"/dev/stdout", NAMES_DESCRIPTOR, 1},
    {"/dev/stderr", NAMES_DESCRIPTOR, 2},
    {"/proc/self/exe", NAMES_PROGRAM, 0},
};

// The standard descriptor that is a terminal; -1: none.
static int standard_terminal(void) {
    for (int fd = 0; fd <= 2; fd++) {
        struct fd_object* o;
        if (fd_table_get_ref(fd_table(), fd, &o) == 0) {
            bool found = fd_is_terminal(o);
            fd_object_unref(o);
            if (found) {
                return fd;
            }
        }
    }
    return -1;
}

// Decimal, without sign or leading zeros, up to FD_MAX.
static bool read_number(const char* text, int* out) {
    int n = 0;
    if (text[0] == 0 || (text[0] == '0' && text[1] != 0)) {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        n = n * 10 + (*text - '0');
        if (n >= FD_MAX) {
            return false;
        }
    }
    *out = n;
    return *text == 0;
}

static bool is_descriptor(const char* path, int* number) {
    static const char* const folders[] = {"/dev/fd", "/proc/self/fd"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (path_is_within(path, folders[i]) && read_number(path_below(path, folders[i]), number)) {
            return true;
        }
    }
    return false;
}

enum names_special names_find_special(const char* path, int* number) {
    if (strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0) {
        return NAMES_NOTHING;
    }
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (strcmp(path, fixed[i].path) == 0) {
            *number = fixed[i].number;
            return fixed[i].special;
        }
    }
    if (strcmp(path, "/dev/tty") == 0) {
        *number = standard_terminal();
        return *number >= 0 ? NAMES_TERMINAL : NAMES_NOTHING;
    }
    return is_descriptor(path, number) ? NAMES_DESCRIPTOR : NAMES_NOTHING;
}
