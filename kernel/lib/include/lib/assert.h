// Assertions state what the kernel itself guarantees; user input never reaches one.
//
// ASSERT stays in release builds: it guards memory safety. DEBUG_ASSERT is for checks that cost too
// much for that. JX_DEBUG is 1 or 0, set by the build.
#pragma once

#include <lib/compiler.h>

[[noreturn]] COLD void assert_failed(const char* expression, const char* file, int line);

// The caller's panic with a formatted reason; see <debug/panic.h> for what it does.
[[noreturn]] COLD __attribute__((format(printf, 1, 2))) void panic(const char* format, ...);

constexpr bool kernel_debug = JX_DEBUG;

#define ASSERT(x)                                       \
    do {                                                \
        if (unlikely(!(x))) {                           \
            assert_failed(#x, __FILE_NAME__, __LINE__); \
        }                                               \
    } while (0)

#define DEBUG_ASSERT(x)                                 \
    do {                                                \
        if (kernel_debug && unlikely(!(x))) {           \
            assert_failed(#x, __FILE_NAME__, __LINE__); \
        }                                               \
    } while (0)
