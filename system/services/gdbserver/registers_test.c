// Host test of the registers' table: sizes, places, the way there and back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <gdbserver/registers.h>

static void places(void**) {
    struct registers r = {};
    uint8_t v[register_max];
    r.general.rip = 0x1122334455667788;
    r.general.rflags = 0x246;
    r.general.gs_base = 0x99;
    r.fp.fcw = 0x37f;
    r.fp.fsw = 0xffff; // its neighbour
    r.vector.zmm[15].v[1] = 0x77;
    assert_true(register_get(&r, 16, v) && v[0] == 0x88 && v[7] == 0x11);
    assert_true(register_get(&r, 17, v) && v[0] == 0x46 && v[1] == 0x02 && v[2] == 0);
    assert_false(register_get(&r, 18, v)); // cs
    assert_true(register_get(&r, 32, v) && v[0] == 0x7f && v[1] == 0x03 && v[2] == 0);
    assert_true(register_get(&r, 55, v) && v[8] == 0x77);
    assert_true(register_get(&r, 58, v) && v[0] == 0x99);
    r.vector.zmm[3].v[2] = 0x1234;
    r.vector.zmm[3].v[3] = 0x56;
    assert_true(register_get(&r, 63, v) && v[0] == 0x34 && v[1] == 0x12 && v[8] == 0x56);
    assert_int_equal(register_size(24), 10);
    assert_int_equal(register_size(56), 4);
}

static void tags(void**) {
    struct registers r = {};
    uint8_t v[register_max] = {};
    assert_true(register_get(&r, 34, v) && v[0] == 0xff && v[1] == 0xff && v[2] == 0);
    r.fp.ftw = 0x81;
    assert_true(register_get(&r, 34, v) && v[0] == 0xfc && v[1] == 0x3f);
    r.fp.ftw = 0;
    register_set(&r, 34, v);
    assert_int_equal(r.fp.ftw, 0x81);
}

// A write of all changes nothing but what is shown, and that back to the same.
static void there_and_back(void**) {
    static struct registers r, s;
    static struct rsp_reply out;
    uint8_t* bytes = (uint8_t*)&r;
    for (size_t i = 0; i < sizeof(r); i++) {
        bytes[i] = (uint8_t)(i * 37 + 1);
    }
    s = r;
    rsp_clear(&out);
    registers_print(&r, registers_with_avx, &out);
    assert_false(out.overflow);
    size_t size = 0;
    for (uint32_t n = 0; n < registers_with_avx; n++) {
        size += register_size(n);
    }
    assert_int_equal(out.len, 2 * size);
    struct rsp_text t = {out.data, out.data + out.len};
    assert_true(registers_parse(&s, registers_with_avx, &t));
    assert_true(rsp_at_end(&t));
    assert_memory_equal(&r, &s, sizeof(r));
}

static void bad_text(void**) {
    struct registers r = {};
    static const char* const bad[] = {"", "1", "112233445566778", "11223344556677zz", "xxxxxxxx"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rsp_text t = {bad[i], bad[i] + strlen(bad[i])};
        assert_false(registers_parse(&r, registers_without_avx, &t));
    }
    static const char one[] = "8877665544332211"; // the first register alone
    struct rsp_text t = {one, one + 16};
    assert_true(registers_parse(&r, registers_without_avx, &t));
    assert_true(r.general.rax == 0x1122334455667788 && r.general.rbx == 0);
}

static void check_description(uint32_t registers) {
    static char xml[registers_xml_max];
    const size_t len = registers_describe(registers, xml);
    assert_true(len < registers_xml_max);
    assert_int_equal(strlen(xml), len);
    uint32_t count = 0;
    for (const char* at = xml; (at = strstr(at, "<reg name=")) != nullptr; at++) {
        char number[32];
        (void)snprintf(number, sizeof(number), "regnum=\"%u\"/>", count++);
        assert_non_null(strstr(at, number));
    }
    assert_int_equal(count, registers);
    assert_non_null(strstr(xml, "name=\"fs_base\" bitsize=\"64\""));
    const bool has_avx = strstr(xml, "org.gnu.gdb.i386.avx") != nullptr;
    assert_int_equal(has_avx, registers == registers_with_avx);
}

static void description(void**) {
    check_description(registers_without_avx);
    check_description(registers_with_avx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),   cmocka_unit_test(tags),        cmocka_unit_test(there_and_back),
        cmocka_unit_test(bad_text), cmocka_unit_test(description),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
