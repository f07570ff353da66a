/*
 * Where things may go in physical memory.
 *
 * The free pieces are enumerated straight from the map and the list of spans to keep clear of, once
 * to count the possible places and once to find the chosen one. No intermediate list means no
 * capacity to run out of. Pure code, runs on the host too.
 */

#include <early/place.h>

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t span_end(const struct handoff_span* s) {
    return s->length > UINT64_MAX - s->base ? UINT64_MAX : s->base + s->length;
}

// Moves *at past every span that covers it, then returns the end of the free piece that starts
// there (at most `end`). An empty piece means that nothing is left before `end`.
static uint64_t free_piece(const struct handoff_span* avoid, uint32_t avoid_count, uint64_t* at,
                           uint64_t end) {
    bool moved = true;
    while (moved && *at < end) {
        moved = false;
        for (uint32_t i = 0; i < avoid_count; i++) {
            if (avoid[i].length != 0 && avoid[i].base <= *at && *at < span_end(&avoid[i])) {
                *at = span_end(&avoid[i]);
                moved = true;
            }
        }
    }
    if (*at >= end) {
        return *at;
    }
    for (uint32_t i = 0; i < avoid_count; i++) {
        if (avoid[i].length != 0 && avoid[i].base > *at) {
            end = min_u64(end, avoid[i].base);
        }
    }
    return end;
}

static uint64_t places_in(uint64_t at, uint64_t end, const struct place_request* request,
                          uint64_t* out_first) {
    uint64_t first = (at + request->align - 1) & ~(request->align - 1);
    *out_first = first;
    if (first >= end || end - first < request->length) {
        return 0;
    }
    return (end - first - request->length) / request->align + 1;
}

// Returns the number of places; stops at place number `wanted` and stores it.
static uint64_t places_walk(const struct memory_map* map, const struct handoff_span* avoid,
                            uint32_t avoid_count, const struct place_request* request,
                            uint64_t wanted, uint64_t* out_base) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct handoff_memory* e = &map->entries[i];
        if (e->kind != HANDOFF_MEMORY_USABLE) {
            continue;
        }
        uint64_t at = e->base > request->lowest ? e->base : request->lowest;
        uint64_t end = min_u64(e->base + e->length, request->limit);
        while (at < end) {
            uint64_t piece_end = free_piece(avoid, avoid_count, &at, end);
            uint64_t first = 0;
            uint64_t places = at < piece_end ? places_in(at, piece_end, request, &first) : 0;
            if (wanted - total < places) {
                *out_base = first + (wanted - total) * request->align;
                return total + places;
            }
            total += places;
            at = piece_end;
        }
    }
    return total;
}

bool place_find(const struct memory_map* map, const struct handoff_span* avoid,
                uint32_t avoid_count, const struct place_request* request, uint64_t random,
                uint64_t* out_base) {
    if (request->length == 0) {
        return false;
    }
    uint64_t none;
    uint64_t total = places_walk(map, avoid, avoid_count, request, UINT64_MAX, &none);
    if (total == 0) {
        return false;
    }
    places_walk(map, avoid, avoid_count, request, random % total, out_base);
    return true;
}
