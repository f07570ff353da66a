// Attributes and small language helpers that every layer uses.
//
// The thread-safety macros name clang's capability analysis. What works with clang 19 in C (and
// what does not) decides the idiom: guarded members live in an inner struct that is reached through
// an accessor annotated TA_REQ(lock); a scope guard's enter function asserts the capability, its
// exit is outside the analysis.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TA_CAP(x)      __attribute__((capability(x)))
#define TA_ACQ(...)    __attribute__((acquire_capability(__VA_ARGS__)))
#define TA_TRY(...)    __attribute__((try_acquire_capability(__VA_ARGS__)))
#define TA_REL(...)    __attribute__((release_capability(__VA_ARGS__)))
#define TA_REQ(...)    __attribute__((requires_capability(__VA_ARGS__)))
#define TA_EXCL(...)   __attribute__((locks_excluded(__VA_ARGS__)))
#define TA_ASSERT(...) __attribute__((assert_capability(__VA_ARGS__)))
#define TA_RET_CAP(x)  __attribute__((lock_returned(x)))
// Opt-out of the analysis. Each use carries a comment with the reason; `./jx check` counts them.
#define TA_OFF __attribute__((no_thread_safety_analysis))

// Runs `fn(&variable)` at the end of the scope. Never mixed with goto in one function.
#define CLEANUP(fn) [[maybe_unused]] __attribute__((cleanup(fn)))

// A copy-in target of fixed size: automatic initialisation would only be overwritten.
#define UNINITIALIZED __attribute__((uninitialized))

// A pointer into user memory: its own address space, never dereferenced. Only the functions of
// <arch/user_copy.h> take it.
#define __user __attribute__((noderef, address_space(1)))

#define CAT_(a, b) a##b
#define CAT(a, b)  CAT_(a, b)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ALWAYS_INLINE static inline __attribute__((always_inline))
// On a definition that other files call: in release, where the kernel is optimised as a whole, it
// is inlined there. For the few steps of the hottest paths.
#define INLINE_ACROSS_FILES __attribute__((always_inline))
#define NOINLINE            __attribute__((noinline))
#define COLD                __attribute__((cold))
// As little code as can be: for what runs seldom.
#define MINSIZE __attribute__((minsize))
// For the slow half of what is inline everywhere: the caller's registers survive the call, so that
// a caller that never takes it need not keep its own out of harm's way.
#define PRESERVES_REGISTERS __attribute__((preserve_most))

// From a member back to what contains it; the member's type is checked.
#define container_of(ptr, type, member)                                                      \
    ({                                                                                       \
        static_assert(                                                                       \
            __builtin_types_compatible_p(typeof(*(ptr)), typeof(((type*)nullptr)->member))); \
        (type*)((char*)(ptr) - offsetof(type, member));                                      \
    })

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

#define min(a, b)                          \
    ({                                     \
        auto min_a_ = (a);                 \
        auto min_b_ = (b);                 \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#define max(a, b)                          \
    ({                                     \
        auto max_a_ = (a);                 \
        auto max_b_ = (b);                 \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })
