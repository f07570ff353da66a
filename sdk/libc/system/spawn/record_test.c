// The text that a child inherits, there and back, and what a liar may write.
#include <spawn/record.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void there_and_back(void**) {
    struct record in = {.pid = 7,
                        .ppid = INT32_MAX,
                        .pgid = 1024,
                        .sid = 1025,
                        .umask = 0777,
                        .blocked = 1,
                        .ignored = UINT64_MAX,
                        .pending = (uint64_t)1 << 63,
                        .exe = "/boot/bin/a program = with blanks"};
    char text[record_fixed_max + 64];
    assert_true(record_write(&in, text, sizeof(text)));
    struct record out;
    assert_true(record_read(text, &out));
    assert_int_equal(out.pid, in.pid);
    assert_int_equal(out.ppid, in.ppid);
    assert_int_equal(out.pgid, in.pgid);
    assert_int_equal(out.sid, in.sid);
    assert_int_equal(out.umask, in.umask);
    assert_int_equal(out.blocked, in.blocked);
    assert_int_equal(out.ignored, in.ignored);
    assert_int_equal(out.pending, in.pending);
    assert_string_equal(out.exe, in.exe);
}

static void fits_or_not(void**) {
    struct record in = {.ppid = INT32_MAX,
                        .pid = INT32_MAX,
                        .pgid = INT32_MAX,
                        .sid = INT32_MAX,
                        .umask = 0777,
                        .blocked = UINT64_MAX,
                        .ignored = UINT64_MAX,
                        .pending = UINT64_MAX};
    char text[record_fixed_max];
    assert_true(record_write(&in, text, sizeof(text)));
    size_t len = strlen(text);
    assert_true(record_write(&in, text, len + 1));
    assert_int_equal(strlen(text), len);
    for (size_t shorter = 1; shorter <= len; shorter++) {
        assert_false(record_write(&in, text, shorter));
    }
}

static void other_names_are_none(void**) {
    struct record out;
    assert_false(record_read("/boot", &out));
    assert_false(record_read("jacinth.processes pid=1", &out));
    assert_false(record_read("", &out));
    assert_true(record_read("jacinth.process", &out));
    assert_int_equal(out.umask, 022);
    assert_null(out.exe);
}

static void numbers_that_are_none(void**) {
    struct record out;
    assert_true(record_read("jacinth.process pid=2147483648 ppid=-1 pgid= sid=1x umask=8 "
                            "blocked=10000000000000000 later=5  ignored=g pending=fF exe=",
                            &out));
    assert_int_equal(out.pid, 0);
    assert_int_equal(out.ppid, 0);
    assert_int_equal(out.pgid, 0);
    assert_int_equal(out.sid, 0);
    assert_int_equal(out.umask, 022);
    assert_int_equal(out.blocked, 0);
    assert_int_equal(out.ignored, 0);
    assert_int_equal(out.pending, 0);
    assert_string_equal(out.exe, "");
    assert_true(record_read("jacinth.process umask=10000 pid=99999999999999999999999", &out));
    assert_int_equal(out.umask, 022);
    assert_int_equal(out.pid, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(fits_or_not),
        cmocka_unit_test(other_names_are_none),
        cmocka_unit_test(numbers_that_are_none),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
