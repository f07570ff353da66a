// Sockets: streams and datagrams.
#include <utest/utest.h>

#include <string.h>

GROUP("socket");

static uint8_t big[1 << 20];
static uint8_t back[1 << 20];

static struct utest_pair make(uint32_t options) {
    struct utest_pair pair;
    EXPECT_OK(zx_socket_create(options, &pair.a, &pair.b));
    return pair;
}

static void put(zx_handle_t to, const char* text) {
    size_t actual = 0;
    EXPECT_OK(zx_socket_write(to, 0, text, strlen(text), &actual));
    EXPECT_EQ(actual, strlen(text));
}

static void expect(zx_handle_t from, uint32_t options, size_t room, const char* text) {
    char buffer[64];
    size_t actual = 0;
    EXPECT_OK(zx_socket_read(from, options, buffer, room, &actual));
    EXPECT_EQ(actual, strlen(text));
    EXPECT_EQ(memcmp(buffer, text, actual), 0);
}

CASE(create) {
    for (uint32_t options = ZX_SOCKET_STREAM; options <= ZX_SOCKET_DATAGRAM; options++) {
        struct utest_pair pair = make(options);
        EXPECT_EQ(utest_basic(pair.a).rights, ZX_DEFAULT_SOCKET_RIGHTS);
        EXPECT_EQ(utest_basic(pair.a).related_koid, utest_koid(pair.b));
        zx_info_socket_t info;
        EXPECT_OK(
            zx_object_get_info(pair.a, ZX_INFO_SOCKET, &info, sizeof(info), nullptr, nullptr));
        EXPECT_EQ(info.options, options);
        EXPECT_EQ(info.rx_buf_size, 0);
        EXPECT(info.rx_buf_max > 0);
        EXPECT_EQ(utest_signals(pair.a, ZX_SOCKET_READABLE | ZX_SOCKET_WRITABLE),
                  ZX_SOCKET_WRITABLE);
        utest_close_pair(pair);
    }
    zx_handle_t a;
    zx_handle_t b;
    EXPECT_STATUS(zx_socket_create(2, &a, &b), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(a)) {
        EXPECT_STATUS(zx_socket_create(0, p, &b), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_socket_create(0, &a, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(stream) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    put(pair.a, "hello");
    put(pair.a, "world");
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_READABLE), ZX_SOCKET_READABLE);
    expect(pair.b, ZX_SOCKET_PEEK, 3, "hel");
    expect(pair.b, 0, 3, "hel");
    expect(pair.b, 0, 64, "loworld"); // no boundaries
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_READABLE), 0);
    size_t actual;
    EXPECT_STATUS(zx_socket_read(pair.b, 0, back, 1, &actual), ZX_ERR_SHOULD_WAIT);
    utest_close_pair(pair);
}

CASE(datagram) {
    struct utest_pair pair = make(ZX_SOCKET_DATAGRAM);
    put(pair.a, "hello");
    put(pair.a, "world");
    expect(pair.b, ZX_SOCKET_PEEK, 64, "hello");
    expect(pair.b, 0, 3, "hel"); // the rest is lost
    expect(pair.b, 0, 64, "world");
    size_t actual;
    EXPECT_STATUS(zx_socket_write(pair.a, 0, big, sizeof(big), &actual), ZX_ERR_OUT_OF_RANGE);
    utest_close_pair(pair);
}

CASE_WITHIN(full, 60) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 31 + i / 1000);
    }
    size_t written = 0;
    EXPECT_OK(zx_socket_write(pair.a, 0, big, sizeof(big), &written));
    EXPECT(written > 0 && written < sizeof(big)); // what fits
    EXPECT_EQ(utest_signals(pair.a, ZX_SOCKET_WRITABLE), 0);
    size_t actual;
    EXPECT_STATUS(zx_socket_write(pair.a, 0, big, 1, &actual), ZX_ERR_SHOULD_WAIT);
    size_t read = 0;
    while (read < written) {
        EXPECT_OK(zx_socket_read(pair.b, 0, back + read, 1777, &actual));
        read += actual;
    }
    EXPECT_EQ(read, written);
    EXPECT_EQ(memcmp(big, back, written), 0);
    EXPECT_EQ(utest_signals(pair.a, ZX_SOCKET_WRITABLE), ZX_SOCKET_WRITABLE);
    utest_close_pair(pair);
}

// Messages that do not fit are not split, and larger ones than the buffer never fit.
CASE_WITHIN(whole, 60) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    size_t actual = 0;
    size_t written = 0;
    while (zx_socket_write(pair.a, ZX_SOCKET_WRITE_WHOLE, big, 3000, &actual) == ZX_OK) {
        EXPECT_EQ(actual, 3000);
        written += actual;
    }
    EXPECT_STATUS(zx_socket_write(pair.a, ZX_SOCKET_WRITE_WHOLE, big, 3000, &actual),
                  ZX_ERR_SHOULD_WAIT);
    EXPECT_OK(zx_socket_write(pair.a, 0, big, 3000, &actual)); // its beginning does
    EXPECT(actual > 0 && actual < 3000);
    written += actual;
    EXPECT_STATUS(zx_socket_write(pair.a, ZX_SOCKET_WRITE_WHOLE, big, sizeof(big), &actual),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_socket_read(pair.b, 0, back, sizeof(back), &actual));
    EXPECT_EQ(actual, written);
    utest_close_pair(pair);
}

CASE(peer_closed) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    put(pair.a, "last");
    EXPECT_CLOSE(pair.a);
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_PEER_CLOSED | ZX_SOCKET_READABLE),
              ZX_SOCKET_PEER_CLOSED | ZX_SOCKET_READABLE);
    size_t actual;
    EXPECT_STATUS(zx_socket_write(pair.b, 0, "x", 1, &actual), ZX_ERR_PEER_CLOSED);
    expect(pair.b, 0, 64, "last");
    EXPECT_STATUS(zx_socket_read(pair.b, 0, back, 1, &actual), ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
}

CASE(disposition) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    put(pair.a, "before");
    EXPECT_OK(zx_socket_set_disposition(pair.a, ZX_SOCKET_DISPOSITION_WRITE_DISABLED, 0));
    size_t actual;
    EXPECT_STATUS(zx_socket_write(pair.a, 0, "x", 1, &actual), ZX_ERR_BAD_STATE);
    EXPECT_EQ(utest_signals(pair.a, ZX_SOCKET_WRITE_DISABLED), ZX_SOCKET_WRITE_DISABLED);
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_PEER_WRITE_DISABLED), ZX_SOCKET_PEER_WRITE_DISABLED);
    EXPECT_STATUS(zx_socket_set_disposition(pair.a, ZX_SOCKET_DISPOSITION_WRITE_ENABLED, 0),
                  ZX_ERR_BAD_STATE); // there is data
    expect(pair.b, 0, 64, "before");
    EXPECT_STATUS(zx_socket_read(pair.b, 0, back, 1, &actual), ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_socket_set_disposition(pair.a, ZX_SOCKET_DISPOSITION_WRITE_ENABLED, 0));
    put(pair.a, "again");
    put(pair.b, "other way");
    EXPECT_STATUS(zx_socket_set_disposition(pair.a, 3, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_socket_set_disposition(pair.a, 0, 3), ZX_ERR_INVALID_ARGS);
    utest_close_pair(pair);
}

// With the peer gone there is nobody to be told.
CASE(disposition_without_peer) {
    for (uint32_t i = 0; i < 50; i++) {
        struct utest_pair pair = make(ZX_SOCKET_STREAM);
        EXPECT_CLOSE(pair.b);
        utest_sleep_ms(i % 3);
        EXPECT_OK(zx_socket_set_disposition(pair.a, ZX_SOCKET_DISPOSITION_WRITE_DISABLED, 0));
        EXPECT_STATUS(zx_socket_set_disposition(pair.a, 0, ZX_SOCKET_DISPOSITION_WRITE_DISABLED),
                      ZX_ERR_BAD_STATE);
        EXPECT_CLOSE(pair.a);
    }
}

CASE(errors) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    size_t actual;
    EXPECT_STATUS(zx_socket_write(pair.a, 1, "x", 1, &actual), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_socket_read(pair.a, 1, back, 1, &actual), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, 100) {
        EXPECT_STATUS(zx_socket_write(pair.a, 0, p, 100, &actual), ZX_ERR_INVALID_ARGS);
    }
    // Failed writes have put nothing where the reader would find it.
    EXPECT_STATUS(zx_socket_read(pair.b, 0, back, 1, &actual), ZX_ERR_SHOULD_WAIT);
    put(pair.a, "0123456789");
    FOR_BAD_POINTERS(p, UTEST_WRITE, 10) {
        // Or short, where the first half could be stored.
        actual = 0;
        zx_status_t status = zx_socket_read(pair.b, ZX_SOCKET_PEEK, p, 10, &actual);
        EXPECT(status == ZX_ERR_INVALID_ARGS || (status == ZX_OK && actual == 5));
    }
    expect(pair.b, 0, 64, "0123456789");
    utest_close_pair(pair);
}

CASE(thresholds) {
    struct utest_pair pair = make(ZX_SOCKET_STREAM);
    size_t value = 5;
    EXPECT_OK(zx_object_set_property(pair.b, ZX_PROP_SOCKET_RX_THRESHOLD, &value, sizeof(value)));
    put(pair.a, "1234");
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_READ_THRESHOLD), 0);
    put(pair.a, "5");
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_READ_THRESHOLD), ZX_SOCKET_READ_THRESHOLD);
    expect(pair.b, 0, 1, "1");
    EXPECT_EQ(utest_signals(pair.b, ZX_SOCKET_READ_THRESHOLD), 0);
    value = 0;
    EXPECT_OK(zx_object_get_property(pair.b, ZX_PROP_SOCKET_RX_THRESHOLD, &value, sizeof(value)));
    EXPECT_EQ(value, 5);
    value = SIZE_MAX;
    EXPECT_STATUS(zx_object_set_property(pair.b, ZX_PROP_SOCKET_RX_THRESHOLD, &value, 8),
                  ZX_ERR_INVALID_ARGS);
    utest_close_pair(pair);
}
