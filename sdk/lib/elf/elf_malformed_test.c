// The planner on malformed files: one damage each, and the exact error it must give.
#include <elf/plan.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lib/compiler.h>

#include "elf_builder.h"

constexpr uint64_t address_end = 0x7ffffffff000;

// Headers: 0 R, 1 RX, 2 RW, 3 whatever the case needs (a note by default).
static struct elf_image sound(void) {
    struct elf_image image = image_make(0x4000, ELF_TYPE_DYN, 4);
    image_set_entry(&image, 0x1000);
    for (uint32_t i = 0; i < 3; i++) {
        static const uint32_t flags[] = {4, 5, 6};
        image_put_phdr(&image, i,
                       (struct elf_phdr){.type = PHDR_LOAD,
                                         .flags = flags[i],
                                         .offset = i * 0x1000,
                                         .vaddr = i * 0x1000,
                                         .filesz = 0x1000,
                                         .memsz = 0x1000,
                                         .align = 0x1000});
    }
    image_put_phdr(&image, 3, (struct elf_phdr){.type = 4});
    return image;
}

static elf_error_t plan_native(struct elf_image* image) {
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, address_end);
    struct elf_plan plan;
    return image_plan(image, &rules, &plan);
}

static elf_error_t plan_linux(struct elf_image* image) {
    struct elf_rules rules = elf_rules_linux(ELF_MACHINE_X86_64, 0x10000, address_end);
    struct elf_plan plan;
    return image_plan(image, &rules, &plan);
}

enum field { // offsets in a program header
    TYPE = 0,
    FLAGS = 4,
    OFFSET = 8,
    VADDR = 16,
    FILESZ = 32,
    MEMSZ = 40,
    ALIGN = 48,
};

struct damage {
    uint64_t at;
    uint64_t value;
    unsigned len;
    elf_error_t expected;
};

static uint64_t ph(uint32_t index, enum field field) {
    return image_phdr_at(index) + field;
}

static void expect(const struct damage* cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct elf_image image = sound();
        assert_int_equal(plan_native(&image), ELF_OK);
        image_put(&image, cases[i].at, cases[i].value, cases[i].len);
        elf_error_t error = plan_native(&image);
        if (error != cases[i].expected) {
            print_error("case %zu: %s instead of %s\n", i, elf_error_name(error),
                        elf_error_name(cases[i].expected));
        }
        assert_int_equal(error, cases[i].expected);
        free(image.bytes);
    }
}

static void test_file_header(void**) {
    static const struct damage cases[] = {
        {0, 0x7e, 1, ELF_BAD_MAGIC},
        {3, 'f', 1, ELF_BAD_MAGIC},
        {4, 1, 1, ELF_BAD_CLASS},
        {4, 0, 1, ELF_BAD_CLASS},
        {5, 2, 1, ELF_BAD_BYTE_ORDER},
        {6, 0, 1, ELF_BAD_VERSION},
        {20, 2, 4, ELF_BAD_VERSION},
        {52, 63, 2, ELF_BAD_HEADER_SIZE},
        {18, ELF_MACHINE_AARCH64, 2, ELF_BAD_MACHINE},
        {18, 3, 2, ELF_BAD_MACHINE},
        {16, 1, 2, ELF_BAD_TYPE},
        {16, 4, 2, ELF_BAD_TYPE},
        {16, ELF_TYPE_EXEC, 2, ELF_FIXED_ADDRESS},
        {54, 55, 2, ELF_BAD_HEADER_SIZE},
        {54, 0, 2, ELF_BAD_HEADER_SIZE},
        {56, 0, 2, ELF_NO_HEADERS},
        {56, 65, 2, ELF_TOO_MANY_HEADERS},
        {56, 65535, 2, ELF_TOO_MANY_HEADERS},
        {32, 0x4000, 8, ELF_HEADERS_OUTSIDE_FILE},
        {32, 0x4000 - 4 * 56 + 1, 8, ELF_HEADERS_OUTSIDE_FILE},
        {32, UINT64_MAX, 8, ELF_HEADERS_OUTSIDE_FILE},
        {32, UINT64_MAX - 100, 8, ELF_HEADERS_OUTSIDE_FILE},
        {24, 0x0, 8, ELF_ENTRY_OUTSIDE},
        {24, 0x2000, 8, ELF_ENTRY_OUTSIDE},
        {24, 0x5000, 8, ELF_ENTRY_OUTSIDE},
        {24, UINT64_MAX, 8, ELF_ENTRY_OUTSIDE},
    };
    expect(cases, array_size(cases));
}

static void test_segments(void**) {
    const struct damage cases[] = {
        {ph(1, ALIGN), 3, 8, ELF_SEGMENT_ALIGNMENT},
        {ph(1, ALIGN), elf_align_max * 2, 8, ELF_SEGMENT_ALIGNMENT},
        {ph(1, ALIGN), UINT64_MAX, 8, ELF_SEGMENT_ALIGNMENT},
        {ph(1, ALIGN), 0, 8, ELF_OK},
        {ph(1, FILESZ), 0x1001, 8, ELF_SEGMENT_FILE_SIZE},
        {ph(1, OFFSET), 0x3001, 8, ELF_SEGMENT_OUTSIDE_FILE},
        {ph(1, OFFSET), UINT64_MAX - 0xfff, 8, ELF_SEGMENT_OUTSIDE_FILE},
        {ph(1, OFFSET), UINT64_MAX, 8, ELF_SEGMENT_OUTSIDE_FILE},
        {ph(1, OFFSET), 0x1001, 8, ELF_SEGMENT_MISALIGNED},
        {ph(1, VADDR), 0x1800, 8, ELF_SEGMENT_MISALIGNED},
        {ph(2, VADDR), UINT64_MAX - 0xfff, 8, ELF_SEGMENT_ADDRESS},
        {ph(2, VADDR), address_end, 8, ELF_SEGMENT_ADDRESS},
        {ph(2, MEMSZ), UINT64_MAX, 8, ELF_SEGMENT_ADDRESS},
        {ph(2, MEMSZ), UINT64_MAX - 0x2000, 8, ELF_SEGMENT_ADDRESS},
        {ph(2, MEMSZ), address_end - 0x2000 + 1, 8, ELF_SEGMENT_ADDRESS},
        {ph(2, MEMSZ), address_end - 0x2000, 8, ELF_OK},
        {ph(2, VADDR), 0, 8, ELF_SEGMENT_ORDER},
        {ph(2, VADDR), 0x1000, 8, ELF_SEGMENT_OVERLAP},
        {ph(1, MEMSZ), 0x1001, 8, ELF_SEGMENT_OVERLAP},
        {ph(2, FLAGS), 7, 4, ELF_SEGMENT_WRITE_EXEC},
        {ph(2, FLAGS), 3, 4, ELF_SEGMENT_WRITE_EXEC},
    };
    expect(cases, array_size(cases));
}

// The end of the last page of a file that is as long as can be said is no number any more.
static void test_the_end_of_all_files(void**) {
    struct elf_image image = sound();
    struct elf_file file = {.read = image_read, .ctx = &image, .len = UINT64_MAX};
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, address_end);
    struct elf_plan plan;
    image_put(&image, ph(2, FILESZ), 16, 8);
    image_put(&image, ph(2, OFFSET), UINT64_MAX - 0xfff, 8);
    assert_int_equal(elf_plan_make(&file, &rules, &plan), ELF_SEGMENT_OUTSIDE_FILE);
    image_put(&image, ph(2, OFFSET), UINT64_MAX - 0x1fff, 8);
    assert_int_equal(elf_plan_make(&file, &rules, &plan), ELF_OK);
    assert_true(plan.segments[2].file_offset + plan.segments[2].file_len > 0);
    free(image.bytes);
}

static void test_no_segments(void**) {
    struct elf_image image = sound();
    for (uint32_t i = 0; i < 3; i++) {
        image_put(&image, ph(i, TYPE), 4, 4);
    }
    assert_int_equal(plan_native(&image), ELF_NO_SEGMENTS);
    for (uint32_t i = 0; i < 3; i++) {
        image_put(&image, ph(i, TYPE), PHDR_LOAD, 4);
        image_put(&image, ph(i, FILESZ), 0, 8);
        image_put(&image, ph(i, MEMSZ), 0, 8);
    }
    assert_int_equal(plan_native(&image), ELF_NO_SEGMENTS);
    free(image.bytes);
}

static void test_too_many_segments(void**) {
    constexpr uint32_t count = elf_segment_count_max + 1;
    struct elf_image image = image_make(0x4000, ELF_TYPE_DYN, count);
    for (uint32_t i = 0; i < count; i++) {
        image_put_phdr(&image, i,
                       (struct elf_phdr){.type = PHDR_LOAD,
                                         .flags = 5,
                                         .vaddr = i * 0x1000,
                                         .filesz = 0x1000,
                                         .memsz = 0x1000});
    }
    assert_int_equal(plan_native(&image), ELF_TOO_MANY_SEGMENTS);
    image_put(&image, 56, count - 1, 2);
    assert_int_equal(plan_native(&image), ELF_OK);
    free(image.bytes);
}

static void test_shared_page(void**) {
    struct elf_image image = sound();
    image_put(&image, ph(1, FILESZ), 0x800, 8);
    image_put(&image, ph(1, MEMSZ), 0x800, 8);
    image_put(&image, ph(2, VADDR), 0x1800, 8);
    image_put(&image, ph(2, OFFSET), 0x1800, 8);
    assert_int_equal(plan_native(&image), ELF_SEGMENT_SHARED_PAGE);
    assert_int_equal(plan_linux(&image), ELF_SEGMENT_SHARED_PAGE);
    free(image.bytes);
}

struct single_case {
    struct elf_phdr phdr;
    elf_error_t expected;
};

static void expect_singles(const struct single_case* cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct elf_image image = sound();
        memcpy(image.bytes + 0x900, "/ld\0/l\0d", 9);
        memset(image.bytes + 0xa00, 'x', 0x200);
        image_put_phdr(&image, 3, cases[i].phdr);
        elf_error_t error = plan_native(&image);
        if (error != cases[i].expected) {
            print_error("case %zu: %s instead of %s\n", i, elf_error_name(error),
                        elf_error_name(cases[i].expected));
        }
        assert_int_equal(error, cases[i].expected);
        free(image.bytes);
    }
}

static void test_singles(void**) {
    static const struct single_case cases[] = {
        {{.type = PHDR_INTERP, .offset = 0x900, .filesz = 4}, ELF_OK},
        {{.type = PHDR_INTERP, .offset = 0x900, .filesz = 0}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = 0x903, .filesz = 1}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = 0x900, .filesz = 3}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = 0x904, .filesz = 5}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = 0xa00, .filesz = 257}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = 0xa00, .filesz = UINT64_MAX}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = 0x4000, .filesz = 4}, ELF_BAD_INTERP},
        {{.type = PHDR_INTERP, .offset = UINT64_MAX, .filesz = 4}, ELF_BAD_INTERP},
        {{.type = PHDR_DYNAMIC, .vaddr = 0x2000, .memsz = 16}, ELF_OK},
        {{.type = PHDR_DYNAMIC, .vaddr = 0x2004, .memsz = 16}, ELF_BAD_DYNAMIC},
        {{.type = PHDR_DYNAMIC, .vaddr = 0x2000, .memsz = 0}, ELF_BAD_DYNAMIC},
        {{.type = PHDR_DYNAMIC, .vaddr = 0x2000, .memsz = 24}, ELF_BAD_DYNAMIC},
        {{.type = PHDR_DYNAMIC, .vaddr = 0x2ff8, .memsz = 16}, ELF_BAD_DYNAMIC},
        {{.type = PHDR_DYNAMIC, .vaddr = UINT64_MAX - 7, .memsz = 16}, ELF_BAD_DYNAMIC},
        {{.type = PHDR_DYNAMIC, .vaddr = 0x2000, .memsz = UINT64_MAX - 15}, ELF_BAD_DYNAMIC},
        {{.type = PHDR_TLS, .vaddr = 0x2000, .filesz = 8, .memsz = 64, .align = 16}, ELF_OK},
        {{.type = PHDR_TLS, .vaddr = 0x9000, .filesz = 0, .memsz = 64}, ELF_OK},
        {{.type = PHDR_TLS, .vaddr = 0x9000, .filesz = 8, .memsz = 64}, ELF_BAD_TLS},
        {{.type = PHDR_TLS, .vaddr = 0x2000, .filesz = 65, .memsz = 64}, ELF_BAD_TLS},
        {{.type = PHDR_TLS, .vaddr = 0x2000, .filesz = 8, .memsz = 64, .align = 3}, ELF_BAD_TLS},
        {{.type = PHDR_TLS, .vaddr = 0x2000, .filesz = 8, .memsz = UINT64_MAX}, ELF_BAD_TLS},
        {{.type = PHDR_GNU_RELRO, .vaddr = 0x2000, .memsz = 0x1000}, ELF_OK},
        {{.type = PHDR_GNU_RELRO, .vaddr = 0x2000, .memsz = 0x1001}, ELF_BAD_RELRO},
        {{.type = PHDR_GNU_RELRO, .vaddr = 0x1000, .memsz = 0x1000}, ELF_BAD_RELRO},
        {{.type = PHDR_GNU_RELRO, .vaddr = UINT64_MAX, .memsz = 2}, ELF_BAD_RELRO},
        {{.type = PHDR_GNU_STACK, .flags = 6, .memsz = 1 << 20}, ELF_OK},
        {{.type = PHDR_GNU_STACK, .flags = 7}, ELF_EXEC_STACK},
        {{.type = PHDR_PHDR, .vaddr = 64}, ELF_OK},
        {{.type = PHDR_PHDR, .vaddr = 72}, ELF_BAD_PHDR},
        {{.type = PHDR_PHDR, .vaddr = 0}, ELF_BAD_PHDR},
    };
    expect_singles(cases, array_size(cases));
}

static void test_duplicates(void**) {
    static const uint32_t types[] = {PHDR_DYNAMIC, PHDR_INTERP,    PHDR_PHDR,
                                     PHDR_TLS,     PHDR_GNU_STACK, PHDR_GNU_RELRO};
    for (size_t i = 0; i < array_size(types); i++) {
        struct elf_image image = sound();
        image_put(&image, 56, 5, 2);
        image_put_phdr(&image, 3, (struct elf_phdr){.type = types[i]});
        image_put_phdr(&image, 4, (struct elf_phdr){.type = types[i]});
        assert_int_equal(plan_native(&image), ELF_DUPLICATE_HEADER);
        free(image.bytes);
    }
}

static void test_truncation_and_io(void**) {
    struct elf_image image = sound();
    for (uint64_t len = 0; len < 64 + 4 * 56; len++) {
        struct elf_image cut = {.bytes = malloc(len + 1), .len = len, .read_limit = UINT64_MAX};
        memcpy(cut.bytes, image.bytes, len);
        elf_error_t expected = len < 4 && len > 0 ? ELF_BAD_MAGIC
                               : len < 64         ? ELF_TRUNCATED
                                                  : ELF_HEADERS_OUTSIDE_FILE;
        assert_int_equal(plan_native(&cut), expected);
        free(cut.bytes);
    }
    image.read_limit = 100; // the file shrank after its length was asked for
    assert_int_equal(plan_native(&image), ELF_TRUNCATED);
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, address_end);
    struct elf_plan plan;
    image.read_status = -40;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_READ_FAILED);
    assert_int_equal(plan.io_status, -40);
    free(image.bytes);
}

static void test_linux_rules(void**) {
    struct elf_image image = sound();
    image_put(&image, 16, ELF_TYPE_EXEC, 2);
    assert_int_equal(plan_linux(&image), ELF_SEGMENT_ADDRESS); // below the lowest address
    for (uint32_t i = 0; i < 3; i++) {
        image_put(&image, ph(i, VADDR), 0x400000 + i * 0x1000, 8);
    }
    image_set_entry(&image, 0x401000);
    assert_int_equal(plan_linux(&image), ELF_OK);
    assert_int_equal(plan_native(&image), ELF_FIXED_ADDRESS);
    image_put(&image, ph(2, FLAGS), 7, 4);
    image_put_phdr(&image, 3, (struct elf_phdr){.type = PHDR_GNU_STACK, .flags = 7});
    struct elf_rules rules = elf_rules_linux(ELF_MACHINE_X86_64, 0x10000, address_end);
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_true(plan.write_exec && plan.exec_stack && plan.fixed);
    free(image.bytes);
}

static void test_library_needs_no_entry(void**) {
    struct elf_image image = sound();
    image_set_entry(&image, 0);
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, address_end);
    rules.require_entry = false;
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_int_equal(plan.entry, 0);
    free(image.bytes);
}

static void test_error_names_the_header(void**) {
    struct elf_image image = sound();
    image_put(&image, ph(2, FILESZ), 0x2000, 8);
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, address_end);
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_SEGMENT_FILE_SIZE);
    assert_int_equal(plan.error_header, 2);
    free(image.bytes);
}

static void test_texts(void**) {
    for (int i = 0; i < ELF_ERROR_COUNT; i++) {
        assert_string_not_equal(elf_error_name((elf_error_t)i), "UNKNOWN");
        assert_string_not_equal(elf_error_text((elf_error_t)i), "unknown error");
    }
    assert_string_equal(elf_error_name(ELF_BAD_MAGIC), "BAD_MAGIC");
    assert_string_equal(elf_error_name(ELF_ERROR_COUNT), "UNKNOWN");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_header),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_the_end_of_all_files),
        cmocka_unit_test(test_no_segments),
        cmocka_unit_test(test_too_many_segments),
        cmocka_unit_test(test_shared_page),
        cmocka_unit_test(test_singles),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_truncation_and_io),
        cmocka_unit_test(test_linux_rules),
        cmocka_unit_test(test_library_needs_no_entry),
        cmocka_unit_test(test_error_names_the_header),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
