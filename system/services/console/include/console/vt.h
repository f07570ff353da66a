// A screen of characters that understands what programs send to one: the part of VT100 and of
// ECMA-48 that full-screen programs use (as terminfo's "linux" and "xterm" know it). Pure: bytes
// in, cells out, and which rows have changed.
//
// Understood: UTF-8; BEL BS HT LF VT FF CR; ESC 7 8 D E M c; CSI @ A B C D E F G H J K L M P S T X
// c d f h l m n r s u; SGR with 16, 256 and (rounded) direct colours; modes 7 (wrap), 25 (cursor),
// 47, 1047, 1049 (the other screen), 4 (insert). Strings (OSC, DCS, APC, PM) are skipped. What is
// not known is taken off the stream and does nothing.
//
// A character takes one cell; what takes none (combining marks, not told apart) or two would need a
// table and is drawn in one.
//
// Memory is the caller's: the screens and the lines that have scrolled off. No locks: one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum vt_attribute : uint8_t {
    VT_BOLD = 1 << 0,
    VT_UNDERLINE = 1 << 1,
    VT_REVERSE = 1 << 2,
};

struct vt_cell {
    uint32_t code;                  // a character of Unicode; ' ' where nothing is
    uint8_t foreground, background; // of the 256 colours
    uint8_t attributes;
    uint8_t unused;
};

constexpr uint8_t VT_DEFAULT_FOREGROUND = 7;
constexpr uint8_t VT_DEFAULT_BACKGROUND = 0;
constexpr uint32_t VT_ROWS_MAX = 512;
constexpr uint32_t VT_COLUMNS_MAX = 1024;
constexpr uint32_t VT_PARAMETERS_MAX = 16;

// Takes what the terminal answers (reports of the cursor's place, of what it is): it counts as
// typed.
typedef void (*vt_answer_fn)(void* ctx, const char* bytes, size_t count);

struct vt_pen {
    uint8_t foreground, background, attributes;
};

struct vt_cursor {
    uint32_t row, column;
    bool wraps; // a character was put into the last column: the next one goes to a new line
    struct vt_pen pen;
};

struct vt {
    uint32_t rows, columns;
    struct vt_cell* screen; // the one that is shown
    struct vt_cell* other;  // the main screen while the other one is shown, or the reverse
    bool on_other;
    struct vt_cell* history; // a ring of lines
    uint32_t history_rows, history_next, history_count;
    uint32_t view; // how many lines the view is scrolled back

    struct vt_cursor cursor, saved, main_cursor;
    uint32_t top, bottom; // the scrolling region: [top, bottom)
    bool auto_wrap, insert, cursor_shown;
    uint32_t bells;

    uint32_t state;
    uint32_t parameters[VT_PARAMETERS_MAX];
    uint32_t parameter_count;
    char prefix, intermediate;
    uint32_t code; // of UTF-8, as far as it came
    uint32_t code_left, code_least;

    uint64_t dirty[VT_ROWS_MAX / 64]; // rows that have changed since vt_clean
    vt_answer_fn answer;
    void* ctx;
};

// How many cells vt_init needs.
size_t vt_cells(uint32_t rows, uint32_t columns, uint32_t history_rows);
// False: the sizes are beyond the limits. `answer` may be null.
bool vt_init(struct vt* vt, uint32_t rows, uint32_t columns, uint32_t history_rows,
             struct vt_cell* cells, vt_answer_fn answer, void* ctx);

void vt_write(struct vt* vt, const uint8_t* bytes, size_t count);

// The line at `row` of the view.
const struct vt_cell* vt_row(const struct vt* vt, uint32_t row);
// Whether the cursor is to be drawn, and where.
bool vt_cursor_at(const struct vt* vt, uint32_t* row, uint32_t* column);
// Moves the view back into the history (lines > 0) or forth.
void vt_scroll_view(struct vt* vt, int32_t lines);

bool vt_is_dirty(const struct vt* vt, uint32_t row);
void vt_clean(struct vt* vt);
