// In-kernel unit tests. A test file stands beside the code it tests (foo_test.c) and registers its
// cases:
//
//     static void list_order(struct ktest* t) { KEXPECT_EQ(t, 1, 1); }
//     KTEST(list, list_order);
//
// Each case runs in a kernel thread of its own; the framework reports time, and compares free pages
// and live objects before and after (`k drain` on both sides). KTEST_LEAK_CHECK_OFF marks cases
// that change the baseline on purpose.
#pragma once

#include <stdint.h>

#include <lib/compiler.h>

struct text_span;

struct ktest {
    uint32_t failures;
    const char* group;
    const char* name;
    const char* skipped; // why it could not run, or null
    char reason[96];     // of the first failure
};

struct ktest_case {
    const char* group;
    const char* name;
    void (*fn)(struct ktest* t);
    uint32_t flags;
    uint32_t timeout_ms;
};
enum : uint32_t { KTEST_LEAK_CHECK_OFF = 1u << 0 };

#define KTEST_WITH(grp, fn_, flags_, timeout_)      \
    static const struct ktest_case CAT(ktest_, fn_) \
        __attribute__((used, section(".ktest"), aligned(8))) = {#grp, #fn_, fn_, flags_, timeout_}
#define KTEST(grp, fn_) KTEST_WITH(grp, fn_, 0, 10'000)

void ktest_fail(struct ktest* t, const char* file, int line, const char* what, uint64_t a,
                uint64_t b);
#define KEXPECT(t, x)                                           \
    do {                                                        \
        if (!(x)) {                                             \
            ktest_fail((t), __FILE_NAME__, __LINE__, #x, 0, 0); \
        }                                                       \
    } while (0)
#define KEXPECT_EQ(t, a, b)                                                         \
    do {                                                                            \
        auto kt_a_ = (a);                                                           \
        auto kt_b_ = (b);                                                           \
        if (kt_a_ != kt_b_) {                                                       \
            ktest_fail((t), __FILE_NAME__, __LINE__, #a " == " #b, (uint64_t)kt_a_, \
                       (uint64_t)kt_b_);                                            \
        }                                                                           \
    } while (0)
// Ends the case when false.
#define KASSERT(t, x)                                           \
    do {                                                        \
        if (!(x)) {                                             \
            ktest_fail((t), __FILE_NAME__, __LINE__, #x, 0, 0); \
            return;                                             \
        }                                                       \
    } while (0)

void ktest_skip(struct ktest* t, const char* reason); // and return from the case
// Runs what the comma-separated patterns select; true: nothing failed.
bool ktest_run(struct text_span patterns);
void ktest_print_gauges(void);
