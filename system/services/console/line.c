#include <console/line.h>

#include <string.h>

constexpr uint16_t CELL_END = 0x100; // the last of a line
constexpr uint16_t CELL_EOF = 0x200; // an end of file: no byte, and the last of a line
constexpr uint8_t BELL = 0x07;
constexpr uint8_t BACKSPACE = 0x08;
constexpr uint8_t DELETE = 0x7f;
constexpr uint32_t TAB_STOP = 8;
constexpr int64_t DECISECOND = 100'000'000;

const struct line_mode line_default_mode = {
    .input = LINE_ICRNL | LINE_IXON | LINE_IMAXBEL | LINE_IUTF8,
    .output = LINE_OPOST | LINE_ONLCR,
    .control = 0x10b2, // 115200, eight bits, receiver on
    .local = LINE_ISIG | LINE_ICANON | LINE_ECHO | LINE_ECHOE | LINE_ECHOK | LINE_ECHOCTL |
             LINE_ECHOKE | LINE_IEXTEN,
    .characters = {[LINE_VINTR] = 0x03,
                   [LINE_VQUIT] = 0x1c,
                   [LINE_VERASE] = DELETE,
                   [LINE_VKILL] = 0x15,
                   [LINE_VEOF] = 0x04,
                   [LINE_VMIN] = 1,
                   [LINE_VSTART] = 0x11,
                   [LINE_VSTOP] = 0x13,
                   [LINE_VSUSP] = 0x1a,
                   [LINE_VREPRINT] = 0x12,
                   [LINE_VWERASE] = 0x17,
                   [LINE_VLNEXT] = 0x16},
};

void line_init(struct line* l, line_emit_fn emit, void* ctx) {
    memset(l, 0, sizeof(*l));
    l->mode = line_default_mode;
    l->emit = emit;
    l->ctx = ctx;
    l->deadline = LINE_NEVER;
}

static bool local_flag(const struct line* l, uint32_t flag) {
    return (l->mode.local & flag) != 0;
}

static bool input_flag(const struct line* l, uint32_t flag) {
    return (l->mode.input & flag) != 0;
}

// Whether `ch` is the control character `which`, which may be switched off.
static bool is(const struct line* l, uint8_t ch, enum line_character which) {
    return ch == l->mode.characters[which] && ch != 0;
}

// ---- output ----

static bool is_continuation(uint8_t ch) {
    return (ch & 0xc0) == 0x80;
}

static uint32_t next_column(uint32_t column, uint8_t ch) {
    switch (ch) {
    case '\r':
        return 0;
    case '\t':
        return column - column % TAB_STOP + TAB_STOP;
    case BACKSPACE:
        return column > 0 ? column - 1 : 0;
    default:
        return ch < ' ' || ch == DELETE || is_continuation(ch) ? column : column + 1;
    }
}

static void emit_raw(struct line* l, uint8_t ch) {
    l->column = next_column(l->column, ch);
    l->emit(l->ctx, &ch, 1);
}

// One character after post-processing.
static void emit_processed(struct line* l, uint8_t ch) {
    uint32_t output = l->mode.output;
    if ((output & LINE_OPOST) == 0) {
        emit_raw(l, ch);
    } else if (ch == '\n' && (output & LINE_ONLCR) != 0) {
        emit_raw(l, '\r');
        emit_raw(l, '\n');
    } else if (ch == '\n') {
        emit_raw(l, '\n');
        l->column = (output & LINE_ONLRET) != 0 ? 0 : l->column;
    } else if (ch == '\r' && (output & LINE_ONOCR) != 0 && l->column == 0) {
        return;
    } else if (ch == '\r' && (output & LINE_OCRNL) != 0) {
        emit_raw(l, '\n');
        l->column = (output & LINE_ONLRET) != 0 ? 0 : l->column;
    } else if (ch == '\t' && (output & LINE_XTABS) == LINE_XTABS) {
        do {
            emit_raw(l, ' ');
        } while (l->column % TAB_STOP != 0);
    } else {
        emit_raw(l, ch);
    }
}

// What needs no processing goes out in one piece.
static bool is_plain(const struct line* l, uint8_t ch) {
    return (l->mode.output & LINE_OPOST) == 0 || (ch != '\n' && ch != '\r' && ch != '\t');
}

bool line_write(struct line* l, const uint8_t* bytes, size_t count) {
    if (l->stopped) {
        return false;
    }
    size_t at = 0;
    while (at < count) {
        size_t begin = at;
        while (at < count && is_plain(l, bytes[at])) {
            l->column = next_column(l->column, bytes[at++]);
        }
        if (at > begin) {
            l->emit(l->ctx, bytes + begin, at - begin);
        } else {
            emit_processed(l, bytes[at++]);
        }
    }
    return true;
}

bool line_writable(const struct line* l) {
    return !l->stopped;
}

// ---- echo ----

static void echo(struct line* l, uint8_t ch) {
    if (!l->stopped) {
        emit_processed(l, ch);
    } else if (l->held_count < LINE_HELD) {
        l->held[l->held_count++] = ch;
    }
}

static void echo_text(struct line* l, const char* text) {
    for (; *text != '\0'; text++) {
        echo(l, (uint8_t)*text);
    }
}

static void resume(struct line* l) {
    if (!l->stopped) {
        return;
    }
    l->stopped = false;
    for (uint32_t i = 0; i < l->held_count; i++) {
        emit_processed(l, l->held[i]);
    }
    l->held_count = 0;
}

static bool shown_with_caret(const struct line* l, uint8_t ch) {
    return local_flag(l, LINE_ECHOCTL) && (ch < ' ' || ch == DELETE) && ch != '\n' && ch != '\t';
}

static void echo_typed(struct line* l, uint8_t ch) {
    if (!local_flag(l, LINE_ECHO)) {
        if (ch == '\n' && local_flag(l, LINE_ECHONL) && local_flag(l, LINE_ICANON)) {
            echo(l, ch);
        }
        return;
    }
    if (shown_with_caret(l, ch)) {
        echo(l, '^');
        echo(l, ch ^ 0x40);
    } else {
        echo(l, ch);
    }
}

// ---- cells ----

static uint16_t* cell(struct line* l, uint32_t index) {
    return &l->cells[index % LINE_CELLS];
}

static uint32_t edited(const struct line* l) {
    return l->tail - l->committed;
}

// One cell is kept for the end of the line.
static bool has_room(const struct line* l) {
    return l->tail - l->head < LINE_CELLS - 1;
}

static void put(struct line* l, uint16_t value) {
    *cell(l, l->tail) = value;
    l->tail++;
}

static void commit(struct line* l) {
    l->committed = l->tail;
}

static uint32_t column_after(const struct line* l, uint32_t column, uint8_t ch) {
    return shown_with_caret(l, ch) ? column + 2 : next_column(column, ch);
}

// The column behind the edited line's cells up to `end`.
static uint32_t column_of(struct line* l, uint32_t end) {
    uint32_t column = l->start_column;
    for (uint32_t i = l->committed; i != end; i++) {
        column = column_after(l, column, (uint8_t)*cell(l, i));
    }
    return column;
}

// ---- editing ----

// Takes `count` cells off the edited line, and off the screen if they are shown.
static void take_back(struct line* l, uint32_t count, bool visibly) {
    uint32_t before = column_of(l, l->tail);
    l->tail -= count;
    uint32_t after = column_of(l, l->tail);
    // Nothing is beyond the left margin: a line that has been wrapped by the terminal stays.
    for (; visibly && before > after; before--) {
        echo_text(l, "\b \b");
    }
}

static uint8_t edited_byte(struct line* l, uint32_t from_end) {
    return (uint8_t)*cell(l, l->tail - from_end);
}

// How many cells the last character of the line, less its last `skip` cells, takes.
static uint32_t last_character(struct line* l, uint32_t skip) {
    uint32_t left = edited(l) - skip;
    uint32_t len = 1;
    while (input_flag(l, LINE_IUTF8) && len < left && len < 4 &&
           is_continuation(edited_byte(l, skip + len))) {
        len++;
    }
    return len;
}

static void erase_character(struct line* l) {
    if (edited(l) > 0) {
        take_back(l, last_character(l, 0), local_flag(l, LINE_ECHO) && local_flag(l, LINE_ECHOE));
    }
}

static bool is_blank(uint8_t ch) {
    return ch == ' ' || ch == '\t';
}

static void erase_word(struct line* l) {
    uint32_t count = 0;
    while (count < edited(l) && is_blank(edited_byte(l, count + 1))) {
        count++;
    }
    while (count < edited(l) && !is_blank(edited_byte(l, count + 1))) {
        count++;
    }
    take_back(l, count, local_flag(l, LINE_ECHO));
}

static void erase_line(struct line* l, uint8_t ch) {
    bool shown = local_flag(l, LINE_ECHO);
    bool visibly = shown && local_flag(l, LINE_ECHOE) && local_flag(l, LINE_ECHOKE);
    take_back(l, edited(l), visibly);
    if (shown && !visibly) {
        echo_typed(l, ch);
        if (local_flag(l, LINE_ECHOK)) {
            echo(l, '\n');
        }
    }
}

static void reprint(struct line* l, uint8_t ch) {
    if (!local_flag(l, LINE_ECHO)) {
        return;
    }
    echo_typed(l, ch);
    echo(l, '\n');
    l->start_column = 0;
    for (uint32_t i = l->committed; i != l->tail; i++) {
        echo_typed(l, (uint8_t)*cell(l, i));
    }
}

static void refuse(struct line* l) {
    if (input_flag(l, LINE_IMAXBEL)) {
        echo(l, BELL);
    }
}

static void add_to_line(struct line* l, uint8_t ch) {
    if (!has_room(l)) {
        refuse(l);
        return;
    }
    if (edited(l) == 0) {
        l->start_column = l->column;
    }
    put(l, ch);
    echo_typed(l, ch);
}

// The last cell of all is for ends of lines; a second one that finds no room is lost.
static bool end_line(struct line* l, uint16_t value) {
    if (l->tail - l->head == LINE_CELLS) {
        refuse(l);
        return false;
    }
    put(l, value | CELL_END);
    commit(l);
    return true;
}

// True: it was an editing character.
static bool edit(struct line* l, uint8_t ch) {
    bool extended = local_flag(l, LINE_IEXTEN);
    if (is(l, ch, LINE_VERASE)) {
        erase_character(l);
    } else if (is(l, ch, LINE_VKILL)) {
        erase_line(l, ch);
    } else if (extended && is(l, ch, LINE_VWERASE)) {
        erase_word(l);
    } else if (extended && is(l, ch, LINE_VREPRINT)) {
        reprint(l, ch);
    } else {
        return false;
    }
    return true;
}

static void type_canonical(struct line* l, uint8_t ch) {
    if (edit(l, ch)) {
        return;
    }
    if (is(l, ch, LINE_VEOF)) {
        (void)end_line(l, CELL_EOF);
    } else if (ch == '\n' || is(l, ch, LINE_VEOL) ||
               (is(l, ch, LINE_VEOL2) && local_flag(l, LINE_IEXTEN))) {
        if (end_line(l, ch)) {
            echo_typed(l, ch);
        }
    } else {
        add_to_line(l, ch);
    }
}

// ---- typing ----

static void set_timer(struct line* l, int64_t now) {
    int64_t delay = l->mode.characters[LINE_VTIME] * DECISECOND;
    l->deadline = delay <= LINE_NEVER - now ? now + delay : LINE_NEVER;
}

// The timer between bytes runs from the first one on.
static void type_raw(struct line* l, int64_t now, uint8_t ch) {
    if (!has_room(l)) {
        refuse(l);
        return;
    }
    put(l, ch);
    commit(l);
    echo_typed(l, ch);
    l->timed_out = false;
    if (l->mode.characters[LINE_VTIME] != 0 && l->mode.characters[LINE_VMIN] != 0) {
        set_timer(l, now);
    }
}

static uint32_t signal_of(const struct line* l, uint8_t ch) {
    if (!local_flag(l, LINE_ISIG)) {
        return 0;
    }
    return is(l, ch, LINE_VINTR)   ? LINE_INTERRUPT
           : is(l, ch, LINE_VQUIT) ? LINE_QUIT
           : is(l, ch, LINE_VSUSP) ? LINE_SUSPEND
                                   : 0;
}

// What was typed before a signal is not for whoever comes after it.
static void type_signal(struct line* l, uint8_t ch) {
    resume(l);
    if (!local_flag(l, LINE_NOFLSH)) {
        line_flush_input(l);
    }
    echo_typed(l, ch);
}

// True: it was flow control.
static bool type_flow(struct line* l, uint8_t ch) {
    if (!input_flag(l, LINE_IXON)) {
        return false;
    }
    bool start = is(l, ch, LINE_VSTART);
    bool stop = is(l, ch, LINE_VSTOP);
    if (stop && !(start && l->stopped)) { // one character may be both
        l->stopped = true;
    } else if (start || input_flag(l, LINE_IXANY)) {
        resume(l);
    }
    return start || stop;
}

static void type_literally(struct line* l, int64_t now, uint8_t ch) {
    l->literal = false;
    if (local_flag(l, LINE_ICANON)) {
        add_to_line(l, ch);
    } else {
        type_raw(l, now, ch);
    }
}

static bool begins_literal(struct line* l, uint8_t ch) {
    if (!local_flag(l, LINE_IEXTEN) || !local_flag(l, LINE_ICANON) || !is(l, ch, LINE_VLNEXT)) {
        return false;
    }
    l->literal = true;
    if (local_flag(l, LINE_ECHO) && local_flag(l, LINE_ECHOCTL)) {
        echo_text(l, "^\b"); // the caret stands where the character will
    }
    return true;
}

// What the line's end looks like. False: the character is dropped.
static bool translate(const struct line* l, uint8_t* ch) {
    if (input_flag(l, LINE_ISTRIP)) {
        *ch &= 0x7f;
    }
    if (*ch == '\r') {
        if (input_flag(l, LINE_IGNCR)) {
            return false;
        }
        *ch = input_flag(l, LINE_ICRNL) ? '\n' : '\r';
    } else if (*ch == '\n' && input_flag(l, LINE_INLCR)) {
        *ch = '\r';
    }
    return true;
}

static uint32_t type_one(struct line* l, int64_t now, uint8_t ch) {
    if (l->literal) {
        type_literally(l, now, ch);
        return 0;
    }
    uint32_t event = signal_of(l, ch);
    if (event != 0) {
        type_signal(l, ch);
        return event;
    }
    if (type_flow(l, ch) || !translate(l, &ch) || begins_literal(l, ch)) {
        return 0;
    }
    if (local_flag(l, LINE_ICANON)) {
        type_canonical(l, ch);
    } else {
        type_raw(l, now, ch);
    }
    return 0;
}

uint32_t line_type(struct line* l, int64_t now, const uint8_t* bytes, size_t count) {
    uint32_t events = 0;
    for (size_t i = 0; i < count; i++) {
        events |= type_one(l, now, bytes[i]);
    }
    return events;
}

// ---- reading ----

bool line_readable(const struct line* l) {
    uint32_t count = l->committed - l->head;
    if (local_flag(l, LINE_ICANON)) {
        return count > 0;
    }
    uint8_t least = l->mode.characters[LINE_VMIN];
    if (least == 0) {
        return count > 0 || l->mode.characters[LINE_VTIME] == 0 || l->timed_out;
    }
    static_assert(UINT8_MAX < LINE_CELLS - 1); // else it might never come
    return count >= least || (count > 0 && l->timed_out);
}

static line_read_result_t read_line(struct line* l, uint8_t* out, size_t max, size_t* count) {
    size_t got = 0;
    bool ended = false;
    while (got < max && !ended && l->head != l->committed) {
        uint16_t value = *cell(l, l->head++);
        ended = (value & (CELL_END | CELL_EOF)) != 0;
        if ((value & CELL_EOF) == 0) {
            out[got++] = (uint8_t)value;
        }
    }
    // A line that fills the buffer and then ends by VEOF has no empty read after it.
    if (!ended && l->head != l->committed && (*cell(l, l->head) & CELL_EOF) != 0) {
        l->head++;
    }
    *count = got;
    return got > 0 ? LINE_READ_DATA : LINE_READ_END;
}

static line_read_result_t read_raw(struct line* l, int64_t now, uint8_t* out, size_t max,
                                   size_t* count) {
    size_t got = 0;
    while (got < max && l->head != l->committed) {
        out[got++] = (uint8_t)*cell(l, l->head);
        l->head++;
    }
    l->timed_out = false;
    l->deadline = LINE_NEVER;
    if (l->head != l->committed && l->mode.characters[LINE_VMIN] != 0 &&
        l->mode.characters[LINE_VTIME] != 0) {
        set_timer(l, now);
    }
    *count = got;
    return LINE_READ_DATA;
}

line_read_result_t line_read(struct line* l, int64_t now, uint8_t* out, size_t max, size_t* count) {
    *count = 0;
    if (line_readable(l)) {
        l->read_waits = false;
        return local_flag(l, LINE_ICANON) ? read_line(l, out, max, count)
                                          : read_raw(l, now, out, max, count);
    }
    // VMIN 0: the time counts from the read on.
    bool timed = !local_flag(l, LINE_ICANON) && l->mode.characters[LINE_VMIN] == 0;
    if (timed && !l->read_waits) {
        set_timer(l, now);
    }
    l->read_waits = true;
    return LINE_READ_WAIT;
}

int64_t line_deadline(const struct line* l) {
    return l->deadline;
}

void line_expire(struct line* l, int64_t now) {
    if (now >= l->deadline) {
        l->deadline = LINE_NEVER;
        l->timed_out = true;
    }
}

// ---- changes ----

static void forget_timer(struct line* l) {
    l->read_waits = false;
    l->timed_out = false;
    l->deadline = LINE_NEVER;
}

// Ends of file mean nothing in raw mode.
static void drop_ends(struct line* l) {
    uint32_t to = l->head;
    for (uint32_t from = l->head; from != l->tail; from++) {
        uint16_t value = *cell(l, from);
        if ((value & CELL_EOF) == 0) {
            *cell(l, to++) = (uint8_t)value;
        }
    }
    l->tail = to;
    commit(l);
}

void line_set_mode(struct line* l, const struct line_mode* mode) {
    bool was_canonical = local_flag(l, LINE_ICANON);
    l->mode = *mode;
    bool canonical = local_flag(l, LINE_ICANON);
    if (was_canonical && !canonical) {
        drop_ends(l);
        l->literal = false;
    } else if (!was_canonical && canonical && l->head != l->tail) {
        *cell(l, l->tail - 1) |= CELL_END;
    }
    forget_timer(l);
    if (!input_flag(l, LINE_IXON)) {
        resume(l);
    }
}

void line_flush_input(struct line* l) {
    l->head = l->tail;
    l->committed = l->tail;
    l->literal = false;
    forget_timer(l);
}

void line_flush_output(struct line* l) {
    l->held_count = 0;
}
