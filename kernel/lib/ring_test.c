// The byte ring against a plain queue that shifts its bytes.
#include <lib/ring.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <lib/random.h>

constexpr size_t ring_cap = 64;

struct model {
    unsigned char bytes[ring_cap];
    size_t len;
};

static void model_drop(struct model* model, size_t len) {
    memmove(model->bytes, model->bytes + len, model->len - len);
    model->len -= len;
}

static void model_append(struct model* model, const unsigned char* data, size_t len) {
    memcpy(model->bytes + model->len, data, len);
    model->len += len;
}

static void step_write(struct ring* ring, struct model* model, struct random* random) {
    unsigned char data[100];
    size_t len = random_below(random, sizeof(data) + 1);
    for (size_t i = 0; i < len; i++) {
        data[i] = (unsigned char)random_u64(random);
    }
    size_t room = ring_cap - model->len;
    switch (random_below(random, 3)) {
    case 0: {
        size_t fits = len < room ? len : room;
        assert_int_equal(ring_write(ring, data, len), fits);
        model_append(model, data, fits);
        break;
    }
    case 1: {
        ring_overwrite(ring, data, len);
        size_t kept = len < ring_cap ? len : ring_cap;
        size_t excess = model->len + kept > ring_cap ? model->len + kept - ring_cap : 0;
        model_drop(model, excess);
        model_append(model, data + len - kept, kept);
        break;
    }
    default: {
        size_t contiguous;
        unsigned char* to = ring_writable(ring, &contiguous);
        assert_true(contiguous <= room && (contiguous > 0 || room == 0));
        size_t fits = len < contiguous ? len : contiguous;
        memcpy(to, data, fits);
        ring_commit(ring, fits);
        model_append(model, data, fits);
    }
    }
}

static void step_read(struct ring* ring, struct model* model, struct random* random) {
    unsigned char data[100];
    size_t len = random_below(random, sizeof(data) + 1);
    size_t got = len < model->len ? len : model->len;
    switch (random_below(random, 4)) {
    case 0:
        assert_int_equal(ring_read(ring, data, len), got);
        assert_memory_equal(data, model->bytes, got);
        model_drop(model, got);
        break;
    case 1:
        assert_int_equal(ring_skip(ring, len), got);
        model_drop(model, got);
        break;
    case 2: {
        size_t offset = random_below(random, ring_cap + 4);
        size_t left = offset < model->len ? model->len - offset : 0;
        got = len < left ? len : left;
        assert_int_equal(ring_peek(ring, offset, data, len), got);
        if (got > 0) {
            assert_memory_equal(data, model->bytes + offset, got);
        }
        break;
    }
    default: {
        size_t contiguous;
        const void* from = ring_readable(ring, &contiguous);
        assert_true(contiguous <= model->len && (contiguous > 0 || model->len == 0));
        assert_memory_equal(from, model->bytes, contiguous);
    }
    }
}

static void test_random(void**) {
    struct random random = random_init(40);
    unsigned char storage[ring_cap];
    struct ring ring;
    struct model model = {};
    ring_init(&ring, storage, sizeof(storage));
    for (int i = 0; i < 50000; i++) {
        if (random_below(&random, 2) == 0) {
            step_write(&ring, &model, &random);
        } else {
            step_read(&ring, &model, &random);
        }
        assert_int_equal(ring_used(&ring), model.len);
        assert_int_equal(ring_free(&ring), ring_cap - model.len);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
