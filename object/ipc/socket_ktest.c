// Sockets: the stream against a model, datagrams, limits, thresholds, dispositions, closing.
#include <object/socket.h>

#include <debug/ktest.h>
#include <lib/random.h>
#include <lib/string.h>
#include <object/handle.h>
#include <vm/heap.h>

#include "../testing/ktest_user.h"

constexpr size_t AREA = 512 << 10;

static uint8_t byte_at(uint64_t position) {
    return (uint8_t)(position * 131 + position / 256 * 7);
}

struct pair {
    struct user_area m;
    struct socket* a;
    struct socket* b;
    struct handle ha, hb;
    uint8_t* buffer;
};

static bool pair_open(struct pair* p, uint32_t options) {
    *p = (struct pair){};
    p->buffer = heap_alloc(AREA);
    if (p->buffer == nullptr || !user_area_open(&p->m, AREA) ||
        socket_create(options, &p->a, &p->b) != STATUS_OK) {
        return false;
    }
    p->ha = test_handle(socket_object(p->a));
    p->hb = test_handle(socket_object(p->b));
    return true;
}

static void pair_close(struct pair* p) {
    handle_cleanup(&p->ha);
    handle_cleanup(&p->hb);
    user_area_close(&p->m);
    heap_free(p->buffer);
}

static void put(struct pair* p, uint64_t position, size_t at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p->buffer[i] = byte_at(position + i);
    }
    (void)user_put(&p->m, at, p->buffer, n);
}

static bool got_right(struct pair* p, uint64_t position, size_t at, size_t n) {
    (void)user_get(&p->m, at, p->buffer, n);
    for (size_t i = 0; i < n; i++) {
        if (p->buffer[i] != byte_at(position + i)) {
            return false;
        }
    }
    return true;
}

static void stream_carries_every_byte_once(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p, ZX_SOCKET_STREAM));
    struct random rng = random_init(3);
    uint64_t written = 0;
    uint64_t read = 0;
    for (int round = 0; round < 400; round++) {
        size_t n =
            random_below(&rng, 3) == 0 ? random_below(&rng, 100'000) : random_below(&rng, 300);
        size_t done = 0;
        size_t room = SOCKET_BUFFER_SIZE - (written - read);
        put(&p, written, 100, n);
        status_t status = socket_write(p.a, false, user_at(&p.m, 100), n, &done);
        KEXPECT_EQ(t, status, room == 0 && n != 0 ? STATUS_SHOULD_WAIT : STATUS_OK);
        KEXPECT_EQ(t, done, min(n, room));
        written += done;
        bool peek = random_below(&rng, 4) == 0;
        n = random_below(&rng, 120'000);
        status = socket_read(p.b, peek, user_at(&p.m, 3), n, &done);
        KEXPECT_EQ(t, status, written == read ? STATUS_SHOULD_WAIT : STATUS_OK);
        if (status == STATUS_OK) {
            KEXPECT_EQ(t, done, min(n, (size_t)(written - read)));
            KASSERT(t, got_right(&p, read, 3, done));
            read += peek ? 0 : done;
        }
        zx_signals_t signals = object_signals(socket_object(p.b));
        KEXPECT_EQ(t, (signals & ZX_SOCKET_READABLE) != 0, written != read);
        signals = object_signals(socket_object(p.a));
        KEXPECT_EQ(t, (signals & ZX_SOCKET_WRITABLE) != 0, written - read < SOCKET_BUFFER_SIZE);
    }
    KEXPECT(t, read > SOCKET_BUFFER_SIZE);
    pair_close(&p);
}
KTEST(socket, stream_carries_every_byte_once);

static void small_writes_share_pages(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p, ZX_SOCKET_STREAM));
    struct heap_stats before;
    struct heap_stats after;
    heap_get_stats(&before);
    size_t done;
    for (int i = 0; i < 20'000; i++) {
        KASSERT(t, socket_write(p.a, false, user_at(&p.m, 0), 1, &done) == STATUS_OK);
    }
    heap_get_stats(&after);
    KEXPECT(t, after.bytes_in_use - before.bytes_in_use < 12 * PAGE_SIZE);
    pair_close(&p);
}
KTEST(socket, small_writes_share_pages);

static void bad_pointers_lose_nothing(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p, ZX_SOCKET_STREAM));
    size_t done = 77;
    put(&p, 0, 0, 10'000);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, AREA - 100), 200, &done),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 1, &done), STATUS_SHOULD_WAIT);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 10'000, &done), STATUS_OK);
    KEXPECT_EQ(t, socket_read(p.b, false, nullptr, 1, &done), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, socket_read(p.b, false, (uint8_t __user*)(ASPACE_END - 4), 9, &done),
               STATUS_INVALID_ARGS);
    // What fits in front of the hole is delivered, the rest stays.
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, AREA - 6000), 10'000, &done), STATUS_OK);
    KEXPECT_EQ(t, done, 6000u);
    KEXPECT(t, got_right(&p, 0, AREA - 6000, 6000));
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 10'000, &done), STATUS_OK);
    KEXPECT_EQ(t, done, 4000u);
    KEXPECT(t, got_right(&p, 6000, 0, 4000));
    pair_close(&p);
}
KTEST(socket, bad_pointers_lose_nothing);

static void datagrams_stay_whole(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p, ZX_SOCKET_DATAGRAM));
    size_t done;
    put(&p, 0, 0, 9000);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 9000, &done), STATUS_OK);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 3, &done), STATUS_OK);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), SOCKET_BUFFER_SIZE + 1, &done),
               STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), SOCKET_BUFFER_SIZE, &done),
               STATUS_SHOULD_WAIT);
    zx_info_socket_t info;
    socket_get_info(p.b, &info);
    KEXPECT_EQ(t, info.rx_buf_size, 9003u);
    KEXPECT_EQ(t, info.rx_buf_available, 9000u);
    KEXPECT_EQ(t, socket_read(p.b, true, user_at(&p.m, 10'000), 20'000, &done), STATUS_OK);
    KEXPECT(t, done == 9000 && got_right(&p, 0, 10'000, 9000));
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, AREA - 10), 100, &done),
               STATUS_INVALID_ARGS);
    // Cut short: the rest is gone.
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 50'000), 5000, &done), STATUS_OK);
    KEXPECT(t, done == 5000 && got_right(&p, 0, 50'000, 5000));
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 50'000), 5000, &done), STATUS_OK);
    KEXPECT_EQ(t, done, 3u);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 1, &done), STATUS_SHOULD_WAIT);
    uint32_t n = 0;
    while (socket_write(p.a, false, user_at(&p.m, 0), 1, &done) == STATUS_OK) {
        n++;
    }
    KEXPECT_EQ(t, n, SOCKET_DATAGRAMS_MAX);
    KEXPECT_EQ(t, object_signals(socket_object(p.a)), 0u);
    handle_discard(&p.hb); // with all of them in its queue
    KEXPECT_EQ(t, object_signals(socket_object(p.a)), ZX_SOCKET_PEER_CLOSED);
    pair_close(&p);
}
KTEST(socket, datagrams_stay_whole);

static void thresholds_follow_the_buffer(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p, ZX_SOCKET_STREAM));
    struct object* a = socket_object(p.a);
    struct object* b = socket_object(p.b);
    size_t done;
    KEXPECT_EQ(t, socket_set_read_threshold(p.b, SOCKET_BUFFER_SIZE + 1), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, socket_set_read_threshold(p.b, 100), STATUS_OK);
    KEXPECT_EQ(t, socket_set_write_threshold(p.a, SOCKET_BUFFER_SIZE - 50), STATUS_OK);
    KEXPECT_EQ(t, object_signals(a), ZX_SOCKET_WRITABLE | ZX_SOCKET_WRITE_THRESHOLD);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 99, &done), STATUS_OK);
    KEXPECT_EQ(t, object_signals(a), ZX_SOCKET_WRITABLE);
    KEXPECT_EQ(t, object_signals(b), ZX_SOCKET_WRITABLE | ZX_SOCKET_READABLE);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 1, &done), STATUS_OK);
    KEXPECT_EQ(t, object_signals(b),
               ZX_SOCKET_WRITABLE | ZX_SOCKET_READABLE | ZX_SOCKET_READ_THRESHOLD);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 50, &done), STATUS_OK);
    KEXPECT_EQ(t, object_signals(a), ZX_SOCKET_WRITABLE | ZX_SOCKET_WRITE_THRESHOLD);
    KEXPECT_EQ(t, socket_set_read_threshold(p.b, 50), STATUS_OK);
    KEXPECT(t, (object_signals(b) & ZX_SOCKET_READ_THRESHOLD) != 0);
    KEXPECT_EQ(t, socket_set_read_threshold(p.b, 0), STATUS_OK);
    KEXPECT(t, (object_signals(b) & ZX_SOCKET_READ_THRESHOLD) == 0);
    pair_close(&p);
}
KTEST(socket, thresholds_follow_the_buffer);

static void dispositions_stop_and_restart(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p, ZX_SOCKET_STREAM));
    struct object* a = socket_object(p.a);
    struct object* b = socket_object(p.b);
    size_t done;
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 5, &done), STATUS_OK);
    KEXPECT_EQ(t, socket_set_dispositions(p.b, SOCKET_KEEP, SOCKET_WRITE_DISABLED), STATUS_OK);
    KEXPECT_EQ(t, object_signals(a), ZX_SOCKET_WRITE_DISABLED);
    KEXPECT_EQ(t, object_signals(b),
               ZX_SOCKET_READABLE | ZX_SOCKET_WRITABLE | ZX_SOCKET_PEER_WRITE_DISABLED);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 5, &done), STATUS_BAD_STATE);
    // All or nothing: neither half is carried out while the other cannot be.
    KEXPECT_EQ(t, socket_set_dispositions(p.a, SOCKET_WRITE_ENABLED, SOCKET_WRITE_DISABLED),
               STATUS_BAD_STATE);
    KEXPECT((t), (object_signals(b) & ZX_SOCKET_WRITE_DISABLED) == 0);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 9, &done), STATUS_OK);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 9, &done), STATUS_BAD_STATE);
    KEXPECT_EQ(t, socket_set_dispositions(p.a, SOCKET_WRITE_ENABLED, SOCKET_KEEP), STATUS_OK);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 9, &done), STATUS_SHOULD_WAIT);
    KEXPECT_EQ(t, socket_write(p.a, false, user_at(&p.m, 0), 5, &done), STATUS_OK);
    handle_discard(&p.ha);
    KEXPECT_EQ(t, socket_set_dispositions(p.b, SOCKET_KEEP, SOCKET_WRITE_DISABLED),
               STATUS_BAD_STATE);
    KEXPECT_EQ(t, socket_write(p.b, false, user_at(&p.m, 0), 5, &done), STATUS_PEER_CLOSED);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 9, &done), STATUS_OK);
    KEXPECT_EQ(t, done, 5u);
    KEXPECT_EQ(t, socket_read(p.b, false, user_at(&p.m, 0), 9, &done), STATUS_PEER_CLOSED);
    pair_close(&p);
}
KTEST(socket, dispositions_stop_and_restart);
