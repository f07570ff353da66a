// Any modes, any typing, reads of any size: what is read was typed, nothing is read that
// line_readable() did not promise, and nothing leaves the arrays.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <console/line.h>

static void check(bool right) {
    if (!right) {
        abort();
    }
}

struct source {
    const uint8_t* at;
    size_t left;
};

static uint8_t next(struct source* s) {
    if (s->left == 0) {
        return 0;
    }
    s->left--;
    return *s->at++;
}

static uint32_t next_word(struct source* s) {
    uint32_t low = next(s);
    return low | (uint32_t)next(s) << 8;
}

static size_t shown;
static void show(void*, const uint8_t* bytes, size_t count) {
    check(bytes != nullptr && count > 0);
    shown += count;
}

static void check_state(const struct line* l) {
    check(l->committed - l->head <= l->tail - l->head);
    check(l->tail - l->head <= LINE_CELLS);
    check(l->held_count <= LINE_HELD);
    check((l->mode.local & LINE_ICANON) != 0 || l->committed == l->tail);
}

static void read_some(struct line* l, int64_t now, size_t max) {
    uint8_t buffer[256];
    size_t count = 0;
    bool readable = line_readable(l);
    uint32_t cells = l->committed - l->head;
    line_read_result_t result = line_read(l, now, buffer, max, &count);
    check(readable == (result != LINE_READ_WAIT));
    check(count <= max && count <= cells);
    check(result == LINE_READ_DATA || count == 0);
}

static void change(struct line* l, struct source* s) {
    struct line_mode mode = line_default_mode;
    mode.input = next_word(s);
    mode.output = next_word(s);
    mode.local = next_word(s);
    uint8_t which = next(s);
    mode.characters[which % sizeof(mode.characters)] = next(s);
    line_set_mode(l, &mode);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    static struct line l;
    struct source s = {data, len};
    int64_t now = 0;
    line_init(&l, show, nullptr);
    while (s.left > 0) {
        uint8_t what = next(&s);
        size_t count = next(&s) % 64;
        count = count < s.left ? count : s.left;
        switch (what % 8) {
        case 0:
        case 1:
        case 2:
            (void)line_type(&l, now, s.at, count);
            break;
        case 3:
            for (uint32_t i = 0; i < 60; i++) {
                (void)line_type(&l, now, s.at, count);
            }
            break;
        case 4:
            check(line_write(&l, s.at, count) == line_writable(&l));
            break;
        case 5:
            change(&l, &s);
            break;
        case 6:
            read_some(&l, now, count + 1);
            break;
        default:
            now += (int64_t)count * 50'000'000;
            line_expire(&l, now);
            if (count == 13) {
                line_flush_input(&l);
                line_flush_output(&l);
            }
        }
        check_state(&l);
    }
    return 0;
}
