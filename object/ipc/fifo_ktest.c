// Fifos: order around the ring's end, partial transfers, bad pointers, signals, both ends' closing.
#include <object/fifo.h>

#include <debug/ktest.h>
#include <lib/random.h>

#include "../testing/ktest_user.h"

static void refuses_impossible_sizes(struct ktest* t) {
    struct fifo* a;
    struct fifo* b;
    static const size_t bad[][2] = {{0, 1},    {1, 0},        {4097, 1},     {1, 4097},
                                    {2, 2049}, {SIZE_MAX, 2}, {2, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < array_size(bad); i++) {
        KEXPECT_EQ(t, fifo_create(bad[i][0], bad[i][1], &a, &b), STATUS_OUT_OF_RANGE);
    }
}
KTEST(fifo, refuses_impossible_sizes);

static void keeps_order_around_the_end(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, 4 * PAGE_SIZE));
    struct fifo* a;
    struct fifo* b;
    KASSERT(t, fifo_create(7, 24, &a, &b) == STATUS_OK);
    HANDLE ha = test_handle(fifo_object(a));
    HANDLE hb = test_handle(fifo_object(b));
    struct random rng = random_init(1);
    uint64_t put = 0;
    uint64_t got = 0;
    // Elements straddle a page of user memory.
    const size_t at = PAGE_SIZE - 40;
    while (got < 500) {
        uint64_t elements[9][3];
        size_t want = 1 + random_below(&rng, 9);
        size_t n = 0;
        for (size_t i = 0; i < want; i++) {
            elements[i][0] = elements[i][1] = elements[i][2] = put + i;
        }
        KASSERT(t, user_put(&m, at, elements, sizeof(elements)));
        size_t room = 7 - (put - got);
        status_t status = fifo_write(a, 24, user_at(&m, at), want, &n);
        KEXPECT_EQ(t, status, room == 0 ? STATUS_SHOULD_WAIT : STATUS_OK);
        put += status == STATUS_OK ? n : 0;
        KEXPECT(t, status != STATUS_OK || n == min(want, room));
        KEXPECT_EQ(t, (object_signals(fifo_object(a)) & ZX_FIFO_WRITABLE) != 0, put - got < 7);
        want = 1 + random_below(&rng, 9);
        KEXPECT_EQ(t, fifo_read(b, 24, user_at(&m, at), want, &n), STATUS_OK);
        KASSERT(t, user_get(&m, at, elements, sizeof(elements)));
        for (size_t i = 0; i < n; i++) {
            KEXPECT(t, elements[i][0] == got + i && elements[i][2] == got + i);
        }
        got += n;
        KEXPECT_EQ(t, (object_signals(fifo_object(b)) & ZX_FIFO_READABLE) != 0, put != got);
    }
    user_area_close(&m);
}
KTEST(fifo, keeps_order_around_the_end);

static void bad_pointers_move_nothing(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, 2 * PAGE_SIZE));
    struct fifo* a;
    struct fifo* b;
    KASSERT(t, fifo_create(256, 8, &a, &b) == STATUS_OK);
    HANDLE ha = test_handle(fifo_object(a));
    HANDLE hb = test_handle(fifo_object(b));
    size_t n;
    uint64_t one = 1;
    KASSERT(t, user_put(&m, 0, &one, 8));
    uint8_t __user* bad[] = {nullptr, user_at(&m, 2 * PAGE_SIZE - 8 * 5),
                             (uint8_t __user*)(ASPACE_END - 8),
                             (uint8_t __user*)0xffff'8000'0000'0000, (uint8_t __user*)(1ul << 62)};
    for (size_t i = 0; i < array_size(bad); i++) {
        KEXPECT_EQ(t, fifo_write(a, 8, bad[i], 100, &n), STATUS_INVALID_ARGS);
        KEXPECT_EQ(t, fifo_read(b, 8, user_at(&m, 0), 1, &n), STATUS_SHOULD_WAIT);
    }
    KEXPECT_EQ(t, fifo_write(a, 8, user_at(&m, 0), 200, &n), STATUS_OK);
    for (size_t i = 0; i < array_size(bad); i++) {
        KEXPECT_EQ(t, fifo_read(b, 8, bad[i], 100, &n), STATUS_INVALID_ARGS);
    }
    KEXPECT_EQ(t, fifo_read(b, 8, user_at(&m, 0), 256, &n), STATUS_OK);
    KEXPECT_EQ(t, n, 200u);
    KEXPECT_EQ(t, fifo_write(a, 4, user_at(&m, 0), 1, &n), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, fifo_write(a, 8, user_at(&m, 0), 0, &n), STATUS_OUT_OF_RANGE);
    user_area_close(&m);
}
KTEST(fifo, bad_pointers_move_nothing);

static void drains_after_the_peer_closed(struct ktest* t) {
    struct user_area m;
    KASSERT(t, user_area_open(&m, PAGE_SIZE));
    struct fifo* a;
    struct fifo* b;
    KASSERT(t, fifo_create(4, 1, &a, &b) == STATUS_OK);
    HANDLE ha = test_handle(fifo_object(a));
    HANDLE hb = test_handle(fifo_object(b));
    size_t n;
    KEXPECT_EQ(t, fifo_write(a, 1, user_at(&m, 0), 9, &n), STATUS_OK);
    KEXPECT_EQ(t, n, 4u);
    handle_discard(&ha);
    KEXPECT_EQ(t, object_signals(fifo_object(b)), ZX_FIFO_READABLE | ZX_FIFO_PEER_CLOSED);
    KEXPECT_EQ(t, fifo_write(b, 1, user_at(&m, 0), 1, &n), STATUS_PEER_CLOSED);
    KEXPECT_EQ(t, fifo_read(b, 1, user_at(&m, 0), 3, &n), STATUS_OK);
    KEXPECT_EQ(t, fifo_read(b, 1, user_at(&m, 0), 3, &n), STATUS_OK);
    KEXPECT_EQ(t, n, 1u);
    KEXPECT_EQ(t, fifo_read(b, 1, user_at(&m, 0), 3, &n), STATUS_PEER_CLOSED);
    KEXPECT_EQ(t, object_signals(fifo_object(b)), ZX_FIFO_PEER_CLOSED);
    user_area_close(&m);
}
KTEST(fifo, drains_after_the_peer_closed);
