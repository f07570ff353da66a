// Paths as text.
#include <names/path.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char* const usual[] = {"/boot", "/bin", "/tmp", "/dev", "/svc", "/mnt/a", "/mnt/a/b"};
static const struct path_prefixes prefixes = {usual, sizeof(usual) / sizeof(usual[0])};

static void expect_at(const char* path, const char* prefix, const char* rest) {
    struct path_split s;
    assert_int_equal(path_split(&prefixes, path, &s), 0);
    assert_true(s.prefix >= 0);
    assert_string_equal(usual[s.prefix], prefix);
    assert_string_equal(s.path, rest);
}

static void expect_made_up(const char* path, const char* directory, unsigned missing) {
    struct path_split s;
    assert_int_equal(path_split(&prefixes, path, &s), 0);
    assert_int_equal(s.prefix, -1);
    assert_string_equal(s.path, directory);
    assert_int_equal(s.missing, missing);
}

static void test_longest_prefix(void**) {
    expect_at("/tmp", "/tmp", "");
    expect_at("/tmp/", "/tmp", "");
    expect_at("//tmp//a///b", "/tmp", "a/b");
    expect_at("/tmp/./a/.", "/tmp", "a");
    expect_at("/mnt/a/x", "/mnt/a", "x");
    expect_at("/mnt/a/b", "/mnt/a/b", "");
    expect_at("/mnt/a/b/x", "/mnt/a/b", "x");
    expect_at("/mnt/a/bb", "/mnt/a", "bb");
}

static void test_a_name_that_only_begins_like_a_prefix(void**) {
    expect_made_up("/tmpfoo", "", 1);
    expect_made_up("/tm", "", 1);
    expect_made_up("/mnt/ab/c", "/mnt", 2);
}

static void test_directories_that_nobody_serves(void**) {
    expect_made_up("/", "", 0);
    expect_made_up("/mnt", "/mnt", 0);
    expect_made_up("/mnt/", "/mnt", 0);
    expect_made_up("/nothing/here", "", 2);
}

static void test_dot_dot_within_a_server_is_the_servers(void**) {
    expect_at("/tmp/a/../b", "/tmp", "a/../b");
    expect_at("/tmp/a/b/../..", "/tmp", "a/b/../..");
}

static void test_dot_dot_that_leaves_is_taken_on_the_text(void**) {
    expect_made_up("/tmp/..", "", 0);
    expect_made_up("/..", "", 0);
    expect_made_up("/../../..", "", 0);
    expect_at("/tmp/../bin/ls", "/bin", "ls");
    expect_at("/tmp/a/../../bin/ls", "/bin", "ls");
    expect_at("/../tmp/x", "/tmp", "x");
    expect_at("/mnt/a/b/../x", "/mnt/a", "x");
    expect_at("/mnt/a/b/y/../../x", "/mnt/a", "x");
    expect_made_up("/mnt/a/x/../..", "/mnt", 0);
}

static void test_a_prefix_at_the_root_takes_what_no_other_does(void**) {
    static const char* const text[] = {"", "/tmp"};
    const struct path_prefixes rooted = {text, 2};
    struct path_split s;
    assert_int_equal(path_split(&rooted, "/etc/passwd", &s), 0);
    assert_int_equal(s.prefix, 0);
    assert_string_equal(s.path, "etc/passwd");
    assert_int_equal(path_split(&rooted, "/tmp/x", &s), 0);
    assert_int_equal(s.prefix, 1);
    assert_string_equal(s.path, "x");
    assert_int_equal(path_split(&rooted, "/", &s), 0);
    assert_int_equal(s.prefix, 0);
    assert_string_equal(s.path, "");
    assert_int_equal(path_split(&rooted, "/a/../..", &s), 0);
    assert_int_equal(s.prefix, 0);
    assert_string_equal(s.path, "");
}

static void test_the_later_of_two_equal_ones(void**) {
    static const char* const text[] = {"/tmp", "/tmp", "/t"};
    const struct path_prefixes twice = {text, 3};
    struct path_split s;
    assert_int_equal(path_split(&twice, "/tmp/a", &s), 0);
    assert_int_equal(s.prefix, 1);
}

static void test_no_namespace_at_all(void**) {
    const struct path_prefixes none = {nullptr, 0};
    struct path_split s;
    assert_int_equal(path_split(&none, "/a/b", &s), 0);
    assert_int_equal(s.prefix, -1);
    assert_int_equal(s.missing, 2);
}

static void test_too_long(void**) {
    static char path[3 * ABI_PATH_MAX];
    struct path_split s;
    strcpy(path, "/tmp/");
    memset(path + 5, 'x', 255);
    assert_int_equal(path_split(&prefixes, path, &s), 0);
    path[5 + 255] = 'x';
    assert_int_equal(path_split(&prefixes, path, &s), -ABI_ENAMETOOLONG);
    strcpy(path, "/tmp");
    for (size_t len = 4; len < ABI_PATH_MAX + 10; len += 2) {
        strcpy(path + len, "/x");
    }
    assert_int_equal(path_split(&prefixes, path, &s), -ABI_ENAMETOOLONG);
    char clean[ABI_PATH_MAX];
    assert_int_equal(path_clean(path, clean), -ABI_ENAMETOOLONG);
    assert_int_equal(path_normalise(path, clean), -ABI_ENAMETOOLONG);
}

static void test_clean(void**) {
    char out[ABI_PATH_MAX];
    assert_int_equal(path_clean("./a//b/./c/", out), 1);
    assert_string_equal(out, "a/b/c");
    assert_int_equal(path_clean(".", out), 1);
    assert_string_equal(out, "");
    assert_int_equal(path_clean("a/..", out), 1);
    assert_string_equal(out, "a/..");
    assert_int_equal(path_clean("..", out), 0);
    assert_int_equal(path_clean("a/../../b", out), 0);
    assert_int_equal(path_clean("...", out), 1);
    assert_string_equal(out, "...");
}

static void test_normalise(void**) {
    static const struct {
        const char *in, *out;
    } cases[] = {{"/", "/"},          {"//", "/"},     {"/a/./b//c/", "/a/b/c"},
                 {"/a/../b", "/b"},   {"/../a", "/a"}, {"/a/b/../../..", "/"},
                 {"/a/..b", "/a/..b"}};
    char out[ABI_PATH_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(path_normalise(cases[i].in, out), 0);
        assert_string_equal(out, cases[i].out);
        // What is said to be normal is; only names with dots in front are not known as such.
        bool dots = strstr(cases[i].out, "/.") != nullptr;
        assert_int_equal(path_is_normal(cases[i].in), strcmp(out, cases[i].in) == 0 && !dots);
        assert_int_equal(path_is_normal(out), !dots);
    }
    assert_false(path_is_normal("a"));
    assert_false(path_is_normal(""));
    char long_one[ABI_PATH_MAX + 1];
    memset(long_one, 'a', sizeof(long_one));
    long_one[0] = '/';
    long_one[ABI_PATH_MAX] = 0;
    assert_false(path_is_normal(long_one));
    long_one[ABI_PATH_MAX - 1] = 0;
    assert_true(path_is_normal(long_one));
}

static void test_what_must_be_a_directory(void**) {
    static const struct {
        const char* path;
        bool directory;
    } cases[] = {{"a", false},   {"a/", true},    {"a/.", true}, {".", true},
                 {"a/..", true}, {"..", true},    {"/", true},   {"", false},
                 {"a..", false}, {"/a/b", false}, {".a", false}, {"a/.b", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(path_asks_for_directory(cases[i].path), cases[i].directory);
    }
}

static void test_within(void**) {
    assert_true(path_is_within("/tmp/a", "/tmp"));
    assert_true(path_is_within("/tmp", "/tmp"));
    assert_false(path_is_within("/tmpa", "/tmp"));
    assert_true(path_is_within("/tmp", "/"));
    assert_true(path_is_within("/tmp", ""));
    assert_string_equal(path_below("/tmp/a/b", "/tmp"), "a/b");
    assert_string_equal(path_below("/tmp", "/tmp"), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_prefix),
        cmocka_unit_test(test_a_name_that_only_begins_like_a_prefix),
        cmocka_unit_test(test_directories_that_nobody_serves),
        cmocka_unit_test(test_dot_dot_within_a_server_is_the_servers),
        cmocka_unit_test(test_dot_dot_that_leaves_is_taken_on_the_text),
        cmocka_unit_test(test_a_prefix_at_the_root_takes_what_no_other_does),
        cmocka_unit_test(test_the_later_of_two_equal_ones),
        cmocka_unit_test(test_no_namespace_at_all),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_what_must_be_a_directory),
        cmocka_unit_test(test_within),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
