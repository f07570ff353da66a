// Streams over VMOs.
#include <utest/utest.h>

#include <string.h>

GROUP("stream");

constexpr uint32_t READ_WRITE = ZX_STREAM_MODE_READ | ZX_STREAM_MODE_WRITE;

static zx_handle_t make(uint32_t options, uint64_t size, zx_handle_t* vmo) {
    zx_handle_t stream;
    EXPECT_OK(zx_vmo_create(size, ZX_VMO_RESIZABLE, vmo));
    EXPECT_OK(zx_stream_create(options, *vmo, 0, &stream));
    return stream;
}

static size_t put(zx_handle_t stream, uint32_t options, const char* text) {
    zx_iovec_t v = {.buffer = (void*)(uintptr_t)text, .capacity = strlen(text)};
    size_t actual = 0;
    EXPECT_OK(zx_stream_writev(stream, options, &v, 1, &actual));
    return actual;
}

static void expect_at(zx_handle_t stream, uint64_t offset, const char* text) {
    char buffer[64];
    zx_iovec_t v = {.buffer = buffer, .capacity = strlen(text)};
    size_t actual = 0;
    EXPECT_OK(zx_stream_readv_at(stream, 0, offset, &v, 1, &actual));
    EXPECT_EQ(actual, strlen(text));
    EXPECT_EQ(memcmp(buffer, text, actual), 0);
}

static uint64_t content(zx_handle_t vmo) {
    uint64_t size;
    EXPECT_OK(zx_vmo_get_stream_size(vmo, &size));
    return size;
}

CASE(create) {
    zx_handle_t vmo;
    zx_handle_t out;
    zx_handle_t stream = make(READ_WRITE, 10, &vmo);
    EXPECT_EQ(utest_basic(stream).rights,
              ZX_DEFAULT_STREAM_RIGHTS | ZX_RIGHT_READ | ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_stream_create(1u << 20, vmo, 0, &out), ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(vmo, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_stream_create(READ_WRITE, weak, 0, &out), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_stream_create(ZX_STREAM_MODE_READ, weak, 0, &out));
    zx_iovec_t v = {.buffer = "x", .capacity = 1};
    EXPECT_STATUS(zx_stream_writev(out, 0, &v, 1, nullptr), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(out);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
        EXPECT_STATUS(zx_stream_create(READ_WRITE, vmo, 0, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(stream);
    EXPECT_CLOSE(vmo);
}

CASE(read_write_seek) {
    zx_handle_t vmo;
    zx_handle_t stream = make(READ_WRITE, 0, &vmo);
    EXPECT_EQ(put(stream, 0, "hello "), 6);
    EXPECT_EQ(put(stream, 0, "world"), 5);
    EXPECT_EQ(content(vmo), 11);
    expect_at(stream, 0, "hello world");
    zx_off_t at = 0;
    EXPECT_OK(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_START, 6, &at));
    EXPECT_EQ(at, 6);
    char a[3] = {};
    char b[8] = {};
    zx_iovec_t v[] = {{.buffer = a, .capacity = 2}, {.buffer = b, .capacity = 8}};
    size_t actual;
    EXPECT_OK(zx_stream_readv(stream, 0, v, 2, &actual));
    EXPECT_EQ(actual, 5);
    EXPECT_EQ(memcmp(a, "wo", 2), 0);
    EXPECT_EQ(memcmp(b, "rld", 3), 0);
    EXPECT_OK(zx_stream_readv(stream, 0, v, 2, &actual)); // the end
    EXPECT_EQ(actual, 0);
    EXPECT_OK(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_END, -5, &at));
    EXPECT_EQ(at, 6);
    EXPECT_OK(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_CURRENT, 100, &at));
    EXPECT_EQ(at, 106);
    EXPECT_EQ(put(stream, 0, "!"), 1); // fills the gap with zeros
    EXPECT_EQ(content(vmo), 107);
    uint8_t byte = 1;
    EXPECT_OK(zx_vmo_read(vmo, &byte, 50, 1));
    EXPECT_EQ(byte, 0);
    EXPECT_STATUS(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_START, -1, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_CURRENT, INT64_MIN, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_stream_seek(stream, 3, 0, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(stream);
    EXPECT_CLOSE(vmo);
}

CASE(append) {
    zx_handle_t vmo;
    zx_handle_t stream = make(READ_WRITE, 0, &vmo);
    (void)put(stream, 0, "abc");
    zx_off_t at;
    EXPECT_OK(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_START, 0, &at));
    (void)put(stream, ZX_STREAM_APPEND, "def");
    expect_at(stream, 0, "abcdef");
    uint8_t on = 1;
    EXPECT_OK(zx_object_set_property(stream, ZX_PROP_STREAM_MODE_APPEND, &on, 1));
    EXPECT_OK(zx_stream_seek(stream, ZX_STREAM_SEEK_ORIGIN_START, 0, &at));
    (void)put(stream, 0, "ghi");
    expect_at(stream, 0, "abcdefghi");
    EXPECT_CLOSE(stream);
    EXPECT_CLOSE(vmo);
}

CASE(errors) {
    zx_handle_t vmo;
    zx_handle_t stream = make(READ_WRITE, 100, &vmo);
    char buffer[8];
    zx_iovec_t v = {.buffer = buffer, .capacity = sizeof(buffer)};
    size_t actual;
    EXPECT_STATUS(zx_stream_readv(stream, 1, &v, 1, &actual), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_stream_writev(stream, 2, &v, 1, &actual), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_stream_writev_at(stream, 1, 0, &v, 1, &actual), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_stream_readv_at(stream, 0, 0, nullptr, 1, &actual), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, sizeof(v)) {
        EXPECT_STATUS(zx_stream_readv_at(stream, 0, 0, p, 1, &actual), ZX_ERR_INVALID_ARGS);
    }
    // A bad buffer: as zx_vmo_read answers it, or short where its first half could be stored.
    FOR_BAD_POINTERS(p, UTEST_WRITE, 8) {
        v.buffer = p;
        zx_status_t status = zx_stream_readv_at(stream, 0, 0, &v, 1, &actual);
        EXPECT(status == ZX_ERR_NOT_FOUND || status == ZX_ERR_INVALID_ARGS ||
               (status == ZX_OK && actual == 4));
    }
    zx_iovec_t huge[] = {{.buffer = buffer, .capacity = SIZE_MAX},
                         {.buffer = buffer, .capacity = SIZE_MAX}};
    EXPECT(zx_stream_readv_at(stream, 0, 0, huge, 2, &actual) != ZX_OK);
    v.buffer = buffer;
    EXPECT(zx_stream_writev_at(stream, 0, UINT64_MAX, &v, 1, &actual) != ZX_OK);
    EXPECT_CLOSE(stream);
    EXPECT_CLOSE(vmo);
}

// What cannot grow is written as far as it goes.
CASE(fixed_size) {
    zx_handle_t vmo = utest_vmo(4096);
    uint64_t zero = 0;
    EXPECT_OK(zx_object_set_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &zero, sizeof(zero)));
    zx_handle_t stream;
    EXPECT_OK(zx_stream_create(READ_WRITE, vmo, 4090, &stream));
    EXPECT_EQ(put(stream, 0, "0123456789"), 6);
    zx_iovec_t v = {.buffer = "x", .capacity = 1};
    size_t actual;
    zx_status_t status = zx_stream_writev(stream, 0, &v, 1, &actual);
    EXPECT(status == ZX_ERR_FILE_BIG || status == ZX_ERR_NO_SPACE);
    EXPECT_CLOSE(stream);
    EXPECT_CLOSE(vmo);
}
