/*
 * Memory while the firmware owns it, and the map it leaves.
 *
 * Everything is allocated as loader data in whole pages: after ExitBootServices such pages are
 * ordinary usable memory, and the record's taken[] says which of them are still wanted.
 */

#include "uefi.h"

// Attributes of a range; the first is "can be cached write-back", the second "keep for a purpose".
constexpr uint64_t MEMORY_WRITE_BACK = 0x8;
constexpr uint64_t MEMORY_SPECIAL_PURPOSE = 0x40000;

// EfiPersistentMemory; newer than the header.
constexpr uint32_t TYPE_PERSISTENT = 14;

// Allocations between sizing the buffer and using it add a few entries each.
constexpr uint64_t MAP_SPARE_ENTRIES = 128;

void* uefi_pages(const struct uefi* uefi, uint64_t pages, uint64_t limit) {
    EFI_PHYSICAL_ADDRESS base = limit == UEFI_ANYWHERE ? 0 : limit - 1;
    EFI_ALLOCATE_TYPE how = limit == UEFI_ANYWHERE ? AllocateAnyPages : AllocateMaxAddress;
    if (EFI_ERROR(uefi->boot->AllocatePages(how, EfiLoaderData, pages, &base))) {
        return nullptr;
    }
    return (void*)(uintptr_t)base;
}

bool uefi_pages_at(const struct uefi* uefi, uint64_t base, uint64_t pages) {
    EFI_PHYSICAL_ADDRESS at = base;
    return !EFI_ERROR(uefi->boot->AllocatePages(AllocateAddress, EfiLoaderData, pages, &at));
}

bool uefi_map_init(const struct uefi* uefi, struct uefi_map* map) {
    UINTN bytes = 0;
    UINTN key = 0;
    UINTN entry_bytes = 0;
    UINT32 version = 0;
    // Fails by design, but says how much there is.
    (void)uefi->boot->GetMemoryMap(&bytes, nullptr, &key, &entry_bytes, &version);
    if (bytes == 0 || entry_bytes < sizeof(EFI_MEMORY_DESCRIPTOR)) {
        return false;
    }
    uint64_t pages =
        (bytes + MAP_SPARE_ENTRIES * entry_bytes + BOOT_PAGE_BYTES - 1) / BOOT_PAGE_BYTES;
    *map = (struct uefi_map){.buffer = uefi_pages(uefi, pages, UEFI_ANYWHERE),
                             .capacity = pages * BOOT_PAGE_BYTES};
    return map->buffer != nullptr;
}

bool uefi_map_get(const struct uefi* uefi, struct uefi_map* map) {
    UINTN bytes = map->capacity;
    UINTN key = 0;
    UINTN entry_bytes = 0;
    UINT32 version = 0;
    if (EFI_ERROR(uefi->boot->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR*)map->buffer, &key,
                                           &entry_bytes, &version))) {
        return false;
    }
    map->bytes = bytes;
    map->key = key;
    map->entry_bytes = entry_bytes;
    return true;
}

// Each attempt needs the key of a map fetched after whatever changed last: timers and drivers of
// the firmware may allocate at any moment, and a failed attempt may have stopped some of them.
bool uefi_leave(const struct uefi* uefi, struct uefi_map* map) {
    constexpr uint32_t attempts = 8;
    for (uint32_t i = 0; i < attempts; i++) {
        if (!uefi_map_get(uefi, map)) {
            return false;
        }
        if (!EFI_ERROR(uefi->boot->ExitBootServices(uefi->image, map->key))) {
            return true;
        }
    }
    return false;
}

static enum handoff_memory_kind kind_of(const EFI_MEMORY_DESCRIPTOR* d, bool after) {
    bool ordinary =
        (d->Attribute & MEMORY_WRITE_BACK) != 0 && (d->Attribute & MEMORY_SPECIAL_PURPOSE) == 0;
    switch (d->Type) {
    case EfiConventionalMemory:
        return ordinary ? HANDOFF_MEMORY_USABLE : HANDOFF_MEMORY_RESERVED;
    case EfiLoaderCode:
    case EfiLoaderData:
    case EfiBootServicesCode:
    case EfiBootServicesData:
        return ordinary && after ? HANDOFF_MEMORY_USABLE : HANDOFF_MEMORY_RESERVED;
    case EfiACPIReclaimMemory:
        return HANDOFF_MEMORY_ACPI_RECLAIM;
    case EfiACPIMemoryNVS:
        return HANDOFF_MEMORY_ACPI_NVS;
    case EfiUnusableMemory:
        return HANDOFF_MEMORY_DEFECTIVE;
    case TYPE_PERSISTENT:
        return HANDOFF_MEMORY_PERSISTENT;
    default:
        return HANDOFF_MEMORY_RESERVED;
    }
}

bool uefi_map_convert(const struct uefi_map* map, bool after, struct memory_map* out) {
    if (!memory_map_add(out, 0, BOOT_PAGE_BYTES, HANDOFF_MEMORY_RESERVED)) {
        return false;
    }
    for (uint64_t at = 0; at + map->entry_bytes <= map->bytes; at += map->entry_bytes) {
        const EFI_MEMORY_DESCRIPTOR* d = (const EFI_MEMORY_DESCRIPTOR*)(map->buffer + at);
        // More pages than any address has: cut off by the map itself, once it is no overflow here.
        uint64_t pages = d->NumberOfPages < MEMORY_MAP_LIMIT ? d->NumberOfPages : MEMORY_MAP_LIMIT;
        if (!memory_map_add(out, d->PhysicalStart, pages * BOOT_PAGE_BYTES, kind_of(d, after))) {
            return false;
        }
    }
    return true;
}
