// Numbers, sizes and command-line words: tables of good and bad input, and a random round trip.
#include <lib/parse.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <lib/random.h>

static struct text_span span(const char* text) {
    return text_span_from(text);
}

static void test_u64(void**) {
    static const struct {
        const char* text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"7", 7},
        {"0007", 7},
        {"0x1F", 31},
        {"0Xff", 255},
        {"0o17", 15},
        {"0b101", 5},
        {"42", 42},
        {"18446744073709551615", UINT64_MAX},
        {"0xffffffffffffffff", UINT64_MAX},
    };
    for (size_t i = 0; i < array_size(good); i++) {
        uint64_t value = 99;
        assert_true(parse_u64(span(good[i].text), &value));
        assert_int_equal(value, good[i].value);
    }
    static const char* const bad[] = {"",
                                      "x",
                                      "0x",
                                      "0b2",
                                      "0o8",
                                      "1 ",
                                      " 1",
                                      "-1",
                                      "+1",
                                      "12a",
                                      "18446744073709551616",
                                      "0x10000000000000000",
                                      "0xg"};
    for (size_t i = 0; i < array_size(bad); i++) {
        uint64_t value = 99;
        assert_false(parse_u64(span(bad[i]), &value));
        assert_int_equal(value, 99);
    }
}

static void test_i64(void**) {
    int64_t value = 99;
    assert_true(parse_i64(span("-9223372036854775808"), &value));
    assert_true(value == INT64_MIN);
    assert_true(parse_i64(span("9223372036854775807"), &value));
    assert_true(value == INT64_MAX);
    assert_true(parse_i64(span("-0x10"), &value));
    assert_int_equal(value, -16);
    assert_false(parse_i64(span("9223372036854775808"), &value));
    assert_false(parse_i64(span("-9223372036854775809"), &value));
    assert_false(parse_i64(span("-"), &value));
    assert_false(parse_i64(span("--1"), &value));
    assert_int_equal(value, -16);
}

static void test_size(void**) {
    static const struct {
        const char* text;
        uint64_t value;
    } good[] = {
        {"512M", 512ull << 20},
        {"1k", 1024},
        {"1KiB", 1024},
        {"3G", 3ull << 30},
        {"2T", 2ull << 40},
        {"100", 100},
        {"100B", 100},
        {"0x100", 256},
        {"0b11", 3},
        {"64kb", 64 << 10},
        {"0xB", 11},
        {"0", 0},
        {"16777215T", 16777215ull << 40},
    };
    for (size_t i = 0; i < array_size(good); i++) {
        uint64_t value = 99;
        assert_true(parse_size(span(good[i].text), &value));
        assert_int_equal(value, good[i].value);
    }
    static const char* const bad[] = {"",    "M",   "K",         "1Q", "1.5G",
                                      "1MM", "1iB", "16777216T", "B",  "-1K"};
    for (size_t i = 0; i < array_size(bad); i++) {
        uint64_t value = 99;
        assert_false(parse_size(span(bad[i]), &value));
        assert_int_equal(value, 99);
    }
}

static void test_round_trip(void**) {
    struct random random = random_init(50);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = random_u64(&random) >> random_below(&random, 64);
        char text[32];
        uint64_t parsed = 0;
        snprintf(text, sizeof(text), i % 2 == 0 ? "%llu" : "0x%llx", (unsigned long long)value);
        assert_true(parse_u64(span(text), &parsed));
        assert_int_equal(parsed, value);
    }
}

static void test_bool(void**) {
    static const char* const yes[] = {"true", "on", "yes", "1"};
    static const char* const no[] = {"false", "off", "no", "0"};
    for (size_t i = 0; i < 4; i++) {
        bool value = false;
        assert_true(parse_bool(span(yes[i]), &value) && value);
        assert_true(parse_bool(span(no[i]), &value) && !value);
    }
    bool value;
    assert_false(parse_bool(span("maybe"), &value));
    assert_false(parse_bool(span(""), &value));
}

static void expect_words(const char* line, const char* const* words) {
    struct text_span rest = span(line);
    struct text_span word;
    for (; *words != nullptr; words++) {
        assert_true(parse_next_word(&rest, &word));
        assert_true(text_span_equals(word, *words));
    }
    assert_false(parse_next_word(&rest, &word));
    assert_int_equal(rest.len, 0);
}

static void test_words(void**) {
    expect_words("", (const char* const[]){nullptr});
    expect_words("  \t\n", (const char* const[]){nullptr});
    expect_words(" a bb\tccc\n", (const char* const[]){"a", "bb", "ccc", nullptr});
    expect_words("\"a b\" c", (const char* const[]){"a b", "c", nullptr});
    expect_words("k=\"a b\" c\"d e\"f", (const char* const[]){"k=\"a b\"", "c\"d e\"f", nullptr});
    expect_words("\"open end", (const char* const[]){"\"open end", nullptr});
    expect_words("\"\" x", (const char* const[]){"", "x", nullptr});
    expect_words("\"", (const char* const[]){"\"", nullptr});
}

static void test_options(void**) {
    struct text_span line =
        span("smp=4 kernel.ut=all smp=8 kaslr quiet=no run=\"hello a b\" mem=32M n=x");
    struct text_span value;
    assert_true(parse_option(line, "smp", &value) && text_span_equals(value, "8"));
    assert_true(parse_option(line, "run", &value) && text_span_equals(value, "hello a b"));
    assert_true(parse_option(line, "kaslr", &value) && value.len == 0);
    assert_false(parse_option(line, "sm", &value));
    assert_false(parse_option(line, "smpx", &value));
    assert_true(parse_option_bool(line, "kaslr", false));
    assert_false(parse_option_bool(line, "quiet", true));
    assert_true(parse_option_bool(line, "absent", true));
    assert_true(parse_option_bool(line, "smp", true));
    assert_int_equal(parse_option_u64(line, "smp", 1), 8);
    assert_int_equal(parse_option_u64(line, "n", 77), 77);
    assert_int_equal(parse_option_size(line, "mem", 0), 32 << 20);
}

// Arbitrary bytes in an exactly sized block: only the sanitizer's silence is expected.
static void test_arbitrary_bytes(void**) {
    static const char alphabet[] = "\"= ab0xKMGi-\tB19";
    struct random random = random_init(51);
    for (int i = 0; i < 20000; i++) {
        size_t len = random_below(&random, 24);
        char* bytes = malloc(len + (len == 0));
        for (size_t j = 0; j < len; j++) {
            bytes[j] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
        }
        struct text_span text = {.data = bytes, .len = len};
        uint64_t u;
        int64_t s;
        bool b;
        struct text_span value;
        (void)!parse_u64(text, &u);
        (void)!parse_i64(text, &s);
        (void)!parse_size(text, &u);
        (void)!parse_bool(text, &b);
        (void)parse_option(text, "a", &value);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),     cmocka_unit_test(test_i64),
        cmocka_unit_test(test_size),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bool),    cmocka_unit_test(test_words),
        cmocka_unit_test(test_options), cmocka_unit_test(test_arbitrary_bytes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
