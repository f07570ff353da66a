/*
 * Reading start_info. It and everything it points to lies in memory that the map calls usable, so
 * all of it is copied into the record before anything is placed, and named in `avoid` besides: the
 * record is complete before the first byte is written elsewhere, but a placement that could destroy
 * its source would be wrong whenever that order changes.
 *
 * The loader is trusted with addresses (it could have loaded anything), not with counts.
 */

#include "pvh.h"

#include <early/block.h>
#include <early/memory_map.h>

static enum handoff_memory_kind kind_of(uint32_t e820_type) {
    switch (e820_type) {
    case 1:
        return HANDOFF_MEMORY_USABLE;
    case 3:
        return HANDOFF_MEMORY_ACPI_RECLAIM;
    case 4:
        return HANDOFF_MEMORY_ACPI_NVS;
    case 5:
        return HANDOFF_MEMORY_DEFECTIVE;
    case 7:
        return HANDOFF_MEMORY_PERSISTENT;
    default:
        return HANDOFF_MEMORY_RESERVED;
    }
}

static const char* read_memory(const struct pvh_memory* list, uint32_t count,
                               struct handoff* record) {
    struct memory_map map = record_map(record);
    // Page 0 keeps null pointers and the BIOS data area out of the allocator's hands.
    bool ok = memory_map_add(&map, 0, BOOT_PAGE_BYTES, HANDOFF_MEMORY_RESERVED);
    for (uint32_t i = 0; i < count && ok; i++) {
        ok = memory_map_add(&map, list[i].base, list[i].length, kind_of(list[i].type));
    }
    record_map_done(record, &map);
    return ok ? nullptr : "the memory map has too many pieces";
}

static struct handoff_span read_cmdline(const char* text, uint64_t paddr, struct handoff* record) {
    // The length is not told; it ends at its NUL, and past the limit it is cut off.
    (void)record_set_cmdline(record, text, HANDOFF_MAX_CMDLINE);
    return (struct handoff_span){paddr, record->cmdline_len + 1};
}

static struct handoff_span read_zbi(const struct pvh_module* module, struct handoff* record) {
    constexpr uint64_t mask = BOOT_PAGE_BYTES - 1;
    uint64_t pages_bytes = (module->length + mask) & ~mask;
    record->taken[HANDOFF_TAKEN_ZBI] = (struct handoff_span){module->base, pages_bytes};
    record->zbi_length_bytes = module->length;
    return record->taken[HANDOFF_TAKEN_ZBI];
}

const char* pvh_read(const struct pvh_start_info* info, uint64_t info_paddr,
                     const void* (*reach)(uint64_t paddr), struct handoff* record,
                     struct handoff_span avoid[PVH_MAX_AVOID]) {
    for (uint32_t i = 0; i < PVH_MAX_AVOID; i++) {
        avoid[i] = (struct handoff_span){};
    }
    if (info->magic != PVH_START_MAGIC || info->version < 1 || info->memory == 0 ||
        info->memory_count == 0) {
        return "the loader gave no memory map";
    }
    const char* error = read_memory(reach(info->memory), info->memory_count, record);
    if (error != nullptr) {
        return error;
    }
    avoid[0] = (struct handoff_span){info_paddr, sizeof(*info)};
    avoid[1] = (struct handoff_span){info->memory, info->memory_count * sizeof(struct pvh_memory)};
    if (info->cmdline != 0) {
        avoid[2] = read_cmdline(reach(info->cmdline), info->cmdline, record);
    }
    if (info->module_count > 0 && info->modules != 0) {
        const struct pvh_module* module = reach(info->modules);
        avoid[3] = (struct handoff_span){info->modules, info->module_count * sizeof(*module)};
        if (module->base % BOOT_PAGE_BYTES != 0) {
            return "the boot image is not page aligned";
        }
        avoid[4] = read_zbi(module, record);
    }
    record->acpi_rsdp = info->rsdp;
    return nullptr;
}
