// What a failed assertion does in a program with the full C library: this library has nothing to
// write with, so it ends in a trap, and the crash report names the place. (The small C library has
// functions of its own that say more.)
#include <lib/assert.h>

void assert_failed(const char*, const char*, int) {
    __builtin_trap();
}

void panic(const char*, ...) {
    __builtin_trap();
}
