// Reading "#!" lines.
#include "script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct script_line line;

static script_kind_t parse(const char* text) {
    return script_parse(text, strlen(text), true, &line);
}

static void expect(const char* text, const char* interpreter, const char* argument) {
    assert_int_equal(parse(text), SCRIPT_GOOD);
    assert_string_equal(line.interpreter, interpreter);
    assert_string_equal(line.argument, argument);
}

static void the_interpreter_and_its_argument(void**) {
    expect("#!/bin/sh\n", "/bin/sh", "");
    expect("#!/bin/sh", "/bin/sh", "");
    expect("#! \t/bin/sh \t\nexit 3\n", "/bin/sh", "");
    expect("#!/bin/env  awk -f \t\n", "/bin/env", "awk -f");
    expect("#!x\n#!y\n", "x", "");
}

static void what_is_no_script(void**) {
    assert_int_equal(parse(""), SCRIPT_NONE);
    assert_int_equal(parse("#"), SCRIPT_NONE);
    assert_int_equal(parse("\x7f"
                           "ELF"),
                     SCRIPT_NONE);
    assert_int_equal(parse(" #!/bin/sh\n"), SCRIPT_NONE);
}

static void wrong_lines(void**) {
    assert_int_equal(parse("#!"), SCRIPT_WRONG);
    assert_int_equal(parse("#!\n/bin/sh\n"), SCRIPT_WRONG);
    assert_int_equal(parse("#! \t \n"), SCRIPT_WRONG);
    assert_int_equal(script_parse("#!/bin\0/sh\n", 11, true, &line), SCRIPT_WRONG);
    // Cut off: nobody knows what else the line has.
    assert_int_equal(script_parse("#!/bin/sh", 9, false, &line), SCRIPT_WRONG);
}

static void the_longest_line(void**) {
    char text[300];
    memset(text, 'a', sizeof(text));
    memcpy(text, "#!/", 3);
    text[script_line_max - 1] = '\n'; // the last byte that is looked at
    assert_int_equal(script_parse(text, sizeof(text), false, &line), SCRIPT_GOOD);
    assert_int_equal(strlen(line.interpreter), script_line_max - 3);
    text[script_line_max - 1] = 'a';
    text[script_line_max] = '\n';
    assert_int_equal(script_parse(text, sizeof(text), false, &line), SCRIPT_WRONG);
    assert_int_equal(script_parse(text, sizeof(text), true, &line), SCRIPT_WRONG);
    // A file that ends there is its only line.
    assert_int_equal(script_parse(text, script_line_max, true, &line), SCRIPT_GOOD);
    assert_int_equal(strlen(line.interpreter), script_line_max - 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interpreter_and_its_argument),
        cmocka_unit_test(what_is_no_script),
        cmocka_unit_test(wrong_lines),
        cmocka_unit_test(the_longest_line),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
