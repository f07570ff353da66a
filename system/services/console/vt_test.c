#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <console/vt.h>

constexpr uint32_t ROWS = 4;
constexpr uint32_t COLUMNS = 10;
constexpr uint32_t HISTORY = 3;

static struct vt vt;
static struct vt_cell cells[COLUMNS * (2 * ROWS + HISTORY)];
static char answered[100];

static void answer(void*, const char* bytes, size_t count) {
    assert_true(strlen(answered) + count < sizeof(answered));
    strncat(answered, bytes, count);
}

static int set_up(void**) {
    answered[0] = '\0';
    assert_int_equal(vt_cells(ROWS, COLUMNS, HISTORY), sizeof(cells) / sizeof(cells[0]));
    assert_true(vt_init(&vt, ROWS, COLUMNS, HISTORY, cells, answer, nullptr));
    return 0;
}

static void write_text(const char* text) {
    vt_write(&vt, (const uint8_t*)text, strlen(text));
}

// Rows joined by '/', blanks at the ends of rows left out.
static void expect(const char* picture) {
    char text[ROWS * (COLUMNS + 1) + 1];
    char* at = text;
    for (uint32_t row = 0; row < ROWS; row++) {
        const struct vt_cell* line = vt_row(&vt, row);
        uint32_t len = COLUMNS;
        while (len > 0 && line[len - 1].code == ' ') {
            len--;
        }
        for (uint32_t i = 0; i < len; i++) {
            *at++ = line[i].code < 0x80 ? (char)line[i].code : '?';
        }
        *at++ = row + 1 < ROWS ? '/' : '\0';
    }
    assert_string_equal(text, picture);
}

static void expect_cursor(uint32_t row, uint32_t column) {
    assert_int_equal(vt.cursor.row, row);
    assert_int_equal(vt.cursor.column, column);
}

static void test_text(void**) {
    write_text("hello\r\nworld");
    expect("hello/world//");
    expect_cursor(1, 5);
    write_text("\b\bX\n\tY");
    expect("hello/worXd/        Y/");
}

static void test_the_last_column(void**) {
    write_text("0123456789");
    expect_cursor(0, 9); // not yet on the next line
    write_text("\r\nx");
    expect("0123456789/x//");
    write_text("\x1b[H0123456789a");
    expect("0123456789/a//");
    write_text("\x1b[?7l\x1b[H0123456789b");
    expect("012345678b/a//");
}

static void test_scrolling(void**) {
    write_text("a\r\nb\r\nc\r\nd\r\ne\r\nf");
    expect("c/d/e/f");
    vt_scroll_view(&vt, 1);
    expect("b/c/d/e");
    vt_scroll_view(&vt, 5);
    expect("a/b/c/d");
    uint32_t row, column;
    assert_false(vt_cursor_at(&vt, &row, &column));
    write_text("\r\ng"); // what is looked at stays
    expect("a/b/c/d");
    vt_scroll_view(&vt, -9);
    expect("d/e/f/g");
    assert_true(vt_cursor_at(&vt, &row, &column));
}

static void test_history_is_a_ring(void**) {
    write_text("a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni");
    vt_scroll_view(&vt, 100);
    expect("c/d/e/f");
    write_text("\x1b[3J");
    expect("f/g/h/i");
}

static void test_cursor_moves(void**) {
    write_text("\x1b[2;3Hx\x1b[A\x1b[2Cy\x1b[B\x1b[4Dz\x1b[99;99H");
    expect_cursor(3, 9);
    expect("     y/  z//");
    write_text("\x1b[99A\x1b[99D");
    expect_cursor(0, 0);
    write_text("\x1b[3d\x1b[5G");
    expect_cursor(2, 4);
    write_text("\x1b[F");
    expect_cursor(1, 0);
    write_text("\x1b[2E");
    expect_cursor(3, 0);
    write_text("\x1b[0;0H"); // zero counts as one
    expect_cursor(0, 0);
}

static void test_erasing(void**) {
    const char* all = "\x1b[Haaaaa\r\nbbbbb\r\nccccc\x1b[2;3H";
    write_text(all);
    write_text("\x1b[K");
    expect("aaaaa/bb/ccccc/");
    write_text(all);
    write_text("\x1b[1K");
    expect("aaaaa/   bb/ccccc/");
    write_text(all);
    write_text("\x1b[J");
    expect("aaaaa/bb//");
    write_text(all);
    write_text("\x1b[1J");
    expect("/   bb/ccccc/");
    write_text("\x1b[2J");
    expect("///");
    write_text("\x1b[Habcdef\x1b[3G\x1b[2X");
    expect("ab  ef///");
}

static void test_inserting_and_deleting(void**) {
    write_text("abcdef\x1b[3G\x1b[2@");
    expect("ab  cdef///");
    write_text("\x1b[3P");
    expect("abdef///");
    write_text("\x1b[4hXY\x1b[4lZ");
    expect("abXYZef///");
    write_text("\x1b[H\x1b[2L");
    expect("//abXYZef/");
    write_text("\x1b[M");
    expect("/abXYZef//");
    write_text("\x1b[99M");
    expect("///");
    assert_int_equal(vt.history_count, 0);
}

static void test_scroll_region(void**) {
    write_text("a\r\nb\r\nc\r\nd\x1b[2;3r");
    expect_cursor(0, 0);
    write_text("\x1b[3;1H\nX");
    expect("a/c/X/d");
    write_text("\x1b[2;1H\x1bM");
    expect("a//c/d");
    write_text("\x1b[S");
    expect("a/c//d");
    write_text("\x1b[T");
    expect("a//c/d");
    assert_int_equal(vt.history_count, 0); // only whole screens go there
    write_text("\x1b[4;1H\n");
    expect_cursor(3, 0); // below the region nothing scrolls
    write_text("\x1b[3;3r\x1b[r\x1b[4;1H\n");
    expect("/c/d/");
}

static void test_colours(void**) {
    write_text("\x1b[1;4;31;42mA\x1b[7;91;100mB\x1b[22;24;27;39;49mC\x1b[38;5;200;48;2;255;0;0mD"
               "\x1b[mE");
    const struct vt_cell* row = vt_row(&vt, 0);
    assert_int_equal(row[0].foreground, 1);
    assert_int_equal(row[0].background, 2);
    assert_int_equal(row[0].attributes, VT_BOLD | VT_UNDERLINE);
    assert_int_equal(row[1].foreground, 9);
    assert_int_equal(row[1].background, 8);
    assert_int_equal(row[1].attributes, VT_BOLD | VT_UNDERLINE | VT_REVERSE);
    assert_int_equal(row[2].foreground, VT_DEFAULT_FOREGROUND);
    assert_int_equal(row[2].background, VT_DEFAULT_BACKGROUND);
    assert_int_equal(row[2].attributes, 0);
    assert_int_equal(row[3].foreground, 200);
    assert_int_equal(row[3].background, 16 + 36 * 5);
    assert_int_equal(row[4].foreground, VT_DEFAULT_FOREGROUND);
    write_text("\x1b[44m\x1b[2K");
    assert_int_equal(vt_row(&vt, 0)[9].background, 4); // erased in colour
}

static void test_utf8(void**) {
    write_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82");
    const struct vt_cell* row = vt_row(&vt, 0);
    assert_int_equal(row[0].code, 0xe9);
    assert_int_equal(row[1].code, 0x20ac);
    assert_int_equal(row[2].code, 0x1f642);
    write_text("\r\xe2\x82z\xc0\xed\xa0\x80\xf4\x90\x80\x80");
    assert_int_equal(row[0].code, 0xfffd); // cut short
    assert_int_equal(row[1].code, 'z');
    assert_int_equal(row[2].code, 0xfffd); // never a beginning
    assert_int_equal(row[3].code, 0xfffd); // a surrogate
    assert_int_equal(row[4].code, 0xfffd); // beyond the last
    expect_cursor(0, 5);
}

static void test_what_is_not_known_vanishes(void**) {
    write_text("a\x1b]0;title\x07"
               "b\x1bPq#0\x1b\\c\x1b[>4;2md\x1b[1 qe\x1b(Bf\x1b=g\x1b[?2004hh");
    expect("abcdefgh///");
    write_text("\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18mi\x1b[\x18j");
    expect("abcdefghij///");
    assert_int_equal(vt.cursor.pen.attributes, 0);
}

static void test_controls_within_sequences(void**) {
    write_text("ab\x1b[\r2Cc"); // the return is carried out, the sequence goes on
    expect("abc///");
}

static void test_the_other_screen(void**) {
    write_text("main\x1b[?1049h");
    expect("///");
    write_text("\x1b[Hother\n\n\n\n\n");
    assert_int_equal(vt.history_count, 0);
    write_text("\x1b[?1049l");
    expect("main///");
    expect_cursor(0, 4);
    write_text("\x1b[?1049l"); // once more does nothing
    expect("main///");
}

static void test_save_and_restore(void**) {
    write_text("\x1b[31mab\x1b"
               "7\x1b[0;4H\x1b[32mx\x1b"
               "8c\x1b[s\x1b[4H\x1b[ud");
    expect("abcd///");
    assert_int_equal(vt_row(&vt, 0)[2].foreground, 1);
}

static void test_answers(void**) {
    write_text("\x1b[5n\x1b[3;7H\x1b[6n\x1b[c");
    assert_string_equal(answered, "\x1b[0n\x1b[3;7R\x1b[?6c");
}

static void test_reset(void**) {
    write_text("\x1b[31mabc\x1b[2;3r\x1b[?25l\x1b[?1049hx\x1b"
               "c");
    expect("///");
    expect_cursor(0, 0);
    assert_true(vt.cursor_shown);
    assert_int_equal(vt.bottom, ROWS);
    assert_int_equal(vt.cursor.pen.foreground, VT_DEFAULT_FOREGROUND);
}

static void test_dirty_rows(void**) {
    vt_clean(&vt);
    write_text("a\x1b[3Hb");
    assert_true(vt_is_dirty(&vt, 0));
    assert_false(vt_is_dirty(&vt, 1));
    assert_true(vt_is_dirty(&vt, 2));
    assert_false(vt_is_dirty(&vt, 3));
    vt_clean(&vt);
    write_text("\x1b[4H\n");
    for (uint32_t row = 0; row < ROWS; row++) {
        assert_true(vt_is_dirty(&vt, row));
    }
}

static void test_sizes(void**) {
    struct vt other;
    assert_false(vt_init(&other, 0, 10, 0, cells, nullptr, nullptr));
    assert_false(vt_init(&other, VT_ROWS_MAX + 1, 10, 0, cells, nullptr, nullptr));
    assert_true(vt_init(&other, 1, 1, 0, cells, nullptr, nullptr));
    const char* text = "abc\n\n\x1b[L\x1b[M\x1b[@\x1b[P\x1b[6n\x1bM";
    vt_write(&other, (const uint8_t*)text, strlen(text));
}

int main(void) {
#define T(name) cmocka_unit_test_setup(test_##name, set_up)
    const struct CMUnitTest tests[] = {
        T(text),
        T(the_last_column),
        T(scrolling),
        T(history_is_a_ring),
        T(cursor_moves),
        T(erasing),
        T(inserting_and_deleting),
        T(scroll_region),
        T(colours),
        T(utf8),
        T(what_is_not_known_vanishes),
        T(controls_within_sequences),
        T(the_other_screen),
        T(save_and_restore),
        T(answers),
        T(reset),
        T(dirty_rows),
        T(sizes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
