/*
 * What only the firmware knows: configuration tables, the framebuffer, its random number generator.
 * All of it is optional; what is missing stays zero in the record.
 */

#include "uefi.h"

#include <early/entropy.h>

static const EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
static const EFI_GUID rng_guid = EFI_RNG_PROTOCOL_GUID;
static const EFI_GUID acpi_2_guid = {
    0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
static const EFI_GUID acpi_1_guid = {
    0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
static const EFI_GUID smbios_3_guid = {
    0xf2fd1544, 0x9794, 0x4a2c, {0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94}};
static const EFI_GUID smbios_guid = {
    0xeb9d2d31, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

// Zircon's pixel format numbers: blue in the lowest byte, and red in the lowest byte.
constexpr uint32_t PIXEL_RGB_X888 = 0x00040005;
constexpr uint32_t PIXEL_BGR_888X = 0x0004000b;

static bool guid_equal(const EFI_GUID* a, const EFI_GUID* b) {
    if (a->Data1 != b->Data1 || a->Data2 != b->Data2 || a->Data3 != b->Data3) {
        return false;
    }
    for (uint32_t i = 0; i < 8; i++) {
        if (a->Data4[i] != b->Data4[i]) {
            return false;
        }
    }
    return true;
}

static uint64_t find_table(const struct uefi* uefi, const EFI_GUID* guid) {
    for (UINTN i = 0; i < uefi->table->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE* entry = &uefi->table->ConfigurationTable[i];
        if (guid_equal(&entry->VendorGuid, guid)) {
            return (uint64_t)(uintptr_t)entry->VendorTable;
        }
    }
    return 0;
}

void uefi_read_tables(const struct uefi* uefi, struct handoff* record) {
    record->efi_system_table = (uint64_t)(uintptr_t)uefi->table;
    record->acpi_rsdp = find_table(uefi, &acpi_2_guid);
    if (record->acpi_rsdp == 0) {
        record->acpi_rsdp = find_table(uefi, &acpi_1_guid);
    }
    record->smbios = find_table(uefi, &smbios_3_guid);
    if (record->smbios == 0) {
        record->smbios = find_table(uefi, &smbios_guid);
    }
}

void uefi_read_graphics(const struct uefi* uefi, struct handoff* record) {
    EFI_GUID guid = graphics_guid;
    EFI_GRAPHICS_OUTPUT_PROTOCOL* graphics = nullptr;
    if (EFI_ERROR(uefi->boot->LocateProtocol(&guid, nullptr, (void**)&graphics)) ||
        graphics->Mode == nullptr || graphics->Mode->Info == nullptr) {
        return;
    }
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION* info = graphics->Mode->Info;
    uint32_t format = 0;
    if (info->PixelFormat == PixelBlueGreenRedReserved8BitPerColor) {
        format = PIXEL_RGB_X888;
    } else if (info->PixelFormat == PixelRedGreenBlueReserved8BitPerColor) {
        format = PIXEL_BGR_888X;
    } else {
        return; // no linear framebuffer, or one that nothing here can name
    }
    record->framebuffer = (struct handoff_framebuffer){
        .base = graphics->Mode->FrameBufferBase,
        .length_bytes = graphics->Mode->FrameBufferSize,
        .width = info->HorizontalResolution,
        .height = info->VerticalResolution,
        .stride_pixels = info->PixelsPerScanLine,
        .format = format,
    };
}

void uefi_gather_entropy(const struct uefi* uefi, struct entropy* entropy) {
    EFI_GUID guid = rng_guid;
    EFI_RNG_PROTOCOL* rng = nullptr;
    uint8_t bytes[HANDOFF_ENTROPY_BYTES];
    if (!EFI_ERROR(uefi->boot->LocateProtocol(&guid, nullptr, (void**)&rng)) &&
        !EFI_ERROR(rng->GetRNG(rng, nullptr, sizeof(bytes), bytes))) {
        entropy_absorb_bytes(entropy, bytes, sizeof(bytes));
        entropy->sources |= HANDOFF_ENTROPY_EFI_RNG;
    }
    entropy_gather_cpu(entropy);
}
