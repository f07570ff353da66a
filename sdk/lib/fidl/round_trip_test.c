// Properties over many random objects of a library that holds every kind of type: what is encoded
// decodes, encodes to the same bytes again, and loses no handle; what is changed or cut is refused
// or is itself the one encoding of what it decodes to; and in no case is a handle lost or closed
// twice (the fakes see that), nor a byte touched beyond the message (the address sanitizer).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <fidl/message.h>
#include <fidl/test.sample.h>

#include "fake_handles.h"
#include "random_object.h"

constexpr size_t MESSAGE_MAX = 1 << 20;
constexpr uint32_t HANDLES_MAX = 8192;

static uint8_t object_memory[1 << 22] __attribute__((aligned(8)));
static uint8_t first_bytes[MESSAGE_MAX] __attribute__((aligned(8)));
static uint8_t second_bytes[MESSAGE_MAX] __attribute__((aligned(8)));
static zx_handle_disposition_t first_handles[HANDLES_MAX], second_handles[HANDLES_MAX];
static zx_handle_info_t infos[HANDLES_MAX];

static struct fidl_encoder first_encoder(void) {
    return (struct fidl_encoder){first_bytes, MESSAGE_MAX, 0, first_handles, HANDLES_MAX, 0};
}

static struct fidl_encoder second_encoder(void) {
    return (struct fidl_encoder){second_bytes, MESSAGE_MAX, 0, second_handles, HANDLES_MAX, 0};
}

static void* make(uint64_t seed, struct random_maker* r) {
    fake_handles_reset();
    *r = (struct random_maker){seed, object_memory, sizeof(object_memory), 0};
    return random_object(r, &test_sample_everything_type);
}

// A message in memory of exactly its length.
static struct fidl_message exact(const uint8_t* bytes, size_t len, uint32_t handle_count) {
    struct fidl_message m = {
        .bytes = malloc(len), .len = len, .handles = infos, .handle_count = handle_count};
    memcpy(m.bytes, bytes, len);
    return m;
}

static void what_is_encoded_decodes(void**) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct random_maker r;
        void* object = make(seed, &r);
        uint32_t handles = fake_handles_live();
        struct fidl_encoder e = first_encoder();
        assert_int_equal(fidl_encode(&e, &test_sample_everything_type, object), FIDL_OK);
        assert_int_equal(e.handle_count, handles);
        struct fidl_message m = exact(e.bytes, e.len, random_transfer(&e, infos));
        assert_int_equal(fidl_decode(&m, &test_sample_everything_type), FIDL_OK);
        assert_false(m.has_unknown);
        struct fidl_encoder again = second_encoder();
        assert_int_equal(fidl_encode(&again, &test_sample_everything_type, m.body), FIDL_OK);
        assert_int_equal(again.len, e.len);
        assert_memory_equal(again.bytes, e.bytes, e.len);
        assert_int_equal(again.handle_count, handles);
        assert_int_equal(fake_handles_live(), handles);
        free(m.bytes);
    }
}

static void closing_an_object_closes_each_handle_once(void**) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct random_maker r;
        void* object = make(seed, &r);
        fidl_close_handles(&test_sample_everything_type, object);
        assert_int_equal(fake_handles_live(), 0);
        fidl_close_handles(&test_sample_everything_type, object);
    }
}

static void no_room_closes_everything(void**) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random_maker r;
        void* object = make(seed, &r);
        struct fidl_encoder e = first_encoder();
        e.capacity = random_next(&r, 3000);
        e.handle_capacity = (uint32_t)random_next(&r, 20);
        if (fidl_encode(&e, &test_sample_everything_type, object) == FIDL_OK) {
            assert_int_equal(e.handle_count, fake_handles_live());
        } else {
            assert_int_equal(fake_handles_live(), 0);
        }
    }
}

static void fewer_or_more_bytes_are_refused(void**) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random_maker r;
        struct fidl_encoder e = first_encoder();
        void* object = make(seed, &r);
        assert_int_equal(fidl_encode(&e, &test_sample_everything_type, object), FIDL_OK);
        size_t len = seed % 4 == 0 ? e.len + 8 : random_next(&r, e.len);
        struct fidl_message m = exact(e.bytes, len, random_transfer(&e, infos));
        assert_int_not_equal(fidl_decode(&m, &test_sample_everything_type), FIDL_OK);
        assert_int_equal(fake_handles_live(), 0);
        free(m.bytes);
    }
}

static void handles_of_the_wrong_number_are_refused(void**) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct random_maker r;
        struct fidl_encoder e = first_encoder();
        void* object = make(seed, &r);
        assert_int_equal(fidl_encode(&e, &test_sample_everything_type, object), FIDL_OK);
        uint32_t count = random_transfer(&e, infos);
        infos[count++] = fake_handle(ZX_OBJ_TYPE_EVENT, 0);
        struct fidl_message m = exact(e.bytes, e.len, count);
        assert_int_equal(fidl_decode(&m, &test_sample_everything_type), FIDL_HANDLE_COUNT);
        assert_int_equal(fake_handles_live(), 0);
        free(m.bytes);
    }
}

// One byte, or one word, becomes something else.
static void mutate(struct random_maker* r, uint8_t* bytes, size_t len) {
    static const uint64_t words[] = {0, 1, UINT64_MAX, UINT32_MAX, (uint64_t)1 << 63, 1ull << 48};
    if (random_next(r, 2) == 0) {
        bytes[random_next(r, len)] = (uint8_t)random_next(r, 256);
    } else {
        memcpy(bytes + 8 * random_next(r, len / 8), &words[random_next(r, 6)], 8);
    }
}

static void what_is_changed_is_refused_or_canonical(void**) {
    uint32_t refused = 0, accepted = 0;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        struct random_maker r;
        struct fidl_encoder e = first_encoder();
        void* object = make(seed % 40 + 1, &r);
        assert_int_equal(fidl_encode(&e, &test_sample_everything_type, object), FIDL_OK);
        r.state += seed * 7919;
        mutate(&r, e.bytes, e.len);
        struct fidl_message m = exact(e.bytes, e.len, random_transfer(&e, infos));
        if (fidl_decode(&m, &test_sample_everything_type) != FIDL_OK) {
            assert_int_equal(fake_handles_live(), 0);
            refused++;
        } else if (m.has_unknown) {
            fidl_close_handles(&test_sample_everything_type, m.body);
            assert_int_equal(fake_handles_live(), 0);
        } else {
            struct fidl_encoder again = second_encoder();
            assert_int_equal(fidl_encode(&again, &test_sample_everything_type, m.body), FIDL_OK);
            assert_int_equal(again.len, e.len);
            assert_memory_equal(again.bytes, e.bytes, e.len);
            accepted++;
        }
        free(m.bytes);
    }
    // Both happen often, else this shows nothing.
    assert_true(refused > 400);
    assert_true(accepted > 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_decodes),
        cmocka_unit_test(closing_an_object_closes_each_handle_once),
        cmocka_unit_test(no_room_closes_everything),
        cmocka_unit_test(fewer_or_more_bytes_are_refused),
        cmocka_unit_test(handles_of_the_wrong_number_are_refused),
        cmocka_unit_test(what_is_changed_is_refused_or_canonical),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
