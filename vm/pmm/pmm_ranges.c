// Untouched RAM. Contract and locking in pmm_ranges.h.
#include "pmm_ranges.h"

#include <stdatomic.h>

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/compiler.h>

#include "pmm_port.h"

constexpr uint32_t RANGE_MAX = 640; // the hand-off record's 512, cut by what is taken

struct range {
    uint64_t next; // frames [next, end) are untouched
    uint64_t end;
    bool below_4g;
};

// All of it under the PMM lock, but `backed`: atomic, see the header.
static struct {
    struct range range[RANGE_MAX];
    uint32_t count;
    uint64_t untouched;
    uint64_t array;
    uint64_t top_frame;
    _Atomic(uint64_t)* backed;
    struct pmm_zone* low_zone;
} ranges;

void ranges_init(uint64_t top_frame, _Atomic(uint64_t)* backed, struct pmm_zone* low_zone) {
    ranges.low_zone = low_zone;
    ranges.top_frame = top_frame;
    ranges.backed = backed;
}

bool frame_is_backed(uint64_t frame) {
    if (frame >= ranges.top_frame) {
        return false;
    }
    uint64_t group = frame / GROUP_FRAMES;
    uint64_t word = atomic_load_explicit(&ranges.backed[group / 64], memory_order_acquire);
    return (word >> (group % 64) & 1) != 0;
}

uint64_t ranges_untouched(void) {
    return ranges.untouched;
}
uint64_t ranges_array(void) {
    return ranges.array;
}

uint64_t ranges_add(uint64_t first_frame, uint64_t end_frame, bool below_4g) {
    if (first_frame >= end_frame) {
        return 0;
    }
    if (ranges.count == RANGE_MAX) {
        return end_frame - first_frame;
    }
    ranges.range[ranges.count++] = (struct range){first_frame, end_frame, below_4g};
    ranges.untouched += end_frame - first_frame;
    return 0;
}

static void range_drop_if_empty(struct range* r) {
    if (r->next == r->end) {
        *r = ranges.range[--ranges.count];
    }
}

uint64_t ranges_take(uint64_t count) {
    for (uint32_t i = 0; i < ranges.count; i++) {
        struct range* r = &ranges.range[i];
        if (r->below_4g && r->end - r->next >= count) {
            uint64_t frame = r->next;
            r->next += count;
            ranges.untouched -= count;
            ranges.array += count;
            range_drop_if_empty(r);
            return frame;
        }
    }
    return UINT64_MAX;
}

// Frames for the array can still be had: three are a page of it and, at most, two tables.
static bool array_has_three(void) {
    return ranges.untouched + ranges.low_zone->pages >= 3;
}

// One frame for the array or for a table that maps it: off the end of the largest range, else out
// of the zone. The caller knows that there is one.
static uint64_t array_take(void) {
    struct range* best = nullptr;
    for (uint32_t i = 0; i < ranges.count; i++) {
        struct range* r = &ranges.range[i];
        if (best == nullptr || r->end - r->next > best->end - best->next) {
            best = r;
        }
    }
    if (best == nullptr) {
        struct page* p = zone_alloc(ranges.low_zone, 0);
        ASSERT(p != nullptr);
        p->state = PAGE_WIRED;
        ranges.array++;
        return page_frame(p);
    }
    uint64_t frame = --best->end;
    ranges.untouched--;
    ranges.array++;
    range_drop_if_empty(best);
    return frame;
}

// The port asks for these while it maps a page of the array.
static paddr_t array_table(void) {
    return (paddr_t){array_take() * PAGE_SIZE};
}

static bool group_back(uint64_t group) {
    if (frame_is_backed(group * GROUP_FRAMES)) {
        return true;
    }
    if (!array_has_three()) {
        return false;
    }
    paddr_t pa = {array_take() * PAGE_SIZE};
    port_map_array_page(frame_page(group * GROUP_FRAMES), pa, array_table);
    atomic_fetch_or_explicit(&ranges.backed[group / 64], bit(group % 64), memory_order_release);
    return true;
}

bool ranges_back(uint64_t first_frame, uint64_t end_frame) {
    for (uint64_t group = first_frame / GROUP_FRAMES; group * GROUP_FRAMES < end_frame; group++) {
        if (!group_back(group)) {
            return false;
        }
    }
    return true;
}

bool ranges_expand(struct pmm_zone* z, bool below_4g) {
    // Backing a group may use up the range that it was for: look again then.
    for (uint32_t i = 0; i < ranges.count;) {
        struct range* r = &ranges.range[i];
        if (r->below_4g != below_4g) {
            i++;
            continue;
        }
        uint64_t group = r->next / GROUP_FRAMES;
        if (!group_back(group)) {
            return false;
        }
        r = &ranges.range[i];
        if (i >= ranges.count || r->below_4g != below_4g || r->next / GROUP_FRAMES != group) {
            i = 0;
            continue;
        }
        uint64_t first = r->next;
        uint64_t end = min(r->end, (group + 1) * GROUP_FRAMES);
        r->next = end;
        ranges.untouched -= end - first;
        range_drop_if_empty(r);
        zone_free_run(z, frame_page(first), end - first);
        return true;
    }
    return false;
}
