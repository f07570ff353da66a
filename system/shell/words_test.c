// The command line's grammar.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <shell/words.h>

static struct shell_words words;

static void expect(const char* line, uint32_t count, const char* const* want) {
    assert_int_equal(shell_words_split(line, &words), SHELL_WORDS_OK);
    assert_int_equal(words.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(words.word[i], want[i]);
    }
    assert_null(words.word[count]);
}
#define EXPECT(line, ...)                                                          \
    do {                                                                           \
        const char* const want_[] = {"" __VA_OPT__(, ) __VA_ARGS__};               \
        expect(line, (uint32_t)(sizeof(want_) / sizeof(want_[0])) - 1, want_ + 1); \
    } while (0)

static void blanks_separate(void**) {
    EXPECT("");
    EXPECT("  \t \r\n");
    EXPECT("hello", "hello");
    EXPECT("  hello a\tb  ", "hello", "a", "b");
}

static void quotes_keep(void**) {
    EXPECT("echo 'a b'  \"c  d\"", "echo", "a b", "c  d");
    EXPECT("a'b c'd", "ab cd");
    EXPECT("'' \"\" x", "", "", "x");
    EXPECT("'a\"b' \"a'b\"", "a\"b", "a'b");
    EXPECT("\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d");
    EXPECT("'a\\b'", "a\\b");
}

static void backslash_keeps_one(void**) {
    EXPECT("a\\ b", "a b");
    EXPECT("\\'a \\\\", "'a", "\\");
    EXPECT("\\#x", "#x");
}

static void comments_end_the_line(void**) {
    EXPECT("# all of it");
    EXPECT("a b # c", "a", "b");
    EXPECT("a#b", "a#b");
}

static void what_is_not_closed_is_refused(void**) {
    assert_int_equal(shell_words_split("a 'b", &words), SHELL_WORDS_UNTERMINATED);
    assert_int_equal(shell_words_split("\"", &words), SHELL_WORDS_UNTERMINATED);
    assert_int_equal(shell_words_split("\"a\\", &words), SHELL_WORDS_UNTERMINATED);
    assert_int_equal(shell_words_split("a\\", &words), SHELL_WORDS_UNTERMINATED);
}

static void what_only_a_shell_understands(void**) {
    static const char* const theirs[] = {
        "ls | wc", "a;b", "sleep 1 &", "echo $x", "x >f", "ls *", "a#b|c", "\"a\" | b", "'\\' | b",
    };
    static const char* const ours[] = {
        "",          "hello a b", "echo '|'",    "echo \"a;b\"", "a \\| b",
        "x # a | b", "a\\",       "\"a\\\";b\"", "'a|",
    };
    for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
        assert_true(shell_words_are_for_a_shell(theirs[i]));
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        assert_false(shell_words_are_for_a_shell(ours[i]));
    }
}

static void limits_hold(void**) {
    char line[3 * shell_line_max];
    for (uint32_t i = 0; i < shell_words_max; i++) {
        memcpy(line + 2 * (size_t)i, "x ", 3);
    }
    assert_int_equal(shell_words_split(line, &words), SHELL_WORDS_OK);
    assert_int_equal(words.count, shell_words_max);
    strcat(line, "x");
    assert_int_equal(shell_words_split(line, &words), SHELL_WORDS_TOO_MANY);
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    assert_int_equal(shell_words_split(line, &words), SHELL_WORDS_TOO_LONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_separate),
        cmocka_unit_test(quotes_keep),
        cmocka_unit_test(backslash_keeps_one),
        cmocka_unit_test(comments_end_the_line),
        cmocka_unit_test(what_is_not_closed_is_refused),
        cmocka_unit_test(what_only_a_shell_understands),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
