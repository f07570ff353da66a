#pragma once

#include <boot/handoff.h>
#include <early/memory_map.h>
#include <stdint.h>

#include <efi.h>

// The services this application was started with; constant after efi_main() has set it.
struct uefi {
    EFI_HANDLE image;
    EFI_SYSTEM_TABLE* table;
    EFI_BOOT_SERVICES* boot;
};

// Says why on the firmware's console (while boot services live) and on the boot console, and stops.
[[noreturn]] void uefi_fail(const struct uefi* uefi, const char* why);

// ---- files.c: the volume this application was loaded from -------------------------------------

struct uefi_volume {
    EFI_FILE_PROTOCOL* root;
};

[[nodiscard]] bool uefi_volume_open(const struct uefi* uefi, struct uefi_volume* out);
// The open file and its size; false if there is none of this name.
[[nodiscard]] bool uefi_file_open(const struct uefi_volume* volume, const CHAR16* name,
                                  EFI_FILE_PROTOCOL** out_file, uint64_t* out_bytes);
// Exactly `bytes` from the current position.
[[nodiscard]] bool uefi_file_read(EFI_FILE_PROTOCOL* file, void* to, uint64_t bytes);

// ---- memory.c ---------------------------------------------------------------------------------

constexpr uint64_t UEFI_ANYWHERE = 0;
constexpr uint64_t UEFI_BELOW_1M = 1ull << 20;

// Pages that belong to us until the end, and to the kernel's map as usable memory; null if none.
void* uefi_pages(const struct uefi* uefi, uint64_t pages, uint64_t limit);
[[nodiscard]] bool uefi_pages_at(const struct uefi* uefi, uint64_t base, uint64_t pages);

// The firmware's memory map in one buffer that stays valid over ExitBootServices.
struct uefi_map {
    uint8_t* buffer;
    uint64_t capacity;
    uint64_t bytes;
    uint64_t key;
    uint64_t entry_bytes;
};

[[nodiscard]] bool uefi_map_init(const struct uefi* uefi, struct uefi_map* map);
[[nodiscard]] bool uefi_map_get(const struct uefi* uefi, struct uefi_map* map);
// As it will be after ExitBootServices (`after`), or what is free right now. False: too many
// pieces.
[[nodiscard]] bool uefi_map_convert(const struct uefi_map* map, bool after, struct memory_map* out);

// Ends the firmware's boot services; `map` holds the final map then. False: it does not let go.
// After the first attempt nothing else of the firmware may be called, whatever the result.
[[nodiscard]] bool uefi_leave(const struct uefi* uefi, struct uefi_map* map);

// ---- devices.c: what only the firmware knows --------------------------------------------------

struct entropy;
void uefi_read_tables(const struct uefi* uefi, struct handoff* record);
void uefi_read_graphics(const struct uefi* uefi, struct handoff* record);
void uefi_gather_entropy(const struct uefi* uefi, struct entropy* entropy);
