// What the compiler cannot assert about the public headers: that status codes and rights are
// distinct, that default rights grant what the object types are for, and that time saturates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <zircon/processargs.h>
#include <zircon/syscalls/types.h>
#include <zircon/types.h>

static void status_codes_are_distinct_and_in_range(void** state) {
    (void)state;
    static const int32_t codes[] = {
#define CODE(name) ZX_##name,
        ZX_STATUS_LIST(CODE)
#undef CODE
    };
    size_t count = sizeof(codes) / sizeof(codes[0]);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++) {
        assert_true(codes[i] < 0 && codes[i] >= -(1 << 30));
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
        }
    }
}

static void channels_cannot_be_duplicated(void** state) {
    (void)state;
    assert_int_equal(ZX_DEFAULT_CHANNEL_RIGHTS & ZX_RIGHT_DUPLICATE, 0);
    assert_int_equal(ZX_DEFAULT_CHANNEL_RIGHTS, 0xf00e);
    assert_int_equal(ZX_DEFAULT_PORT_RIGHTS & ZX_RIGHT_WAIT, 0);
    assert_int_equal(ZX_DEFAULT_VMO_RIGHTS & ZX_RIGHT_EXECUTE, 0);
    assert_int_equal(ZX_DEFAULT_VMO_RIGHTS, 0xd0ef);
}

static void times_saturate(void** state) {
    (void)state;
    assert_int_equal(zx_time_add_duration(INT64_MAX, 1), ZX_TIME_INFINITE);
    assert_int_equal(zx_time_add_duration(INT64_MIN, -1), ZX_TIME_INFINITE_PAST);
    assert_int_equal(zx_time_sub_duration(INT64_MIN, 1), ZX_TIME_INFINITE_PAST);
    assert_int_equal(zx_time_sub_time(0, INT64_MIN), ZX_TIME_INFINITE);
    assert_int_equal(zx_duration_mul_int64(INT64_MAX, -2), ZX_TIME_INFINITE_PAST);
    assert_int_equal(zx_duration_mul_int64(INT64_MIN, -1), ZX_TIME_INFINITE);
    assert_int_equal(zx_duration_from_sec(3), 3000000000);
    assert_int_equal(zx_time_add_duration(5, -7), -2);
    int64_t hours = 2; // not a constant expression: the function, not the cast
    assert_int_equal(ZX_HOUR(hours), 7200000000000);
    assert_int_equal(ZX_MSEC(7), 7000000);
}

static void packed_words_come_apart_again(void** state) {
    (void)state;
    uint32_t word = PA_HND(PA_FD, 7);
    assert_int_equal(PA_HND_TYPE(word), PA_FD);
    assert_int_equal(PA_HND_ARG(word), 7);
    assert_int_equal(ZX_INFO_PROCESS, 0x10000003);
    assert_int_equal(ZX_THREAD_STATE_BASIC(ZX_THREAD_STATE_BLOCKED_FUTEX), ZX_THREAD_STATE_BLOCKED);
    uint32_t options = ZX_RSRC_KIND_IRQ | ZX_RSRC_FLAG_EXCLUSIVE;
    assert_int_equal(ZX_RSRC_EXTRACT_KIND(options), ZX_RSRC_KIND_IRQ);
    assert_int_equal(ZX_RSRC_EXTRACT_FLAGS(options), ZX_RSRC_FLAG_EXCLUSIVE);
    assert_int_equal(ZX_VM_ALIGN_4GB, 0x20000000);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_codes_are_distinct_and_in_range),
        cmocka_unit_test(channels_cannot_be_duplicated),
        cmocka_unit_test(times_saturate),
        cmocka_unit_test(packed_words_come_apart_again),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
