// The planner on sound files: random layouts whose plans are executed over an array and compared
// byte by byte with a naive loader; single headers; the test program itself as a real file.
#include <elf/plan.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <lib/random.h>

#include "elf_builder.h"
#include "plan_check.h"

constexpr uint64_t address_end = 0x7ffffffff000;

static struct elf_rules native(void) {
    return elf_rules_native(ELF_MACHINE_X86_64, address_end);
}

static struct elf_rules linux_rules(void) {
    return elf_rules_linux(ELF_MACHINE_X86_64, 0x10000, address_end);
}

static struct elf_phdr load(uint32_t flags, uint64_t offset, uint64_t vaddr, uint64_t filesz,
                            uint64_t memsz) {
    return (struct elf_phdr){.type = PHDR_LOAD,
                             .flags = flags,
                             .offset = offset,
                             .vaddr = vaddr,
                             .filesz = filesz,
                             .memsz = memsz,
                             .align = elf_page_len};
}

static void expect_sound(const struct elf_plan* plan, const struct elf_rules* rules, uint64_t len) {
    const char* violation = plan_violation(plan, rules, len);
    if (violation != nullptr) {
        fail_msg("violated: %s", violation);
    }
}

// A typical program: R with headers, RX, RW with bss that begins in the middle of a page.
static struct elf_image program(void) {
    struct elf_image image = image_make(0x5000, ELF_TYPE_DYN, 7);
    image_set_entry(&image, 0x1234);
    image_put_phdr(&image, 0, load(ELF_READ, 0, 0, 0x1000, 0x1000));
    image_put_phdr(&image, 1, load(ELF_READ | ELF_EXECUTE, 0x1200, 0x1200, 0x1e00, 0x1e00));
    image_put_phdr(&image, 2, load(ELF_READ | ELF_WRITE, 0x3000, 0x4000, 0x800, 0x3400));
    image_put_phdr(&image, 3,
                   (struct elf_phdr){.type = PHDR_DYNAMIC, .vaddr = 0x4010, .memsz = 32});
    image_put_phdr(&image, 4,
                   (struct elf_phdr){.type = PHDR_GNU_RELRO, .vaddr = 0x4000, .memsz = 0x1000});
    image_put_phdr(
        &image, 5,
        (struct elf_phdr){
            .type = PHDR_TLS, .vaddr = 0x4700, .filesz = 0x80, .memsz = 0x200, .align = 64});
    image_put_phdr(&image, 6,
                   (struct elf_phdr){.type = PHDR_GNU_STACK, .flags = 6, .memsz = 0x40000});
    return image;
}

static void test_program(void**) {
    struct elf_image image = program();
    struct elf_rules rules = native();
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    expect_sound(&plan, &rules, image.len);
    assert_int_equal(image.read_count, 1);
    assert_int_equal(plan.segment_count, 3);
    assert_int_equal(plan.base, 0);
    assert_int_equal(plan.span_len, 0x8000);
    assert_int_equal(plan.entry, 0x1234);
    assert_int_equal(plan.headers_vaddr, 64);
    assert_int_equal(plan.header_count, 7);
    assert_int_equal(plan.stack_len, 0x40000);
    assert_int_equal(plan.relro.vaddr, 0x4000);
    assert_int_equal(plan.relro.len, 0x1000);
    assert_int_equal(plan.dynamic.len, 32);
    assert_true(plan.has_tls && plan.tls_align == 64 && plan.tls_len == 0x200);
    assert_false(plan.fixed || plan.exec_stack || plan.write_exec);
    const struct elf_segment* text = &plan.segments[1];
    assert_int_equal(text->vaddr, 0x1000);
    assert_int_equal(text->file_offset, 0x1000);
    assert_int_equal(text->file_len, 0x2000);
    assert_false(text->copy);
    const struct elf_segment* data = &plan.segments[2];
    assert_int_equal(data->file_len, 0x1000);
    assert_int_equal(data->zero_from, 0x800);
    assert_int_equal(data->anon_len, 0x3000);
    assert_true(data->copy);
    free(image.bytes);
}

// The same page of the file in two segments, at two addresses: what linkers do to save space.
static void test_shared_file_page(void**) {
    struct elf_image image = image_make(0x3000, ELF_TYPE_DYN, 2);
    image_set_entry(&image, 0x100);
    image_put_phdr(&image, 0, load(ELF_READ | ELF_EXECUTE, 0, 0, 0x1800, 0x1800));
    image_put_phdr(&image, 1, load(ELF_READ | ELF_WRITE, 0x1800, 0x2800, 0x100, 0x100));
    struct elf_rules rules = native();
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_int_equal(plan.segments[0].file_offset + plan.segments[0].file_len, 0x2000);
    assert_int_equal(plan.segments[1].file_offset, 0x1000);
    assert_int_equal(plan.segments[1].vaddr, 0x2000);
    assert_int_equal(plan.segments[1].zero_from, 0);
    free(image.bytes);
}

static void test_alignment_and_base(void**) {
    struct elf_image image = image_make(0x3000, ELF_TYPE_DYN, 2);
    struct elf_phdr first = load(ELF_READ | ELF_EXECUTE, 0, 0x201000, 0x1000, 0x1000);
    first.align = 0x200000;
    image_set_entry(&image, 0x201000);
    image_put_phdr(&image, 0, first);
    image_put_phdr(&image, 1, load(ELF_READ, 0x1000, 0x500000, 0x1000, 0x1000));
    struct elf_rules rules = linux_rules();
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_int_equal(plan.base, 0x200000);
    assert_int_equal(plan.align, 0x200000);
    assert_int_equal(plan.span_len, 0x301000);
    expect_sound(&plan, &rules, image.len);
    image_put(&image, 16, ELF_TYPE_EXEC, 2);
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_true(plan.fixed);
    assert_int_equal(plan.base, 0x201000);
    expect_sound(&plan, &rules, image.len);
    free(image.bytes);
}

static void test_pure_bss_segment(void**) {
    struct elf_image image = image_make(0x2000, ELF_TYPE_DYN, 2);
    image_set_entry(&image, 0);
    image_put_phdr(&image, 0, load(ELF_READ | ELF_EXECUTE, 0, 0, 0x1000, 0x1000));
    // Its file offset means nothing, whatever it is.
    image_put_phdr(&image, 1, load(ELF_READ | ELF_WRITE, UINT64_MAX, 0x2008, 0, 1ull << 40));
    struct elf_rules rules = native();
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    expect_sound(&plan, &rules, image.len);
    assert_int_equal(plan.segments[1].file_len, 0);
    assert_int_equal(plan.segments[1].anon_len, (1ull << 40) + 0x1000);
    assert_false(plan.segments[1].copy);
    free(image.bytes);
}

static void test_interp(void**) {
    struct elf_image image = image_make(0x3000, ELF_TYPE_DYN, 3);
    image_set_entry(&image, 0x1000);
    const char path[] = "/lib/ld.so.1";
    memcpy(image.bytes + 0x800, path, sizeof(path));
    image_put_phdr(&image, 0, (struct elf_phdr){.type = PHDR_PHDR, .vaddr = 64});
    image_put_phdr(&image, 1,
                   (struct elf_phdr){.type = PHDR_INTERP, .offset = 0x800, .filesz = sizeof(path)});
    image_put_phdr(&image, 2, load(ELF_READ | ELF_EXECUTE, 0, 0, 0x2000, 0x2000));
    struct elf_rules rules = native();
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_string_equal(plan.interp, path);
    assert_int_equal(plan.interp_len, strlen(path));
    free(image.bytes);
}

static void test_headers_far_away_and_many(void**) {
    constexpr uint32_t count = elf_header_count_max;
    struct elf_image image = image_make(0x8000, ELF_TYPE_DYN, count);
    struct elf_image headers = image_make(0x8000, ELF_TYPE_DYN, count);
    for (uint32_t i = 0; i < count; i++) {
        image_put_phdr(&headers, i,
                       i < elf_segment_count_max
                           ? load(ELF_READ | ELF_EXECUTE, 0, i * 0x2000, 0x1000, 0x1000)
                           : (struct elf_phdr){.type = 4});
    }
    memcpy(image.bytes + 0x4008, headers.bytes + 64, count * 56);
    image_put(&image, 32, 0x4008, 8);
    struct elf_rules rules = native();
    struct elf_plan plan;
    assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
    assert_int_equal(plan.segment_count, elf_segment_count_max);
    assert_int_equal(plan.headers_vaddr, 0);
    assert_true(image.read_count <= 6);
    free(image.bytes);
    free(headers.bytes);
}

// ---- Random layouts -----------------------------------------------------------------------------

constexpr uint64_t model_len = 64 * elf_page_len;

struct model {
    uint8_t byte[model_len];
    uint8_t permissions[model_len]; // of every byte that a PT_LOAD names
};

static void model_load(struct model* model, const struct elf_image* image, struct elf_phdr phdr) {
    for (uint64_t i = 0; i < phdr.memsz; i++) {
        model->byte[phdr.vaddr + i] = i < phdr.filesz ? image->bytes[phdr.offset + i] : 0;
        model->permissions[phdr.vaddr + i] = (uint8_t)phdr.flags;
    }
}

static void plan_execute(struct model* memory, const struct elf_image* image,
                         const struct elf_plan* plan) {
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment* s = &plan->segments[i];
        for (uint64_t at = 0; at < s->file_len + s->anon_len; at++) {
            uint64_t offset = s->file_offset + at;
            bool from_file = at < s->file_len && offset < image->len;
            if (s->zero_from != 0 && at >= s->file_len - elf_page_len + s->zero_from) {
                from_file = false;
            }
            assert_int_equal(memory->permissions[s->vaddr + at], 0);
            memory->byte[s->vaddr + at] = from_file ? image->bytes[offset] : 0;
            memory->permissions[s->vaddr + at] = s->permissions;
        }
    }
}

static uint32_t random_flags(struct random* random) {
    static const uint32_t flags[] = {4, 5, 6, 4, 2, 7, 1};
    return flags[random_below(random, 7)];
}

static void random_layout(struct random* random, struct elf_image* image, struct model* expected) {
    uint32_t count = 1 + random_below(random, 6);
    struct elf_phdr phdrs[6];
    uint64_t vaddr = random_below(random, 3) * elf_page_len;
    for (uint32_t i = 0; i < count; i++) {
        struct elf_phdr phdr = load(random_flags(random), 0, vaddr, 0, 0);
        phdr.vaddr += random_below(random, elf_page_len);
        phdr.offset = random_below(random, 8) * elf_page_len + phdr.vaddr % elf_page_len;
        uint64_t file_left = image->len - phdr.offset;
        phdr.filesz = random_below(random, 3 * elf_page_len) % file_left;
        phdr.memsz = phdr.filesz + (random_below(random, 2) ? random_below(random, 12000) : 0);
        if (i == 0) {
            phdr.flags |= ELF_EXECUTE;
            phdr.memsz += phdr.memsz == 0;
            image_set_entry(image, phdr.vaddr + phdr.memsz - 1);
        }
        image_put_phdr(image, i, phdr);
        phdrs[i] = phdr;
        vaddr = (phdr.vaddr + phdr.memsz + elf_page_len) / elf_page_len * elf_page_len +
                random_below(random, 3) * elf_page_len;
    }
    image_put(image, 56, count, 2);
    for (uint32_t i = 0; i < count; i++) {
        model_load(expected, image, phdrs[i]);
    }
}

static void test_random_layouts(void**) {
    struct random random = random_init(90);
    struct elf_rules rules = linux_rules();
    struct model* expected = malloc(sizeof(*expected));
    struct model* actual = malloc(sizeof(*actual));
    for (int round = 0; round < 400; round++) {
        memset(expected, 0, sizeof(*expected));
        memset(actual, 0, sizeof(*actual));
        struct elf_image image =
            image_make(9 * elf_page_len - random_below(&random, 4000), ELF_TYPE_DYN, 6);
        for (uint64_t i = 400; i < image.len; i++) {
            image.bytes[i] = (uint8_t)(random_u64(&random) | 1);
        }
        random_layout(&random, &image, expected);
        struct elf_plan plan;
        assert_int_equal(image_plan(&image, &rules, &plan), ELF_OK);
        expect_sound(&plan, &rules, image.len);
        plan_execute(actual, &image, &plan);
        for (uint64_t i = 0; i < model_len; i++) {
            if (expected->permissions[i] != 0) {
                assert_int_equal(actual->permissions[i], expected->permissions[i]);
                assert_int_equal(actual->byte[i], expected->byte[i]);
            }
        }
        free(image.bytes);
    }
    free(expected);
    free(actual);
}

// Sound files with a few changed bytes in the headers: accepted or refused, but never an unsound
// plan.
static void test_random_damage(void**) {
    struct random random = random_init(91);
    struct elf_rules rules[2] = {native(), linux_rules()};
    unsigned accepted = 0;
    for (int round = 0; round < 60000; round++) {
        struct elf_image image = program();
        for (uint32_t i = 0; i <= random_below(&random, 3); i++) {
            uint64_t at = random_below(&random, 64 + 7 * 56);
            image.bytes[at] = random_below(&random, 2)
                                  ? (uint8_t)random_u64(&random)
                                  : image.bytes[at] ^ 1 << random_below(&random, 8);
        }
        struct elf_plan plan;
        if (image_plan(&image, &rules[round % 2], &plan) == ELF_OK) {
            expect_sound(&plan, &rules[round % 2], image.len);
            accepted++;
        }
        free(image.bytes);
    }
    assert_true(accepted > 1000 && accepted < 50000);
}

// ---- A real file --------------------------------------------------------------------------------

static int32_t stdio_read(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    if (fseek(ctx, (long)offset, SEEK_SET) != 0) {
        return -1;
    }
    *out_len = fread(buffer, 1, len, ctx);
    return 0;
}

static void test_this_program(void**) {
    FILE* self = fopen("/proc/self/exe", "rb");
    assert_non_null(self);
    assert_int_equal(fseek(self, 0, SEEK_END), 0);
    struct elf_file file = {.read = stdio_read, .ctx = self, .len = (uint64_t)ftell(self)};
    struct elf_rules rules = native();
    struct elf_plan plan;
    assert_int_equal(elf_plan_make(&file, &rules, &plan), ELF_OK);
    expect_sound(&plan, &rules, file.len);
    assert_string_equal(plan.interp, "/lib64/ld-linux-x86-64.so.2");
    assert_true(plan.dynamic.len > 0 && plan.relro.len > 0);
    assert_int_equal(plan.headers_vaddr, 64);
    fclose(self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_shared_file_page),
        cmocka_unit_test(test_alignment_and_base),
        cmocka_unit_test(test_pure_bss_segment),
        cmocka_unit_test(test_interp),
        cmocka_unit_test(test_headers_far_away_and_many),
        cmocka_unit_test(test_random_layouts),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_this_program),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
