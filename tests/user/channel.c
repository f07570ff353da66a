// Channels: writing and reading messages, bytes and handles, and what becomes of handles when a
// call fails. Calls are in call.c.
#include <utest/utest.h>

#include <string.h>

GROUP("channel");

static uint8_t big[ZX_CHANNEL_MAX_MSG_BYTES + 1];
static uint8_t back[ZX_CHANNEL_MAX_MSG_BYTES + 1];

static zx_status_t write_text(zx_handle_t to, const char* text) {
    return zx_channel_write(to, 0, text, (uint32_t)strlen(text), nullptr, 0);
}

static void expect_text(zx_handle_t from, const char* text) {
    char buffer[64];
    uint32_t bytes = 0;
    uint32_t handles = 77;
    EXPECT_OK(zx_channel_read(from, 0, buffer, nullptr, sizeof(buffer), 0, &bytes, &handles));
    EXPECT_EQ(bytes, strlen(text));
    EXPECT_EQ(handles, 0);
    EXPECT_EQ(memcmp(buffer, text, bytes), 0);
}

static bool gone(zx_handle_t handle) {
    return zx_handle_check_valid(handle) == ZX_ERR_BAD_HANDLE;
}

CASE(create) {
    struct utest_pair pair = utest_channel();
    zx_info_handle_basic_t a = utest_basic(pair.a);
    zx_info_handle_basic_t b = utest_basic(pair.b);
    EXPECT_EQ(a.type, ZX_OBJ_TYPE_CHANNEL);
    EXPECT_EQ(a.rights, ZX_DEFAULT_CHANNEL_RIGHTS);
    EXPECT_EQ(a.related_koid, b.koid);
    EXPECT_EQ(b.related_koid, a.koid);
    zx_signals_t all = ZX_CHANNEL_READABLE | ZX_CHANNEL_WRITABLE | ZX_CHANNEL_PEER_CLOSED;
    EXPECT_EQ(utest_signals(pair.a, all), ZX_CHANNEL_WRITABLE);
    EXPECT_EQ(utest_signals(pair.b, all), ZX_CHANNEL_WRITABLE);
    utest_close_pair(pair);
}

CASE(create_errors) {
    zx_handle_t a;
    zx_handle_t b;
    EXPECT_STATUS(zx_channel_create(1, &a, &b), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_channel_create(0, p, &b), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_channel_create(0, &a, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(order) {
    struct utest_pair pair = utest_channel();
    EXPECT_OK(write_text(pair.a, "one"));
    EXPECT_OK(write_text(pair.a, "two"));
    EXPECT_OK(write_text(pair.b, "back"));
    EXPECT_OK(write_text(pair.a, ""));
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), ZX_CHANNEL_READABLE);
    expect_text(pair.b, "one");
    expect_text(pair.b, "two");
    expect_text(pair.b, "");
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), 0);
    EXPECT_STATUS(zx_channel_read(pair.b, 0, nullptr, nullptr, 0, 0, nullptr, nullptr),
                  ZX_ERR_SHOULD_WAIT);
    expect_text(pair.a, "back");
    utest_close_pair(pair);
}

// Every length up to a page and around the places where a message's memory is cut.
CASE_WITHIN(lengths, 60) {
    struct utest_pair pair = utest_channel();
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (uint32_t n = 0; n <= ZX_CHANNEL_MAX_MSG_BYTES; n += n < 130 ? 1 : n < 5000 ? 61 : 1021) {
        memset(back, 0, n);
        uint32_t bytes;
        EXPECT_OK(zx_channel_write(pair.a, 0, big, n, nullptr, 0));
        EXPECT_OK(zx_channel_read(pair.b, 0, back, nullptr, sizeof(back), 0, &bytes, nullptr));
        EXPECT_EQ(bytes, n);
        EXPECT_EQ(memcmp(big, back, n), 0);
    }
    uint32_t bytes;
    EXPECT_OK(zx_channel_write(pair.a, 0, big, ZX_CHANNEL_MAX_MSG_BYTES, nullptr, 0));
    EXPECT_OK(
        zx_channel_read(pair.b, 0, back, nullptr, ZX_CHANNEL_MAX_MSG_BYTES, 0, &bytes, nullptr));
    EXPECT_EQ(bytes, ZX_CHANNEL_MAX_MSG_BYTES);
    EXPECT_EQ(memcmp(big, back, ZX_CHANNEL_MAX_MSG_BYTES), 0);
    utest_close_pair(pair);
}

CASE(write_errors) {
    struct utest_pair pair = utest_channel();
    EXPECT_STATUS(zx_channel_write(pair.a, 0, big, ZX_CHANNEL_MAX_MSG_BYTES + 1, nullptr, 0),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_channel_write(pair.a, 0, big, UINT32_MAX, nullptr, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_channel_write(pair.a, 1, big, 1, nullptr, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_channel_write(pair.a, 1u << 31, big, 1, nullptr, 0), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, 100) {
        EXPECT_STATUS(zx_channel_write(pair.a, 0, p, 100, nullptr, 0), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_READ, 2 * sizeof(zx_handle_t)) {
        EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, p, 2), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), 0);
    EXPECT_STATUS(zx_channel_write(ZX_HANDLE_INVALID, 0, nullptr, 0, nullptr, 0),
                  ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_channel_write(event, 0, nullptr, 0, nullptr, 0), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    zx_handle_t reader;
    EXPECT_OK(zx_handle_replace(pair.a, ZX_RIGHT_READ, &reader));
    EXPECT_STATUS(zx_channel_write(reader, 0, nullptr, 0, nullptr, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(reader);
    EXPECT_STATUS(zx_channel_write(pair.b, 0, nullptr, 0, nullptr, 0), ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
}

CASE(peer_closed) {
    struct utest_pair pair = utest_channel();
    EXPECT_OK(write_text(pair.a, "one"));
    EXPECT_OK(write_text(pair.a, "two"));
    EXPECT_CLOSE(pair.a);
    zx_signals_t all = ZX_CHANNEL_READABLE | ZX_CHANNEL_WRITABLE | ZX_CHANNEL_PEER_CLOSED;
    EXPECT_EQ(utest_signals(pair.b, all), ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED);
    expect_text(pair.b, "one");
    expect_text(pair.b, "two");
    EXPECT_EQ(utest_signals(pair.b, all), ZX_CHANNEL_PEER_CLOSED);
    EXPECT_STATUS(zx_channel_read(pair.b, 0, nullptr, nullptr, 0, 0, nullptr, nullptr),
                  ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
}

CASE(read_too_small) {
    struct utest_pair pair = utest_channel();
    zx_handle_t event = utest_event();
    EXPECT_OK(zx_channel_write(pair.a, 0, "12345", 5, &event, 1));
    char buffer[8];
    zx_handle_t handle;
    uint32_t bytes = 0;
    uint32_t handles = 0;
    EXPECT_STATUS(zx_channel_read(pair.b, 0, buffer, &handle, 4, 1, &bytes, &handles),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_EQ(bytes, 5);
    EXPECT_EQ(handles, 1);
    EXPECT_STATUS(zx_channel_read(pair.b, 0, buffer, &handle, 8, 0, &bytes, &handles),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_STATUS(zx_channel_read(pair.b, 0, nullptr, nullptr, 0, 0, nullptr, nullptr),
                  ZX_ERR_BUFFER_TOO_SMALL);
    // It is still there.
    EXPECT_OK(zx_channel_read(pair.b, 0, buffer, &handle, 5, 1, &bytes, &handles));
    EXPECT_EQ(utest_basic(handle).type, ZX_OBJ_TYPE_EVENT);
    EXPECT_CLOSE(handle);
    // Unless it may be discarded.
    EXPECT_OK(write_text(pair.a, "first"));
    EXPECT_OK(write_text(pair.a, "second"));
    bytes = 0;
    EXPECT_STATUS(zx_channel_read(pair.b, ZX_CHANNEL_READ_MAY_DISCARD, nullptr, nullptr, 0, 0,
                                  &bytes, &handles),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_EQ(bytes, 5);
    expect_text(pair.b, "second");
    utest_close_pair(pair);
}

CASE(read_errors) {
    struct utest_pair pair = utest_channel();
    char buffer[8];
    EXPECT_STATUS(zx_channel_read(pair.b, 2, buffer, nullptr, 8, 0, nullptr, nullptr),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_channel_read(ZX_HANDLE_INVALID, 0, buffer, nullptr, 8, 0, nullptr, nullptr),
                  ZX_ERR_BAD_HANDLE);
    zx_handle_t writer;
    struct utest_pair other = utest_channel();
    EXPECT_OK(zx_handle_replace(other.a, ZX_RIGHT_WRITE, &writer));
    EXPECT_STATUS(zx_channel_read(writer, 0, buffer, nullptr, 8, 0, nullptr, nullptr),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(writer);
    EXPECT_CLOSE(other.b);
    FOR_BAD_POINTERS(p, UTEST_WRITE, 8) {
        EXPECT_OK(zx_channel_write(pair.a, 0, "12345678", 8, nullptr, 0));
        EXPECT_STATUS(zx_channel_read(pair.b, 0, p, nullptr, 8, 0, nullptr, nullptr),
                      ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE | UTEST_OR_NULL, sizeof(uint32_t)) {
        EXPECT_OK(zx_channel_write(pair.a, 0, "12345678", 8, nullptr, 0));
        EXPECT_STATUS(zx_channel_read(pair.b, 0, buffer, nullptr, 8, 0, p, nullptr),
                      ZX_ERR_INVALID_ARGS);
        EXPECT_OK(zx_channel_write(pair.a, 0, "12345678", 8, nullptr, 0));
        EXPECT_STATUS(zx_channel_read(pair.b, 0, buffer, nullptr, 8, 0, nullptr, p),
                      ZX_ERR_INVALID_ARGS);
    }
    // Handles that cannot be delivered are closed.
    FOR_BAD_POINTERS(p, UTEST_WRITE, 2 * sizeof(zx_handle_t)) {
        struct utest_pair sent = utest_eventpair();
        zx_handle_t both[] = {sent.b, utest_event()};
        EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, both, 2));
        EXPECT_STATUS(zx_channel_read(pair.b, 0, nullptr, p, 0, 2, nullptr, nullptr),
                      ZX_ERR_INVALID_ARGS);
        EXPECT_EQ(utest_signals(sent.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
        EXPECT_CLOSE(sent.a);
    }
    utest_close_pair(pair);
}

// ---- handles ----

CASE(move_handles) {
    struct utest_pair pair = utest_channel();
    zx_handle_t sent[ZX_CHANNEL_MAX_MSG_HANDLES];
    zx_koid_t koids[ZX_CHANNEL_MAX_MSG_HANDLES];
    for (uint32_t i = 0; i < ZX_CHANNEL_MAX_MSG_HANDLES; i++) {
        sent[i] = utest_event();
        koids[i] = utest_koid(sent[i]);
    }
    EXPECT_OK(zx_channel_write(pair.a, 0, "x", 1, sent, ZX_CHANNEL_MAX_MSG_HANDLES));
    zx_handle_t received[ZX_CHANNEL_MAX_MSG_HANDLES];
    uint32_t bytes;
    uint32_t handles;
    char byte;
    EXPECT_OK(zx_channel_read(pair.b, 0, &byte, received, 1, ZX_CHANNEL_MAX_MSG_HANDLES, &bytes,
                              &handles));
    EXPECT_EQ(handles, ZX_CHANNEL_MAX_MSG_HANDLES);
    for (uint32_t i = 0; i < ZX_CHANNEL_MAX_MSG_HANDLES; i++) {
        EXPECT(gone(sent[i]));
        EXPECT_EQ(utest_koid(received[i]), koids[i]);
        EXPECT_EQ(utest_basic(received[i]).rights, ZX_DEFAULT_EVENT_RIGHTS);
        EXPECT_CLOSE(received[i]);
    }
    utest_close_pair(pair);
}

// All handles named in a write are gone, whatever was wrong with it.
CASE(consumed_on_failure) {
    struct utest_pair pair = utest_channel();
    zx_handle_t two[2];
#define FRESH()    (two[0] = utest_event(), two[1] = utest_event())
#define CONSUMED() EXPECT(gone(two[0]) && gone(two[1]))
    FRESH();
    EXPECT_STATUS(zx_channel_write(ZX_HANDLE_INVALID, 0, nullptr, 0, two, 2), ZX_ERR_BAD_HANDLE);
    CONSUMED();
    FRESH();
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_channel_write(event, 0, nullptr, 0, two, 2), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    CONSUMED();
    FRESH();
    EXPECT_STATUS(zx_channel_write(pair.a, 64, nullptr, 0, two, 2), ZX_ERR_INVALID_ARGS);
    CONSUMED();
    FRESH();
    EXPECT_STATUS(zx_channel_write(pair.a, 0, big, sizeof(big), two, 2), ZX_ERR_OUT_OF_RANGE);
    CONSUMED();
    FRESH();
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 1, two, 2), ZX_ERR_INVALID_ARGS);
    CONSUMED();
    // A handle that cannot travel takes the others with it.
    FRESH();
    zx_handle_t fixed;
    EXPECT_OK(zx_handle_replace(two[0], ZX_RIGHT_WAIT, &fixed));
    two[0] = fixed;
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, two, 2), ZX_ERR_ACCESS_DENIED);
    CONSUMED();
    FRESH();
    EXPECT_CLOSE(two[0]);
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, two, 2), ZX_ERR_BAD_HANDLE);
    CONSUMED();
    // The same one twice.
    FRESH();
    EXPECT_CLOSE(two[1]);
    two[1] = two[0];
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, two, 2), ZX_ERR_BAD_HANDLE);
    CONSUMED();
    FRESH();
    EXPECT_CLOSE(pair.b);
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, two, 2), ZX_ERR_PEER_CLOSED);
    CONSUMED();
    EXPECT_CLOSE(pair.a);
}

CASE(too_many_handles) {
    struct utest_pair pair = utest_channel();
    static zx_handle_t many[ZX_CHANNEL_MAX_MSG_HANDLES * 3];
    for (uint32_t i = 0; i < ZX_CHANNEL_MAX_MSG_HANDLES * 3; i++) {
        many[i] = utest_event();
    }
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, many, ZX_CHANNEL_MAX_MSG_HANDLES * 3),
                  ZX_ERR_OUT_OF_RANGE);
    for (uint32_t i = 0; i < ZX_CHANNEL_MAX_MSG_HANDLES * 3; i++) {
        EXPECT(gone(many[i]));
    }
    utest_close_pair(pair);
}

CASE(not_itself) {
    struct utest_pair pair = utest_channel();
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, &pair.a, 1), ZX_ERR_NOT_SUPPORTED);
    EXPECT(gone(pair.a));
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_PEER_CLOSED), ZX_CHANNEL_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
}

CASE(dropped_with_the_channel) {
    struct utest_pair pair = utest_channel();
    struct utest_pair sent = utest_eventpair();
    EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, &sent.b, 1));
    EXPECT_EQ(utest_signals(sent.a, ZX_EVENTPAIR_PEER_CLOSED), 0);
    EXPECT_CLOSE(pair.b);
    EXPECT_EQ(utest_signals(sent.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
    EXPECT_CLOSE(pair.a);
    EXPECT_CLOSE(sent.a);
}

// Channels inside channels inside channels: closing the outermost frees them all.
CASE_WITHIN(nested, 60) {
    struct utest_pair watched = utest_eventpair();
    zx_handle_t inner = watched.b;
    for (uint32_t i = 0; i < 5000; i++) {
        struct utest_pair pair = utest_channel();
        EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, &inner, 1));
        EXPECT_CLOSE(pair.a);
        inner = pair.b;
    }
    EXPECT_CLOSE(inner);
    EXPECT_OK(
        zx_object_wait_one(watched.a, ZX_EVENTPAIR_PEER_CLOSED, utest_after_ms(5000), nullptr));
    EXPECT_CLOSE(watched.a);
}

// Neither end goes through its own channel: the other end's queue would keep it for good.
CASE(carries_neither_of_its_ends) {
    struct utest_pair pair = utest_channel();
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, &pair.b, 1), ZX_ERR_NOT_SUPPORTED);
    EXPECT(gone(pair.b)); // consumed, as with any failure
    EXPECT_EQ(utest_signals(pair.a, ZX_CHANNEL_PEER_CLOSED), ZX_CHANNEL_PEER_CLOSED);
    EXPECT_CLOSE(pair.a);
    pair = utest_channel();
    EXPECT_STATUS(zx_channel_write(pair.a, 0, nullptr, 0, &pair.a, 1), ZX_ERR_NOT_SUPPORTED);
    EXPECT(gone(pair.a));
    EXPECT_CLOSE(pair.b);
    pair = utest_channel();
    zx_handle_disposition_t d = {.operation = ZX_HANDLE_OP_MOVE,
                                 .handle = pair.b,
                                 .type = ZX_OBJ_TYPE_CHANNEL,
                                 .rights = ZX_RIGHT_SAME_RIGHTS};
    EXPECT_STATUS(zx_channel_write_etc(pair.a, 0, nullptr, 0, &d, 1), ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(d.result, ZX_ERR_NOT_SUPPORTED);
    EXPECT(gone(pair.b));
    EXPECT_CLOSE(pair.a);
}

// ---- a reader that does not read ----

static uint32_t fill_up(zx_handle_t to) {
    uint32_t count = 0;
    zx_status_t status;
    while ((status = zx_channel_write(to, ZX_CHANNEL_WRITE_MAY_REFUSE, "x", 1, nullptr, 0)) ==
           ZX_OK) {
        EXPECT(++count < 1000000);
    }
    EXPECT_STATUS(status, ZX_ERR_SHOULD_WAIT);
    return count;
}

CASE(full_refuses) {
    struct utest_pair pair = utest_channel();
    EXPECT(fill_up(pair.a) >= 1000);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_channel_write(pair.a, ZX_CHANNEL_WRITE_MAY_REFUSE, "y", 1, &event, 1),
                  ZX_ERR_SHOULD_WAIT);
    EXPECT(gone(event));
    expect_text(pair.b, "x");
    EXPECT_OK(zx_channel_write(pair.a, ZX_CHANNEL_WRITE_MAY_REFUSE, "z", 1, nullptr, 0));
    EXPECT_EQ(fill_up(pair.a), 0);
    utest_close_pair(pair);
}

// ---- vectors ----

CASE(gather) {
    struct utest_pair pair = utest_channel();
    zx_channel_iovec_t v[] = {{.buffer = "ab", .capacity = 2},
                              {.buffer = nullptr, .capacity = 0},
                              {.buffer = "cde", .capacity = 3}};
    EXPECT_OK(zx_channel_write(pair.a, ZX_CHANNEL_WRITE_USE_IOVEC, v, 3, nullptr, 0));
    expect_text(pair.b, "abcde");
    EXPECT_OK(zx_channel_write(pair.a, ZX_CHANNEL_WRITE_USE_IOVEC, nullptr, 0, nullptr, 0));
    expect_text(pair.b, "");
    utest_close_pair(pair);
}

CASE(gather_limits) {
    struct utest_pair pair = utest_channel();
    static zx_channel_iovec_t v[ZX_CHANNEL_MAX_MSG_IOVECS + 1];
    for (uint32_t i = 0; i <= ZX_CHANNEL_MAX_MSG_IOVECS; i++) {
        v[i] = (zx_channel_iovec_t){.buffer = big + i, .capacity = i % 2 == 0};
    }
    uint32_t option = ZX_CHANNEL_WRITE_USE_IOVEC;
    uint32_t bytes;
    EXPECT_OK(zx_channel_write(pair.a, option, v, ZX_CHANNEL_MAX_MSG_IOVECS, nullptr, 0));
    EXPECT_OK(zx_channel_read(pair.b, 0, back, nullptr, sizeof(back), 0, &bytes, nullptr));
    EXPECT_EQ(bytes, ZX_CHANNEL_MAX_MSG_IOVECS / 2);
    EXPECT_EQ(back[100], big[200]);
    EXPECT_STATUS(zx_channel_write(pair.a, option, v, ZX_CHANNEL_MAX_MSG_IOVECS + 1, nullptr, 0),
                  ZX_ERR_OUT_OF_RANGE);
    v[0] = (zx_channel_iovec_t){.buffer = big, .capacity = ZX_CHANNEL_MAX_MSG_BYTES};
    v[1] = (zx_channel_iovec_t){.buffer = big, .capacity = 1};
    EXPECT_OK(zx_channel_write(pair.a, option, v, 1, nullptr, 0));
    EXPECT_STATUS(zx_channel_write(pair.a, option, v, 2, nullptr, 0), ZX_ERR_OUT_OF_RANGE);
    v[1].capacity = UINT32_MAX; // no overflow
    EXPECT_STATUS(zx_channel_write(pair.a, option, v, 2, nullptr, 0), ZX_ERR_OUT_OF_RANGE);
    v[1] = (zx_channel_iovec_t){.reserved = 1};
    EXPECT_STATUS(zx_channel_write(pair.a, option, v + 1, 1, nullptr, 0), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, 64) {
        v[1] = (zx_channel_iovec_t){.buffer = p, .capacity = 64};
        EXPECT_STATUS(zx_channel_write(pair.a, option, v + 1, 1, nullptr, 0), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_channel_write(pair.a, option, p, 4, nullptr, 0), ZX_ERR_INVALID_ARGS);
    }
    utest_close_pair(pair);
}

// ---- dispositions ----

static zx_handle_disposition_t disposition(uint32_t operation, zx_handle_t handle,
                                           zx_obj_type_t type, zx_rights_t rights) {
    return (zx_handle_disposition_t){
        .operation = operation, .handle = handle, .type = type, .rights = rights, .result = 77};
}

CASE(write_etc) {
    struct utest_pair pair = utest_channel();
    zx_handle_t moved = utest_event();
    zx_handle_t kept = utest_event();
    zx_handle_disposition_t d[] = {
        disposition(ZX_HANDLE_OP_MOVE, moved, ZX_OBJ_TYPE_EVENT, ZX_RIGHT_SAME_RIGHTS),
        disposition(ZX_HANDLE_OP_DUPLICATE, kept, ZX_OBJ_TYPE_NONE, ZX_RIGHT_WAIT),
        disposition(ZX_HANDLE_OP_DUPLICATE, kept, ZX_OBJ_TYPE_EVENT, ZX_RIGHT_NONE),
    };
    zx_koid_t moved_koid = utest_koid(moved);
    EXPECT_OK(zx_channel_write_etc(pair.a, 0, "abc", 3, d, 3));
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_STATUS(d[i].result, ZX_OK);
    }
    EXPECT(gone(moved));
    EXPECT(!gone(kept));
    zx_handle_info_t infos[4];
    char bytes[4];
    uint32_t byte_count;
    uint32_t handle_count;
    EXPECT_OK(zx_channel_read_etc(pair.b, 0, bytes, infos, 4, 4, &byte_count, &handle_count));
    EXPECT_EQ(handle_count, 3);
    EXPECT_EQ(infos[0].type, ZX_OBJ_TYPE_EVENT);
    EXPECT_EQ(infos[0].rights, ZX_DEFAULT_EVENT_RIGHTS);
    EXPECT_EQ(utest_koid(infos[0].handle), moved_koid);
    EXPECT_EQ(infos[1].rights, ZX_RIGHT_WAIT);
    EXPECT_EQ(utest_koid(infos[1].handle), utest_koid(kept));
    EXPECT_EQ(infos[2].rights, ZX_RIGHT_NONE);
    EXPECT_EQ(utest_basic(infos[2].handle).rights, ZX_RIGHT_NONE);
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_CLOSE(infos[i].handle);
    }
    EXPECT_CLOSE(kept);
    utest_close_pair(pair);
}

// Every entry is tried and answered; the first failure is the call's.
CASE(write_etc_failures) {
    struct utest_pair pair = utest_channel();
    zx_handle_t event = utest_event();
    zx_handle_t fixed = utest_without(event, ZX_RIGHT_TRANSFER);
    zx_handle_t unique = utest_without(event, ZX_RIGHT_DUPLICATE);
    zx_handle_t good = utest_event();
    struct utest_pair other = utest_channel();
    zx_rights_t same = ZX_RIGHT_SAME_RIGHTS;
    zx_handle_disposition_t d[] = {
        disposition(ZX_HANDLE_OP_MOVE, good, ZX_OBJ_TYPE_EVENT, same),
        disposition(ZX_HANDLE_OP_MOVE, utest_stale_handle(), ZX_OBJ_TYPE_EVENT, same),
        disposition(ZX_HANDLE_OP_DUPLICATE, event, ZX_OBJ_TYPE_VMO, same),
        disposition(ZX_HANDLE_OP_MOVE, fixed, ZX_OBJ_TYPE_EVENT, same),
        disposition(ZX_HANDLE_OP_DUPLICATE, unique, ZX_OBJ_TYPE_EVENT, same),
        disposition(ZX_HANDLE_OP_DUPLICATE, event, ZX_OBJ_TYPE_EVENT, ZX_RIGHT_READ),
        disposition(7, event, ZX_OBJ_TYPE_EVENT, same),
        disposition(ZX_HANDLE_OP_DUPLICATE, event, ZX_OBJ_TYPE_EVENT, same),
        disposition(ZX_HANDLE_OP_DUPLICATE, other.b, ZX_OBJ_TYPE_CHANNEL, same),
    };
    EXPECT_STATUS(zx_channel_write_etc(pair.a, 0, nullptr, 0, d, 9), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(d[0].result, ZX_OK);
    EXPECT_STATUS(d[1].result, ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(d[2].result, ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(d[3].result, ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(d[4].result, ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(d[5].result, ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(d[6].result, ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(d[7].result, ZX_OK);
    EXPECT_STATUS(d[8].result, ZX_ERR_ACCESS_DENIED);
    EXPECT(gone(good));
    EXPECT(gone(fixed));
    EXPECT(!gone(event));
    EXPECT(!gone(unique));
    utest_close_pair(other);
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), 0);
    EXPECT_CLOSE(unique);
    // A failed call consumes what was to be moved and only that.
    zx_handle_t moved = utest_event();
    d[0] = disposition(ZX_HANDLE_OP_MOVE, moved, ZX_OBJ_TYPE_NONE, same);
    d[1] = disposition(ZX_HANDLE_OP_DUPLICATE, event, ZX_OBJ_TYPE_NONE, same);
    EXPECT_STATUS(zx_channel_write_etc(pair.a, 0, big, sizeof(big), d, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT(gone(moved));
    EXPECT(!gone(event));
    d[0] = disposition(ZX_HANDLE_OP_MOVE, pair.a, ZX_OBJ_TYPE_NONE, same);
    EXPECT_STATUS(zx_channel_write_etc(pair.a, 0, nullptr, 0, d, 1), ZX_ERR_NOT_SUPPORTED);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(pair.b);
}

// ---- limits and races ----

static zx_status_t fill(zx_handle_t to) {
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < 100000 && status == ZX_OK; i++) {
        status = zx_channel_write(to, 0, "x", 1, nullptr, 0);
    }
    return status;
}

CHILD(fill) {
    struct utest_pair pair = utest_channel();
    (void)fill(pair.a);
    return 0; // the policy exception comes first
}

// A channel that nobody reads ends its writer, not the system.
CASE_WITHIN(full, 60) {
    EXPECT_EQ(utest_child_run("fill"), ZX_TASK_RETCODE_EXCEPTION_KILL);
}

struct traffic {
    zx_handle_t end;
    uint32_t count;
};

static void write_all(void* arg) {
    struct traffic* t = arg;
    for (uint32_t i = 0; i < t->count; i++) {
        zx_handle_t event = utest_event();
        EXPECT_OK(zx_channel_write(t->end, 0, &i, sizeof(i), &event, 1));
    }
}

CASE_WITHIN(traffic, 60) {
    struct utest_pair pair = utest_channel();
    struct traffic out = {.end = pair.a, .count = 2000};
    struct utest_thread t;
    utest_thread_start(&t, write_all, &out);
    for (uint32_t i = 0; i < out.count; i++) {
        EXPECT_OK(zx_object_wait_one(pair.b, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
        uint32_t number;
        zx_handle_t handle;
        uint32_t bytes;
        uint32_t handles;
        EXPECT_OK(zx_channel_read(pair.b, 0, &number, &handle, 4, 1, &bytes, &handles));
        EXPECT_EQ(number, i);
        EXPECT_CLOSE(handle);
    }
    utest_thread_join(&t);
    utest_close_pair(pair);
}

static void close_end(void* arg) {
    EXPECT_CLOSE(*(zx_handle_t*)arg);
}

CASE_WITHIN(racing_close, 60) {
    for (uint32_t i = 0; i < 100; i++) {
        struct utest_pair pair = utest_channel();
        struct utest_thread t;
        utest_thread_start(&t, close_end, i % 2 == 0 ? &pair.a : &pair.b);
        zx_status_t status = ZX_OK;
        for (uint32_t n = 0; n < 1000 && status == ZX_OK; n++) { // fewer than fill it
            zx_handle_t event = utest_event();
            status = zx_channel_write(pair.a, 0, "x", 1, &event, 1);
            EXPECT(gone(event));
        }
        EXPECT(status == ZX_OK || status == ZX_ERR_BAD_HANDLE || status == ZX_ERR_PEER_CLOSED);
        utest_thread_join(&t);
        EXPECT_CLOSE(i % 2 == 0 ? pair.b : pair.a);
    }
}
