// The kernel's receive buffer is emptied by polling: zx_debug_read does not wait and its handle has
// nothing to wait on. At the prompt that is once in POLL_PERIOD, while a program runs less often
// (the shell's clock).

#include "console.h"

#include <stdint.h>
#include <string.h>

#include <zircon/syscalls.h>

constexpr zx_duration_t POLL_PERIOD = 10'000'000;

constexpr char CONTROL_C = 0x03;
constexpr char CONTROL_D = 0x04;
constexpr char BACKSPACE = 0x08;
constexpr char CONTROL_U = 0x15;
constexpr char DELETE = 0x7f;

static void echo(const char* text) {
    (void)zx_debug_write(text, strlen(text));
}

// Appends what has arrived to `pending`. False: nothing new.
static bool fetch(struct console* c) {
    if (c->begin == c->end) {
        c->begin = 0;
        c->end = 0;
    }
    size_t room = sizeof(c->pending) - c->end;
    size_t got = 0;
    if (room == 0 || zx_debug_read(c->debug, c->pending + c->end, room, &got) != ZX_OK) {
        return false;
    }
    c->end += got;
    return got > 0;
}

static char read_char(struct console* c) {
    while (c->begin == c->end && !fetch(c)) {
        (void)zx_nanosleep(zx_deadline_after(POLL_PERIOD));
    }
    return c->pending[c->begin++];
}

bool console_interrupted(struct console* c) {
    (void)fetch(c);
    char* found = memchr(c->pending + c->begin, CONTROL_C, c->end - c->begin);
    if (found == nullptr) {
        return false;
    }
    c->begin = (size_t)(found - c->pending) + 1; // what was typed before it goes as well
    echo("^C\n");
    return true;
}

static void erase(size_t* len, size_t count) {
    for (; count > 0; count--) {
        echo("\b \b");
        --*len;
    }
}

console_result_t console_read_line(struct console* c, char* line, size_t capacity) {
    size_t len = 0;
    for (;;) {
        char ch = read_char(c);
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
