// Crashes at the end of a chain of calls whose names the report must have. The other way round, no
// call may be the last thing that its function does.
#include <stdio.h>

#ifdef CRASH_IN_LIBRARY
#include "shared.h"
#else
[[gnu::noinline]] static int shared_call(int (*function)(void)) {
    return function() + 1;
}
#endif

[[gnu::noinline]] static int crash_here(void) {
    __asm__ volatile("movq $0, 0x10");
    return 1;
}

[[gnu::noinline]] int crash_by_call(int value);
int crash_by_call(int value) {
    return shared_call(crash_here) + value;
}

int main(int argc, char**) {
    printf("%d\n", crash_by_call(argc));
    return 0;
}
