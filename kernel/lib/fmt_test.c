// Formatting against the C library: every conversion with random flags, widths and precisions.
#include <lib/fmt.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <lib/random.h>

// The formats are made at run time, which is the point.
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat-security"

constexpr size_t text_cap = 4096;

static void __attribute__((format(printf, 1, 2))) expect_same(const char* format, ...) {
    char ours[text_cap];
    char theirs[text_cap];
    va_list args;
    va_start(args, format);
    int their_len = vsnprintf(theirs, sizeof(theirs), format, args);
    va_end(args);
    va_start(args, format);
    size_t our_len = fmt_vsnprintf(ours, sizeof(ours), format, args);
    va_end(args);
    if (strcmp(ours, theirs) != 0) {
        print_error("format \"%s\"\n", format);
    }
    assert_string_equal(ours, theirs);
    assert_int_equal(our_len, their_len);
}

// "%", random flags, width, precision, then `tail`.
static void make_format(struct random* random, char* format, const char* tail, bool zero_ok) {
    const char* flags = zero_ok ? "-0+ #" : "-";
    *format++ = '[';
    *format++ = '%';
    for (const char* flag = flags; *flag != '\0'; flag++) {
        if (random_below(random, 3) == 0) {
            *format++ = *flag;
        }
    }
    if (random_below(random, 2) == 0) {
        format += sprintf(format, "%u", 1 + random_below(random, 40));
    }
    if (random_below(random, 2) == 0) {
        format += sprintf(format, ".%u", random_below(random, 30));
    }
    sprintf(format, "%s]", tail);
}

static uint64_t interesting_u64(struct random* random) {
    static const uint64_t edges[] = {0,         1,          9,          10,         127,
                                     128,       255,        256,        INT32_MAX,  UINT32_MAX,
                                     INT64_MAX, UINT64_MAX, 0x80000000, 0xffffffff, 1ull << 63};
    if (random_below(random, 3) == 0) {
        return edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];
    }
    return random_u64(random) >> random_below(random, 64);
}

static void test_integers(void**) {
    static const char* const lengths[] = {"hh", "h", "", "l", "ll", "z", "t", "j"};
    static const char letters[] = "diuxXo";
    struct random random = random_init(10);
    for (int i = 0; i < 40000; i++) {
        const char* length = lengths[random_below(&random, 8)];
        char letter = letters[random_below(&random, 6)];
        char tail[8];
        char format[64];
        sprintf(tail, "%s%c", length, letter);
        make_format(&random, format, tail, true);
        uint64_t value = interesting_u64(&random);
        if (length[0] == 'h' || length[0] == '\0') {
            expect_same(format, (unsigned)value);
        } else {
            expect_same(format, (unsigned long)value);
        }
    }
}

static void test_strings(void**) {
    static const char* const texts[] = {"", "a", "hello", "a rather long text, longer than most"};
    struct random random = random_init(11);
    char format[64];
    for (int i = 0; i < 5000; i++) {
        make_format(&random, format, "s", false);
        expect_same(format, texts[random_below(&random, 4)]);
    }
    for (int i = 0; i < 200; i++) {
        format[0] = '%';
        sprintf(format, "%%%s%uc", i % 2 ? "-" : "", 1 + random_below(&random, 40));
        expect_same(format, 'a' + i % 26);
    }
    const char open_end[3] = {'a', 'b', 'c'};
    expect_same("%.3s|", open_end);
    expect_same("%.*s|%.*s|", 2, open_end, -1, "whole");
    expect_same("%*d|%*d|%-*d|", 6, 42, -6, 42, 6, 42);
}

static void test_mixed(void**) {
    expect_same("plain text");
    expect_same("%s", "");
    expect_same("%%|%d%%|%c%c", 5, 'x', 'y');
    expect_same("%s=%#lx (%zu of %zu) %+d % d", "key", 0xdeadbeeful, (size_t)1, (size_t)2, 3, 4);
    expect_same("%p", (void*)0x1234abcd);
    expect_same("%20p|%-20p|", (void*)0x1234, (void*)0x1234);
}

static void test_our_own_rules(void**) {
    char buf[64];
    fmt_snprintf(buf, sizeof(buf), "%p", nullptr);
    assert_string_equal(buf, "0x0");
    const char* null_text = nullptr;
    fmt_snprintf(buf, sizeof(buf), "%s", null_text);
    assert_string_equal(buf, "(null)");
    const char* bad = "a%q%5yb%";
    assert_int_equal(fmt_snprintf(buf, sizeof(buf), bad), 8);
    assert_string_equal(buf, bad);
    const char* stores = "%n|%s";
    fmt_snprintf(buf, sizeof(buf), stores, "kept");
    assert_string_equal(buf, "%n|kept");
}

static void test_truncation(void**) {
    for (size_t cap = 0; cap < 12; cap++) {
        char* buf = test_malloc(cap + 1);
        buf[cap] = '#';
        assert_int_equal(fmt_snprintf(buf, cap, "%s-%d", "abc", 12345), 9);
        assert_int_equal(buf[cap], '#');
        if (cap > 0) {
            size_t len = cap - 1 < 9 ? cap - 1 : 9;
            assert_int_equal(strlen(buf), len);
            assert_memory_equal(buf, "abc-12345", len);
        }
        test_free(buf);
    }
}

static void test_huge_width_is_capped(void**) {
    char buf[16];
    assert_int_equal(fmt_snprintf(buf, sizeof(buf), "%99999999999d", 1), 1024);
    assert_int_equal(fmt_snprintf(buf, sizeof(buf), "%.99999999999d", 1), 1024);
    assert_int_equal(fmt_snprintf(buf, sizeof(buf), "%*d", INT32_MIN, 1), 1024);
    assert_int_equal(fmt_snprintf(buf, sizeof(buf), "%*d", INT32_MAX, 1), 1024);
}

static void count_sink(void* ctx, const char* text, size_t len) {
    (void)text;
    assert_true(len > 0);
    *(size_t*)ctx += len;
}

static void test_sink(void**) {
    size_t total = 0;
    assert_int_equal(fmt_write(count_sink, &total, "%s%s%d%10s", "", "ab", 7, "x"), 13);
    assert_int_equal(total, 13);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),   cmocka_unit_test(test_strings),
        cmocka_unit_test(test_mixed),      cmocka_unit_test(test_our_own_rules),
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_huge_width_is_capped),
        cmocka_unit_test(test_sink),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
