#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <console/keys.h>

static struct keys k;

static int set_up(void**) {
    memset(&k, 0, sizeof(k));
    return 0;
}

// What these codes send, one after the other.
static void expect(const char* codes, size_t len, const char* text, size_t text_len) {
    char sent[64];
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t bytes[KEYS_BYTES_MAX];
        uint32_t count = 99;
        keys_action_t action = keys_take(&k, (uint8_t)codes[i], bytes, &count);
        assert_true((action == KEYS_BYTES) == (count > 0));
        assert_true(count <= KEYS_BYTES_MAX && at + count <= sizeof(sent));
        memcpy(sent + at, bytes, count);
        at += count;
    }
    assert_int_equal(at, text_len);
    assert_memory_equal(sent, text, at);
}
#define EXPECT(codes, text) expect(codes, sizeof(codes) - 1, text, sizeof(text) - 1)

static void test_letters(void**) {
    EXPECT("\x1e\x9e\x30\xb0\x39\xb9\x1c\x9c", "ab \r");
    EXPECT("\x0e\x0f\x01", "\x7f\t\x1b");
}

static void test_shift(void**) {
    EXPECT("\x2a\x1e\x02\xaa\x1e\x36\x0d\xb6\x0d", "A!a+=");
    EXPECT("\x2a\x36\xaa\x1e\xb6\x1e", "Aa"); // one of two is still held
}

static void test_caps_lock(void**) {
    EXPECT("\x3a\xba\x1e\x02\x2a\x1e\x02\xaa\x3a\xba\x1e", "A1a!a");
}

static void test_control_and_alt(void**) {
    EXPECT("\x1d\x2e\x1e\x1a\x39\x9d\x2e", "\x03\x01\x1b\0c");
    EXPECT("\xe0\x1d\x20\xe0\x9d\x20", "\x04"
                                       "d");
    EXPECT("\x38\x1e\xb8\x1e", "\x1b"
                               "aa");
}

static void test_sequences(void**) {
    EXPECT("\xe0\x48\xe0\xc8\xe0\x4b\x3b\x58", "\x1b[A\x1b[D\x1bOP\x1b[24~");
    EXPECT("\xe0\x53\x53", "\x1b[3~\x1b[3~");
    EXPECT("\xe0\x1c\xe0\x35\x4a\x4e\x37", "\r/-+*");
    EXPECT("\xe0\x2a\xe0\x52\xe0\xaa\x1e", "\x1b[2~"
                                           "a"); // a shift that is none
}

static void test_what_means_nothing(void**) {
    EXPECT("\xe1\x1d\x45\xe1\x9d\xc5\x1e", "a"); // pause
    EXPECT("\x45\x46\x7e\xff\x00\xe0\x5b", "");
    EXPECT("\x1e", "a");
}

static void test_scrolling(void**) {
    uint8_t bytes[KEYS_BYTES_MAX];
    uint32_t count;
    (void)keys_take(&k, 0x2a, bytes, &count);
    (void)keys_take(&k, 0xe0, bytes, &count);
    assert_int_equal(keys_take(&k, 0x49, bytes, &count), KEYS_SCROLL_UP);
    (void)keys_take(&k, 0xe0, bytes, &count);
    assert_int_equal(keys_take(&k, 0x51, bytes, &count), KEYS_SCROLL_DOWN);
    (void)keys_take(&k, 0xaa, bytes, &count);
    EXPECT("\xe0\x49", "\x1b[5~");
}

int main(void) {
#define T(name) cmocka_unit_test_setup(test_##name, set_up)
    const struct CMUnitTest tests[] = {
        T(letters),         T(shift),     T(caps_lock),
        T(control_and_alt), T(sequences), T(what_means_nothing),
        T(scrolling),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
