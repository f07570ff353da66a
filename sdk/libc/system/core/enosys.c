// What answers for operations that nobody has written yet. All of them are one object, so that an
// operation that is in missing.def and has a function, too, is a link error in any program that
// uses it and something else from here.
#include <libc/abi.h>

static long enosys(void) {
    return -ABI_ENOSYS;
}

#define MISSING(name) [[gnu::alias("enosys")]] long sys_##name(void);
#include "../missing.def"
#undef MISSING
