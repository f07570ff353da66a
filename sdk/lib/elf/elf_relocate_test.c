// Self-relocation of an image made here, and symbol look-up in a shared library.
#include <elf/plan.h>
#include <elf/relocate.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Look-up ------------------------------------------------------------------------------------

// The C library rewrites the dynamic section of what it loads, so the object under test is a fresh
// copy of libcmocka, laid out in memory by its plan.
struct library {
    uint8_t* memory;
    uint64_t loaded_bias; // of the copy that the C library loaded
};

static struct library library;

static int32_t stdio_read(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    if (fseek(ctx, (long)offset, SEEK_SET) != 0) {
        return -1;
    }
    *out_len = fread(buffer, 1, len, ctx);
    return 0;
}

static int library_load(void**) {
    Dl_info info;
    assert_true(dladdr((const void*)&_cmocka_run_group_tests, &info) != 0);
    FILE* stream = fopen(info.dli_fname, "rb");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    struct elf_file file = {.read = stdio_read, .ctx = stream, .len = (uint64_t)ftell(stream)};
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, 1ull << 47);
    rules.require_entry = false;
    struct elf_plan plan;
    assert_int_equal(elf_plan_make(&file, &rules, &plan), ELF_OK);
    assert_int_equal(plan.base, 0);
    library.memory = aligned_alloc(elf_page_len, plan.span_len);
    memset(library.memory, 0, plan.span_len);
    for (uint32_t i = 0; i < plan.segment_count; i++) {
        const struct elf_segment* s = &plan.segments[i];
        size_t actual;
        assert_int_equal(
            stdio_read(stream, s->file_offset, library.memory + s->vaddr, s->file_len, &actual), 0);
        if (s->zero_from != 0) {
            memset(library.memory + s->vaddr + s->file_len - elf_page_len + s->zero_from, 0,
                   elf_page_len - s->zero_from);
        }
    }
    library.loaded_bias = (uint64_t)(uintptr_t)info.dli_fbase;
    fclose(stream);
    return 0;
}

static int library_unload(void**) {
    free(library.memory);
    return 0;
}

// Where a symbol of the library is in our copy, by the C library's look-up.
static uint64_t library_address(const char* name) {
    uint64_t loaded = (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, name);
    assert_true(loaded != 0);
    return loaded - library.loaded_bias + (uint64_t)(uintptr_t)library.memory;
}

static void test_find_in_shared_library(void**) {
    struct elf_symbols symbols = elf_symbols_of(library.memory);
    assert_non_null(symbols.hash);
    static const char* const names[] = {"_cmocka_run_group_tests", "_assert_int_equal",
                                        "print_error", "_fail"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(elf_symbols_find(&symbols, names[i]) == library_address(names[i]));
    }
    assert_int_equal(elf_symbols_find(&symbols, "no_such_symbol"), 0);
    assert_int_equal(elf_symbols_find(&symbols, ""), 0);
    assert_int_equal(elf_symbols_find(&symbols, "malloc"), 0); // imported, not provided
}

static void test_find_without_table(void**) {
    struct elf_symbols symbols = {};
    assert_int_equal(elf_symbols_find(&symbols, "x"), 0);
}

// ---- Relocation ---------------------------------------------------------------------------------

constexpr uint64_t link_base = 0x40000;

// An image with fixed places; the dynamic section and tables use link-time addresses.
struct image {
    uint64_t words[256];
    uint64_t relr[4];
    uint64_t rela[6 * 3];
    uint64_t rel[4 * 2];
    uint64_t plt[3];
    ElfW(Sym) symbols[5];
    char strings[64];
    ElfW(Dyn) dynamic[20];
    unsigned dynamic_count;
};

static uint64_t link_address(const struct image* image, const void* inside) {
    return link_base + (uint64_t)((const char*)inside - (const char*)image);
}

static uint64_t bias_of(const struct image* image) {
    return (uint64_t)(uintptr_t)image - link_base;
}

static void tag_add(struct image* image, int64_t tag, uint64_t value) {
    image->dynamic[image->dynamic_count].d_tag = tag;
    image->dynamic[image->dynamic_count++].d_un.d_val = value;
}

static void put_rela(struct image* image, unsigned index, uint64_t* place, uint64_t symbol,
                     uint32_t type, uint64_t addend) {
    image->rela[index * 3] = link_address(image, place);
    image->rela[index * 3 + 1] = symbol << 32 | type;
    image->rela[index * 3 + 2] = addend;
    for (unsigned i = 0; i < image->dynamic_count; i++) {
        if (image->dynamic[i].d_tag == DT_RELASZ &&
            image->dynamic[i].d_un.d_val < index * 24 + 24) {
            image->dynamic[i].d_un.d_val = index * 24 + 24;
        }
    }
}

static struct image* image_make(void) {
    struct image* image = calloc(1, sizeof(*image));
    memcpy(image->strings, "\0own\0missing\0_fail\0maybe", 25);
    image->symbols[1] =
        (ElfW(Sym)){.st_name = 1, .st_info = 1 << 4, .st_shndx = 3, .st_value = link_base + 80};
    image->symbols[2] = (ElfW(Sym)){.st_name = 5, .st_info = 1 << 4};
    image->symbols[3] = (ElfW(Sym)){.st_name = 13, .st_info = 1 << 4};
    image->symbols[4] = (ElfW(Sym)){.st_name = 19, .st_info = 2 << 4};
    tag_add(image, DT_SYMTAB, link_address(image, image->symbols));
    tag_add(image, DT_STRTAB, link_address(image, image->strings));
    tag_add(image, DT_RELA, link_address(image, image->rela));
    tag_add(image, DT_RELASZ, 0);
    tag_add(image, DT_FLAGS_1, 1);
    return image;
}

static struct elf_relocate_result relocate(struct image* image) {
    struct elf_symbols provider = elf_symbols_of(library.memory);
    return elf_relocate(bias_of(image), image->dynamic, &provider);
}

static void test_relr(void**) {
    struct image* image = image_make();
    for (uint64_t i = 0; i < 256; i++) {
        image->words[i] = link_base + i;
    }
    // Word 0; of the next 63 the first and the last; of the 63 after these the second; word 200.
    image->relr[0] = link_address(image, &image->words[0]);
    image->relr[1] = (1ull | 1ull << 62) << 1 | 1;
    image->relr[2] = 1ull << 1 << 1 | 1;
    image->relr[3] = link_address(image, &image->words[200]);
    tag_add(image, 36, link_address(image, image->relr));
    tag_add(image, 35, sizeof(image->relr));
    assert_int_equal(relocate(image).error, ELF_RELOCATE_OK);
    for (uint64_t i = 0; i < 256; i++) {
        bool hit = i == 0 || i == 1 || i == 63 || i == 65 || i == 200;
        assert_true(image->words[i] == link_base + i + (hit ? bias_of(image) : 0));
    }
    free(image);
}

static void test_rela_and_rel(void**) {
    struct image* image = image_make();
    uint64_t bias = bias_of(image);
    put_rela(image, 0, &image->words[0], 0, 8, link_base + 7);
    put_rela(image, 1, (uint64_t*)((char*)image + 33), 0, 8, link_base + 9); // not aligned
    put_rela(image, 2, &image->words[10], 1, 6, 5); // this type has no addend
    put_rela(image, 3, &image->words[11], 1, 1, 5);
    put_rela(image, 4, &image->words[12], 3, 6, 0);
    put_rela(image, 5, &image->words[13], 4, 6, 0);
    image->words[13] = 99;
    image->words[20] = link_base + 1;
    image->words[21] = 6;
    image->rel[0] = link_address(image, &image->words[20]);
    image->rel[1] = 8;
    image->rel[2] = link_address(image, &image->words[21]);
    image->rel[3] = 1ull << 32 | 1;
    tag_add(image, DT_REL, link_address(image, image->rel));
    tag_add(image, DT_RELSZ, 32);
    image->plt[0] = link_address(image, &image->words[30]);
    image->plt[1] = 3ull << 32 | 7;
    tag_add(image, DT_JMPREL, link_address(image, image->plt));
    tag_add(image, DT_PLTRELSZ, 24);
    tag_add(image, DT_PLTREL, DT_RELA);
    assert_int_equal(relocate(image).error, ELF_RELOCATE_OK);
    uint64_t unaligned;
    memcpy(&unaligned, (char*)image + 33, 8);
    assert_true(image->words[0] == bias + link_base + 7);
    assert_true(unaligned == bias + link_base + 9);
    assert_true(image->words[10] == bias + link_base + 80);
    assert_true(image->words[11] == bias + link_base + 85);
    assert_true(image->words[12] == library_address("_fail"));
    assert_true(image->words[13] == 0);
    assert_true(image->words[20] == bias + link_base + 1);
    assert_true(image->words[21] == bias + link_base + 86);
    assert_true(image->words[30] == library_address("_fail"));
    free(image);
}

static void test_unresolved_symbol_is_named(void**) {
    struct image* image = image_make();
    put_rela(image, 0, &image->words[0], 2, 6, 0);
    struct elf_relocate_result result = relocate(image);
    assert_int_equal(result.error, ELF_RELOCATE_UNRESOLVED);
    assert_string_equal(result.symbol, "missing");
    free(image);
}

static void test_unknown_type(void**) {
    static const uint32_t types[] = {2, 5, 16, 17, 18, 37, 1000};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct image* image = image_make();
        put_rela(image, 0, &image->words[0], 0, types[i], 0);
        struct elf_relocate_result result = relocate(image);
        assert_int_equal(result.error, ELF_RELOCATE_UNKNOWN_TYPE);
        assert_int_equal(result.type, types[i]);
        free(image);
    }
}

static void test_nothing_to_do(void**) {
    struct image* image = image_make();
    put_rela(image, 0, &image->words[0], 0, 0, 5);
    assert_int_equal(relocate(image).error, ELF_RELOCATE_OK);
    assert_int_equal(image->words[0], 0);
    free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_in_shared_library),
        cmocka_unit_test(test_find_without_table),
        cmocka_unit_test(test_relr),
        cmocka_unit_test(test_rela_and_rel),
        cmocka_unit_test(test_unresolved_symbol_is_named),
        cmocka_unit_test(test_unknown_type),
        cmocka_unit_test(test_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, library_load, library_unload);
}
