/*
 * BOOTX64.EFI: boots the kernel from the EFI system partition it was loaded from.
 *
 *   \jacinth.bin   the kernel image, flat (see <early/image.h>)
 *   \system.zbi    the boot image, optional
 *   \cmdline.txt   the command line, optional
 *
 * Each file is read once, to its final place. The kernel's place is chosen among the memory that is
 * free now and then asked for by address; the final tables can only be built after
 * ExitBootServices, when the map is final, so the pool for them is sized with some spare.
 *
 * From ExitBootServices to the jump the firmware's page tables stay in use: they lie in memory that
 * nobody has written to since, identity-mapped. Their upper half is ours (early/enter.c), in a copy
 * of their root, because the firmware may have write-protected the original.
 */

#include "uefi.h"

#include <early/block.h>
#include <early/cpu.h>
#include <early/enter.h>
#include <early/options.h>
#include <early/say.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE* table);

constexpr uint64_t PLACEMENT_LIMIT = 1ull << 32; // other CPUs load the root in 32-bit mode
constexpr uint32_t PLACEMENT_TRIES = 16;
constexpr uint32_t SPARE_TABLES = 64;

constexpr uint32_t MSR_EFER = 0xc0000080;
constexpr uint64_t EFER_NO_EXEC = 1ull << 11;
constexpr uint64_t CR4_FIVE_LEVELS = 1ull << 12;

// All that is needed past ExitBootServices; loader data, never static (the image is write-protected
// on some firmware).
struct boot_state {
    struct handoff record;
    struct handoff_memory placement_map[HANDOFF_MAX_MEMORY];
    struct entropy entropy;
    struct uefi_map firmware_map;
    struct boot_block block;
    uint64_t* tables; // our copy of the firmware's root table
};

void uefi_fail(const struct uefi* uefi, const char* why) {
    CHAR16 wide[2] = {};
    SIMPLE_TEXT_OUTPUT_INTERFACE* console = uefi->table->ConOut;
    for (const char* at = why; console != nullptr && *at != '\0'; at++) {
        wide[0] = (CHAR16)*at;
        console->OutputString(console, wide);
    }
    boot_fail(why);
}

static uint64_t pages_for(uint64_t bytes) {
    return bytes / BOOT_PAGE_BYTES + (bytes % BOOT_PAGE_BYTES != 0 ? 1 : 0);
}

static void read_cmdline(const struct uefi_volume* volume, struct handoff* record) {
    EFI_FILE_PROTOCOL* file;
    uint64_t bytes;
    if (!uefi_file_open(volume, u"\\cmdline.txt", &file, &bytes)) {
        return;
    }
    bytes = bytes < HANDOFF_MAX_CMDLINE - 1 ? bytes : HANDOFF_MAX_CMDLINE - 1;
    if (!uefi_file_read(file, record->cmdline, bytes)) {
        bytes = 0;
    }
    file->Close(file);
    while (bytes != 0 && (uint8_t)record->cmdline[bytes - 1] <= ' ') {
        bytes--;
    }
    record->cmdline[bytes] = '\0';
    // What stands behind a NUL in the file is not part of the command line.
    record->cmdline_len = 0;
    while (record->cmdline[record->cmdline_len] != '\0') {
        record->cmdline_len++;
    }
}

static void read_zbi(const struct uefi* uefi, const struct uefi_volume* volume,
                     struct handoff* record) {
    EFI_FILE_PROTOCOL* file;
    uint64_t bytes;
    if (!uefi_file_open(volume, u"\\system.zbi", &file, &bytes) || bytes == 0) {
        return; // the kernel says so if it needs one
    }
    uint64_t pages = pages_for(bytes);
    uint8_t* memory = uefi_pages(uefi, pages, UEFI_ANYWHERE);
    if (memory == nullptr) {
        uefi_fail(uefi, "no memory for system.zbi");
    }
    if (!uefi_file_read(file, memory, bytes)) {
        uefi_fail(uefi, "cannot read system.zbi");
    }
    file->Close(file);
    for (uint64_t i = bytes; i < pages * BOOT_PAGE_BYTES; i++) {
        memory[i] = 0;
    }
    record->taken[HANDOFF_TAKEN_ZBI] =
        (struct handoff_span){(uint64_t)(uintptr_t)memory, pages * BOOT_PAGE_BYTES};
    record->zbi_length_bytes = bytes;
}

// Sizes the block for the map as it will be, and finds it a place in the map as it is.
static bool place_once(const struct uefi* uefi, struct boot_state* state,
                       const struct image_header* image) {
    struct memory_map map = record_map(&state->record);
    map.count = 0;
    if (!uefi_map_get(uefi, &state->firmware_map) ||
        !uefi_map_convert(&state->firmware_map, true, &map)) {
        uefi_fail(uefi, "the memory map has too many pieces");
    }
    block_measure(&state->block, image, &map, cpu_has_giant_pages(), SPARE_TABLES);

    struct memory_map free_map = {.entries = state->placement_map, .capacity = HANDOFF_MAX_MEMORY};
    bool kaslr = !option_is(state->record.cmdline, "kaslr", "off");
    return uefi_map_convert(&state->firmware_map, false, &free_map) &&
           block_place(&state->block, &free_map, nullptr, 0, PLACEMENT_LIMIT, kaslr,
                       &state->entropy) &&
           uefi_pages_at(uefi, state->block.paddr, pages_for(state->block.length));
}

static void read_kernel(const struct uefi* uefi, const struct uefi_volume* volume,
                        struct boot_state* state) {
    EFI_FILE_PROTOCOL* file;
    uint64_t bytes;
    struct image_header image;
    if (!uefi_file_open(volume, u"\\jacinth.bin", &file, &bytes)) {
        uefi_fail(uefi, "there is no jacinth.bin");
    }
    if (bytes < sizeof(image) || !uefi_file_read(file, &image, sizeof(image)) ||
        !image_header_valid(&image) || bytes < image.file_end) {
        uefi_fail(uefi, "jacinth.bin is no kernel image");
    }
    uint32_t tries = 0;
    while (!place_once(uefi, state, &image)) {
        if (++tries == PLACEMENT_TRIES) {
            uefi_fail(uefi, "no room for the kernel in memory");
        }
    }
    void* memory = (void*)(uintptr_t)state->block.paddr;
    if (EFI_ERROR(file->SetPosition(file, 0)) || !uefi_file_read(file, memory, image.file_end)) {
        uefi_fail(uefi, "cannot read jacinth.bin");
    }
    file->Close(file);
}

static void take_trampoline(const struct uefi* uefi, struct handoff* record) {
    void* memory = uefi_pages(uefi, HANDOFF_TRAMPOLINE_BYTES / BOOT_PAGE_BYTES, UEFI_BELOW_1M);
    // Page 0 is not usable in the record's map; without a trampoline the kernel runs on one CPU.
    if (memory != nullptr) {
        record->taken[HANDOFF_TAKEN_TRAMPOLINE] =
            (struct handoff_span){(uint64_t)(uintptr_t)memory, HANDOFF_TRAMPOLINE_BYTES};
    }
}

// No firmware from here on.
[[noreturn]] static void start_kernel(struct boot_state* state) {
    __asm__ volatile("cli");
    struct memory_map map = record_map(&state->record);
    for (uint32_t i = 0; i < map.capacity; i++) {
        map.entries[i] = (struct handoff_memory){};
    }
    map.count = 0;
    if (!uefi_map_convert(&state->firmware_map, true, &map)) {
        boot_fail("the memory map has too many pieces");
    }
    record_map_done(&state->record, &map);

    struct kernel_start start;
    const char* error = block_finish(&state->block, (uint8_t*)(uintptr_t)state->block.paddr,
                                     &state->record, &state->entropy, &start);
    if (error != nullptr) {
        boot_fail(error);
    }
    cpu_wrmsr(MSR_EFER, cpu_rdmsr(MSR_EFER) | EFER_NO_EXEC);
    const uint64_t* firmware_root = (const uint64_t*)(uintptr_t)(cpu_read_cr3() & ~0xfffull);
    for (uint32_t i = 0; i < 256; i++) {
        state->tables[i] = firmware_root[i];
    }
    cpu_write_cr3((uint64_t)(uintptr_t)state->tables);
    enter_kernel(state->tables, &start);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE* table) {
    say("!");
    uint64_t entry_tsc = cpu_tsc();
    struct uefi uefi = {.image = image, .table = table, .boot = table->BootServices};
    if (!cpu_has_no_exec() || (cpu_read_cr4() & CR4_FIVE_LEVELS) != 0) {
        uefi_fail(&uefi, "this CPU or its firmware's paging mode is not supported");
    }
    uefi.boot->SetWatchdogTimer(0, 0, 0, nullptr);

    struct boot_state* state =
        uefi_pages(&uefi, pages_for(sizeof(struct boot_state)), UEFI_ANYWHERE);
    uint64_t* tables = uefi_pages(&uefi, 1, UEFI_ANYWHERE);
    struct uefi_volume volume;
    if (state == nullptr || tables == nullptr) {
        uefi_fail(&uefi, "no memory");
    }
    if (!uefi_volume_open(&uefi, &volume)) {
        uefi_fail(&uefi, "cannot open the volume this was loaded from");
    }
    state->tables = tables;
    struct handoff* record = &state->record;
    record_init(record, HANDOFF_SOURCE_UEFI, entry_tsc);
    find_uart(&record->uart);
    entropy_init(&state->entropy);
    uefi_gather_entropy(&uefi, &state->entropy);
    read_cmdline(&volume, record);
    read_zbi(&uefi, &volume, record);
    uefi_read_tables(&uefi, record);
    uefi_read_graphics(&uefi, record);
    take_trampoline(&uefi, record);
    if (!uefi_map_init(&uefi, &state->firmware_map)) {
        uefi_fail(&uefi, "no memory map from the firmware");
    }
    read_kernel(&uefi, &volume, state);
    if (!uefi_leave(&uefi, &state->firmware_map)) {
        boot_fail("the firmware does not let go");
    }
    start_kernel(state);
}
