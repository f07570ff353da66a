#include <console/draw.h>

#include <string.h>

#include <console/font.h>

constexpr uint32_t REPLACEMENT = 0xfffd;
constexpr uint32_t NOT_DRAWN = UINT32_MAX; // no character: never equal to a cell

void draw_grid(uint32_t width, uint32_t height, uint32_t* rows, uint32_t* columns) {
    uint32_t fit_rows = height / font_height;
    uint32_t fit_columns = width / DRAW_GLYPH_WIDTH;
    *rows = fit_rows < VT_ROWS_MAX ? fit_rows : VT_ROWS_MAX;
    *columns = fit_columns < VT_COLUMNS_MAX ? fit_columns : VT_COLUMNS_MAX;
}

// ---- colours ----

// 0xRRGGBB of the 256: sixteen, a cube of six levels, a ramp of greys.
static uint32_t colour_of(uint8_t index) {
    static const uint32_t sixteen[] = {0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa,
                                       0x00aaaa, 0xaaaaaa, 0x555555, 0xff5555, 0x55ff55, 0xffff55,
                                       0x5555ff, 0xff55ff, 0x55ffff, 0xffffff};
    if (index < 16) {
        return sixteen[index];
    }
    if (index >= 232) {
        uint32_t grey = 8 + 10 * (uint32_t)(index - 232);
        return grey << 16 | grey << 8 | grey;
    }
    static const uint8_t levels[] = {0, 95, 135, 175, 215, 255};
    uint32_t cube = index - 16u;
    return (uint32_t)levels[cube / 36] << 16 | (uint32_t)levels[cube / 6 % 6] << 8 |
           levels[cube % 6];
}

static uint32_t pixel_of(const struct draw* d, uint8_t index) {
    uint32_t colour = colour_of(index);
    return d->swapped ? (colour & 0xff) << 16 | (colour & 0xff00) | colour >> 16 : colour;
}

// ---- glyphs ----

static const uint8_t* find_glyph(uint32_t code) {
    uint32_t low = 0;
    uint32_t high = font_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (font_codes[middle] < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < font_count && font_codes[low] == code ? &font_glyphs[(size_t)low * font_height]
                                                       : nullptr;
}

static const uint8_t* glyph_of(uint32_t code) {
    const uint8_t* glyph = find_glyph(code);
    glyph = glyph != nullptr ? glyph : find_glyph(REPLACEMENT);
    return glyph != nullptr ? glyph : find_glyph('?');
}

static void draw_cell(const struct draw* d, uint32_t row, uint32_t column,
                      const struct vt_cell* cell, bool cursor) {
    bool reverse = ((cell->attributes & VT_REVERSE) != 0) != cursor;
    bool bright = (cell->attributes & VT_BOLD) != 0 && cell->foreground < 8;
    uint32_t ink = pixel_of(d, (uint8_t)(cell->foreground + (bright ? 8 : 0)));
    uint32_t paper = pixel_of(d, cell->background);
    const uint8_t* glyph = glyph_of(cell->code);
    uint32_t* line =
        d->pixels + (size_t)row * font_height * d->stride + (size_t)column * DRAW_GLYPH_WIDTH;
    for (uint32_t y = 0; y < font_height; y++, line += d->stride) {
        bool underline = (cell->attributes & VT_UNDERLINE) != 0 && y + 2 == font_height;
        uint8_t bits = underline ? 0xff : glyph != nullptr ? glyph[y] : 0;
        bits = reverse ? (uint8_t)~bits : bits;
        for (uint32_t x = 0; x < DRAW_GLYPH_WIDTH; x++) {
            line[x] = (bits & 0x80 >> x) != 0 ? ink : paper;
        }
    }
}

// ---- keeping up ----

void draw_init(struct draw* d, const struct vt* vt) {
    for (size_t i = 0; i < (size_t)vt->rows * vt->columns; i++) {
        d->shown[i].code = NOT_DRAWN;
    }
    d->cursor_shown = false;
}

// The cell is drawn by the next pass over its row.
static void forget_cursor(struct draw* d, struct vt* vt) {
    if (d->cursor_shown) {
        d->shown[(size_t)d->cursor_row * vt->columns + d->cursor_column].code = NOT_DRAWN;
        vt->dirty[d->cursor_row / 64] |= 1ull << (d->cursor_row % 64);
        d->cursor_shown = false;
    }
}

static void draw_row(const struct draw* d, const struct vt* vt, uint32_t row) {
    const struct vt_cell* cells = vt_row(vt, row);
    struct vt_cell* shown = d->shown + (size_t)row * vt->columns;
    for (uint32_t i = 0; i < vt->columns; i++) {
        if (memcmp(&cells[i], &shown[i], sizeof(cells[i])) != 0) {
            draw_cell(d, row, i, &cells[i], false);
            shown[i] = cells[i];
        }
    }
}

void draw_update(struct draw* d, struct vt* vt) {
    forget_cursor(d, vt);
    for (uint32_t row = 0; row < vt->rows; row++) {
        if (vt_is_dirty(vt, row)) {
            draw_row(d, vt, row);
        }
    }
    vt_clean(vt);
    if (vt_cursor_at(vt, &d->cursor_row, &d->cursor_column)) {
        draw_cell(d, d->cursor_row, d->cursor_column, &vt_row(vt, d->cursor_row)[d->cursor_column],
                  true);
        d->cursor_shown = true;
    }
}
