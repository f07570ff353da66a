// From cells to pixels of 32 bits. Pure: memory in, memory out.
//
// What is on the screen is remembered as cells, so that only cells that have changed are drawn:
// frame buffers are slow.
#pragma once

#include <stdint.h>

#include <console/vt.h>

constexpr uint32_t DRAW_GLYPH_WIDTH = 8;

struct draw {
    uint32_t* pixels;
    uint32_t stride;       // pixels from one line to the next
    bool swapped;          // red is the lowest byte, not the third
    struct vt_cell* shown; // what is on the screen; rows * columns
    bool cursor_shown;
    uint32_t cursor_row, cursor_column;
};

// How many characters fit.
void draw_grid(uint32_t width, uint32_t height, uint32_t* rows, uint32_t* columns);
// Everything is drawn by the first draw_update.
void draw_init(struct draw* d, const struct vt* vt);
// Brings the screen up to date, and forgets which rows were changed.
void draw_update(struct draw* d, struct vt* vt);
