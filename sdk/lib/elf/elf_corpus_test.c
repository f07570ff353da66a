// The planner over the generated corpus of malformed files: argument 1 is its folder. Each file
// must be refused with the error that the generator's index names.
#include <elf/plan.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const char* folder;

static int32_t stdio_read(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    if (fseek(ctx, (long)offset, SEEK_SET) != 0) {
        return -1;
    }
    *out_len = fread(buffer, 1, len, ctx);
    return 0;
}

static elf_error_t plan_of(const char* name) {
    char path[512];
    assert_true(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path));
    FILE* stream = fopen(path, "rb");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    struct elf_file file = {.read = stdio_read, .ctx = stream, .len = (uint64_t)ftell(stream)};
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, 0x7ffffffff000);
    struct elf_plan plan;
    elf_error_t error = elf_plan_make(&file, &rules, &plan);
    fclose(stream);
    return error;
}

static void test_corpus(void**) {
    char path[512];
    assert_true(snprintf(path, sizeof(path), "%s/index.txt", folder) < (int)sizeof(path));
    FILE* index = fopen(path, "r");
    assert_non_null(index);
    unsigned count = 0;
    unsigned wrong = 0;
    char name[64];
    char expected[64];
    while (fscanf(index, "%63s %63s", name, expected) == 2) {
        const char* actual = elf_error_name(plan_of(name));
        if (strcmp(actual, expected) != 0) {
            print_error("%s: %s instead of %s\n", name, actual, expected);
            wrong++;
        }
        count++;
    }
    fclose(index);
    assert_true(count > 50);
    assert_int_equal(wrong, 0);
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: elf_corpus_test FOLDER\n");
        return 2;
    }
    folder = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
