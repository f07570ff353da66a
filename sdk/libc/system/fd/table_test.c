// Tables of descriptors, and buffers in pieces.
#include <fd/object.h>
#include <fd/table.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// An object that only counts how often it was closed.
struct probe {
    struct fd_object base;
    int closed;
};

static void probe_close(struct fd_object* o) {
    ((struct probe*)o)->closed++;
}

static const struct fd_ops probe_ops = {.close = probe_close};

static struct fd_object* probe_init(struct probe* p) {
    *p = (struct probe){};
    fd_object_init(&p->base, &probe_ops, ABI_O_RDWR);
    return &p->base;
}

static int make(void** state) {
    *state = fd_table_new();
    return *state == nullptr;
}

static int drop(void** state) {
    fd_table_delete(*state);
    return 0;
}

static void test_the_lowest_free_one_is_taken(void** state) {
    struct fd_table* t = *state;
    static struct probe p[4];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fd_table_add(t, probe_init(&p[i]), 0, 0), i);
    }
    assert_int_equal(fd_table_close(t, 1), 0);
    assert_int_equal(p[1].closed, 1);
    assert_int_equal(fd_table_add(t, probe_init(&p[3]), 0, 0), 1);
    assert_int_equal(fd_table_add(t, probe_init(&p[1]), 10, 0), 10);
}

static void test_out_of_range(void** state) {
    struct fd_table* t = *state;
    static struct probe p;
    struct fd_object* o;
    assert_int_equal(fd_table_get_ref(t, -1, &o), -ABI_EBADF);
    assert_int_equal(fd_table_get_ref(t, FD_MAX, &o), -ABI_EBADF);
    assert_int_equal(fd_table_get_ref(t, 5, &o), -ABI_EBADF);
    assert_int_equal(fd_table_close(t, 5), -ABI_EBADF);
    assert_int_equal(fd_table_close(t, FD_MAX), -ABI_EBADF);
    assert_int_equal(fd_table_set_flags(t, 5, ABI_FD_CLOEXEC), -ABI_EBADF);
    // The reference is gone in any case.
    assert_int_equal(fd_table_add(t, probe_init(&p), FD_MAX, 0), -ABI_EINVAL);
    assert_int_equal(p.closed, 1);
    assert_int_equal(fd_table_put(t, probe_init(&p), FD_MAX, 0), -ABI_EBADF);
    assert_int_equal(p.closed, 1);
}

static void test_full(void** state) {
    struct fd_table* t = *state;
    static struct probe p[FD_MAX];
    static struct probe more;
    for (int i = 0; i < FD_MAX; i++) {
        assert_int_equal(fd_table_add(t, probe_init(&p[i]), 0, 0), i);
    }
    assert_int_equal(fd_table_add(t, probe_init(&more), 0, 0), -ABI_EMFILE);
    assert_int_equal(more.closed, 1);
    fd_table_delete(t);
    *state = nullptr;
    for (int i = 0; i < FD_MAX; i++) {
        assert_int_equal(p[i].closed, 1);
    }
}

static void test_put_closes_what_was_there(void** state) {
    struct fd_table* t = *state;
    static struct probe a, b;
    assert_int_equal(fd_table_put(t, probe_init(&a), 7, ABI_FD_CLOEXEC), 7);
    assert_int_equal(fd_table_get_flags(t, 7), ABI_FD_CLOEXEC);
    assert_int_equal(fd_table_put(t, probe_init(&b), 7, 0), 7);
    assert_int_equal(a.closed, 1);
    assert_int_equal(b.closed, 0);
    assert_int_equal(fd_table_get_flags(t, 7), 0);
}

static void test_an_object_in_use_outlives_its_descriptor(void** state) {
    struct fd_table* t = *state;
    static struct probe p;
    struct fd_object* o;
    assert_int_equal(fd_table_add(t, probe_init(&p), 0, 0), 0);
    assert_int_equal(fd_table_get_ref(t, 0, &o), 0);
    assert_int_equal(fd_table_close(t, 0), 0);
    assert_int_equal(p.closed, 0);
    fd_object_unref(o);
    assert_int_equal(p.closed, 1);
}

static void test_a_copy_shares_objects_and_nothing_else(void** state) {
    struct fd_table* t = *state;
    static struct probe p[2];
    (void)fd_table_add(t, probe_init(&p[0]), 0, ABI_FD_CLOEXEC);
    (void)fd_table_add(t, probe_init(&p[1]), 0, 0);
    struct fd_table* copy = fd_table_copy(t);
    assert_non_null(copy);
    assert_int_equal(fd_table_set_flags(copy, 1, ABI_FD_CLOEXEC), 0);
    assert_int_equal(fd_table_get_flags(t, 1), 0);
    assert_int_equal(fd_table_set_flags(copy, 1, 0), 0);
    assert_int_equal(fd_table_close(copy, 0), 0);
    assert_int_equal(fd_table_get_flags(t, 0), ABI_FD_CLOEXEC);
    assert_int_equal(p[0].closed, 0);
    assert_int_equal(fd_table_close(t, 0), 0);
    assert_int_equal(p[0].closed, 1);
    assert_int_equal(fd_table_close(t, 1), 0);
    assert_int_equal(p[1].closed, 0);
    fd_table_delete(copy);
    assert_int_equal(p[1].closed, 1);
}

static void test_walking_through_all(void** state) {
    struct fd_table* t = *state;
    static struct probe p[2];
    (void)fd_table_put(t, probe_init(&p[0]), 3, 0);
    (void)fd_table_put(t, probe_init(&p[1]), 900, ABI_FD_CLOEXEC);
    struct fd_object* o;
    int flags;
    assert_int_equal(fd_table_next_ref(t, 0, &o, &flags), 3);
    assert_ptr_equal(o, &p[0].base);
    assert_int_equal(flags, 0);
    fd_object_unref(o);
    assert_int_equal(fd_table_next_ref(t, 4, &o, &flags), 900);
    assert_int_equal(flags, ABI_FD_CLOEXEC);
    fd_object_unref(o);
    assert_int_equal(fd_table_next_ref(t, 901, &o, &flags), -1);
}

// ---- threads ----

static _Atomic(int) heap_closed;

static void heap_close(struct fd_object* o) {
    heap_closed++;
    memset(o, 0xee, sizeof(*o)); // whoever used it now would crash
    free(o);
}

static const struct fd_ops heap_ops = {.close = heap_close};

constexpr int ROUNDS = 20'000;

static void* opens_and_closes(void* table) {
    for (int i = 0; i < ROUNDS; i++) {
        struct fd_object* o = malloc(sizeof(*o));
        fd_object_init(o, &heap_ops, ABI_O_RDONLY);
        (void)fd_table_put(table, o, i % 4, 0);
    }
    return nullptr;
}

static void* looks_up(void* table) {
    for (int i = 0; i < ROUNDS; i++) {
        struct fd_object* o;
        if (fd_table_get_ref(table, i % 4, &o) == 0) {
            assert_true(fd_object_readable(o));
            fd_object_unref(o);
        }
    }
    return nullptr;
}

static void test_look_ups_race_closes(void** state) {
    struct fd_table* t = *state;
    pthread_t threads[4];
    heap_closed = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            pthread_create(&threads[i], nullptr, i % 2 == 0 ? opens_and_closes : looks_up, t), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], nullptr), 0);
    }
    fd_table_delete(t);
    *state = nullptr;
    assert_int_equal(heap_closed, 2 * ROUNDS);
}

// ---- buffers ----

static void test_pieces(void**) {
    char a[3] = "abc", b[1], c[5] = "defgh";
    const zx_iovec_t v[] = {{a, 3}, {b, 0}, {c, 5}};
    struct fd_io io = {.vectors = v, .count = 3, .len = 8};
    void* at;
    size_t len;
    assert_true(fd_io_next(&io, &at, &len));
    assert_ptr_equal(at, a);
    assert_int_equal(len, 3);
    io.skip = 3;
    assert_true(fd_io_next(&io, &at, &len));
    assert_ptr_equal(at, c);
    io.skip = 5;
    assert_true(fd_io_next(&io, &at, &len));
    assert_ptr_equal(at, c + 2);
    assert_int_equal(len, 3);
    io.skip = 8;
    assert_false(fd_io_next(&io, &at, &len));
    char got[8];
    io.skip = 1;
    assert_int_equal(fd_io_gather(&io, got, sizeof(got)), 7);
    assert_memory_equal(got, "bcdefgh", 7);
    assert_int_equal(fd_io_gather(&io, got, 4), 4);
}

static void test_access_modes(void**) {
    static struct probe p;
    static const struct {
        int64_t flags;
        bool reads, writes;
    } cases[] = {{ABI_O_RDONLY, true, false},
                 {ABI_O_WRONLY | ABI_O_APPEND, false, true},
                 {ABI_O_RDWR | ABI_O_NONBLOCK, true, true},
                 {ABI_O_PATH, false, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fd_object_init(&p.base, &probe_ops, (uint32_t)cases[i].flags);
        assert_int_equal(fd_object_readable(&p.base), cases[i].reads);
        assert_int_equal(fd_object_writable(&p.base), cases[i].writes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_lowest_free_one_is_taken, make, drop),
        cmocka_unit_test_setup_teardown(test_out_of_range, make, drop),
        cmocka_unit_test_setup_teardown(test_full, make, drop),
        cmocka_unit_test_setup_teardown(test_put_closes_what_was_there, make, drop),
        cmocka_unit_test_setup_teardown(test_an_object_in_use_outlives_its_descriptor, make, drop),
        cmocka_unit_test_setup_teardown(test_a_copy_shares_objects_and_nothing_else, make, drop),
        cmocka_unit_test_setup_teardown(test_walking_through_all, make, drop),
        cmocka_unit_test_setup_teardown(test_look_ups_race_closes, make, drop),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_access_modes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
