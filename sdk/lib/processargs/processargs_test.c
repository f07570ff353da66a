// Round trips, and every single byte of a message changed to every interesting value: the parser
// must accept or refuse, never read outside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <processargs/processargs.h>

#include <stdlib.h>
#include <string.h>

static const uint32_t infos[] = {PA_HND(PA_PROC_SELF, 0), PA_HND(PA_FD, 2)};
static const char* const args[] = {"hello", "", "b c"};
static const char* const environment[] = {"A=1"};

static const struct processargs_input input = {.handle_infos = infos,
                                               .handle_count = 2,
                                               .args = args,
                                               .arg_count = 3,
                                               .environ = environment,
                                               .environ_count = 1};

static size_t build(uint32_t buffer[256]) {
    size_t len = 0;
    assert_int_equal(processargs_build(&input, buffer, 1024, &len), PROCESSARGS_OK);
    return len;
}

static void round_trip(void**) {
    uint32_t buffer[256];
    size_t len = build(buffer);
    struct processargs out;
    assert_int_equal(processargs_parse(buffer, len, 2, &out), PROCESSARGS_OK);
    assert_int_equal(out.handle_infos[1], infos[1]);
    const char* pointers[4];
    processargs_string_pointers(&out.args, pointers);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(pointers[i], args[i]);
    }
    assert_null(pointers[3]);
    assert_int_equal(out.environ.count, 1);
    assert_string_equal(out.environ.first, "A=1");
    assert_int_equal(out.names.count, 0);
}

static void too_small_a_buffer(void**) {
    uint32_t buffer[256];
    size_t len = build(buffer);
    for (size_t capacity = 0; capacity < len; capacity++) {
        size_t unused = 0;
        assert_int_equal(processargs_build(&input, buffer, capacity, &unused),
                         PROCESSARGS_TOO_LARGE);
    }
}

static void refusals(void**) {
    uint32_t buffer[256];
    size_t len = build(buffer);
    struct processargs out;
    assert_int_equal(processargs_parse(buffer, 35, 2, &out), PROCESSARGS_TRUNCATED);
    assert_int_equal(processargs_parse(buffer, len - 1, 2, &out), PROCESSARGS_BAD_STRINGS);
    assert_int_equal(processargs_parse(buffer, len, 64, &out), PROCESSARGS_BAD_HANDLES);
    zx_proc_args_t* header = (zx_proc_args_t*)(void*)buffer;
    header->args_num = UINT32_MAX;
    assert_int_equal(processargs_parse(buffer, len, 2, &out), PROCESSARGS_BAD_STRINGS);
    header->version++;
    assert_int_equal(processargs_parse(buffer, len, 2, &out), PROCESSARGS_BAD_PROTOCOL);
}

// Under the address sanitizer, in a heap block of the exact size.
static void any_byte_changed(void**) {
    uint32_t buffer[256];
    size_t len = build(buffer);
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, 36, 44};
    for (size_t at = 0; at < len; at++) {
        for (size_t v = 0; v < sizeof(values); v++) {
            uint8_t* exact = malloc(len);
            memcpy(exact, buffer, len);
            exact[at] = values[v];
            struct processargs out;
            if (processargs_parse(exact, len, 2, &out) == PROCESSARGS_OK && out.args.count <= 64) {
                const char* pointers[65];
                processargs_string_pointers(&out.args, pointers);
                assert_null(pointers[out.args.count]);
            }
            free(exact);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(too_small_a_buffer),
        cmocka_unit_test(refusals),
        cmocka_unit_test(any_byte_changed),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
