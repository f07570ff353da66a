// start_info as loaders write it, in a fake low memory.
#include "pvh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <early/block.h>
#include <early/place.h>
#include <lib/random.h>

constexpr uint64_t low_bytes = 0x1'0000;
static _Alignas(4096) uint8_t low_memory[low_bytes];

static const void* reach_low(uint64_t paddr) {
    assert_true(paddr < low_bytes);
    return low_memory + paddr;
}

struct setup {
    struct pvh_start_info info;
    struct pvh_module module;
    struct pvh_memory memory[8];
};

static struct setup good_setup(void) {
    return (struct setup){
        .info = {.magic = PVH_START_MAGIC,
                 .version = 1,
                 .module_count = 1,
                 .modules = 0x2000,
                 .cmdline = 0x3010,
                 .rsdp = 0xf59e0,
                 .memory = 0x4000,
                 .memory_count = 3},
        .module = {.base = 0x70'0000, .length = 0x1234},
        .memory = {{0, 0x9fc00, 1, 0}, {0x9fc00, 0x400, 2, 0}, {0x10'0000, 0x100'0000, 1, 0}},
    };
}

static const char* read_setup(const struct setup* setup, const char* cmdline,
                              struct handoff* record, struct handoff_span* avoid) {
    memset(low_memory, 0, sizeof(low_memory));
    memcpy(low_memory + 0x1000, &setup->info, sizeof(setup->info));
    memcpy(low_memory + setup->info.modules % low_bytes, &setup->module, sizeof(setup->module));
    memcpy(low_memory + setup->info.memory % low_bytes, setup->memory, sizeof(setup->memory));
    strcpy((char*)low_memory + 0x3010, cmdline);
    record_init(record, HANDOFF_SOURCE_PVH, 0);
    return pvh_read(reach_low(0x1000), 0x1000, reach_low, record, avoid);
}

static void everything_arrives_in_the_record(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    struct handoff_span avoid[PVH_MAX_AVOID];
    struct setup setup = good_setup();
    assert_null(read_setup(&setup, "a=b kaslr=off", record, avoid));
    assert_string_equal(record->cmdline, "a=b kaslr=off");
    assert_int_equal(record->acpi_rsdp, 0xf59e0);
    assert_int_equal(record->zbi_length_bytes, 0x1234);
    assert_int_equal(record->taken[HANDOFF_TAKEN_ZBI].base, 0x70'0000);
    assert_int_equal(record->taken[HANDOFF_TAKEN_ZBI].length, 0x2000);
    assert_int_equal(record->memory_count, 4);
    assert_int_equal(record->memory[0].kind, HANDOFF_MEMORY_RESERVED); // page 0
    assert_int_equal(record->memory[1].base, 0x1000);
    assert_int_equal(record->memory[1].length, 0x9e000);
    assert_int_equal(record->memory[3].length, 0x100'0000);
    free(record);
}

// Wherever a place is found, it destroys nothing that start_info consists of.
static void placement_keeps_clear_of_start_info(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    struct handoff_span avoid[PVH_MAX_AVOID];
    struct setup setup = good_setup();
    assert_null(read_setup(&setup, "x", record, avoid));
    const struct handoff_span keep[] = {
        {0x1000, 56}, {0x2000, 32}, {0x3010, 2}, {0x4000, 72}, {0x70'0000, 0x1234}};
    struct memory_map map = record_map(record);
    struct random random = random_init(9);
    for (uint32_t i = 0; i < 2000; i++) {
        struct place_request request = {.length = (1 + random_below(&random, 8)) * 4096,
                                        .align = 4096,
                                        .lowest = 0,
                                        .limit = i % 2 == 0 ? 0x1'0000 : 0x100'0000};
        uint64_t base;
        if (!place_find(&map, avoid, PVH_MAX_AVOID, &request, random_u64(&random), &base)) {
            continue;
        }
        for (uint32_t k = 0; k < sizeof(keep) / sizeof(keep[0]); k++) {
            assert_true(base >= keep[k].base + keep[k].length ||
                        base + request.length <= keep[k].base);
        }
    }
    free(record);
}

static void missing_parts_are_missing_not_wrong(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    struct handoff_span avoid[PVH_MAX_AVOID];
    struct setup setup = good_setup();
    setup.info.cmdline = 0;
    setup.info.module_count = 0;
    assert_null(read_setup(&setup, "", record, avoid));
    assert_int_equal(record->cmdline_len, 0);
    assert_int_equal(record->taken[HANDOFF_TAKEN_ZBI].length, 0);
    setup.info.memory_count = 0;
    assert_non_null(read_setup(&setup, "", record, avoid));
    setup = good_setup();
    setup.info.version = 0;
    assert_non_null(read_setup(&setup, "", record, avoid));
    setup = good_setup();
    setup.info.magic++;
    assert_non_null(read_setup(&setup, "", record, avoid));
    setup = good_setup();
    setup.module.base += 8;
    assert_non_null(read_setup(&setup, "", record, avoid));
    free(record);
}

static void lists_lie_at_any_address(void** state) {
    (void)state;
    struct handoff* record = calloc(1, sizeof(*record));
    assert_non_null(record);
    struct handoff_span avoid[PVH_MAX_AVOID];
    for (uint64_t shift = 1; shift < 8; shift++) {
        struct setup setup = good_setup();
        setup.info.modules += shift;
        setup.info.memory += shift;
        assert_null(read_setup(&setup, "", record, avoid));
        assert_int_equal(record->zbi_length_bytes, 0x1234);
        assert_int_equal(avoid[1].base, 0x4000 + shift);
    }
    free(record);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_in_the_record),
        cmocka_unit_test(placement_keeps_clear_of_start_info),
        cmocka_unit_test(lists_lie_at_any_address),
        cmocka_unit_test(missing_parts_are_missing_not_wrong),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
