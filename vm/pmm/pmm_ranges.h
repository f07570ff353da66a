// RAM that is not in a zone yet, and the page array's backing.
//
// A range holds frames that nobody has touched. Frames enter a zone group by group (128 frames, the
// reach of one page of the array), after that page has been allocated, mapped and cleared. Groups
// come off the front of a range and pages for the array off the end of the largest one, so that RAM
// in use stays physically contiguous.
//
// Every function is called under the PMM lock, but frame_is_backed(), which may be called by
// anyone: bits are only ever set, with release order after the array page is ready.
#pragma once

#include <stdint.h>

#include <vm/page.h>

#include "pmm_zone.h"

constexpr uint64_t GROUP_FRAMES = PAGE_SIZE / sizeof(struct page);

// `top_frame`: the first above all RAM; `backed`: a cleared bitmap with one bit per group below it;
// `low_zone` gives pages for the array once nothing is untouched.
void ranges_init(uint64_t top_frame, _Atomic(uint64_t)* backed, struct pmm_zone* low_zone);
static inline uint64_t ranges_bitmap_bytes(uint64_t top_frame) {
    return (top_frame + GROUP_FRAMES * 64 - 1) / (GROUP_FRAMES * 64) * 8;
}

// Adds untouched frames. The caller has cut at 4 GiB. Frames that find no room in the table are
// lost; returns how many.
uint64_t ranges_add(uint64_t first_frame, uint64_t end_frame, bool below_4g);
// Cuts `count` frames off the front of a range below 4 GiB, if there is one; for boot-time tables.
// UINT64_MAX: no range has them.
uint64_t ranges_take(uint64_t count);

// Moves the next group of a range into the zone. False: no range left there.
bool ranges_expand(struct pmm_zone* z, bool below_4g);
// Backs the array for frames that are in no range (wired memory). False: no memory.
bool ranges_back(uint64_t first_frame, uint64_t end_frame);

uint64_t ranges_untouched(void);
uint64_t ranges_array(void); // frames spent on the array, its tables, and ranges_take()
