#pragma once

#include <boot/handoff.h>
#include <stdint.h>

constexpr uint64_t BOOT_PAGE_BYTES = 4096;

// A view of a record's memory[]: kept sorted, page aligned and free of overlaps by every call
// below.
struct memory_map {
    struct handoff_memory* entries; // room for `capacity`
    uint32_t capacity;
    uint32_t count;
};

// Adds what the firmware says, in any order and with any overlap. Usable ranges shrink to whole
// pages, all others grow; where ranges overlap the greater kind wins. Ranges past
// `MEMORY_MAP_LIMIT` are cut off. When the array is full the smallest usable entry is forgotten
// (memory is lost, nothing becomes unsafe); false only if even that does not make room.
[[nodiscard]] bool memory_map_add(struct memory_map* map, uint64_t base, uint64_t length,
                                  enum handoff_memory_kind kind);

// Is this RAM the direct map covers?
bool memory_kind_is_ram(enum handoff_memory_kind kind);

// The next run of adjoining RAM entries at or after *cursor (start with 0); false at the end.
bool memory_map_next_ram(const struct memory_map* map, uint32_t* cursor, struct handoff_span* out);

constexpr uint64_t MEMORY_MAP_LIMIT = 1ull << 46; // = the direct map's reach
