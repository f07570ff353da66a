// Host test of gdb's protocol: packets and what is in them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <gdbserver/rsp.h>

// The last event that is not RSP_NOTHING.
static enum rsp_event feed(struct rsp_parser* p, const char* bytes, size_t len) {
    enum rsp_event last = RSP_NOTHING;
    for (size_t i = 0; i < len; i++) {
        const enum rsp_event e = rsp_feed(p, (uint8_t)bytes[i]);
        last = e != RSP_NOTHING ? e : last;
    }
    return last;
}
#define FEED(p, text) feed(p, text, sizeof(text) - 1)

static struct rsp_text text_of(const char* s) {
    return (struct rsp_text){s, s + strlen(s)};
}

static void packets(void**) {
    struct rsp_parser p = {};
    assert_int_equal(FEED(&p, "$g#67"), RSP_PACKET);
    assert_string_equal(p.data, "g");
    assert_int_equal(FEED(&p, "$g#68"), RSP_BROKEN);
    assert_int_equal(FEED(&p, "$g#x7"), RSP_BROKEN);
    assert_int_equal(FEED(&p, "$g#6"), RSP_NOTHING);
    assert_int_equal(FEED(&p, "7"), RSP_PACKET);
    assert_int_equal(FEED(&p, "$#00"), RSP_PACKET);
    assert_int_equal(p.len, 0);
    assert_int_equal(FEED(&p, "+"), RSP_ACK);
    assert_int_equal(FEED(&p, "-"), RSP_NACK);
    assert_int_equal(FEED(&p, "\x03"), RSP_INTERRUPT);
    assert_int_equal(FEED(&p, "noise#00\xff"), RSP_NOTHING);
    assert_int_equal(FEED(&p, "$lost$g#67"), RSP_PACKET);
    assert_int_equal(p.len, 1);
    // Escaped: } then the byte with bit 5 flipped. The sum is of what is on the wire.
    assert_int_equal(FEED(&p, "$X}\x03}]#b8"), RSP_BROKEN);
    assert_int_equal(FEED(&p, "$X}\x03}]#b2"), RSP_PACKET);
    assert_int_equal(p.len, 3);
    assert_memory_equal(p.data, "X#}", 3);
    assert_int_equal(FEED(&p, "$}#7d"), RSP_BROKEN); // ends in an escape
}

static void too_long(void**) {
    static struct rsp_parser p;
    for (size_t extra = 0; extra < 2; extra++) {
        uint8_t sum = 0;
        rsp_feed(&p, '$');
        for (size_t i = 0; i < rsp_packet_max + extra; i++) {
            rsp_feed(&p, 'a');
            sum = (uint8_t)(sum + 'a');
        }
        rsp_feed(&p, '#');
        rsp_feed(&p, (uint8_t)"0123456789abcdef"[sum >> 4]);
        const enum rsp_event e = rsp_feed(&p, (uint8_t)"0123456789abcdef"[sum & 15]);
        assert_int_equal(e, extra == 0 ? RSP_PACKET : RSP_BROKEN);
    }
    assert_int_equal(FEED(&p, "$g#67"), RSP_PACKET);
}

static void numbers(void**) {
    uint64_t n = 0;
    struct rsp_text t = text_of("7fff,10:0abF");
    assert_true(rsp_take_number(&t, &n) && n == 0x7fff);
    assert_false(rsp_take_number(&t, &n));
    assert_true(rsp_take(&t, ",") && rsp_take_number(&t, &n) && n == 0x10);
    uint8_t bytes[2];
    assert_true(rsp_take(&t, ":"));
    struct rsp_text again = t;
    assert_false(rsp_take_bytes(&again, bytes, 3));
    assert_true(rsp_take_bytes(&t, bytes, 2) && bytes[0] == 0x0a && bytes[1] == 0xbf);
    assert_true(rsp_at_end(&t));
    assert_false(rsp_take(&t, "x"));
    t = text_of("ffffffffffffffff");
    assert_true(rsp_take_number(&t, &n) && n == UINT64_MAX);
    t = text_of("10000000000000000");
    assert_false(rsp_take_number(&t, &n));
    t = text_of("0g");
    assert_false(rsp_take_bytes(&t, bytes, 1));
    t = text_of("-1;1f");
    assert_true(rsp_take_thread(&t, &n) && n == rsp_all_threads);
    assert_true(rsp_take(&t, ";") && rsp_take_thread(&t, &n) && n == 0x1f);
}

static void replies(void**) {
    static struct rsp_reply r;
    static char wire[rsp_wire_max];
    rsp_clear(&r);
    assert_int_equal(rsp_encode(&r, wire), 4);
    assert_memory_equal(wire, "$#00", 4);
    rsp_text(&r, "T05");
    rsp_number(&r, 0);
    rsp_number(&r, 0xfedcba9876543210);
    rsp_bytes(&r, "\x01\xfe", 2);
    assert_int_equal(r.len, 3 + 1 + 16 + 4);
    assert_memory_equal(r.data, "T050fedcba987654321001fe", r.len);
    assert_false(r.overflow);
    for (size_t i = 0; i < rsp_packet_max; i++) {
        rsp_raw(&r, "}", 1);
    }
    assert_true(r.overflow);
    assert_int_equal(r.len, rsp_packet_max);
    assert_true(rsp_encode(&r, wire) <= rsp_wire_max);
}

// What is encoded is parsed as what it was.
static void there_and_back(void**) {
    static struct rsp_reply r;
    static char wire[rsp_wire_max];
    static struct rsp_parser p;
    rsp_clear(&r);
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint8_t b = (uint8_t)byte;
        rsp_raw(&r, &b, 1);
    }
    assert_int_equal(feed(&p, wire, rsp_encode(&r, wire)), RSP_PACKET);
    assert_int_equal(p.len, 256);
    assert_memory_equal(p.data, r.data, 256);
}

static void parts(void**) {
    static struct rsp_reply r;
    static const char document[] = "0123456789";
    struct {
        uint64_t offset, len;
        const char* want;
    } cases[] = {
        {0, 4, "m0123"},
        {4, 4, "m4567"},
        {8, 4, "l89"},
        {0, 10, "l0123456789"},
        {0, UINT64_MAX, "l0123456789"},
        {10, 1, "l"},
        {UINT64_MAX, 5, "l"},
        {3, 0, "m"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rsp_clear(&r);
        rsp_part(&r, document, 10, cases[i].offset, cases[i].len);
        assert_int_equal(r.len, strlen(cases[i].want));
        assert_memory_equal(r.data, cases[i].want, r.len);
    }
    static char large[rsp_packet_max * 2];
    rsp_clear(&r);
    rsp_part(&r, large, sizeof(large), 0, sizeof(large));
    assert_int_equal(r.len, rsp_packet_max);
    assert_int_equal(r.data[0], 'm');
    assert_false(r.overflow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets), cmocka_unit_test(too_long),       cmocka_unit_test(numbers),
        cmocka_unit_test(replies), cmocka_unit_test(there_and_back), cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
