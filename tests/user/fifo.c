// Fifos.
#include <utest/utest.h>

#include <string.h>

GROUP("fifo");

static struct utest_pair make(size_t count, size_t size) {
    struct utest_pair pair;
    EXPECT_OK(zx_fifo_create(count, size, 0, &pair.a, &pair.b));
    return pair;
}

CASE(create) {
    struct utest_pair pair = make(3, 5); // no powers of two needed
    EXPECT_EQ(utest_basic(pair.a).rights, ZX_DEFAULT_FIFO_RIGHTS);
    EXPECT_EQ(utest_basic(pair.b).related_koid, utest_koid(pair.a));
    EXPECT_EQ(utest_signals(pair.a, ZX_FIFO_READABLE | ZX_FIFO_WRITABLE), ZX_FIFO_WRITABLE);
    utest_close_pair(pair);
    utest_close_pair(make(4096, 1));
    utest_close_pair(make(1, 4096));
    zx_handle_t a;
    zx_handle_t b;
    EXPECT_STATUS(zx_fifo_create(0, 1, 0, &a, &b), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_create(1, 0, 0, &a, &b), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_create(4097, 1, 0, &a, &b), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_create(2, 1ul << 63, 0, &a, &b), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_create(SIZE_MAX, SIZE_MAX, 0, &a, &b), ZX_ERR_OUT_OF_RANGE);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(a)) {
        EXPECT_STATUS(zx_fifo_create(1, 1, 0, p, &b), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_fifo_create(1, 1, 0, &a, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(read_and_write) {
    struct utest_pair pair = make(4, 8);
    uint64_t out[6] = {1, 2, 3, 4, 5, 6};
    uint64_t in[6] = {};
    size_t actual = 0;
    EXPECT_STATUS(zx_fifo_read(pair.b, 8, in, 1, &actual), ZX_ERR_SHOULD_WAIT);
    EXPECT_OK(zx_fifo_write(pair.a, 8, out, 6, &actual));
    EXPECT_EQ(actual, 4);
    EXPECT_EQ(utest_signals(pair.a, ZX_FIFO_WRITABLE), 0);
    EXPECT_STATUS(zx_fifo_write(pair.a, 8, out, 1, &actual), ZX_ERR_SHOULD_WAIT);
    EXPECT_OK(zx_fifo_read(pair.b, 8, in, 3, &actual));
    EXPECT_EQ(actual, 3);
    EXPECT_OK(zx_fifo_write(pair.a, 8, out + 4, 2, &actual));
    EXPECT_OK(zx_fifo_read(pair.b, 8, in + 3, 9, &actual)); // around the ring's end
    EXPECT_EQ(actual, 3);
    EXPECT_EQ(memcmp(in, out, sizeof(in)), 0);
    EXPECT_EQ(utest_signals(pair.b, ZX_FIFO_READABLE), 0);
    utest_close_pair(pair);
}

CASE(errors) {
    struct utest_pair pair = make(4, 8);
    uint64_t out[4] = {};
    size_t actual;
    EXPECT_STATUS(zx_fifo_write(pair.a, 4, out, 1, &actual), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_write(pair.a, 8, out, 0, &actual), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_read(pair.a, 16, out, 1, &actual), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_fifo_read(pair.a, 8, out, 0, &actual), ZX_ERR_OUT_OF_RANGE);
    FOR_BAD_POINTERS(p, UTEST_READ, 16) {
        EXPECT_STATUS(zx_fifo_write(pair.a, 8, p, 2, &actual), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_STATUS(zx_fifo_read(pair.b, 8, out, 1, &actual), ZX_ERR_SHOULD_WAIT);
    FOR_BAD_POINTERS(p, UTEST_WRITE, 16) {
        EXPECT_OK(zx_fifo_write(pair.a, 8, out, 2, nullptr));
        EXPECT_STATUS(zx_fifo_read(pair.b, 8, p, 2, &actual), ZX_ERR_INVALID_ARGS);
        (void)zx_fifo_read(pair.b, 8, out, 4, nullptr);
    }
    EXPECT_OK(zx_fifo_write(pair.a, 8, out, 1, nullptr));
    EXPECT_CLOSE(pair.a);
    EXPECT_STATUS(zx_fifo_write(pair.b, 8, out, 1, &actual), ZX_ERR_PEER_CLOSED);
    EXPECT_OK(zx_fifo_read(pair.b, 8, out, 1, &actual));
    EXPECT_STATUS(zx_fifo_read(pair.b, 8, out, 1, &actual), ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
}
