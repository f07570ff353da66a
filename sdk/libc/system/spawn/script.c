#include "script.h"

#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// The line's end: its newline, or the file's end.
static bool find_end(const char* head, size_t len, bool whole, size_t* end) {
    for (*end = 0; *end < len; ++*end) {
        if (head[*end] == '\n') {
            return true;
        }
    }
    return whole;
}

static void copy_word(char* to, const char* from, size_t len) {
    memcpy(to, from, len);
    to[len] = '\0';
}

script_kind_t script_parse(const char* head, size_t len, bool whole, struct script_line* out) {
    if (len < 2 || head[0] != '#' || head[1] != '!') {
        return SCRIPT_NONE;
    }
    if (len > script_line_max) {
        len = script_line_max;
        whole = false;
    }
    size_t end;
    if (!find_end(head, len, whole, &end) || memchr(head, '\0', end) != nullptr) {
        return SCRIPT_WRONG;
    }
    size_t at = 2;
    while (at < end && is_blank(head[at])) {
        at++;
    }
    while (end > at && is_blank(head[end - 1])) {
        end--;
    }
    size_t path = at;
    while (at < end && !is_blank(head[at])) {
        at++;
    }
    if (at == path) {
        return SCRIPT_WRONG;
    }
    copy_word(out->interpreter, head + path, at - path);
    while (at < end && is_blank(head[at])) {
        at++;
    }
    copy_word(out->argument, head + at, end - at);
    return SCRIPT_GOOD;
}
