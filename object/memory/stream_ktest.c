// Streams: content that grows, gaps, appends from several threads, short transfers, seeking.
#include <object/stream.h>

#include <debug/ktest.h>
#include <lib/string.h>
#include <object/handle.h>

#include "../testing/ktest_user.h"

struct fixture {
    struct user_area m;
    struct vmo* vmo;
    struct handle stream;
};

// The vectors lie at the start of the area; data from the second page on.
static const zx_iovec_t __user* put_vectors(struct fixture* f, const zx_iovec_t* v, size_t count) {
    (void)user_put(&f->m, 0, v, count * sizeof(*v));
    return (const zx_iovec_t __user*)user_at(&f->m, 0);
}

static zx_iovec_t vector(struct fixture* f, size_t offset, size_t n) {
    return (zx_iovec_t){.buffer = (void*)(f->m.base + PAGE_SIZE + offset), .capacity = n};
}

static struct stream* stream_of(struct fixture* f) {
    return stream_from_object(f->stream.object);
}

static bool fixture_open(struct fixture* f, uint64_t size, uint64_t content, uint32_t vmo_options,
                         bool may_resize) {
    *f = (struct fixture){};
    struct stream* s;
    if (!user_area_open(&f->m, 9 * PAGE_SIZE) ||
        vmo_create(size, vmo_options, &f->vmo) != STATUS_OK ||
        vmo_set_stream_size(f->vmo, content) != STATUS_OK ||
        stream_create(f->vmo, ZX_STREAM_MODE_READ | ZX_STREAM_MODE_WRITE, may_resize, 0, &s) !=
            STATUS_OK) {
        return false;
    }
    f->stream = test_handle(stream_object(s));
    return true;
}

static void fixture_close(struct fixture* f) {
    handle_cleanup(&f->stream);
    vmo_unref(f->vmo);
    user_area_close(&f->m);
}

static status_t write_one(struct fixture* f, size_t offset, size_t n, const uint64_t* at,
                          bool append, size_t* actual) {
    zx_iovec_t v = vector(f, offset, n);
    return stream_writev(stream_of(f), put_vectors(f, &v, 1), 1, at, append, actual);
}

static status_t read_one(struct fixture* f, size_t offset, size_t n, const uint64_t* at,
                         size_t* actual) {
    zx_iovec_t v = vector(f, offset, n);
    return stream_readv(stream_of(f), put_vectors(f, &v, 1), 1, at, actual);
}

static void grows_and_clears_gaps(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f, PAGE_SIZE, 0, ZX_VMO_RESIZABLE, true));
    size_t n;
    KEXPECT_EQ(t, read_one(&f, 0, 10, nullptr, &n), STATUS_OK);
    KEXPECT_EQ(t, n, 0u);
    KASSERT(t, user_put(&f.m, PAGE_SIZE, "abcdefgh", 8));
    KEXPECT_EQ(t, write_one(&f, 0, 8, nullptr, false, &n), STATUS_OK);
    KEXPECT_EQ(t, vmo_stream_size(f.vmo), 8u);
    // Bytes behind the end that were never content must not become it.
    uint8_t junk[64];
    memset(junk, 0xee, sizeof(junk));
    KEXPECT_EQ(t, vmo_write(f.vmo, junk, 20, sizeof(junk)), STATUS_OK);
    const uint64_t far = 3 * PAGE_SIZE + 5;
    KEXPECT_EQ(t, write_one(&f, 0, 4, &far, false, &n), STATUS_OK);
    KEXPECT_EQ(t, vmo_stream_size(f.vmo), far + 4);
    KEXPECT_EQ(t, vmo_size(f.vmo), 4u * PAGE_SIZE);
    const uint64_t start = 0;
    KEXPECT_EQ(t, read_one(&f, 0, 7 * PAGE_SIZE, &start, &n), STATUS_OK);
    KEXPECT_EQ(t, n, far + 4);
    uint8_t back[128];
    KASSERT(t, user_get(&f.m, PAGE_SIZE, back, sizeof(back)));
    KEXPECT(t, memcmp(back, "abcdefgh", 8) == 0);
    for (size_t i = 8; i < sizeof(back); i++) {
        KEXPECT_EQ(t, back[i], 0);
    }
    KASSERT(t, user_get(&f.m, PAGE_SIZE + far, back, 4));
    KEXPECT(t, memcmp(back, "abcd", 4) == 0);
    // The seek offset did not follow the calls with an offset of their own.
    KEXPECT_EQ(t, read_one(&f, 0, 2, nullptr, &n), STATUS_OK);
    uint64_t seek;
    KEXPECT_EQ(t, stream_seek(stream_of(&f), ZX_STREAM_SEEK_ORIGIN_CURRENT, 0, &seek), STATUS_OK);
    KEXPECT_EQ(t, seek, 10u);
    fixture_close(&f);
}
KTEST(stream, grows_and_clears_gaps);

static void writes_short_where_it_cannot_grow(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f, 2 * PAGE_SIZE, 100, 0, true)); // not resizable
    size_t n;
    uint64_t at = 2 * PAGE_SIZE - 6;
    KEXPECT_EQ(t, write_one(&f, 0, 50, &at, false, &n), STATUS_OK);
    KEXPECT_EQ(t, n, 6u);
    KEXPECT_EQ(t, vmo_stream_size(f.vmo), 2u * PAGE_SIZE);
    at = 2 * PAGE_SIZE;
    KEXPECT_EQ(t, write_one(&f, 0, 1, &at, false, &n), STATUS_NO_SPACE);
    KEXPECT_EQ(t, write_one(&f, 0, 1, nullptr, true, &n), STATUS_NO_SPACE);
    KEXPECT_EQ(t, write_one(&f, 0, 0, &at, false, &n), STATUS_OK); // nothing asked for
    at = UINT64_MAX - 3;
    KEXPECT_EQ(t, write_one(&f, 0, 8, &at, false, &n), STATUS_FILE_BIG);
    fixture_close(&f);
}
KTEST(stream, writes_short_where_it_cannot_grow);

static void bad_vectors(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f, PAGE_SIZE, 0, ZX_VMO_RESIZABLE, true));
    size_t n;
    zx_iovec_t v[3] = {vector(&f, 0, 100), vector(&f, 8 * PAGE_SIZE - 10, 30), vector(&f, 0, 5)};
    // The second buffer ends in nothing: what came before it counts, and no more shows.
    KEXPECT_EQ(t, stream_writev(stream_of(&f), put_vectors(&f, v, 3), 3, nullptr, false, &n),
               STATUS_OK);
    KEXPECT_EQ(t, n, 110u);
    KEXPECT_EQ(t, vmo_stream_size(f.vmo), 110u);
    v[0] = (zx_iovec_t){.buffer = nullptr, .capacity = 4};
    KEXPECT(t, stream_writev(stream_of(&f), put_vectors(&f, v, 1), 1, nullptr, false, &n) !=
                   STATUS_OK);
    KEXPECT_EQ(t, vmo_stream_size(f.vmo), 110u);
    v[0].capacity = SIZE_MAX;
    KEXPECT_EQ(t, stream_writev(stream_of(&f), put_vectors(&f, v, 2), 2, nullptr, false, &n),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, stream_readv(stream_of(&f), nullptr, 1, nullptr, &n), STATUS_INVALID_ARGS);
    const zx_iovec_t __user* end = (const zx_iovec_t __user*)user_at(&f.m, 9 * PAGE_SIZE - 16);
    KEXPECT_EQ(t, stream_readv(stream_of(&f), end, 2, nullptr, &n), STATUS_INVALID_ARGS);
    fixture_close(&f);
}
KTEST(stream, bad_vectors);

static void seeks_within_bounds(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f, PAGE_SIZE, 100, 0, false));
    struct stream* s = stream_of(&f);
    uint64_t at;
    KEXPECT_EQ(t, stream_seek(s, ZX_STREAM_SEEK_ORIGIN_END, -30, &at), STATUS_OK);
    KEXPECT_EQ(t, at, 70u);
    KEXPECT_EQ(t, stream_seek(s, ZX_STREAM_SEEK_ORIGIN_CURRENT, -71, &at), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, stream_seek(s, ZX_STREAM_SEEK_ORIGIN_CURRENT, 1000, &at), STATUS_OK);
    KEXPECT_EQ(t, at, 1070u);
    KEXPECT_EQ(t, stream_seek(s, ZX_STREAM_SEEK_ORIGIN_CURRENT, INT64_MAX, &at),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, stream_seek(s, ZX_STREAM_SEEK_ORIGIN_START, -1, &at), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, stream_seek(s, 3, 0, &at), STATUS_INVALID_ARGS);
    size_t n;
    KEXPECT_EQ(t, read_one(&f, 0, 5, nullptr, &n), STATUS_OK);
    KEXPECT_EQ(t, n, 0u);
    fixture_close(&f);
}
KTEST(stream, seeks_within_bounds);

struct appender {
    struct fixture* f;
    uint32_t id;
    struct stream* stream;
    uint32_t errors;
};

constexpr uint32_t RECORDS = 200;

static int append_thread(void* arg) {
    struct appender* a = arg;
    struct user_area* m = &a->f->m;
    aspace_activate(m->aspace);
    size_t record = (a->id + 1) * PAGE_SIZE;
    size_t vectors = 64 * (a->id + 1);
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t words[24];
        for (size_t w = 0; w < array_size(words); w++) {
            words[w] = a->id << 16 | i;
        }
        zx_iovec_t v = {.buffer = (void*)(m->base + record), .capacity = sizeof(words)};
        size_t n = 0;
        bool ok = user_put(m, record, words, sizeof(words)) &&
                  user_put(m, vectors, &v, sizeof(v)) &&
                  stream_writev(a->stream, (const zx_iovec_t __user*)user_at(m, vectors), 1,
                                nullptr, true, &n) == STATUS_OK;
        a->errors += !ok || n != sizeof(words);
    }
    aspace_activate(nullptr);
    return 0;
}

// Several streams over one VMO: no record overlaps another.
static void appends_do_not_overlap(struct ktest* t) {
    struct fixture f;
    KASSERT(t, fixture_open(&f, 0, 0, ZX_VMO_RESIZABLE, true));
    struct appender a[4];
    struct handle h[4];
    struct thread* threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        a[i] = (struct appender){.f = &f, .id = i};
        KASSERT(t, stream_create(f.vmo, ZX_STREAM_MODE_WRITE, true, 0, &a[i].stream) == STATUS_OK);
        h[i] = test_handle(stream_object(a[i].stream));
        threads[i] = kthread_create("append", append_thread, &a[i], PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        kthread_join(threads[i]);
        KEXPECT_EQ(t, a[i].errors, 0u);
        handle_discard(&h[i]);
    }
    KEXPECT_EQ(t, vmo_stream_size(f.vmo), 4u * RECORDS * 96);
    uint32_t next[4] = {};
    for (uint32_t r = 0; r < 4 * RECORDS; r++) {
        uint32_t words[24];
        KASSERT(t, vmo_read(f.vmo, words, r * sizeof(words), sizeof(words)) == STATUS_OK);
        uint32_t id = words[0] >> 16;
        KASSERT(t, id < 4);
        KEXPECT_EQ(t, words[0] & 0xffff, next[id]);
        KEXPECT_EQ(t, words[23], words[0]);
        next[id]++;
    }
    fixture_close(&f);
}
KTEST(stream, appends_do_not_overlap);
