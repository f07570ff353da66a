// Requests that may be carried out, and those that may not. A reference in wide arithmetic says
// what is inside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <block/check.h>
#include <zircon/rights.h>

static const struct jacinth_block_info plain = {.block_size = 512,
                                                .flags = JACINTH_BLOCK_FLAGS_VOLATILE_CACHE |
                                                         JACINTH_BLOCK_FLAGS_DISCARD,
                                                .block_count = 1000,
                                                .max_transfer = 64,
                                                .max_discard = 500};
static const struct block_window whole = {64 << 10, ZX_RIGHT_READ | ZX_RIGHT_WRITE};

static zx_status_t check(struct block_request r) {
    return block_request_check(&plain, &r, &whole);
}

static void test_sound_requests(void**) {
    assert_int_equal(check((struct block_request){.opcode = BLOCK_READ, .vmoid = 1, .length = 1}),
                     ZX_OK);
    assert_int_equal(check((struct block_request){.opcode = BLOCK_WRITE,
                                                  .vmoid = 1,
                                                  .length = 64,
                                                  .vmo_offset = 64,
                                                  .device_offset = 936}),
                     ZX_OK);
    assert_int_equal(check((struct block_request){.opcode = BLOCK_FLUSH}), ZX_OK);
    assert_int_equal(
        check((struct block_request){.opcode = BLOCK_DISCARD, .length = 500, .device_offset = 500}),
        ZX_OK);
    assert_int_equal(check((struct block_request){.opcode = BLOCK_FLUSH,
                                                  .flags = BLOCK_IN_GROUP | BLOCK_GROUP_END,
                                                  .group = 7}),
                     ZX_OK);
}

static void test_what_must_be_zero(void**) {
    static const struct block_request bad[] = {
        {.opcode = BLOCK_READ, .vmoid = 1, .length = 0},
        {.opcode = BLOCK_DISCARD, .length = 0},
        {.opcode = BLOCK_DISCARD, .length = 1, .vmoid = 1},
        {.opcode = BLOCK_DISCARD, .length = 1, .vmo_offset = 1},
        {.opcode = BLOCK_FLUSH, .length = 1},
        {.opcode = BLOCK_FLUSH, .vmoid = 1},
        {.opcode = BLOCK_FLUSH, .vmo_offset = 1},
        {.opcode = BLOCK_FLUSH, .device_offset = 1},
        {.opcode = BLOCK_FLUSH, .flags = 4},
        {.opcode = BLOCK_FLUSH, .flags = BLOCK_GROUP_END},
        {.opcode = BLOCK_FLUSH, .group = 1},
        {.opcode = BLOCK_FLUSH, .flags = BLOCK_IN_GROUP, .group = BLOCK_GROUPS},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check(bad[i]), ZX_ERR_INVALID_ARGS);
    }
}

static void test_what_is_not_there(void**) {
    struct block_request r = {.opcode = BLOCK_OPCODES, .length = 1};
    assert_int_equal(check(r), ZX_ERR_NOT_SUPPORTED);
    r.opcode = BLOCK_READ;
    assert_int_equal(block_request_check(&plain, &r, nullptr), ZX_ERR_NOT_FOUND);
    struct jacinth_block_info bare = plain;
    bare.flags = 0;
    r.opcode = BLOCK_DISCARD;
    assert_int_equal(block_request_check(&bare, &r, nullptr), ZX_ERR_NOT_SUPPORTED);
}

static void test_rights(void**) {
    struct block_request read = {.opcode = BLOCK_READ, .vmoid = 1, .length = 1};
    struct block_request write = {.opcode = BLOCK_WRITE, .vmoid = 1, .length = 1};
    struct block_request discard = {.opcode = BLOCK_DISCARD, .length = 1};
    struct block_window only_read = {4096, ZX_RIGHT_READ}, only_write = {4096, ZX_RIGHT_WRITE};
    assert_int_equal(block_request_check(&plain, &read, &only_read), ZX_ERR_ACCESS_DENIED);
    assert_int_equal(block_request_check(&plain, &read, &only_write), ZX_OK);
    assert_int_equal(block_request_check(&plain, &write, &only_read), ZX_OK);
    assert_int_equal(block_request_check(&plain, &write, &only_write), ZX_ERR_ACCESS_DENIED);
    struct jacinth_block_info fixed = plain;
    fixed.flags |= JACINTH_BLOCK_FLAGS_READ_ONLY;
    assert_int_equal(block_request_check(&fixed, &read, &whole), ZX_OK);
    assert_int_equal(block_request_check(&fixed, &write, &whole), ZX_ERR_ACCESS_DENIED);
    assert_int_equal(block_request_check(&fixed, &discard, nullptr), ZX_ERR_ACCESS_DENIED);
}

// Numbers around all the limits, and around where sums overflow.
static const uint64_t numbers[] = {
    0,         1,   63,  64,   65,   127,        128,        499,        500,
    501,       936, 999, 1000, 1001, UINT32_MAX, 1ull << 55, 1ull << 63, UINT64_MAX - 63,
    UINT64_MAX};
constexpr size_t NUMBERS = sizeof(numbers) / sizeof(numbers[0]);

static void test_ranges(void**) {
    uint32_t sound = 0, refused = 0;
    for (size_t i = 0; i < NUMBERS * NUMBERS * NUMBERS; i++) {
        struct block_request r = {.opcode = BLOCK_WRITE,
                                  .vmoid = 1,
                                  .length = (uint32_t)numbers[i % NUMBERS],
                                  .vmo_offset = numbers[i / NUMBERS % NUMBERS],
                                  .device_offset = numbers[i / NUMBERS / NUMBERS]};
        unsigned __int128 vmo_end = (unsigned __int128)r.vmo_offset + r.length;
        unsigned __int128 device_end = (unsigned __int128)r.device_offset + r.length;
        bool fits = r.length <= plain.max_transfer && vmo_end * 512 <= whole.size &&
                    device_end <= plain.block_count;
        zx_status_t want = r.length == 0 ? ZX_ERR_INVALID_ARGS : fits ? ZX_OK : ZX_ERR_OUT_OF_RANGE;
        assert_int_equal(check(r), want);
        sound += want == ZX_OK;
        refused += want == ZX_ERR_OUT_OF_RANGE;
    }
    assert_true(sound > 50 && refused > 1000);
}

// A VMO whose size is no multiple of the block size: the rest is no block.
static void test_a_vmo_that_ends_in_a_block(void**) {
    struct block_window w = {4096, ZX_RIGHT_WRITE};
    struct jacinth_block_info large = plain;
    large.block_size = 3000;
    struct block_request r = {.opcode = BLOCK_READ, .vmoid = 1, .length = 1};
    assert_int_equal(block_request_check(&large, &r, &w), ZX_OK);
    r.vmo_offset = 1;
    assert_int_equal(block_request_check(&large, &r, &w), ZX_ERR_OUT_OF_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_requests),
        cmocka_unit_test(test_what_must_be_zero),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_a_vmo_that_ends_in_a_block),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
