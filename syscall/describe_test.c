// Decoding of the sample calls, whose arguments are of every kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <syscall/describe.h>
#include <syscall/model.h>
#include <zircon/syscall_numbers.h>

static const char* describe(uint64_t number, const uint64_t args[8]) {
    static char text[512];
    size_t length = syscall_describe(text, sizeof(text), number, args);
    assert_int_equal(length, strlen(text));
    return text;
}

static void arguments_are_shown_by_kind(void** state) {
    (void)state;
    assert_string_equal(describe(ZX_SYS_sample_sum, (uint64_t[8]){0xf00000003, (uint64_t)-7}),
                        "sample_sum(a=3, b=-7)");
    assert_string_equal(
        describe(ZX_SYS_sample_send, (uint64_t[8]){0x8b3, 0x2040, 0xdead0000000c, 0, 2}),
        "sample_send(handle=0x8b3, bytes=0x2040[12], num_bytes=12, handles=null, num_handles=2)");
    assert_string_equal(describe(ZX_SYS_sample_wait, (uint64_t[8]){0x8b3, INT64_MAX, 0x7000}),
                        "sample_wait(handle=0x8b3, deadline=infinite, observed=0x7000)");
    assert_string_equal(describe(ZX_SYS_sample_owner, (uint64_t[8]){0x1000, 0, 0x2000}),
                        "sample_owner(value_ptr=0x1000, owner=0x0, koid=0x2000)");
    assert_string_equal(describe(ZX_SYS_COUNT, (uint64_t[8]){}), "syscall_16(...)");
    assert_string_equal(describe(UINT64_MAX, (uint64_t[8]){}), "syscall_18446744073709551615(...)");
}

static void results_have_names(void** state) {
    (void)state;
    char text[64];
    syscall_describe_result(text, sizeof(text), ZX_SYS_sample_poke, -11);
    assert_string_equal(text, "-> ZX_ERR_BAD_HANDLE");
    syscall_describe_result(text, sizeof(text), ZX_SYS_sample_poke, 17);
    assert_string_equal(text, "-> 17");
    syscall_describe_result(text, sizeof(text), ZX_SYS_sample_poke, -1000);
    assert_string_equal(text, "-> -1000");
    syscall_describe_result(text, sizeof(text), ZX_SYS_sample_sum, 0x123456789);
    assert_string_equal(text, "-> 0x123456789");
}

static void text_is_cut_to_the_buffer(void** state) {
    (void)state;
    const uint64_t args[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    char whole[512];
    size_t length = syscall_describe(whole, sizeof(whole), ZX_SYS_sample_eight, args);
    for (size_t cap = 0; cap <= length + 1; cap++) {
        char text[512];
        memset(text, '#', sizeof(text));
        assert_int_equal(syscall_describe(text, cap, ZX_SYS_sample_eight, args), length);
        assert_int_equal(text[cap], '#');
        if (cap > 0) {
            assert_int_equal(strlen(text), cap - 1);
            assert_memory_equal(text, whole, cap - 1);
        }
    }
}

static void the_model_is_in_the_order_of_the_numbers(void** state) {
    (void)state;
    assert_int_equal(syscall_model_count, ZX_SYS_COUNT + 1);
    for (size_t i = 0; i < syscall_model_count; i++) {
        assert_int_equal(syscall_models[i].number, i < ZX_SYS_COUNT ? (int)i : -1);
        assert_true(syscall_models[i].arg_count <= 8);
    }
    assert_int_equal(syscall_models[ZX_SYS_sample_wait].flags, SYSCALL_FLAG_BLOCKING);
    assert_int_equal(syscall_models[ZX_SYS_sample_exit].flags, SYSCALL_FLAG_NORETURN);
    const struct syscall_arg_model* handles = &syscall_models[ZX_SYS_sample_send].args[3];
    assert_true(handles->is_array && handles->is_consumed);
    assert_int_equal(handles->count[0], 5);
    assert_int_equal(syscall_models[ZX_SYS_sample_poke].args[0].rights,
                     ZX_RIGHT_READ | ZX_RIGHT_WRITE);
    assert_int_equal(syscall_models[ZX_SYS_sample_poke].args[0].types,
                     (uint64_t)1 << ZX_OBJ_TYPE_CHANNEL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_shown_by_kind),
        cmocka_unit_test(results_have_names),
        cmocka_unit_test(text_is_cut_to_the_buffer),
        cmocka_unit_test(the_model_is_in_the_order_of_the_numbers),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
