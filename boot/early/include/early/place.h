#pragma once

#include <boot/handoff.h>
#include <early/memory_map.h>
#include <stdint.h>

struct place_request {
    uint64_t length;
    uint64_t align;  // power of two, at least a page
    uint64_t lowest; // the place lies in [lowest, limit)
    uint64_t limit;
};

// Finds `length` bytes of usable memory that touch none of the `avoid` spans (which may be
// unaligned, unsorted, empty or overlapping). All possible places are numbered and `random` picks
// one: uniform, 0 is the lowest. False if nothing fits.
[[nodiscard]] bool place_find(const struct memory_map* map, const struct handoff_span* avoid,
                              uint32_t avoid_count, const struct place_request* request,
                              uint64_t random, uint64_t* out_base);
