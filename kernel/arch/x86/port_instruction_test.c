// Host test of the IN and OUT decoder.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "port_instruction.h"

#define DECODE(out, ...)                             \
    ({                                               \
        static const uint8_t code[] = {__VA_ARGS__}; \
        x86_port_decode(code, sizeof(code), out);    \
    })

static void expect(const char* what, size_t len, uint8_t length, uint8_t size, bool out,
                   bool in_dx) {
    struct x86_port_instruction i;
    uint8_t code[16] = {};
    memcpy(code, what, len);
    assert_int_equal(x86_port_decode(code, sizeof(code), &i), X86_PORT_FOUND);
    assert_int_equal(i.length, length);
    assert_int_equal(i.size, size);
    assert_int_equal(i.out, out);
    assert_int_equal(i.port_in_dx, in_dx);
}

static void all_eight(void**) {
    expect("\xe4\x70", 2, 2, 1, false, false);
    expect("\xe5\x70", 2, 2, 4, false, false);
    expect("\xe6\x70", 2, 2, 1, true, false);
    expect("\xe7\x70", 2, 2, 4, true, false);
    expect("\xec", 1, 1, 1, false, true);
    expect("\xed", 1, 1, 4, false, true);
    expect("\xee", 1, 1, 1, true, true);
    expect("\xef", 1, 1, 4, true, true);
    struct x86_port_instruction i;
    assert_int_equal(DECODE(&i, 0xe4, 0x71), X86_PORT_FOUND);
    assert_int_equal(i.port, 0x71);
}

static void prefixes(void**) {
    expect("\x66\xed", 2, 2, 2, false, true);
    expect("\x66\xec", 2, 2, 1, false, true);        // bytes stay bytes
    expect("\x66\x48\xed", 3, 3, 4, false, true);    // REX.W wins
    expect("\x48\x66\xed", 3, 3, 2, false, true);    // ... only directly before the opcode
    expect("\x48\xed", 2, 2, 4, false, true);        // no port is 64 bits wide
    expect("\x66\x41\xef", 3, 3, 2, true, true);     // other REX bits mean nothing
    expect("\xf3\x2e\x67\xee", 4, 4, 1, true, true); // ignored
    expect("\x66\x66\x66\xe7\x10", 5, 5, 2, true, false);
}

static void other_instructions(void**) {
    struct x86_port_instruction i;
    assert_int_equal(DECODE(&i, 0xf4, 0), X86_PORT_OTHER);    // hlt
    assert_int_equal(DECODE(&i, 0xfa, 0), X86_PORT_OTHER);    // cli
    assert_int_equal(DECODE(&i, 0x6c, 0), X86_PORT_OTHER);    // insb
    assert_int_equal(DECODE(&i, 0xf3, 0x6f), X86_PORT_OTHER); // rep outsl
    assert_int_equal(DECODE(&i, 0xf0, 0xee), X86_PORT_OTHER); // lock
    assert_int_equal(DECODE(&i, 0x0f, 0xec), X86_PORT_OTHER); // another opcode map
    assert_int_equal(DECODE(&i, 0xe8, 0), X86_PORT_OTHER);    // call
    assert_int_equal(DECODE(&i, 0xeb, 0), X86_PORT_OTHER);    // jmp
}

// Every opcode byte: eight are port instructions.
static void opcodes(void**) {
    uint32_t found = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint8_t code[] = {(uint8_t)byte, 0xff};
        struct x86_port_instruction i;
        found += x86_port_decode(code, sizeof(code), &i) == X86_PORT_FOUND;
    }
    assert_int_equal(found, 8);
}

static void lengths(void**) {
    struct x86_port_instruction i;
    assert_int_equal(x86_port_decode((const uint8_t*)"", 0, &i), X86_PORT_MORE);
    assert_int_equal(DECODE(&i, 0x66), X86_PORT_MORE);
    assert_int_equal(DECODE(&i, 0xe4), X86_PORT_MORE);
    assert_int_equal(DECODE(&i, 0x66, 0x48), X86_PORT_MORE);
    uint8_t code[17];
    memset(code, 0x66, sizeof(code));
    code[14] = 0xed;
    assert_int_equal(x86_port_decode(code, sizeof(code), &i), X86_PORT_FOUND);
    assert_int_equal(i.length, 15);
    code[14] = 0xe5; // the port would be byte 16
    assert_int_equal(x86_port_decode(code, sizeof(code), &i), X86_PORT_OTHER);
    code[14] = 0x66;
    code[15] = 0xed;
    assert_int_equal(x86_port_decode(code, sizeof(code), &i), X86_PORT_OTHER);
    assert_int_equal(x86_port_decode(code, 15, &i), X86_PORT_OTHER);
}

static void results(void**) {
    const uint64_t rax = 0x1122334455667788;
    assert_true(x86_port_merge(rax, 0xffffffaa, 1) == 0x11223344556677aa);
    assert_true(x86_port_merge(rax, 0xffffaabb, 2) == 0x112233445566aabb);
    assert_true(x86_port_merge(rax, 0xaabbccdd, 4) == 0xaabbccdd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_eight),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(other_instructions),
        cmocka_unit_test(opcodes),
        cmocka_unit_test(lengths),
        cmocka_unit_test(results),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
