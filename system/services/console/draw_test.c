#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <console/draw.h>
#include <console/font.h>

constexpr uint32_t WIDTH = 83; // ten columns, and three pixels that stay as they are
constexpr uint32_t HEIGHT = 70;
constexpr uint32_t STRIDE = 90;
constexpr uint32_t UNTOUCHED = 0x12345678;

static uint32_t pixels[HEIGHT * STRIDE];
static struct vt_cell cells[2 * 4 * 10], shown[4 * 10];
static struct vt vt;
static struct draw d;

static int set_up(void**) {
    uint32_t rows, columns;
    draw_grid(WIDTH, HEIGHT, &rows, &columns);
    assert_int_equal(rows, 4);
    assert_int_equal(columns, 10);
    for (size_t i = 0; i < HEIGHT * STRIDE; i++) {
        pixels[i] = UNTOUCHED;
    }
    assert_true(vt_init(&vt, rows, columns, 0, cells, nullptr, nullptr));
    d = (struct draw){.pixels = pixels, .stride = STRIDE, .shown = shown};
    draw_init(&d, &vt);
    return 0;
}

static void write_text(const char* text) {
    vt_write(&vt, (const uint8_t*)text, strlen(text));
    draw_update(&d, &vt);
}

static uint32_t pixel(uint32_t row, uint32_t column, uint32_t x, uint32_t y) {
    return pixels[(row * font_height + y) * STRIDE + column * DRAW_GLYPH_WIDTH + x];
}

// Every pixel of the cell is ink where the font has a bit, and paper elsewhere.
static void expect_glyph(uint32_t row, uint32_t column, uint32_t code, uint32_t ink,
                         uint32_t paper) {
    uint32_t index = 0;
    while (font_codes[index] != code) {
        assert_true(++index < font_count);
    }
    uint32_t drawn = 0;
    for (uint32_t y = 0; y < font_height; y++) {
        for (uint32_t x = 0; x < DRAW_GLYPH_WIDTH; x++) {
            bool bit = (font_glyphs[index * font_height + y] >> (7 - x) & 1) != 0;
            assert_int_equal(pixel(row, column, x, y), bit ? ink : paper);
            drawn += bit;
        }
    }
    assert_true(drawn > 0 || code == ' ');
}

static void test_text(void**) {
    write_text("A\r\n \xc3\xa9");
    expect_glyph(0, 0, 'A', 0xaaaaaa, 0);
    expect_glyph(1, 1, 0xe9, 0xaaaaaa, 0);
    expect_glyph(3, 9, ' ', 0xaaaaaa, 0);
}

static void test_colours(void**) {
    write_text("\x1b[31;44mA\x1b[1mB\x1b[0;7mC\x1b[0;38;5;196;48;5;232mD");
    expect_glyph(0, 0, 'A', 0xaa0000, 0x0000aa);
    expect_glyph(0, 1, 'B', 0xff5555, 0x0000aa);
    expect_glyph(0, 2, 'C', 0x000000, 0xaaaaaa);
    expect_glyph(0, 3, 'D', 0xff0000, 0x080808);
    d.swapped = true;
    write_text("\r\x1b[0;31mE");
    expect_glyph(0, 0, 'E', 0x0000aa, 0);
}

static void test_cursor(void**) {
    write_text("AB\r");
    expect_glyph(0, 0, 'A', 0, 0xaaaaaa);
    write_text("\x1b[C");
    expect_glyph(0, 0, 'A', 0xaaaaaa, 0);
    expect_glyph(0, 1, 'B', 0, 0xaaaaaa);
    write_text("\x1b[?25l");
    expect_glyph(0, 1, 'B', 0xaaaaaa, 0);
}

static void test_scrolling(void**) {
    write_text("A\r\nB\r\nC\r\nD\r\nE");
    expect_glyph(0, 0, 'B', 0xaaaaaa, 0);
    expect_glyph(3, 0, 'E', 0xaaaaaa, 0);
}

static void test_only_what_changed_is_drawn(void**) {
    write_text("A\r\nB\x1b[H");
    pixels[font_height * STRIDE] = UNTOUCHED; // in the second row
    write_text("X");
    expect_glyph(0, 0, 'X', 0xaaaaaa, 0);
    assert_int_equal(pixel(1, 0, 0, 0), UNTOUCHED);
}

static void test_an_unknown_character(void**) {
    write_text("\xf0\x9f\x99\x82");
    expect_glyph(0, 0, 0xfffd, 0xaaaaaa, 0);
}

static void test_nothing_outside_the_grid(void**) {
    write_text("\x1b[41m\x1b[2J\x1b[4;10Hx");
    for (uint32_t y = 0; y < HEIGHT; y++) {
        for (uint32_t x = 0; x < STRIDE; x++) {
            bool inside = x < 10 * DRAW_GLYPH_WIDTH && y < 4 * font_height;
            assert_true(inside == (pixels[y * STRIDE + x] != UNTOUCHED));
        }
    }
}

int main(void) {
#define T(name) cmocka_unit_test_setup(test_##name, set_up)
    const struct CMUnitTest tests[] = {
        T(text),
        T(colours),
        T(cursor),
        T(scrolling),
        T(only_what_changed_is_drawn),
        T(an_unknown_character),
        T(nothing_outside_the_grid),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
