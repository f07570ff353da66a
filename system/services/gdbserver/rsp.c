#include <gdbserver/rsp.h>

#include <string.h>

constexpr uint8_t ESCAPE = '}';
constexpr uint8_t ESCAPE_FLIP = 0x20;
constexpr uint8_t INTERRUPT = 0x03;
static const char digits[] = "0123456789abcdef";

static int digit_value(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// ---- in ----

static void begin(struct rsp_parser* p) {
    p->state = RSP_INSIDE;
    p->sum = 0;
    p->is_broken = false;
    p->len = 0;
}

static enum rsp_event outside(struct rsp_parser* p, uint8_t byte) {
    switch (byte) {
    case '$':
        begin(p);
        return RSP_NOTHING;
    case '+':
        return RSP_ACK;
    case '-':
        return RSP_NACK;
    case INTERRUPT:
        return RSP_INTERRUPT;
    default:
        return RSP_NOTHING; // noise on the line
    }
}

static void keep(struct rsp_parser* p, uint8_t byte) {
    if (p->len < rsp_packet_max) {
        p->data[p->len++] = (char)byte;
    } else {
        p->is_broken = true;
    }
}

static enum rsp_event end(struct rsp_parser* p, uint8_t byte) {
    const int low = digit_value(byte);
    p->state = RSP_OUTSIDE;
    p->data[p->len] = '\0';
    return low >= 0 && !p->is_broken && p->sum == (p->high << 4 | low) ? RSP_PACKET : RSP_BROKEN;
}

enum rsp_event rsp_feed(struct rsp_parser* p, uint8_t byte) {
    if (p->state == RSP_OUTSIDE) {
        return outside(p, byte);
    }
    if (byte == '$') { // never inside one: the last packet's end was lost
        begin(p);
        return RSP_NOTHING;
    }
    switch (p->state) {
    case RSP_SUM_HIGH: {
        const int high = digit_value(byte);
        p->is_broken |= high < 0;
        p->high = (uint8_t)(high & 15);
        p->state = RSP_SUM_LOW;
        return RSP_NOTHING;
    }
    case RSP_SUM_LOW:
        return end(p, byte);
    default:
        break;
    }
    if (byte == '#') {
        p->is_broken |= p->state == RSP_ESCAPED;
        p->state = RSP_SUM_HIGH;
        return RSP_NOTHING;
    }
    p->sum = (uint8_t)(p->sum + byte);
    if (p->state == RSP_ESCAPED) {
        keep(p, byte ^ ESCAPE_FLIP);
        p->state = RSP_INSIDE;
    } else if (byte == ESCAPE) {
        p->state = RSP_ESCAPED;
    } else {
        keep(p, byte);
    }
    return RSP_NOTHING;
}

// ---- a payload ----

bool rsp_at_end(const struct rsp_text* t) {
    return t->at == t->end;
}

bool rsp_take(struct rsp_text* t, const char* word) {
    const size_t len = strlen(word);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len) != 0) {
        return false;
    }
    t->at += len;
    return true;
}

bool rsp_take_number(struct rsp_text* t, uint64_t* out) {
    uint64_t value = 0;
    size_t count = 0;
    for (; t->at + count < t->end && digit_value((uint8_t)t->at[count]) >= 0; count++) {
        value = value << 4 | (uint64_t)digit_value((uint8_t)t->at[count]);
    }
    if (count == 0 || count > 16) {
        return false;
    }
    t->at += count;
    *out = value;
    return true;
}

bool rsp_take_bytes(struct rsp_text* t, void* out, size_t count) {
    if ((size_t)(t->end - t->at) / 2 < count) {
        return false;
    }
    uint8_t* bytes = out;
    for (size_t i = 0; i < count; i++) {
        const int high = digit_value((uint8_t)t->at[2 * i]);
        const int low = digit_value((uint8_t)t->at[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    t->at += 2 * count;
    return true;
}

bool rsp_take_thread(struct rsp_text* t, uint64_t* out) {
    if (rsp_take(t, "-1")) {
        *out = rsp_all_threads;
        return true;
    }
    return rsp_take_number(t, out);
}

// ---- out ----

void rsp_clear(struct rsp_reply* r) {
    r->len = 0;
    r->overflow = false;
}

void rsp_raw(struct rsp_reply* r, const void* data, size_t len) {
    if (len > sizeof(r->data) - r->len) {
        r->overflow = true;
        return;
    }
    memcpy(r->data + r->len, data, len);
    r->len += len;
}

void rsp_text(struct rsp_reply* r, const char* text) {
    rsp_raw(r, text, strlen(text));
}

void rsp_bytes(struct rsp_reply* r, const void* data, size_t len) {
    const uint8_t* bytes = data;
    for (size_t i = 0; i < len; i++) {
        const char pair[] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        rsp_raw(r, pair, sizeof(pair));
    }
}

void rsp_number(struct rsp_reply* r, uint64_t value) {
    char text[16];
    size_t at = sizeof(text);
    do {
        text[--at] = digits[value & 15];
        value >>= 4;
    } while (value != 0);
    rsp_raw(r, text + at, sizeof(text) - at);
}

void rsp_part(struct rsp_reply* r, const void* document, size_t size, uint64_t offset,
              uint64_t len) {
    const size_t at = offset < size ? (size_t)offset : size;
    const uint64_t room = sizeof(r->data) - r->len - 1;
    const uint64_t want = len < room ? len : room;
    const bool is_last = want >= size - at;
    rsp_text(r, is_last ? "l" : "m");
    rsp_raw(r, (const char*)document + at, is_last ? size - at : (size_t)want);
}

static bool needs_escape(uint8_t byte) {
    return byte == '$' || byte == '#' || byte == '*' || byte == ESCAPE;
}

size_t rsp_encode(const struct rsp_reply* r, char* out) {
    size_t len = 0;
    uint8_t sum = 0;
    out[len++] = '$';
    for (size_t i = 0; i < r->len; i++) {
        uint8_t byte = (uint8_t)r->data[i];
        if (needs_escape(byte)) {
            out[len++] = (char)ESCAPE;
            sum = (uint8_t)(sum + ESCAPE);
            byte ^= ESCAPE_FLIP;
        }
        out[len++] = (char)byte;
        sum = (uint8_t)(sum + byte);
    }
    out[len++] = '#';
    out[len++] = digits[sum >> 4];
    out[len++] = digits[sum & 15];
    return len;
}
