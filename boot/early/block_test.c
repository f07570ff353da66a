// The whole way from a map and an image to a kernel that could be jumped to, on fake memory: where
// the block goes, what the record says, what is in the block. Also the small helpers around it.
#include <early/block.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "test_image.h"
#include <arch/layout.h>
#include <early/options.h>
#include <lib/random.h>

constexpr uint64_t MIB = 1ull << 20;

struct machine {
    struct handoff record;
    struct handoff_span avoid[4];
    uint32_t avoid_count;
};

// Some MiB of RAM with holes, and things that lie in it.
static void machine_init(struct machine* m, struct random* random, const char* cmdline) {
    record_init(&m->record, HANDOFF_SOURCE_PVH, 1234);
    assert_true(record_set_cmdline(&m->record, cmdline, strlen(cmdline)));
    struct memory_map map = record_map(&m->record);
    uint64_t at = MIB;
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t length = random_below(random, 12 * MIB);
        assert_true(memory_map_add(&map, at, length, HANDOFF_MEMORY_USABLE));
        at += length + random_below(random, MIB);
        assert_true(
            memory_map_add(&map, at, random_below(random, 300'000), HANDOFF_MEMORY_RESERVED));
    }
    assert_true(memory_map_add(&map, at, 12 * MIB, HANDOFF_MEMORY_USABLE));
    record_map_done(&m->record, &map);
    m->avoid_count = random_below(random, 5);
    for (uint32_t i = 0; i < m->avoid_count; i++) {
        m->avoid[i] = (struct handoff_span){random_below(random, (uint32_t)at),
                                            random_below(random, 4 * MIB)};
    }
}

static bool span_usable(const struct handoff* record, uint64_t base, uint64_t length) {
    for (uint32_t i = 0; i < record->memory_count; i++) {
        const struct handoff_memory* e = &record->memory[i];
        if (e->kind == HANDOFF_MEMORY_USABLE && base >= e->base &&
            base + length <= e->base + e->length) {
            return true;
        }
    }
    return false;
}

static void assert_place_good(const struct machine* m, const struct boot_block* block) {
    assert_int_equal(block->paddr % BOOT_PAGE_BYTES, 0);
    assert_true(span_usable(&m->record, block->paddr, block->length));
    for (uint32_t i = 0; i < m->avoid_count; i++) {
        assert_true(m->avoid[i].length == 0 || m->avoid[i].base >= block->paddr + block->length ||
                    m->avoid[i].base + m->avoid[i].length <= block->paddr);
    }
}

static void assert_record_good(const struct machine* m, const struct boot_block* block,
                               const struct test_image* image, const struct kernel_start* start) {
    const struct handoff* r = &m->record;
    uint64_t image_end = image->header.image_end;
    assert_int_equal(r->magic, HANDOFF_MAGIC);
    assert_int_equal(r->size_bytes, sizeof(*r));
    assert_int_equal(r->entry_tsc, 1234);
    assert_int_equal(r->kernel_bias, r->kernel_vaddr - image->header.link_base);
    assert_true(r->kernel_vaddr >= KERNEL_IMAGE_BASE);
    assert_true(r->kernel_vaddr + image_end <= EARLY_WINDOW_BASE);
    assert_int_equal(start->entry, r->kernel_vaddr + image->header.entry);
    assert_int_equal(start->record, DIRECT_MAP_BASE + r->taken[HANDOFF_TAKEN_RECORD].base);
    assert_int_equal(r->taken[HANDOFF_TAKEN_KERNEL].base, block->paddr);
    assert_int_equal(r->taken[HANDOFF_TAKEN_KERNEL].length, image_end);
    for (uint32_t i = 0; i < 3; i++) { // kernel, tables, record: inside the block, apart
        const struct handoff_span* a = &r->taken[i];
        assert_true(a->base >= block->paddr && a->length != 0);
        assert_true(a->base + a->length <= block->paddr + block->length);
        for (uint32_t k = 0; k < i; k++) {
            const struct handoff_span* b = &r->taken[k];
            assert_true(a->base >= b->base + b->length || b->base >= a->base + a->length);
        }
    }
    const struct handoff_span* tables = &r->taken[HANDOFF_TAKEN_TABLES];
    assert_true(r->root_table >= tables->base && r->root_table < tables->base + tables->length);
    assert_int_equal(r->boot_canary & 0xff, 0);
    assert_true(r->boot_canary != 0);
}

static void assert_memory_good(const struct machine* m, const struct boot_block* block,
                               const uint8_t* memory, const uint8_t* original,
                               const struct test_image* image) {
    for (uint64_t word = 0; word < image->header.file_end / 8; word++) {
        uint64_t old;
        uint64_t new;
        memcpy(&old, original + word * 8, 8);
        memcpy(&new, memory + word * 8, 8);
        assert_int_equal(new, image->relocated[word] ? old + m->record.kernel_bias : old);
    }
    for (uint64_t i = image->header.file_end; i < image->header.image_end; i++) {
        assert_int_equal(memory[i], 0);
    }
    assert_memory_equal(memory + block->record_offset, &m->record, sizeof(m->record));
}

// Returns false if there was no place.
static bool boot_once(uint64_t seed, const char* cmdline, struct handoff* out_record) {
    struct random random = random_init(seed);
    struct machine* m = calloc(1, sizeof(*m));
    assert_non_null(m);
    machine_init(m, &random, cmdline);
    struct test_image image = test_image_make(&random, 0x104000);
    struct entropy entropy;
    entropy_init(&entropy);
    entropy_absorb(&entropy, seed);

    struct memory_map map = record_map(&m->record);
    struct boot_block block;
    block_measure(&block, &image.header, &map, seed % 2 == 0, 3);
    bool kaslr = !option_is(cmdline, "kaslr", "off");
    bool placed = block_place(&block, &map, m->avoid, m->avoid_count, 1ull << 32, kaslr, &entropy);
    if (placed) {
        assert_place_good(m, &block);
        uint8_t* memory = aligned_alloc(BOOT_PAGE_BYTES, block.length);
        assert_non_null(memory);
        memset(memory, 0x5a, block.length);
        memcpy(memory, image.bytes, image.header.file_end);
        struct kernel_start start;
        assert_null(block_finish(&block, memory, &m->record, &entropy, &start));
        assert_record_good(m, &block, &image, &start);
        assert_memory_good(m, &block, memory, image.bytes, &image);
        free(memory);
        *out_record = m->record;
    }
    test_image_free(&image);
    free(m);
    return placed;
}

static void random_machines_boot(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    uint32_t placed = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        placed += boot_once(seed, "root=x kaslr=on", record) ? 1 : 0;
    }
    assert_true(placed > 200);
    free(record);
}

static void kaslr_can_be_switched_off(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    uint64_t first = 0;
    uint32_t others = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_true(boot_once(seed, "kaslr=off", record));
        assert_int_equal(record->kernel_bias, KERNEL_IMAGE_BASE);
        assert_int_equal(record->kaslr, 0);
        assert_true(boot_once(seed, "", record));
        assert_int_equal(record->kaslr, 1);
        others += record->kernel_vaddr != first ? 1 : 0;
        first = record->kernel_vaddr;
    }
    assert_true(others >= 19);
    free(record);
}

static void damaged_images_are_refused(void** state) {
    (void)state;
    struct random random = random_init(3);
    struct test_image image = test_image_make(&random, 0x104000);
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    record_init(record, HANDOFF_SOURCE_UEFI, 0);
    struct memory_map map = record_map(record);
    struct boot_block block;
    block_measure(&block, &image.header, &map, true, 0);
    uint8_t* memory = aligned_alloc(BOOT_PAGE_BYTES, block.length);
    assert_non_null(memory);
    struct entropy entropy;
    entropy_init(&entropy);
    struct kernel_start start;
    memcpy(memory, image.bytes, image.header.file_end);
    memory[0] ^= 1;
    assert_non_null(block_finish(&block, memory, record, &entropy, &start));
    memory[0] ^= 1;
    memory[image.header.relr] |= 1; // a bitmap before any address
    assert_non_null(block_finish(&block, memory, record, &entropy, &start));
    free(memory);
    free(record);
    test_image_free(&image);
}

static void command_lines_are_cut_not_overrun(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    char* text = malloc(HANDOFF_MAX_CMDLINE);
    assert_non_null(record);
    assert_non_null(text);
    memset(text, 'x', HANDOFF_MAX_CMDLINE);
    assert_false(record_set_cmdline(record, text, HANDOFF_MAX_CMDLINE));
    assert_int_equal(record->cmdline_len, HANDOFF_MAX_CMDLINE - 1);
    assert_int_equal(record->cmdline[HANDOFF_MAX_CMDLINE - 1], 0);
    assert_true(record_set_cmdline(record, "ab\0cd", 5));
    assert_string_equal(record->cmdline, "ab");
    free(text);
    free(record);
}

static void options_are_whole_words_and_the_last_counts(void** state) {
    (void)state;
    assert_true(option_is("kaslr=off", "kaslr", "off"));
    assert_true(option_is("  a=b\tkaslr=off\n", "kaslr", "off"));
    assert_true(option_is("kaslr=on kaslr=off", "kaslr", "off"));
    assert_false(option_is("kaslr=off kaslr=on", "kaslr", "off"));
    assert_false(option_is("xkaslr=off", "kaslr", "off"));
    assert_false(option_is("kaslr=offx", "kaslr", "off"));
    assert_false(option_is("kaslr=of", "kaslr", "off"));
    assert_false(option_is("kaslr", "kaslr", "off"));
    assert_false(option_is("kaslrx=off", "kaslr", "off"));
    assert_false(option_is("", "kaslr", "off"));
}

static void entropy_depends_on_every_word(void** state) {
    (void)state;
    uint64_t seen[130];
    for (uint32_t bit = 0; bit < 130; bit++) {
        struct entropy e;
        entropy_init(&e);
        entropy_absorb(&e, bit < 64 ? 1ull << bit : 0);
        entropy_absorb(&e, bit >= 64 && bit < 128 ? 1ull << (bit - 64) : 0);
        if (bit == 129) {
            entropy_absorb(&e, 0);
        }
        seen[bit] = entropy_squeeze(&e);
        assert_true(entropy_squeeze(&e) != seen[bit]);
        for (uint32_t i = 0; i < bit; i++) {
            assert_true(seen[i] != seen[bit]);
        }
    }
    struct entropy cpu;
    entropy_init(&cpu);
    entropy_gather_cpu(&cpu);
    assert_true((cpu.sources & HANDOFF_ENTROPY_TSC) != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_machines_boot),
        cmocka_unit_test(kaslr_can_be_switched_off),
        cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(command_lines_are_cut_not_overrun),
        cmocka_unit_test(options_are_whole_words_and_the_last_counts),
        cmocka_unit_test(entropy_depends_on_every_word),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
