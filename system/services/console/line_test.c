#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <console/line.h>

struct terminal {
    struct line line;
    char shown[20000];
    size_t shown_len;
};

static struct terminal t;

static void show(void* ctx, const uint8_t* bytes, size_t count) {
    struct terminal* term = ctx;
    assert_true(term->shown_len + count < sizeof(term->shown));
    memcpy(term->shown + term->shown_len, bytes, count);
    term->shown_len += count;
    term->shown[term->shown_len] = '\0';
}

static int set_up(void**) {
    memset(&t, 0, sizeof(t));
    line_init(&t.line, show, &t);
    return 0;
}

static uint32_t type(const char* text) {
    return line_type(&t.line, 0, (const uint8_t*)text, strlen(text));
}

// Reads once, expects exactly this.
static void expect_read(size_t max, const char* text) {
    uint8_t buffer[LINE_CELLS];
    size_t count = 99;
    assert_true(line_readable(&t.line));
    assert_int_equal(line_read(&t.line, 0, buffer, max, &count), LINE_READ_DATA);
    assert_int_equal(count, strlen(text));
    assert_memory_equal(buffer, text, count);
}

static void expect_end(void) {
    uint8_t byte;
    size_t count = 99;
    assert_true(line_readable(&t.line));
    assert_int_equal(line_read(&t.line, 0, &byte, 1, &count), LINE_READ_END);
    assert_int_equal(count, 0);
}

static void expect_wait(int64_t now) {
    uint8_t byte;
    size_t count = 99;
    assert_false(line_readable(&t.line));
    assert_int_equal(line_read(&t.line, now, &byte, 1, &count), LINE_READ_WAIT);
    assert_int_equal(count, 0);
}

static void expect_shown(const char* text) {
    assert_string_equal(t.shown, text);
    t.shown_len = 0;
    t.shown[0] = '\0';
}

static void change_mode(uint32_t local_off, uint32_t local_on) {
    struct line_mode mode = t.line.mode;
    mode.local = (mode.local & ~local_off) | local_on;
    line_set_mode(&t.line, &mode);
}

static void raw(uint8_t least, uint8_t time) {
    struct line_mode mode = t.line.mode;
    mode.local &= ~(uint32_t)(LINE_ICANON | LINE_ECHO | LINE_ISIG | LINE_IEXTEN);
    mode.input = 0;
    mode.output = 0;
    mode.characters[LINE_VMIN] = least;
    mode.characters[LINE_VTIME] = time;
    line_set_mode(&t.line, &mode);
}

// ---- canonical input ----

static void test_a_line_comes_when_it_is_whole(void**) {
    type("hel");
    expect_wait(0);
    type("lo\rnext");
    expect_shown("hello\r\nnext");
    expect_read(100, "hello\n");
    expect_wait(0);
}

static void test_lines_come_one_by_one_and_in_parts(void**) {
    type("one\ntwo\n");
    expect_read(2, "on");
    expect_read(100, "e\n");
    expect_read(100, "two\n");
    expect_wait(0);
}

static void test_erase(void**) {
    type("abc\x7f\x7fx\n");
    expect_shown("abc\b \b\b \bx\r\n");
    expect_read(100, "ax\n");
    type("\x7f\x7f\n"); // nothing to erase
    expect_shown("\r\n");
    expect_read(100, "\n");
}

static void test_erase_of_a_character_of_several_bytes(void**) {
    type("a\xc3\xa9\xe2\x82\xac\x7f\x7f\n");
    expect_read(100, "a\n");
    expect_shown("a\xc3\xa9\xe2\x82\xac\b \b\b \b\r\n");
    type("\xa9\xa9\x7f\n"); // nonsense: one character
    expect_read(100, "\n");
}

static void test_erase_of_control_characters_and_tabs(void**) {
    type("\x16\x01\x7f\n"); // VLNEXT, ^A
    expect_shown("^\b^A\b \b\b \b\r\n");
    expect_read(10, "\n");
    type("ab\t\x7f\n"); // the tab took six columns
    expect_shown("ab\t\b \b\b \b\b \b\b \b\b \b\b \b\r\n");
    expect_read(10, "ab\n");
}

static void test_a_tab_behind_a_prompt(void**) {
    assert_true(line_write(&t.line, (const uint8_t*)"12345> ", 7));
    t.shown_len = 0;
    type("\t\x7f");
    expect_shown("\t\b \b"); // from column 7 to 8
}

static void test_kill_word_and_reprint(void**) {
    type("one two  \x17");
    expect_shown("one two  \b \b\b \b\b \b\b \b\b \b");
    type("\x12");
    expect_shown("^R\r\none ");
    type("\x15x\n");
    expect_shown("\b \b\b \b\b \b\b \bx\r\n");
    expect_read(10, "x\n");
}

static void test_kill_without_erasing(void**) {
    change_mode(LINE_ECHOKE, 0);
    type("ab\x15"
         "c\n");
    expect_shown("ab^U\r\nc\r\n");
    expect_read(10, "c\n");
}

static void test_end_of_file(void**) {
    type("\x04");
    expect_end();
    expect_wait(0);
    type("part\x04");
    expect_read(100, "part");
    expect_wait(0);
    type("abc\x04"); // exactly as long as the read
    expect_read(3, "abc");
    expect_wait(0);
    type("abc\n\x04"); // a line and an end are two
    expect_read(4, "abc\n");
    expect_end();
}

static void test_other_ends_of_lines(void**) {
    struct line_mode mode = t.line.mode;
    mode.characters[LINE_VEOL] = ';';
    mode.characters[LINE_VEOL2] = '!';
    line_set_mode(&t.line, &mode);
    type("a;b!c");
    expect_read(10, "a;");
    expect_read(10, "b!");
    expect_wait(0);
}

static void test_literal_next(void**) {
    assert_int_equal(type("\x16\x03\x16\x04\x16\x7f\n"), 0);
    expect_read(10, "\x03\x04\x7f\n");
}

static void test_carriage_returns(void**) {
    struct line_mode mode = t.line.mode;
    mode.input = LINE_IGNCR;
    line_set_mode(&t.line, &mode);
    type("a\rb\n");
    expect_read(10, "ab\n");
    mode.input = LINE_INLCR;
    mode.characters[LINE_VEOL] = '\r';
    line_set_mode(&t.line, &mode);
    type("a\n");
    expect_read(10, "a\r");
}

static void test_a_line_that_is_too_long_keeps_its_end(void**) {
    for (uint32_t i = 0; i < LINE_CELLS + 10; i++) {
        type("x");
    }
    expect_wait(0);
    type("\n");
    uint8_t buffer[LINE_CELLS];
    size_t count;
    assert_int_equal(line_read(&t.line, 0, buffer, sizeof(buffer), &count), LINE_READ_DATA);
    assert_int_equal(count, LINE_CELLS);
    assert_int_equal(buffer[count - 1], '\n');
    assert_int_equal(t.shown[t.shown_len - 3], '\a');
    type("\n\n\n");
    expect_read(10, "\n");
}

static void test_a_full_queue_takes_no_more_lines(void**) {
    for (uint32_t i = 0; i < 2 * LINE_CELLS; i++) {
        type("\n");
    }
    for (uint32_t i = 0; i < LINE_CELLS; i++) {
        expect_read(10, "\n");
    }
    expect_wait(0);
}

// ---- echo, signals, flow ----

static void test_without_echo(void**) {
    change_mode(LINE_ECHO, 0);
    type("secret\x7f\x15\x12"
         "abc\n");
    expect_shown("");
    expect_read(10, "abc\n");
    change_mode(0, LINE_ECHONL);
    type("x\n");
    expect_shown("\r\n");
}

static void test_signals(void**) {
    assert_int_equal(type("abc\n123\x03"), LINE_INTERRUPT);
    expect_shown("abc\r\n123^C");
    expect_wait(0); // what was typed before is gone
    assert_int_equal(type("\x1c"), LINE_QUIT);
    assert_int_equal(type("\x1a\x03"), LINE_SUSPEND | LINE_INTERRUPT);
    change_mode(0, LINE_NOFLSH);
    assert_int_equal(type("abc\n\x03"), LINE_INTERRUPT);
    expect_read(10, "abc\n");
    change_mode(LINE_ISIG, 0);
    assert_int_equal(type("\x03\n"), 0);
    expect_read(10, "\x03\n");
}

static void test_a_character_that_is_switched_off(void**) {
    struct line_mode mode = t.line.mode;
    mode.characters[LINE_VINTR] = 0;
    line_set_mode(&t.line, &mode);
    const uint8_t zero_and_c[] = {0, 3, '\n'};
    assert_int_equal(line_type(&t.line, 0, zero_and_c, 3), 0);
    uint8_t buffer[8];
    size_t count;
    assert_int_equal(line_read(&t.line, 0, buffer, 8, &count), LINE_READ_DATA);
    assert_int_equal(count, 3);
    assert_memory_equal(buffer, zero_and_c, 3);
}

static void test_flow_control(void**) {
    type("a\x13"
         "b");
    expect_shown("a");
    assert_false(line_writable(&t.line));
    assert_false(line_write(&t.line, (const uint8_t*)"x", 1));
    type("\x11");
    expect_shown("b");
    assert_true(line_write(&t.line, (const uint8_t*)"x\n", 2));
    expect_shown("x\r\n");
    type("\x13q");
    line_flush_output(&t.line);
    type("\x11\n");
    expect_shown("\r\n");
    expect_read(10, "abq\n");
}

static void test_a_signal_ends_the_stop(void**) {
    type("\x13");
    assert_int_equal(type("\x03"), LINE_INTERRUPT);
    assert_true(line_writable(&t.line));
    expect_shown("^C");
}

static void test_more_held_echo_than_fits(void**) {
    type("\x13");
    for (uint32_t i = 0; i < LINE_HELD + 100; i++) {
        type("e");
    }
    type("\x11");
    assert_int_equal(t.shown_len, LINE_HELD);
}

// ---- output ----

static void test_output_flags(void**) {
    struct line_mode mode = t.line.mode;
    mode.output = LINE_OPOST | LINE_ONLCR | LINE_XTABS | LINE_ONOCR;
    line_set_mode(&t.line, &mode);
    assert_true(line_write(&t.line, (const uint8_t*)"\ra\tb\n\rc", 7));
    expect_shown("a       b\r\nc");
    mode.output = LINE_OPOST | LINE_OCRNL;
    line_set_mode(&t.line, &mode);
    assert_true(line_write(&t.line, (const uint8_t*)"a\rb", 3));
    expect_shown("a\nb");
    mode.output = LINE_ONLCR; // without OPOST nothing happens
    line_set_mode(&t.line, &mode);
    assert_true(line_write(&t.line, (const uint8_t*)"a\nb\t", 4));
    expect_shown("a\nb\t");
}

// ---- raw input ----

static void test_raw(void**) {
    raw(1, 0);
    expect_wait(0);
    assert_int_equal(type("\x03\r"), 0);
    expect_read(1, "\x03");
    expect_read(10, "\r");
    expect_wait(0);
    expect_shown("");
}

static void test_raw_with_a_least_count(void**) {
    raw(3, 0);
    type("ab");
    expect_wait(0);
    type("cd");
    expect_read(10, "abcd");
}

static void test_raw_time_between_bytes(void**) {
    raw(10, 5);
    expect_wait(0);
    assert_int_equal(line_deadline(&t.line), LINE_NEVER); // runs from the first byte on
    line_type(&t.line, 1000, (const uint8_t*)"a", 1);
    assert_int_equal(line_deadline(&t.line), 500'001'000);
    line_type(&t.line, 2000, (const uint8_t*)"b", 1);
    assert_int_equal(line_deadline(&t.line), 500'002'000);
    line_expire(&t.line, 500'001'000); // too early
    expect_wait(500'001'000);
    line_expire(&t.line, 500'002'000);
    expect_read(10, "ab");
    expect_wait(500'002'000);
}

static void test_raw_time_of_a_read(void**) {
    raw(0, 2);
    expect_wait(100);
    assert_int_equal(line_deadline(&t.line), 200'000'100);
    expect_wait(300); // the same read, again: the time runs on
    assert_int_equal(line_deadline(&t.line), 200'000'100);
    line_expire(&t.line, 200'000'100);
    expect_read(10, "");
    expect_wait(400'000'000); // a new one
    assert_int_equal(line_deadline(&t.line), 600'000'000);
    type("x");
    expect_read(10, "x");
}

static void test_raw_polling(void**) {
    raw(0, 0);
    expect_read(10, "");
    type("x");
    expect_read(10, "x");
}

static void test_raw_never_waits_for_more_than_fits(void**) {
    raw(255, 0);
    for (uint32_t i = 0; i < 2 * LINE_CELLS; i++) {
        type("x");
    }
    uint8_t buffer[LINE_CELLS];
    size_t count;
    assert_int_equal(line_read(&t.line, 0, buffer, sizeof(buffer), &count), LINE_READ_DATA);
    assert_int_equal(count, LINE_CELLS - 1);
}

static void test_the_time_does_not_overflow(void**) {
    raw(0, 255);
    expect_wait(INT64_MAX - 5);
    assert_int_equal(line_deadline(&t.line), LINE_NEVER);
}

// ---- changes ----

static void test_from_canonical_to_raw(void**) {
    type("line\n\x04"
         "half");
    raw(1, 0);
    expect_read(100, "line\nhalf");
}

static void test_from_raw_to_canonical(void**) {
    struct line_mode before = t.line.mode;
    raw(1, 0);
    type("abc");
    line_set_mode(&t.line, &before);
    expect_read(100, "abc");
    type("\x7fx\n"); // not editable any more
    expect_read(100, "x\n");
}

static void test_flush(void**) {
    type("a\nb");
    line_flush_input(&t.line);
    expect_wait(0);
    type("c\n");
    expect_read(10, "c\n");
}

int main(void) {
#define T(name) cmocka_unit_test_setup(test_##name, set_up)
    const struct CMUnitTest tests[] = {
        T(a_line_comes_when_it_is_whole),
        T(lines_come_one_by_one_and_in_parts),
        T(erase),
        T(erase_of_a_character_of_several_bytes),
        T(erase_of_control_characters_and_tabs),
        T(a_tab_behind_a_prompt),
        T(kill_word_and_reprint),
        T(kill_without_erasing),
        T(end_of_file),
        T(other_ends_of_lines),
        T(literal_next),
        T(carriage_returns),
        T(a_line_that_is_too_long_keeps_its_end),
        T(a_full_queue_takes_no_more_lines),
        T(without_echo),
        T(signals),
        T(a_character_that_is_switched_off),
        T(flow_control),
        T(a_signal_ends_the_stop),
        T(more_held_echo_than_fits),
        T(output_flags),
        T(raw),
        T(raw_with_a_least_count),
        T(raw_time_between_bytes),
        T(raw_time_of_a_read),
        T(raw_polling),
        T(raw_never_waits_for_more_than_fits),
        T(the_time_does_not_overflow),
        T(from_canonical_to_raw),
        T(from_raw_to_canonical),
        T(flush),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
