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

// What a failed assertion of the release kernel is: an instruction of two bytes that traps, and an
// entry in a table that says what it means, in offsets relative to the members' own addresses.
// There are hundreds of them, and a call with its arguments is twelve times as long. The section
// goes with the code that it describes.
struct assert_site {
    int32_t pc;
    int32_t expression;
    int32_t file;
    int32_t line; // the number itself
};

#if JX_KERNEL && !JX_DEBUG
#define ASSERT_FAILED_(x)                                                              \
    do {                                                                               \
        __asm__ volatile(".Lsite%=: ud2\n\t"                                           \
                         ".pushsection .assert_sites, \"ao\", @progbits, .Lsite%=\n\t" \
                         ".balign 4\n\t"                                               \
                         ".long .Lsite%= - .\n\t"                                      \
                         ".long %c0 - .\n\t"                                           \
                         ".long %c1 - .\n\t"                                           \
                         ".long %c2\n\t"                                               \
                         ".popsection" ::"i"(x),                                       \
                         "i"(__FILE_NAME__), "i"(__LINE__));                           \
        __builtin_unreachable();                                                       \
    } while (0)
#else
#define ASSERT_FAILED_(x) assert_failed(x, __FILE_NAME__, __LINE__)
#endif

#define ASSERT(x)               \
    do {                        \
        if (unlikely(!(x))) {   \
            ASSERT_FAILED_(#x); \
        }                       \
    } while (0)

#define DEBUG_ASSERT(x)                       \
    do {                                      \
        if (kernel_debug && unlikely(!(x))) { \
            ASSERT_FAILED_(#x);               \
        }                                     \
    } while (0)
