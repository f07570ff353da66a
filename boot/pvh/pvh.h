#pragma once

#include <boot/handoff.h>
#include <stdint.h>

// The PVH boot protocol's structures (Xen's public ABI, hvm/start_info.h), version 1. Loaders put
// them anywhere: QEMU's microvm firmware at multiples of 4. Hence packed, which promises nothing.

constexpr uint32_t PVH_START_MAGIC = 0x336ec578;

struct [[gnu::packed]] pvh_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t cmdline;
    uint64_t rsdp;
    uint64_t memory; // version 1 and up
    uint32_t memory_count;
    uint32_t reserved;
};

struct [[gnu::packed]] pvh_module {
    uint64_t base;
    uint64_t length;
    uint64_t cmdline;
    uint64_t reserved;
};

struct [[gnu::packed]] pvh_memory {
    uint64_t base;
    uint64_t length;
    uint32_t type; // as the BIOS numbers E820 ranges
    uint32_t reserved;
};

static_assert(sizeof(struct pvh_start_info) == 56);
static_assert(sizeof(struct pvh_module) == 32);
static_assert(sizeof(struct pvh_memory) == 24);

constexpr uint32_t PVH_MAX_AVOID = 6;

// Copies what start_info describes into the record, and lists in `avoid` the memory that must stay
// untouched until then: start_info itself, its lists, the command line, the ZBI; the last entry is
// left empty for the caller. `reach` turns a physical address into a pointer. Null, or what is
// wrong.
[[nodiscard]] const char* pvh_read(const struct pvh_start_info* info, uint64_t info_paddr,
                                   const void* (*reach)(uint64_t paddr), struct handoff* record,
                                   struct handoff_span avoid[PVH_MAX_AVOID]);
