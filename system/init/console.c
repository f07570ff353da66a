#include "console.h"

#include <string.h>

#include <io/client.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "authority.h"

constexpr char CONTROL_C = 0x03;
constexpr char CONTROL_D = 0x04;
constexpr char BACKSPACE = 0x08;
constexpr char CONTROL_U = 0x15;
constexpr char ESCAPE = 0x1b;
constexpr char DELETE = 0x7f;

// POSIX's flags, as jacinth.io/Mode carries them.
constexpr uint32_t ICRNL = 0x100, IXON = 0x400;
constexpr uint32_t ISIG = 0x1, ICANON = 0x2, ECHO = 0x8, IEXTEN = 0x8000;

enum escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_PARAMETERS, ESCAPE_LAST };

static struct {
    zx_handle_t dev;
    zx_handle_t terminal, events, controller;
    struct jacinth_io_mode mode; // of programs
    char chunk[256];             // read and not yet used
    size_t chunk_at, chunk_len;
    bool lost; // the terminal went away while a line was read
} console;

// ---- opening ----

static void close_all(void) {
    (void)zx_handle_close(console.terminal);
    (void)zx_handle_close(console.events);
    (void)zx_handle_close(console.controller);
    console.terminal = console.events = console.controller = ZX_HANDLE_INVALID;
    console.chunk_at = console.chunk_len = 0;
}

static zx_status_t control(void) {
    zx_handle_t theirs;
    zx_status_t status = zx_eventpair_create(0, &console.controller, &theirs);
    return status == ZX_OK ? io_terminal_set_controller(console.terminal, theirs) : status;
}

// A program may have made itself the controller, as shells do: then our pair is dead, and when that
// program has ended nobody hears of control-C.
static bool has_control(void) {
    return zx_object_wait_one(console.controller, ZX_EVENTPAIR_PEER_CLOSED, 0, nullptr) ==
           ZX_ERR_TIMED_OUT;
}

static void take_control_back(void) {
    if (!has_control()) {
        (void)zx_handle_close(console.controller);
        console.controller = ZX_HANDLE_INVALID;
        (void)control(); // tried again with the next line
    }
}

static zx_status_t open_terminal(void) {
    struct io_opened opened;
    close_all();
    zx_status_t status =
        io_open(console.dev, "console", 7, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE, 0,
                &opened, nullptr);
    if (status != ZX_OK) {
        return status;
    }
    console.terminal = opened.connection;
    console.events = opened.events;
    status = control();
    if (status == ZX_OK) {
        status = io_terminal_get_mode(console.terminal, &console.mode);
    }
    return status;
}

zx_status_t console_start(zx_handle_t dev) {
    console.dev = dev;
    return open_terminal();
}

zx_handle_t console_controller(zx_signals_t* signal) {
    *signal = JACINTH_IO_EVENT_INTERRUPT;
    return console.controller;
}

void console_give(struct given* given) {
    if (console.terminal != ZX_HANDLE_INVALID) {
        given_add_terminal(given, console.terminal, console.events);
    }
}

// ---- modes ----

static void be_raw(void) {
    struct jacinth_io_mode raw = console.mode;
    raw.input &= ~(ICRNL | IXON);
    raw.local &= ~(ISIG | ICANON | ECHO | IEXTEN);
    raw.characters[6] = 1; // VMIN
    raw.characters[5] = 0; // VTIME
    console.lost =
        io_terminal_set_mode(console.terminal, &raw, JACINTH_IO_WHEN_NOW) != ZX_OK || console.lost;
}

// What was typed before is no program's to be interrupted by.
static void be_programs(void) {
    take_control_back();
    (void)zx_object_signal(console.controller, JACINTH_IO_EVENT_INTERRUPT, 0);
    (void)io_terminal_set_mode(console.terminal, &console.mode, JACINTH_IO_WHEN_NOW);
}

// ---- characters ----

static void echo(const char* text, size_t len) {
    while (len > 0 && !console.lost) {
        size_t done = 0;
        zx_status_t status = io_terminal_write(console.terminal, text, len, &done);
        if (status == ZX_ERR_SHOULD_WAIT) {
            status = zx_object_wait_one(console.events,
                                        JACINTH_IO_EVENT_WRITABLE | ZX_EVENTPAIR_PEER_CLOSED,
                                        ZX_TIME_INFINITE, nullptr);
        }
        console.lost = status != ZX_OK;
        text += done;
        len -= done;
    }
}

static void echo_text(const char* text) {
    echo(text, strlen(text));
}

static zx_status_t fill_chunk(void) {
    for (;;) {
        zx_status_t status = io_terminal_read(console.terminal, console.chunk,
                                              sizeof(console.chunk), &console.chunk_len);
        console.chunk_at = 0;
        if (status != ZX_ERR_SHOULD_WAIT) {
            return status == ZX_OK && console.chunk_len == 0 ? ZX_ERR_IO : status;
        }
        console.chunk_len = 0;
        zx_signals_t seen = 0;
        status =
            zx_object_wait_one(console.events, JACINTH_IO_EVENT_READABLE | ZX_EVENTPAIR_PEER_CLOSED,
                               ZX_TIME_INFINITE, &seen);
        if (status != ZX_OK || (seen & ZX_EVENTPAIR_PEER_CLOSED) != 0) {
            return ZX_ERR_PEER_CLOSED;
        }
    }
}

static char read_char(void) {
    if (console.chunk_at == console.chunk_len && !console.lost) {
        console.lost = fill_chunk() != ZX_OK;
    }
    return console.lost ? '\0' : console.chunk[console.chunk_at++];
}

// ---- lines ----

static void erase(size_t* len, size_t count) {
    for (; count > 0; count--) {
        echo_text("\b \b");
        --*len;
    }
}

// The rest of what a key such as an arrow sends after ESC: "[", parameters, a letter; or "O" and a
// letter. It means nothing here, and what does not look so is a character of the line.
static bool skip_sequence(enum escape* state, char ch) {
    switch (*state) {
    case ESCAPE_BEGUN:
        if (ch == ESCAPE) {
            return true; // with Alt: one more
        }
        *state = ch == '[' ? ESCAPE_PARAMETERS : ch == 'O' ? ESCAPE_LAST : ESCAPE_NONE;
        return *state != ESCAPE_NONE;
    case ESCAPE_PARAMETERS:
        if (ch < ' ' || ch > '~') {
            *state = ESCAPE_NONE; // a broken one: control characters count
            return false;
        }
        if (ch >= '@') {
            *state = ESCAPE_NONE;
        }
        return true;
    case ESCAPE_LAST:
        *state = ESCAPE_NONE;
        return ch >= ' ';
    default:
        if (ch == ESCAPE) {
            *state = ESCAPE_BEGUN;
            return true;
        }
        return false;
    }
}

static console_result_t edit_line(char* line, size_t capacity) {
    size_t len = 0;
    enum escape escape = ESCAPE_NONE;
    for (;;) {
        char ch = read_char();
        if (console.lost) {
            return CONSOLE_LOST;
        }
        if (skip_sequence(&escape, ch)) {
            continue;
        }
        if (ch == '\r' || ch == '\n') {
            line[len] = '\0';
            return CONSOLE_LINE;
        }
        if (ch == CONTROL_D && len == 0) {
            return CONSOLE_END;
        }
        if (ch == CONTROL_C) {
            echo_text("^C");
            return CONSOLE_EMPTY;
        }
        if (ch == BACKSPACE || ch == DELETE) {
            erase(&len, len > 0 ? 1 : 0);
        } else if (ch == CONTROL_U) {
            erase(&len, len);
        } else if ((uint8_t)ch >= ' ' && len < capacity - 1) {
            line[len++] = ch;
            echo(&ch, 1);
        }
    }
}

static console_result_t read_line(const char* prompt, char* line, size_t capacity) {
    be_raw();
    echo_text(prompt);
    console_result_t result = edit_line(line, capacity);
    // In this order: whoever sees the line's end may rely on control-C.
    be_programs();
    echo_text("\n");
    return result;
}

console_result_t console_read_line(const char* prompt, char* line, size_t capacity) {
    for (;;) {
        console.lost = false;
        console_result_t result = read_line(prompt, line, capacity);
        if (result != CONSOLE_LOST) {
            return result;
        }
        // The server is started again, sooner or later; without it there is nothing to do.
        while (open_terminal() != ZX_OK) {
            (void)zx_nanosleep(zx_clock_get_monotonic() + ZX_MSEC(100));
        }
    }
}
