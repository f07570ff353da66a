#include <console/vt.h>

#include <string.h>

constexpr uint32_t TAB_STOP = 8;
constexpr uint32_t PARAMETER_MAX = 99999;
constexpr uint32_t REPLACEMENT = 0xfffd;
constexpr uint8_t BRIGHT = 8;

enum state : uint32_t {
    GROUND,
    ESCAPE,
    CHARSET, // one more character
    CSI,
    STRING,     // until BEL or ST
    STRING_ESC, // an ESC in it
};

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

// ---- cells ----

size_t vt_cells(uint32_t rows, uint32_t columns, uint32_t history_rows) {
    return (size_t)columns * (2 * (size_t)rows + history_rows);
}

static struct vt_cell* row_of(struct vt* vt, uint32_t row) {
    return vt->screen + (size_t)row * vt->columns;
}

static void touch(struct vt* vt, uint32_t row) {
    vt->dirty[row / 64] |= 1ull << (row % 64);
}

static void touch_rows(struct vt* vt, uint32_t from, uint32_t to) {
    for (uint32_t row = from; row < to; row++) {
        touch(vt, row);
    }
}

// Cleared cells have the pen's background, as programs expect of coloured screens.
static struct vt_cell blank(const struct vt* vt) {
    return (struct vt_cell){.code = ' ',
                            .foreground = vt->cursor.pen.foreground,
                            .background = vt->cursor.pen.background};
}

static void clear(struct vt* vt, uint32_t row, uint32_t from, uint32_t to) {
    struct vt_cell* cells = row_of(vt, row);
    struct vt_cell value = blank(vt);
    for (uint32_t i = from; i < to; i++) {
        cells[i] = value;
    }
    touch(vt, row);
}

static void clear_rows(struct vt* vt, uint32_t from, uint32_t to) {
    for (uint32_t row = from; row < to; row++) {
        clear(vt, row, 0, vt->columns);
    }
}

static constexpr struct vt_pen plain_pen = {VT_DEFAULT_FOREGROUND, VT_DEFAULT_BACKGROUND, 0};

static void reset(struct vt* vt) {
    vt->cursor = (struct vt_cursor){.pen = plain_pen};
    vt->saved = vt->cursor;
    vt->main_cursor = vt->cursor;
    vt->top = 0;
    vt->bottom = vt->rows;
    vt->auto_wrap = true;
    vt->cursor_shown = true;
    vt->insert = false;
    vt->on_other = false;
    vt->state = GROUND;
    vt->code_left = 0;
    clear_rows(vt, 0, vt->rows);
}

bool vt_init(struct vt* vt, uint32_t rows, uint32_t columns, uint32_t history_rows,
             struct vt_cell* cells, vt_answer_fn answer, void* ctx) {
    if (rows == 0 || rows > VT_ROWS_MAX || columns == 0 || columns > VT_COLUMNS_MAX) {
        return false;
    }
    memset(vt, 0, sizeof(*vt));
    vt->rows = rows;
    vt->columns = columns;
    vt->history_rows = history_rows;
    vt->screen = cells;
    vt->other = cells + (size_t)rows * columns;
    vt->history = vt->other + (size_t)rows * columns;
    vt->answer = answer;
    vt->ctx = ctx;
    reset(vt);
    return true;
}

// ---- scrolling ----

static void keep(struct vt* vt, uint32_t row) {
    if (vt->history_rows == 0 || vt->on_other) {
        return;
    }
    memcpy(vt->history + (size_t)vt->history_next * vt->columns, row_of(vt, row),
           vt->columns * sizeof(struct vt_cell));
    vt->history_next = (vt->history_next + 1) % vt->history_rows;
    vt->history_count = min_u32(vt->history_count + 1, vt->history_rows);
    if (vt->view != 0) { // what is looked at stays in view
        vt->view = min_u32(vt->view + 1, vt->history_count);
    }
}

// Moves the lines of [top, bottom) up; blank ones come in below.
static void scroll_up(struct vt* vt, uint32_t top, uint32_t bottom, uint32_t count) {
    count = min_u32(count, bottom - top);
    for (uint32_t i = 0; i < count && top == 0 && bottom == vt->rows; i++) {
        keep(vt, i);
    }
    memmove(row_of(vt, top), row_of(vt, top + count),
            (size_t)(bottom - top - count) * vt->columns * sizeof(struct vt_cell));
    clear_rows(vt, bottom - count, bottom);
    touch_rows(vt, top, bottom);
}

static void scroll_down(struct vt* vt, uint32_t top, uint32_t bottom, uint32_t count) {
    count = min_u32(count, bottom - top);
    memmove(row_of(vt, top + count), row_of(vt, top),
            (size_t)(bottom - top - count) * vt->columns * sizeof(struct vt_cell));
    clear_rows(vt, top, top + count);
    touch_rows(vt, top, bottom);
}

// ---- the cursor ----

static void move_to(struct vt* vt, uint32_t row, uint32_t column) {
    touch(vt, vt->cursor.row);
    vt->cursor.row = min_u32(row, vt->rows - 1);
    vt->cursor.column = min_u32(column, vt->columns - 1);
    vt->cursor.wraps = false;
    touch(vt, vt->cursor.row);
}

static uint32_t less(uint32_t from, uint32_t by) {
    return from > by ? from - by : 0;
}

// Up and down stop at the margins of the scrolling region, if the cursor is inside.
static void move_up(struct vt* vt, uint32_t count) {
    uint32_t limit = vt->cursor.row >= vt->top ? vt->top : 0;
    uint32_t row = less(vt->cursor.row, count);
    move_to(vt, row > limit ? row : limit, vt->cursor.column);
}

static void move_down(struct vt* vt, uint32_t count) {
    uint32_t limit = vt->cursor.row < vt->bottom ? vt->bottom - 1 : vt->rows - 1;
    move_to(vt, min_u32(vt->cursor.row + count, limit), vt->cursor.column);
}

static void line_feed(struct vt* vt) {
    if (vt->cursor.row + 1 == vt->bottom) {
        scroll_up(vt, vt->top, vt->bottom, 1);
        vt->cursor.wraps = false;
    } else {
        move_down(vt, 1);
    }
}

static void reverse_feed(struct vt* vt) {
    if (vt->cursor.row == vt->top) {
        scroll_down(vt, vt->top, vt->bottom, 1);
        vt->cursor.wraps = false;
    } else {
        move_up(vt, 1);
    }
}

static void save_cursor(struct vt* vt) {
    vt->saved = vt->cursor;
}

static void restore_cursor(struct vt* vt) {
    touch(vt, vt->cursor.row);
    vt->cursor = vt->saved;
    touch(vt, vt->cursor.row);
}

// ---- characters ----

// Opens a gap at the cursor, or closes one.
static void insert_cells(struct vt* vt, uint32_t count) {
    struct vt_cell* cells = row_of(vt, vt->cursor.row);
    uint32_t column = vt->cursor.column;
    count = min_u32(count, vt->columns - column);
    memmove(cells + column + count, cells + column,
            (vt->columns - column - count) * sizeof(struct vt_cell));
    clear(vt, vt->cursor.row, column, column + count);
}

static void delete_cells(struct vt* vt, uint32_t count) {
    struct vt_cell* cells = row_of(vt, vt->cursor.row);
    uint32_t column = vt->cursor.column;
    count = min_u32(count, vt->columns - column);
    memmove(cells + column, cells + column + count,
            (vt->columns - column - count) * sizeof(struct vt_cell));
    clear(vt, vt->cursor.row, vt->columns - count, vt->columns);
}

static void put_character(struct vt* vt, uint32_t code) {
    if (vt->cursor.wraps && vt->auto_wrap) {
        vt->cursor.column = 0;
        line_feed(vt);
    }
    if (vt->insert) {
        insert_cells(vt, 1);
    }
    row_of(vt, vt->cursor.row)[vt->cursor.column] =
        (struct vt_cell){.code = code,
                         .foreground = vt->cursor.pen.foreground,
                         .background = vt->cursor.pen.background,
                         .attributes = vt->cursor.pen.attributes};
    touch(vt, vt->cursor.row);
    if (vt->cursor.column + 1 < vt->columns) {
        vt->cursor.column++;
        vt->cursor.wraps = false;
    } else {
        vt->cursor.wraps = true;
    }
}

static void control(struct vt* vt, uint8_t ch) {
    switch (ch) {
    case 0x07:
        vt->bells++;
        break;
    case 0x08:
        move_to(vt, vt->cursor.row, less(vt->cursor.column, 1));
        break;
    case '\t':
        move_to(vt, vt->cursor.row, vt->cursor.column / TAB_STOP * TAB_STOP + TAB_STOP);
        break;
    case '\n':
    case '\v':
    case '\f':
        line_feed(vt);
        break;
    case '\r':
        move_to(vt, vt->cursor.row, 0);
        break;
    default:
        break;
    }
}

// ---- control sequences ----

static uint32_t parameter(const struct vt* vt, uint32_t index, uint32_t otherwise) {
    uint32_t value = index < vt->parameter_count ? vt->parameters[index] : 0;
    return value != 0 ? value : otherwise;
}

static void erase_display(struct vt* vt, uint32_t what) {
    uint32_t row = vt->cursor.row;
    if (what == 0) {
        clear(vt, row, vt->cursor.column, vt->columns);
        clear_rows(vt, row + 1, vt->rows);
    } else if (what == 1) {
        clear_rows(vt, 0, row);
        clear(vt, row, 0, vt->cursor.column + 1);
    } else if (what == 2) {
        clear_rows(vt, 0, vt->rows);
    } else if (what == 3) {
        vt->history_count = 0;
        vt_scroll_view(vt, 0);
    }
}

static void erase_line(struct vt* vt, uint32_t what) {
    if (what <= 2) {
        clear(vt, vt->cursor.row, what == 0 ? vt->cursor.column : 0,
              what == 1 ? vt->cursor.column + 1 : vt->columns);
    }
}

static void set_region(struct vt* vt) {
    uint32_t top = parameter(vt, 0, 1) - 1;
    uint32_t bottom = min_u32(parameter(vt, 1, vt->rows), vt->rows);
    if (top + 1 < bottom) {
        vt->top = top;
        vt->bottom = bottom;
        move_to(vt, 0, 0);
    }
}

// The nearest of the 6 x 6 x 6 colours.
static uint8_t direct_colour(uint32_t red, uint32_t green, uint32_t blue) {
    uint32_t level[] = {red, green, blue};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t value = min_u32(level[i], 255);
        level[i] = value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
    }
    return (uint8_t)(16 + 36 * level[0] + 6 * level[1] + level[2]);
}

// 38;5;N or 38;2;R;G;B at `at`. The result: where the last parameter of it is.
static uint32_t extended_colour(const struct vt* vt, uint32_t at, uint8_t* colour) {
    uint32_t kind = parameter(vt, at + 1, 0);
    if (kind == 5 && at + 2 < vt->parameter_count) {
        *colour = (uint8_t)min_u32(vt->parameters[at + 2], 255);
        return at + 2;
    }
    if (kind == 2 && at + 4 < vt->parameter_count) {
        *colour =
            direct_colour(vt->parameters[at + 2], vt->parameters[at + 3], vt->parameters[at + 4]);
        return at + 4;
    }
    return vt->parameter_count; // broken: the rest means nothing
}

static void set_colour(struct vt_pen* pen, uint32_t value) {
    if (value >= 30 && value <= 37) {
        pen->foreground = (uint8_t)(value - 30);
    } else if (value == 39) {
        pen->foreground = VT_DEFAULT_FOREGROUND;
    } else if (value >= 40 && value <= 47) {
        pen->background = (uint8_t)(value - 40);
    } else if (value == 49) {
        pen->background = VT_DEFAULT_BACKGROUND;
    } else if (value >= 90 && value <= 97) {
        pen->foreground = (uint8_t)(value - 90 + BRIGHT);
    } else if (value >= 100 && value <= 107) {
        pen->background = (uint8_t)(value - 100 + BRIGHT);
    }
}

static void set_pen(struct vt* vt) {
    struct vt_pen* pen = &vt->cursor.pen;
    uint32_t count = vt->parameter_count > 0 ? vt->parameter_count : 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t value = parameter(vt, i, 0);
        switch (value) {
        case 0:
            *pen = plain_pen;
            break;
        case 1:
            pen->attributes |= VT_BOLD;
            break;
        case 4:
            pen->attributes |= VT_UNDERLINE;
            break;
        case 7:
            pen->attributes |= VT_REVERSE;
            break;
        case 22:
            pen->attributes &= (uint8_t)~VT_BOLD;
            break;
        case 24:
            pen->attributes &= (uint8_t)~VT_UNDERLINE;
            break;
        case 27:
            pen->attributes &= (uint8_t)~VT_REVERSE;
            break;
        case 38:
            i = extended_colour(vt, i, &pen->foreground);
            break;
        case 48:
            i = extended_colour(vt, i, &pen->background);
            break;
        default:
            set_colour(pen, value);
        }
    }
}

// ---- modes ----

// The other screen has no history and begins empty.
static void show_other(struct vt* vt, bool on, bool with_cursor) {
    if (on == vt->on_other) {
        return;
    }
    if (on && with_cursor) {
        vt->main_cursor = vt->cursor;
    }
    struct vt_cell* screen = vt->screen;
    vt->screen = vt->other;
    vt->other = screen;
    vt->on_other = on;
    if (on) {
        clear_rows(vt, 0, vt->rows);
    } else if (with_cursor) {
        vt->cursor = vt->main_cursor;
    }
    vt->view = 0;
    touch_rows(vt, 0, vt->rows);
}

static void set_private_mode(struct vt* vt, uint32_t mode, bool on) {
    switch (mode) {
    case 7:
        vt->auto_wrap = on;
        break;
    case 25:
        vt->cursor_shown = on;
        touch(vt, vt->cursor.row);
        break;
    case 47:
    case 1047:
        show_other(vt, on, false);
        break;
    case 1049:
        show_other(vt, on, true);
        break;
    default:
        break;
    }
}

static void set_modes(struct vt* vt, bool on) {
    for (uint32_t i = 0; i < vt->parameter_count; i++) {
        if (vt->prefix == '?') {
            set_private_mode(vt, vt->parameters[i], on);
        } else if (vt->prefix == '\0' && vt->parameters[i] == 4) {
            vt->insert = on;
        }
    }
}

// ---- answers ----

static char* put_number(char* at, uint32_t value) {
    char digits[10];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

static void answer(struct vt* vt, const char* bytes, size_t count) {
    if (vt->answer != nullptr) {
        vt->answer(vt->ctx, bytes, count);
    }
}

static void report(struct vt* vt, uint32_t what) {
    if (what == 5) {
        answer(vt, "\x1b[0n", 4);
    } else if (what == 6) {
        char text[32] = "\x1b[";
        char* at = put_number(text + 2, vt->cursor.row + 1);
        *at++ = ';';
        at = put_number(at, vt->cursor.column + 1);
        *at++ = 'R';
        answer(vt, text, (size_t)(at - text));
    }
}

// ---- dispatch ----

static void insert_lines(struct vt* vt, uint32_t count, bool remove) {
    uint32_t row = vt->cursor.row;
    if (row < vt->top || row >= vt->bottom) {
        return;
    }
    if (remove) {
        // Not by way of the history: the line was deleted.
        uint32_t kept = vt->history_rows;
        vt->history_rows = 0;
        scroll_up(vt, row, vt->bottom, count);
        vt->history_rows = kept;
    } else {
        scroll_down(vt, row, vt->bottom, count);
    }
    move_to(vt, row, 0);
}

static void run_sequence(struct vt* vt, uint8_t final) {
    uint32_t one = parameter(vt, 0, 1);
    uint32_t zero = parameter(vt, 0, 0);
    uint32_t row = vt->cursor.row;
    uint32_t column = vt->cursor.column;
    switch (final) {
    case '@':
        insert_cells(vt, one);
        break;
    case 'A':
        move_up(vt, one);
        break;
    case 'B':
        move_down(vt, one);
        break;
    case 'C':
        move_to(vt, row, column + one);
        break;
    case 'D':
        move_to(vt, row, less(column, one));
        break;
    case 'E':
        move_down(vt, one);
        move_to(vt, vt->cursor.row, 0);
        break;
    case 'F':
        move_up(vt, one);
        move_to(vt, vt->cursor.row, 0);
        break;
    case 'G':
    case '`':
        move_to(vt, row, one - 1);
        break;
    case 'H':
    case 'f':
        move_to(vt, one - 1, parameter(vt, 1, 1) - 1);
        break;
    case 'J':
        erase_display(vt, zero);
        break;
    case 'K':
        erase_line(vt, zero);
        break;
    case 'L':
    case 'M':
        insert_lines(vt, one, final == 'M');
        break;
    case 'P':
        delete_cells(vt, one);
        break;
    case 'S':
        scroll_up(vt, vt->top, vt->bottom, one);
        break;
    case 'T':
        scroll_down(vt, vt->top, vt->bottom, one);
        break;
    case 'X':
        clear(vt, row, column, min_u32(column + one, vt->columns));
        break;
    case 'c':
        answer(vt, "\x1b[?6c", 5); // a VT102
        break;
    case 'd':
        move_to(vt, one - 1, column);
        break;
    case 'm':
        set_pen(vt);
        break;
    case 'n':
        report(vt, zero);
        break;
    case 'r':
        set_region(vt);
        break;
    case 's':
        save_cursor(vt);
        break;
    case 'u':
        restore_cursor(vt);
        break;
    default:
        break;
    }
}

static void end_sequence(struct vt* vt, uint8_t final) {
    vt->state = GROUND;
    if (vt->intermediate != '\0') {
        return;
    }
    if (final == 'h' || final == 'l') {
        set_modes(vt, final == 'h');
    } else if (vt->prefix == '\0') {
        run_sequence(vt, final);
    }
}

static void in_sequence(struct vt* vt, uint8_t ch) {
    if (ch >= '0' && ch <= '9') {
        if (vt->parameter_count == 0) {
            vt->parameter_count = 1;
        }
        uint32_t* value = &vt->parameters[vt->parameter_count - 1];
        *value = min_u32(*value * 10 + (ch - '0'), PARAMETER_MAX);
    } else if (ch == ';' || ch == ':') {
        vt->parameter_count += vt->parameter_count == 0;
        if (vt->parameter_count < VT_PARAMETERS_MAX) {
            vt->parameters[vt->parameter_count++] = 0;
        } else {
            vt->intermediate = ';'; // too many: it will do nothing
        }
    } else if (ch >= '<' && ch <= '?') {
        vt->prefix = (char)ch;
    } else if (ch >= ' ' && ch <= '/') {
        vt->intermediate = (char)ch;
    } else if (ch >= '@' && ch <= '~') {
        end_sequence(vt, ch);
    } else {
        vt->state = GROUND; // broken
    }
}

static void in_escape(struct vt* vt, uint8_t ch) {
    vt->state = GROUND;
    switch (ch) {
    case '[':
        vt->state = CSI;
        memset(vt->parameters, 0, sizeof(vt->parameters));
        vt->parameter_count = 0;
        vt->prefix = '\0';
        vt->intermediate = '\0';
        break;
    case ']':
    case 'P':
    case '_':
    case '^':
        vt->state = STRING;
        break;
    case '(':
    case ')':
    case '*':
    case '+':
    case '#':
    case '%':
        vt->state = CHARSET;
        break;
    case '7':
        save_cursor(vt);
        break;
    case '8':
        restore_cursor(vt);
        break;
    case 'D':
        line_feed(vt);
        break;
    case 'E':
        move_to(vt, vt->cursor.row, 0);
        line_feed(vt);
        break;
    case 'M':
        reverse_feed(vt);
        break;
    case 'c':
        if (vt->on_other) {
            show_other(vt, false, false);
        }
        reset(vt);
        break;
    default:
        break;
    }
}

// ---- UTF-8 ----

static void begin_code(struct vt* vt, uint8_t ch) {
    if (ch < 0x80) {
        put_character(vt, ch);
    } else if (ch >= 0xc2 && ch <= 0xdf) {
        vt->code = ch & 0x1f;
        vt->code_left = 1;
        vt->code_least = 0x80;
    } else if (ch >= 0xe0 && ch <= 0xef) {
        vt->code = ch & 0x0f;
        vt->code_left = 2;
        vt->code_least = 0x800;
    } else if (ch >= 0xf0 && ch <= 0xf4) {
        vt->code = ch & 0x07;
        vt->code_left = 3;
        vt->code_least = 0x10000;
    } else {
        put_character(vt, REPLACEMENT);
    }
}

static void in_text(struct vt* vt, uint8_t ch) {
    if (vt->code_left == 0) {
        begin_code(vt, ch);
        return;
    }
    if ((ch & 0xc0) != 0x80) { // cut short
        vt->code_left = 0;
        put_character(vt, REPLACEMENT);
        begin_code(vt, ch);
        return;
    }
    vt->code = vt->code << 6 | (ch & 0x3f);
    if (--vt->code_left == 0) {
        bool valid = vt->code >= vt->code_least && vt->code <= 0x10ffff &&
                     (vt->code < 0xd800 || vt->code > 0xdfff);
        put_character(vt, valid ? vt->code : REPLACEMENT);
    }
}

// ---- the stream ----

static void take_string(struct vt* vt, uint8_t ch) {
    bool ends = ch == 0x07 || (vt->state == STRING_ESC && ch == '\\');
    vt->state = ends ? GROUND : ch == 0x1b ? STRING_ESC : STRING;
}

static void take(struct vt* vt, uint8_t ch) {
    if (vt->state == STRING || vt->state == STRING_ESC) {
        take_string(vt, ch);
    } else if (ch == 0x1b) {
        vt->code_left = 0;
        vt->state = ESCAPE;
    } else if (ch == 0x18 || ch == 0x1a) {
        vt->state = GROUND;
    } else if (ch < ' ') {
        control(vt, ch); // also in the middle of a sequence
    } else if (ch == 0x7f) {
        return;
    } else if (vt->state == ESCAPE) {
        in_escape(vt, ch);
    } else if (vt->state == CHARSET) {
        vt->state = GROUND;
    } else if (vt->state == CSI) {
        in_sequence(vt, ch);
    } else {
        in_text(vt, ch);
    }
}

void vt_write(struct vt* vt, const uint8_t* bytes, size_t count) {
    touch(vt, vt->cursor.row);
    for (size_t i = 0; i < count; i++) {
        take(vt, bytes[i]);
    }
    touch(vt, vt->cursor.row);
    if (vt->view != 0) {
        touch_rows(vt, 0, vt->rows);
    }
}

// ---- the view ----

const struct vt_cell* vt_row(const struct vt* vt, uint32_t row) {
    if (row >= vt->view) {
        return vt->screen + (size_t)(row - vt->view) * vt->columns;
    }
    uint32_t back = vt->view - row; // 1: the line that scrolled off last
    uint32_t index = (vt->history_next + vt->history_rows - back) % vt->history_rows;
    return vt->history + (size_t)index * vt->columns;
}

bool vt_cursor_at(const struct vt* vt, uint32_t* row, uint32_t* column) {
    *row = vt->cursor.row + vt->view;
    *column = vt->cursor.column;
    return vt->cursor_shown && *row < vt->rows;
}

void vt_scroll_view(struct vt* vt, int32_t lines) {
    int64_t view = (int64_t)vt->view + lines;
    uint32_t most = vt->on_other ? 0 : vt->history_count;
    vt->view = view < 0 ? 0 : view > most ? most : (uint32_t)view;
    touch_rows(vt, 0, vt->rows);
}

bool vt_is_dirty(const struct vt* vt, uint32_t row) {
    return (vt->dirty[row / 64] >> (row % 64) & 1) != 0;
}

void vt_clean(struct vt* vt) {
    memset(vt->dirty, 0, sizeof(vt->dirty));
}
