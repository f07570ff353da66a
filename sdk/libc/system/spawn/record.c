#include <spawn/record.h>

#include <limits.h>
#include <string.h>

static const char tag[] = "jacinth.process";

struct field {
    const char* name;
    uint32_t base;
    uint64_t max;
    size_t offset;
    bool wide;
};

#define FIELD(member, base, max) \
    {#member, base, max, offsetof(struct record, member), sizeof((struct record){}.member) == 8}
static const struct field fields[] = {
    FIELD(pid, 10, INT_MAX),        FIELD(ppid, 10, INT_MAX),       FIELD(pgid, 10, INT_MAX),
    FIELD(sid, 10, INT_MAX),        FIELD(umask, 8, 07777),         FIELD(blocked, 16, UINT64_MAX),
    FIELD(ignored, 16, UINT64_MAX), FIELD(pending, 16, UINT64_MAX),
};
constexpr size_t field_count = sizeof(fields) / sizeof(fields[0]);

static uint64_t get(const struct record* r, const struct field* f) {
    const char* at = (const char*)r + f->offset;
    uint64_t value = 0;
    memcpy(&value, at, f->wide ? sizeof(uint64_t) : sizeof(uint32_t));
    return value;
}

static void set(struct record* r, const struct field* f, uint64_t value) {
    memcpy((char*)r + f->offset, &value, f->wide ? sizeof(uint64_t) : sizeof(uint32_t));
}

// ---- writing ----

struct writer {
    char *at, *end;
    bool full;
};

static void put(struct writer* w, const char* text) {
    size_t len = strlen(text);
    if (len >= (size_t)(w->end - w->at)) {
        w->full = true;
        return;
    }
    memcpy(w->at, text, len + 1);
    w->at += len;
}

static void put_number(struct writer* w, uint64_t value, uint32_t base) {
    char digits[24];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put(w, digits + at);
}

bool record_write(const struct record* record, char* buffer, size_t len) {
    struct writer w = {.at = buffer, .end = buffer + len};
    put(&w, tag);
    for (size_t i = 0; i < field_count; i++) {
        put(&w, " ");
        put(&w, fields[i].name);
        put(&w, "=");
        put_number(&w, get(record, &fields[i]), fields[i].base);
    }
    if (record->exe != nullptr) {
        put(&w, " exe=");
        put(&w, record->exe);
    }
    return !w.full;
}

// ---- reading ----

static int digit(char c, uint32_t base) {
    int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : INT_MAX;
    return d < (int)base ? d : -1;
}

// A number that fills [text, end).
static bool read_number(const char* text, const char* end, const struct field* f, uint64_t* out) {
    uint64_t value = 0;
    for (const char* c = text; c < end; c++) {
        int d = digit(*c, f->base);
        if (d < 0 || value > (f->max - (uint64_t)d) / f->base) {
            return false;
        }
        value = value * f->base + (uint64_t)d;
    }
    *out = value;
    return end > text;
}

static void read_word(const char* word, const char* end, struct record* out) {
    for (size_t i = 0; i < field_count; i++) {
        size_t len = strlen(fields[i].name);
        uint64_t value;
        if ((size_t)(end - word) > len && memcmp(word, fields[i].name, len) == 0 &&
            word[len] == '=' && read_number(word + len + 1, end, &fields[i], &value)) {
            set(out, &fields[i], value);
        }
    }
}

bool record_read(const char* text, struct record* out) {
    size_t len = sizeof(tag) - 1;
    if (strncmp(text, tag, len) != 0 || (text[len] != ' ' && text[len] != '\0')) {
        return false;
    }
    *out = record_none;
    const char* word = text + len;
    while (*word == ' ') {
        word++;
        if (strncmp(word, "exe=", 4) == 0) {
            out->exe = word + 4;
            break;
        }
        const char* end = word + strcspn(word, " ");
        read_word(word, end, out);
        word = end;
    }
    return true;
}
