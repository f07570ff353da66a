// The memory functions against byte-by-byte models, over all small lengths and alignments. The file
// under test is included under other names, because the C library owns the real ones here.
#define memchr  tested_memchr
#define memcmp  tested_memcmp
#define memcpy  tested_memcpy
#define memmove tested_memmove
#define memset  tested_memset
#define strchr  tested_strchr
#define strcmp  tested_strcmp
#define strlen  tested_strlen
#define strncmp tested_strncmp
#define strnlen tested_strnlen
#include "string.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <lib/random.h>

constexpr size_t arena_len = 1024;
constexpr size_t exhaustive_len = 160;

static void fill_random(struct random* random, unsigned char* bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)random_u64(random);
    }
}

static void model_move(unsigned char* arena, size_t to, size_t from, size_t len) {
    unsigned char copy[arena_len];
    for (size_t i = 0; i < len; i++) {
        copy[i] = arena[from + i];
    }
    for (size_t i = 0; i < len; i++) {
        arena[to + i] = copy[i];
    }
}

static void expect_equal(const unsigned char* a, const unsigned char* b) {
    for (size_t i = 0; i < arena_len; i++) {
        assert_int_equal(a[i], b[i]);
    }
}

static void check_move(struct random* random, size_t to, size_t from, size_t len) {
    unsigned char actual[arena_len];
    unsigned char expected[arena_len];
    fill_random(random, actual, arena_len);
    for (size_t i = 0; i < arena_len; i++) {
        expected[i] = actual[i];
    }
    model_move(expected, to, from, len);
    assert_ptr_equal(memmove(actual + to, actual + from, len), actual + to);
    expect_equal(actual, expected);
}

static void test_memmove_overlap(void**) {
    struct random random = random_init(1);
    for (size_t len = 0; len <= exhaustive_len; len++) {
        for (size_t shift = 0; shift <= 20; shift++) {
            check_move(&random, 100 + shift, 100, len);
            check_move(&random, 100, 100 + shift, len);
        }
    }
    for (int i = 0; i < 3000; i++) {
        size_t len = random_below(&random, arena_len / 2);
        size_t to = random_below(&random, (uint32_t)(arena_len - len));
        size_t from = random_below(&random, (uint32_t)(arena_len - len));
        check_move(&random, to, from, len);
    }
}

// Exactly sized heap blocks let the address sanitizer see a read or write beyond either end; the
// inline assembly is invisible to it, which the guard bytes of the other tests make up for.
static void test_memcpy_exact_blocks(void**) {
    struct random random = random_init(2);
    for (size_t len = 1; len <= exhaustive_len; len++) {
        unsigned char* from = malloc(len);
        unsigned char* to = malloc(len);
        fill_random(&random, from, len);
        assert_ptr_equal(memcpy(to, from, len), to);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(to[i], from[i]);
        }
        free(from);
        free(to);
    }
}

static void test_memcpy_leaves_neighbours(void**) {
    struct random random = random_init(3);
    for (size_t len = 0; len <= exhaustive_len; len++) {
        for (size_t at = 64; at < 80; at++) {
            unsigned char actual[arena_len];
            unsigned char expected[arena_len];
            unsigned char source[exhaustive_len + 16];
            size_t skew = random_below(&random, 16);
            fill_random(&random, actual, arena_len);
            fill_random(&random, source, sizeof(source));
            for (size_t i = 0; i < arena_len; i++) {
                expected[i] = i >= at && i < at + len ? source[skew + i - at] : actual[i];
            }
            memcpy(actual + at, source + skew, len);
            expect_equal(actual, expected);
        }
    }
}

static void test_memset(void**) {
    struct random random = random_init(4);
    for (size_t len = 0; len <= exhaustive_len; len++) {
        for (size_t at = 64; at < 80; at++) {
            unsigned char actual[arena_len];
            unsigned char expected[arena_len];
            int value = (int)random_below(&random, 1024) - 512;
            fill_random(&random, actual, arena_len);
            for (size_t i = 0; i < arena_len; i++) {
                expected[i] = i >= at && i < at + len ? (unsigned char)value : actual[i];
            }
            assert_ptr_equal(memset(actual + at, value, len), actual + at);
            expect_equal(actual, expected);
        }
    }
}

static void test_memcmp(void**) {
    struct random random = random_init(5);
    for (size_t len = 0; len <= 80; len++) {
        unsigned char* a = malloc(len + 1);
        unsigned char* b = malloc(len + 1);
        fill_random(&random, a, len);
        for (size_t i = 0; i < len; i++) {
            b[i] = a[i];
        }
        assert_int_equal(memcmp(a, b, len), 0);
        for (size_t at = 0; at < len; at++) {
            unsigned char old = b[at];
            b[at] = (unsigned char)(old + 1 + random_below(&random, 255));
            int order = a[at] < b[at] ? -1 : 1;
            assert_true(memcmp(a, b, len) * order > 0);
            assert_true(memcmp(b, a, len) * order < 0);
            assert_int_equal(memcmp(a, b, at), 0);
            b[at] = old;
        }
        free(a);
        free(b);
    }
}

static void test_text(void**) {
    assert_int_equal(strlen(""), 0);
    assert_int_equal(strlen("abc"), 3);
    const char open_end[3] = {'a', 'b', 'c'};
    assert_int_equal(strnlen(open_end, 3), 3);
    assert_int_equal(strnlen("abc", 2), 2);
    assert_int_equal(strnlen("abc", 9), 3);
    assert_true(strcmp("abc", "abd") < 0);
    assert_true(strcmp("abc", "ab") > 0);
    assert_int_equal(strcmp("", ""), 0);
    assert_true(strcmp("\x80", "\x7f") > 0);
    assert_int_equal(strncmp("abc", "abd", 2), 0);
    assert_true(strncmp("abc", "abd", 3) < 0);
    assert_int_equal(strncmp("abc", "abc", 100), 0);
    const char* text = "hello";
    assert_ptr_equal(strchr(text, 'l'), text + 2);
    assert_ptr_equal(strchr(text, '\0'), text + 5);
    assert_null(strchr(text, 'z'));
    assert_ptr_equal(memchr(text, 'o', 5), text + 4);
    assert_null(memchr(text, 'o', 4));
}

static void test_str_copy(void**) {
    char buf[4] = "xyz";
    assert_int_equal(str_copy(buf, 0, "abc"), 0);
    assert_string_equal(buf, "xyz");
    assert_int_equal(str_copy(buf, sizeof(buf), "abc"), 3);
    assert_string_equal(buf, "abc");
    assert_int_equal(str_copy(buf, sizeof(buf), "toolong"), 3);
    assert_string_equal(buf, "too");
    assert_int_equal(str_copy(buf, 1, "abc"), 0);
    assert_string_equal(buf, "");
}

static void test_printable(void**) {
    char text[] = "a \x1b[2J\n\x1e~\x7f\x80\xc2\x9b\xff";
    text_make_printable(text, sizeof(text));
    assert_string_equal(text, "a ?[2J??~?????");
    char open[4] = {'\n', '\n', '\n', '\n'};
    text_make_printable(open, 3);
    assert_memory_equal(open, "???\n", 4);
    char ended[4] = {'a', '\0', '\n', '\0'};
    text_make_printable(ended, 4);
    assert_int_equal(ended[2], '\n');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_memmove_overlap),
        cmocka_unit_test(test_memcpy_exact_blocks),
        cmocka_unit_test(test_memcpy_leaves_neighbours),
        cmocka_unit_test(test_memset),
        cmocka_unit_test(test_memcmp),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_str_copy),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
