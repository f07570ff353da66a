// Two threads share a ring: the reader fills it, the main thread empties it. The event's signals
// say what is new: DATA that the ring may have grown, SIGNALED that control-C came while a program
// ran (what was typed before it is then dropped).

#include "console.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

constexpr char CONTROL_C = 0x03;
constexpr char CONTROL_D = 0x04;
constexpr char BACKSPACE = 0x08;
constexpr char CONTROL_U = 0x15;
constexpr char ESCAPE = 0x1b;
constexpr char DELETE = 0x7f;

enum escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_PARAMETERS, ESCAPE_LAST };

constexpr uint32_t RING_LEN = 1024; // a power of two
constexpr zx_signals_t DATA = ZX_USER_SIGNAL_0;

static struct {
    zx_handle_t debug;         // immutable once the thread runs
    zx_handle_t event;         // immutable once the thread runs
    _Atomic(bool) line_active; // control-C belongs to the line being read
    _Atomic(uint32_t) head;    // next to write; the reader's
    _Atomic(uint32_t) tail;    // next to read; the main thread's, and the reader's on control-C
    char ring[RING_LEN];
    alignas(16) char stack[8192];
} console;

static void echo(const char* text) {
    (void)zx_debug_write(text, strlen(text));
}

// ---- the reading thread ----

static void take(char ch) {
    uint32_t head = atomic_load_explicit(&console.head, memory_order_relaxed);
    if (ch == CONTROL_C && !atomic_load_explicit(&console.line_active, memory_order_acquire)) {
        atomic_store_explicit(&console.tail, head, memory_order_release);
        echo("^C\n");
        (void)zx_object_signal(console.event, 0, ZX_EVENT_SIGNALED);
        return;
    }
    uint32_t tail = atomic_load_explicit(&console.tail, memory_order_acquire);
    if (head - tail < RING_LEN) { // else nobody has read for a long time: it is lost
        console.ring[head % RING_LEN] = ch;
        atomic_store_explicit(&console.head, head + 1, memory_order_release);
    }
}

static void read_forever(uintptr_t, uintptr_t) {
    for (;;) {
        char chunk[64];
        size_t got = 0;
        if (zx_debug_read(console.debug, chunk, sizeof(chunk), &got) != ZX_OK) {
            break; // no console: the machine has none, or it is going down
        }
        for (size_t i = 0; i < got; i++) {
            take(chunk[i]);
        }
        (void)zx_object_signal(console.event, 0, DATA);
    }
    zx_thread_exit();
}

zx_status_t console_start(zx_handle_t debug_resource) {
    console.debug = debug_resource;
    zx_status_t status = zx_event_create(0, &console.event);
    zx_handle_t thread = ZX_HANDLE_INVALID;
    if (status == ZX_OK) {
        status = zx_thread_create(zx_process_self(), "console", 7, 0, &thread);
    }
    if (status == ZX_OK) {
        // As after a call: a multiple of 16, less the return address.
        uintptr_t top = (uintptr_t)console.stack + sizeof(console.stack) - 8;
        status = zx_thread_start(thread, (zx_vaddr_t)read_forever, top, 0, 0);
    }
    (void)zx_handle_close(thread);
    return status;
}

zx_handle_t console_interrupt(void) {
    return console.event;
}

// ---- lines ----

static bool get_char(char* ch) {
    uint32_t tail = atomic_load_explicit(&console.tail, memory_order_relaxed);
    if (tail == atomic_load_explicit(&console.head, memory_order_acquire)) {
        return false;
    }
    *ch = console.ring[tail % RING_LEN];
    // The reader moves the tail only while no line is read.
    atomic_store_explicit(&console.tail, tail + 1, memory_order_release);
    return true;
}

// Waits for a character. Clears DATA before it looks, so that none is missed.
static char read_char(void) {
    char ch;
    while (!get_char(&ch)) {
        (void)zx_object_wait_one(console.event, DATA, ZX_TIME_INFINITE, nullptr);
        (void)zx_object_signal(console.event, DATA, 0);
    }
    return ch;
}

static void erase(size_t* len, size_t count) {
    for (; count > 0; count--) {
        echo("\b \b");
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
        if (skip_sequence(&escape, ch)) {
            continue;
        }
        if (ch == '\r' || ch == '\n') {
            echo("\n");
            line[len] = '\0';
            return CONSOLE_LINE;
        }
        if (ch == CONTROL_D && len == 0) {
            echo("\n");
            return CONSOLE_END;
        }
        if (ch == CONTROL_C) {
            echo("^C\n");
            return CONSOLE_EMPTY;
        }
        if (ch == BACKSPACE || ch == DELETE) {
            erase(&len, len > 0 ? 1 : 0);
        } else if (ch == CONTROL_U) {
            erase(&len, len);
        } else if ((uint8_t)ch >= ' ' && len < capacity - 1) {
            line[len++] = ch;
            (void)zx_debug_write(&ch, 1);
        }
    }
}

console_result_t console_read_line(char* line, size_t capacity) {
    atomic_store_explicit(&console.line_active, true, memory_order_release);
    console_result_t result = edit_line(line, capacity);
    atomic_store_explicit(&console.line_active, false, memory_order_release);
    return result;
}
