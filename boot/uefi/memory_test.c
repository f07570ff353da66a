// The firmware's memory services, played by a fake: maps of several versions, a map that grows, and
// a firmware that does not let go at once.
#include "uefi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

constexpr uint64_t write_back = 8;

static struct {
    uint8_t map[128][64]; // one descriptor per row, of entry_bytes
    uint32_t count;
    uint64_t entry_bytes;
    uint64_t key;
    uint32_t stale_exits; // how often ExitBootServices finds the key outdated
    uint32_t exits;
    uint32_t maps;
    bool left;
    void* allocated;
} firmware;

static EFI_STATUS fake_get_map(UINTN* bytes, EFI_MEMORY_DESCRIPTOR* to, UINTN* key,
                               UINTN* entry_bytes, UINT32* version) {
    UINTN need = firmware.count * firmware.entry_bytes;
    assert_false(firmware.left);
    *entry_bytes = firmware.entry_bytes;
    *version = 1;
    if (*bytes < need) {
        *bytes = need;
        return EFI_BUFFER_TOO_SMALL;
    }
    for (uint32_t i = 0; i < firmware.count; i++) {
        memcpy((uint8_t*)to + i * firmware.entry_bytes, firmware.map[i], firmware.entry_bytes);
    }
    *bytes = need;
    *key = firmware.key;
    firmware.maps++;
    return EFI_SUCCESS;
}

static EFI_STATUS fake_allocate(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                EFI_PHYSICAL_ADDRESS* at) {
    assert_int_equal(how, AllocateAnyPages);
    assert_int_equal(type, EfiLoaderData);
    firmware.allocated = aligned_alloc(BOOT_PAGE_BYTES, pages * BOOT_PAGE_BYTES);
    assert_non_null(firmware.allocated);
    *at = (uintptr_t)firmware.allocated;
    return EFI_SUCCESS;
}

static EFI_STATUS fake_exit(EFI_HANDLE image, UINTN key) {
    assert_ptr_equal(image, &firmware);
    firmware.exits++;
    if (firmware.stale_exits != 0) {
        // Something allocated in between: one more entry, another key.
        firmware.stale_exits--;
        firmware.key++;
        firmware.count++;
        return EFI_INVALID_PARAMETER;
    }
    assert_int_equal(key, firmware.key);
    firmware.left = true;
    return EFI_SUCCESS;
}

static EFI_BOOT_SERVICES services;
static struct uefi uefi;

static void add(uint32_t type, uint64_t base, uint64_t pages, uint64_t attributes) {
    EFI_MEMORY_DESCRIPTOR d = {
        .Type = type, .PhysicalStart = base, .NumberOfPages = pages, .Attribute = attributes};
    memcpy(firmware.map[firmware.count++], &d, sizeof(d));
}

static int set_up(void** state) {
    (void)state;
    memset(&firmware, 0, sizeof(firmware));
    firmware.entry_bytes = 48; // larger than the structure, as real firmware has it
    firmware.key = 77;
    services = (EFI_BOOT_SERVICES){.GetMemoryMap = fake_get_map,
                                   .AllocatePages = fake_allocate,
                                   .ExitBootServices = fake_exit};
    uefi = (struct uefi){.image = &firmware, .boot = &services};
    return 0;
}

static int tear_down(void** state) {
    (void)state;
    free(firmware.allocated);
    return 0;
}

static void convert(const struct uefi_map* map, bool after, struct memory_map* out,
                    struct handoff_memory entries[32]) {
    memset(entries, 0, 32 * sizeof(entries[0]));
    *out = (struct memory_map){.entries = entries, .capacity = 32};
    assert_true(uefi_map_convert(map, after, out));
}

static void kinds_follow_type_and_attributes(void** state) {
    (void)state;
    add(EfiConventionalMemory, 0, 0xa0, write_back);
    add(EfiBootServicesCode, 0x10'0000, 0x10, write_back);
    add(EfiLoaderData, 0x11'0000, 0x10, write_back);
    add(EfiRuntimeServicesData, 0x12'0000, 0x10, write_back);
    add(EfiACPIReclaimMemory, 0x13'0000, 0x10, write_back);
    add(EfiACPIMemoryNVS, 0x14'0000, 0x10, write_back);
    add(EfiConventionalMemory, 0x15'0000, 0x10, 0);        // cannot be cached
    add(EfiConventionalMemory, 0x16'0000, 0x10, 0x4'0008); // kept for a purpose
    add(EfiUnusableMemory, 0x17'0000, 0x10, write_back);
    add(14, 0x18'0000, 0x10, write_back);               // persistent
    add(0x7000'0001, 0x19'0000, 0x10, write_back);      // a vendor's
    add(EfiMemoryMappedIO, 0xfec0'0000, UINT64_MAX, 1); // nonsense length: cut off

    struct uefi_map map;
    assert_true(uefi_map_init(&uefi, &map));
    assert_true(uefi_map_get(&uefi, &map));
    struct memory_map out;
    struct handoff_memory entries[32];
    convert(&map, true, &out, entries);
    static const struct handoff_memory after[] = {
        {0, 0x1000, HANDOFF_MEMORY_RESERVED, 0},
        {0x1000, 0x9f000, HANDOFF_MEMORY_USABLE, 0},
        {0x10'0000, 0x2'0000, HANDOFF_MEMORY_USABLE, 0},
        {0x12'0000, 0x1'0000, HANDOFF_MEMORY_RESERVED, 0},
        {0x13'0000, 0x1'0000, HANDOFF_MEMORY_ACPI_RECLAIM, 0},
        {0x14'0000, 0x1'0000, HANDOFF_MEMORY_ACPI_NVS, 0},
        {0x15'0000, 0x2'0000, HANDOFF_MEMORY_RESERVED, 0},
        {0x17'0000, 0x1'0000, HANDOFF_MEMORY_DEFECTIVE, 0},
        {0x18'0000, 0x1'0000, HANDOFF_MEMORY_PERSISTENT, 0},
        {0x19'0000, 0x1'0000, HANDOFF_MEMORY_RESERVED, 0},
    };
    constexpr uint32_t after_count = sizeof(after) / sizeof(after[0]);
    assert_int_equal(out.count, after_count + 1);
    assert_memory_equal(entries, after, sizeof(after));
    assert_int_equal(entries[after_count].base + entries[after_count].length, MEMORY_MAP_LIMIT);

    // While the firmware runs, only conventional memory is there for the taking.
    convert(&map, false, &out, entries);
    assert_int_equal(entries[1].kind, HANDOFF_MEMORY_USABLE);
    assert_int_equal(entries[2].base, 0x10'0000);
    assert_int_equal(entries[2].length, 0x3'0000);
    assert_int_equal(entries[2].kind, HANDOFF_MEMORY_RESERVED);
}

static void leaving_takes_a_fresh_map_every_time(void** state) {
    (void)state;
    add(EfiConventionalMemory, 0x10'0000, 0x10, write_back);
    struct uefi_map map;
    assert_true(uefi_map_init(&uefi, &map));
    firmware.stale_exits = 3;
    assert_true(uefi_leave(&uefi, &map));
    assert_true(firmware.left);
    assert_int_equal(firmware.exits, 4);
    assert_int_equal(firmware.maps, 4);
    assert_int_equal(map.bytes, 4 * firmware.entry_bytes); // the last map, not the first
}

static void a_firmware_that_holds_on_is_given_up(void** state) {
    (void)state;
    add(EfiConventionalMemory, 0x10'0000, 0x10, write_back);
    struct uefi_map map;
    assert_true(uefi_map_init(&uefi, &map));
    firmware.stale_exits = 1000;
    assert_false(uefi_leave(&uefi, &map));
    assert_int_equal(firmware.exits, 8);
}

static void a_map_that_outgrows_its_buffer_is_an_error(void** state) {
    (void)state;
    add(EfiConventionalMemory, 0x10'0000, 0x10, write_back);
    struct uefi_map map;
    assert_true(uefi_map_init(&uefi, &map));
    assert_true(map.capacity >= 128 * firmware.entry_bytes);
    map.capacity = firmware.entry_bytes;
    firmware.count = 2;
    assert_false(uefi_map_get(&uefi, &map));
    assert_false(uefi_leave(&uefi, &map));
    assert_int_equal(firmware.exits, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds_follow_type_and_attributes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaving_takes_a_fresh_map_every_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_firmware_that_holds_on_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_map_that_outgrows_its_buffer_is_an_error, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
