// The line discipline of a terminal: what happens between the keys and read(), and between write()
// and the screen. Pure: bytes, times and a function that takes output; no handles, no clock.
//
// Input is a ring of cells. What has been read is gone, what is committed can be read, what comes
// after it is the line being edited (canonical mode only). A cell is a byte and its marks: the end
// of a line, and an end of file, which has no byte.
//
// Flags and indices have POSIX's meaning and musl's values, as jacinth.io/Mode carries them.
// Not done: break and parity (there is no such line), delays, case mapping; a character outside
// ASCII counts as one column.
//
// No locks: one thread at a time.
#pragma once

#include <stddef.h>
#include <stdint.h>

// ---- modes ----

struct line_mode {
    uint32_t input;
    uint32_t output;
    uint32_t control; // kept, means nothing
    uint32_t local;
    uint8_t characters[32]; // 0: none
};

enum line_input_flag : uint32_t {
    LINE_ISTRIP = 0x20,
    LINE_INLCR = 0x40,
    LINE_IGNCR = 0x80,
    LINE_ICRNL = 0x100,
    LINE_IXON = 0x400,
    LINE_IXANY = 0x800,
    LINE_IMAXBEL = 0x2000,
    LINE_IUTF8 = 0x4000,
};

enum line_output_flag : uint32_t {
    LINE_OPOST = 0x1,
    LINE_ONLCR = 0x4,
    LINE_OCRNL = 0x8,
    LINE_ONOCR = 0x10,
    LINE_ONLRET = 0x20,
    LINE_XTABS = 0x1800,
};

enum line_local_flag : uint32_t {
    LINE_ISIG = 0x1,
    LINE_ICANON = 0x2,
    LINE_ECHO = 0x8,
    LINE_ECHOE = 0x10,
    LINE_ECHOK = 0x20,
    LINE_ECHONL = 0x40,
    LINE_NOFLSH = 0x80,
    LINE_ECHOCTL = 0x200,
    LINE_ECHOKE = 0x800,
    LINE_IEXTEN = 0x8000,
};

enum line_character : uint8_t {
    LINE_VINTR = 0,
    LINE_VQUIT = 1,
    LINE_VERASE = 2,
    LINE_VKILL = 3,
    LINE_VEOF = 4,
    LINE_VTIME = 5,
    LINE_VMIN = 6,
    LINE_VSTART = 8,
    LINE_VSTOP = 9,
    LINE_VSUSP = 10,
    LINE_VEOL = 11,
    LINE_VREPRINT = 12,
    LINE_VWERASE = 14,
    LINE_VLNEXT = 15,
    LINE_VEOL2 = 16,
};

// Canonical, with echo and signals, as a terminal is when nobody has set it.
extern const struct line_mode line_default_mode;

// ---- the discipline ----

// Longest line, and most that waits to be read; a power of two.
constexpr uint32_t LINE_CELLS = 4096;
constexpr uint32_t LINE_HELD = 512;
constexpr int64_t LINE_NEVER = INT64_MAX;

typedef enum line_event : uint32_t {
    LINE_INTERRUPT = 1u << 0,
    LINE_QUIT = 1u << 1,
    LINE_SUSPEND = 1u << 2,
} line_event_t;

// Takes what the terminal is to show.
typedef void (*line_emit_fn)(void* ctx, const uint8_t* bytes, size_t count);

struct line {
    struct line_mode mode;
    line_emit_fn emit;
    void* ctx;

    uint16_t cells[LINE_CELLS];
    uint32_t head;      // next cell to read
    uint32_t committed; // behind the last cell that can be read
    uint32_t tail;      // behind the last cell

    uint32_t column;         // of the cursor, as far as plain text tells
    uint32_t start_column;   // where the line being edited began
    bool literal;            // the next character is taken as it is
    bool stopped;            // by VSTOP
    uint8_t held[LINE_HELD]; // echo that waits for VSTART; what does not fit is lost
    uint32_t held_count;

    bool read_waits;  // somebody was told to come again, by VMIN and VTIME
    bool timed_out;   // ... and VTIME has passed since
    int64_t deadline; // when it will have
};

void line_init(struct line* l, line_emit_fn emit, void* ctx);

// What was typed, at `now` (ns of any one clock). The result: line_event_t bits.
uint32_t line_type(struct line* l, int64_t now, const uint8_t* bytes, size_t count);

typedef enum line_read_result : uint8_t {
    LINE_READ_DATA, // may be none with VMIN 0
    LINE_READ_END,  // end of file
    LINE_READ_WAIT,
} line_read_result_t;
// At most `max` (> 0) bytes, in canonical mode at most one line.
line_read_result_t line_read(struct line* l, int64_t now, uint8_t* out, size_t max, size_t* count);
// Whether line_read() would give something, or an end.
bool line_readable(const struct line* l);

// When line_expire() must be called next, or LINE_NEVER.
int64_t line_deadline(const struct line* l);
void line_expire(struct line* l, int64_t now);

// Shows text. False: output is stopped, nothing was taken.
bool line_write(struct line* l, const uint8_t* bytes, size_t count);
bool line_writable(const struct line* l);

// What is committed is kept in the form that fits the new mode: from canonical to raw the line
// being edited can be read at once, from raw to canonical what was not read is a line.
void line_set_mode(struct line* l, const struct line_mode* mode);
void line_flush_input(struct line* l);
// Held echo; output goes on.
void line_flush_output(struct line* l);
