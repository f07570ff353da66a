/*
 * The memory map, normalised while it is being built.
 *
 * Firmware hands over ranges unsorted, overlapping and unaligned. Every addition keeps the array in
 * its final form (sorted, disjoint, neighbours of a kind merged), so there is no raw copy and no
 * separate pass, and a full array can be dealt with at once. Additions are O(count); maps have some
 * tens of entries.
 *
 * Precedence is by kind and therefore independent of the order of the additions: a range that one
 * table calls usable and another reserved is reserved. Pure code, runs on the host too.
 */

#include <early/memory_map.h>

bool memory_kind_is_ram(enum handoff_memory_kind kind) {
    return kind == HANDOFF_MEMORY_USABLE || kind == HANDOFF_MEMORY_ACPI_RECLAIM;
}

static uint64_t entry_end(const struct handoff_memory* e) {
    return e->base + e->length;
}

static void entry_remove(struct memory_map* map, uint32_t at) {
    for (uint32_t i = at; i + 1 < map->count; i++) {
        map->entries[i] = map->entries[i + 1];
    }
    map->count--;
    map->entries[map->count] = (struct handoff_memory){};
}

// The caller has checked that there is room.
static void entry_insert(struct memory_map* map, uint32_t at, uint64_t base, uint64_t end,
                         enum handoff_memory_kind kind) {
    for (uint32_t i = map->count; i > at; i--) {
        map->entries[i] = map->entries[i - 1];
    }
    map->entries[at] = (struct handoff_memory){.base = base, .length = end - base, .kind = kind};
    map->count++;
}

// Forgets the smallest usable entry. Memory that is not listed is never touched, so this is safe.
static bool forget_smallest_usable(struct memory_map* map) {
    uint32_t smallest = map->count;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct handoff_memory* e = &map->entries[i];
        if (e->kind == HANDOFF_MEMORY_USABLE &&
            (smallest == map->count || e->length < map->entries[smallest].length)) {
            smallest = i;
        }
    }
    if (smallest == map->count) {
        return false;
    }
    entry_remove(map, smallest);
    return true;
}

static void merge_neighbours(struct memory_map* map) {
    uint32_t kept = 0;
    for (uint32_t i = 1; i < map->count; i++) {
        struct handoff_memory* last = &map->entries[kept];
        const struct handoff_memory* e = &map->entries[i];
        if (last->kind == e->kind && entry_end(last) == e->base) {
            last->length += e->length;
        } else {
            kept++;
            map->entries[kept] = *e;
        }
    }
    for (uint32_t i = kept + 1; i < map->count; i++) {
        map->entries[i] = (struct handoff_memory){};
    }
    map->count = map->count == 0 ? 0 : kept + 1;
}

// Index of the first entry that ends after `base`.
static uint32_t first_ending_after(const struct memory_map* map, uint64_t base) {
    uint32_t i = 0;
    while (i < map->count && entry_end(&map->entries[i]) <= base) {
        i++;
    }
    return i;
}

// Gives [base, end), which lies inside entry `at`, the kind `kind`. Needs room for two more
// entries.
static void entry_carve(struct memory_map* map, uint32_t at, uint64_t base, uint64_t end,
                        enum handoff_memory_kind kind) {
    struct handoff_memory old = map->entries[at];
    map->entries[at].base = base;
    map->entries[at].length = end - base;
    map->entries[at].kind = kind;
    if (end < entry_end(&old)) {
        entry_insert(map, at + 1, end, entry_end(&old), old.kind);
    }
    if (old.base < base) {
        entry_insert(map, at, old.base, base, old.kind);
    }
}

// Handles the first piece of [base, end), up to the next border of an existing entry, and returns
// where that piece ended. Needs room for two more entries.
static uint64_t add_piece(struct memory_map* map, uint64_t base, uint64_t end,
                          enum handoff_memory_kind kind) {
    uint32_t at = first_ending_after(map, base);
    if (at == map->count || map->entries[at].base >= end) {
        entry_insert(map, at, base, end, kind);
        return end;
    }
    const struct handoff_memory* e = &map->entries[at];
    if (e->base > base) {
        uint64_t gap_end = e->base;
        entry_insert(map, at, base, gap_end, kind);
        return gap_end;
    }
    uint64_t piece_end = entry_end(e) < end ? entry_end(e) : end;
    if (e->kind < kind) {
        entry_carve(map, at, base, piece_end, kind);
    }
    return piece_end;
}

bool memory_map_add(struct memory_map* map, uint64_t base, uint64_t length,
                    enum handoff_memory_kind kind) {
    if (base >= MEMORY_MAP_LIMIT || length == 0) {
        return true;
    }
    uint64_t end = length > MEMORY_MAP_LIMIT - base ? MEMORY_MAP_LIMIT : base + length;
    constexpr uint64_t mask = BOOT_PAGE_BYTES - 1;
    if (kind == HANDOFF_MEMORY_USABLE) {
        base = (base + mask) & ~mask;
        end &= ~mask;
    } else {
        base &= ~mask;
        end = (end + mask) & ~mask;
    }
    while (base < end) {
        while (map->count + 2 > map->capacity) {
            if (!forget_smallest_usable(map)) {
                return false;
            }
        }
        base = add_piece(map, base, end, kind);
        merge_neighbours(map);
    }
    return true;
}

bool memory_map_next_ram(const struct memory_map* map, uint32_t* cursor, struct handoff_span* out) {
    while (*cursor < map->count && !memory_kind_is_ram(map->entries[*cursor].kind)) {
        (*cursor)++;
    }
    if (*cursor == map->count) {
        return false;
    }
    *out = (struct handoff_span){.base = map->entries[*cursor].base};
    while (*cursor < map->count && memory_kind_is_ram(map->entries[*cursor].kind) &&
           map->entries[*cursor].base == out->base + out->length) {
        out->length += map->entries[*cursor].length;
        (*cursor)++;
    }
    return true;
}
