// Output streams. The formatter is the generic library's; a stream is its sink.
#include <stdio.h>

#include <stdlib.h>
#include <string.h>

#include <lib/assert.h>
#include <lib/fmt.h>
#include <zircon/syscalls.h>

#include "minic_priv.h"

constexpr size_t LINE_MAX = 256; // what one zx_debug_write takes

struct minic_file {
    struct minic_lock lock;
    uint16_t fd;
    bool by_line; // else at once
    bool looked;  // for the sink
    struct minic_sink sink;
    size_t used;
    char text[LINE_MAX];
};

static FILE out_file = {.fd = 1, .by_line = true};
static FILE err_file = {.fd = 2};
FILE* const stdout = &out_file;
FILE* const stderr = &err_file;

static bool write_out(FILE* f, const char* text, size_t len) {
    if (!f->looked) {
        f->looked = true;
        minic_sink_find(&f->sink, f->fd);
    }
    return minic_sink_write(&f->sink, text, len);
}

static bool flush_locked(FILE* f) {
    bool ok = f->used == 0 || write_out(f, f->text, f->used);
    f->used = 0;
    return ok;
}

// ---- the buffer ----

static void put_locked(void* ctx, const char* text, size_t len) {
    FILE* f = ctx;
    while (len > 0) {
        if (f->used == LINE_MAX) {
            (void)flush_locked(f);
        }
        size_t room = LINE_MAX - f->used;
        const char* newline = f->by_line ? memchr(text, '\n', len) : nullptr;
        size_t part = newline != nullptr ? (size_t)(newline - text) + 1 : len;
        bool whole_line = newline != nullptr && part <= room;
        part = part < room ? part : room;
        memcpy(f->text + f->used, text, part);
        f->used += part;
        text += part;
        len -= part;
        if (whole_line) {
            (void)flush_locked(f);
        }
    }
}

static void end_locked(FILE* f) {
    if (!f->by_line) {
        (void)flush_locked(f);
    }
    minic_unlock(&f->lock);
}

int vfprintf(FILE* restrict file, const char* restrict format, va_list args) {
    minic_lock(&file->lock);
    size_t len = fmt_vwrite(put_locked, file, format, args);
    end_locked(file);
    return (int)len;
}

size_t fwrite(const void* restrict data, size_t size, size_t count, FILE* restrict file) {
    size_t len;
    if (size == 0 || __builtin_mul_overflow(size, count, &len)) {
        return 0;
    }
    minic_lock(&file->lock);
    put_locked(file, data, len);
    end_locked(file);
    return count;
}

int fflush(FILE* file) {
    if (file == nullptr) {
        return fflush(stdout) | fflush(stderr);
    }
    minic_lock(&file->lock);
    bool ok = flush_locked(file);
    minic_unlock(&file->lock);
    return ok ? 0 : EOF;
}

// ---- the rest follows from these ----

int printf(const char* restrict format, ...) {
    va_list args;
    va_start(args);
    int len = vfprintf(stdout, format, args);
    va_end(args);
    return len;
}

int fprintf(FILE* restrict file, const char* restrict format, ...) {
    va_list args;
    va_start(args);
    int len = vfprintf(file, format, args);
    va_end(args);
    return len;
}

int vprintf(const char* restrict format, va_list args) {
    return vfprintf(stdout, format, args);
}

int vsnprintf(char* restrict buffer, size_t capacity, const char* restrict format, va_list args) {
    return (int)fmt_vsnprintf(buffer, capacity, format, args);
}

int snprintf(char* restrict buffer, size_t capacity, const char* restrict format, ...) {
    va_list args;
    va_start(args);
    int len = vsnprintf(buffer, capacity, format, args);
    va_end(args);
    return len;
}

int fputs(const char* restrict text, FILE* restrict file) {
    (void)fwrite(text, 1, strlen(text), file);
    return 0;
}

int puts(const char* text) {
    return printf("%s\n", text);
}

int putchar(int ch) {
    char byte = (char)ch;
    (void)fwrite(&byte, 1, 1, stdout);
    return (unsigned char)byte;
}

// ---- the end ----

void exit(int code) {
    (void)fflush(nullptr);
    zx_process_exit(code);
    __builtin_trap();
}

void abort(void) {
    __builtin_trap();
}

void minic_die(const char* reason) {
    char line[LINE_MAX];
    size_t len = fmt_snprintf(line, sizeof(line), "%s\n", reason);
    (void)zx_debug_write(line, len < sizeof(line) ? len : sizeof(line) - 1);
    __builtin_trap();
}

// What the generic library calls when it finds its own error.
void panic(const char* format, ...) {
    char line[LINE_MAX];
    va_list args;
    va_start(args);
    (void)fmt_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    minic_die(line);
}

void assert_failed(const char* expression, const char* file, int line) {
    panic("assertion failed: %s (%s:%d)", expression, file, line);
}
