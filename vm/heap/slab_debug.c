// Trailers and patterns of slab objects in debug builds. See slab_debug.h.
#include "slab_debug.h"

#include <lib/align.h>

constexpr uint64_t TRAILER_IN_USE = 0x4c69'7665'4f62'6a21u;
constexpr uint64_t TRAILER_FREE = 0x4672'6565'4f62'6a21u;
constexpr uint64_t RED_ZONE = 0x7265'645a'6f6e'6521u;
constexpr uint64_t FREE_WORD = 0xdbdb'dbdb'dbdb'dbdbu;

static uint64_t* trailer(const struct slab_cache* c, const void* object) {
    return (uint64_t*)((uintptr_t)object + c->stride - slab_debug_bytes);
}

// Words of the object between the link and the trailer.
static size_t pattern_words(const struct slab_cache* c) {
    return (c->stride - slab_debug_bytes) / 8;
}

void slab_debug_set_free(const struct slab_cache* c, void* object) {
    uint64_t* words = object;
    for (size_t i = 1; i < pattern_words(c); i++) {
        words[i] = FREE_WORD;
    }
    trailer(c, object)[0] = TRAILER_FREE;
    trailer(c, object)[1] = RED_ZONE;
}

void slab_debug_set_in_use(const struct slab_cache* c, void* object) {
    *(uint64_t*)object = FREE_WORD; // whoever reads before writing sees nonsense
    trailer(c, object)[0] = TRAILER_IN_USE;
}

void slab_debug_check_free(const struct slab_cache* c, const void* object, const char* what) {
    const uint64_t* words = object;
    for (size_t i = 1; i < pattern_words(c); i++) {
        if (words[i] != FREE_WORD) {
            panic("%s %p: %s at +%zu: %#lx", c->name, object, what, i * 8, (unsigned long)words[i]);
        }
    }
    if (trailer(c, object)[0] != TRAILER_FREE || trailer(c, object)[1] != RED_ZONE) {
        panic("%s %p: trailer overwritten while free", c->name, object);
    }
}

void slab_debug_check_in_use(const struct slab_cache* c, const void* object) {
    if (trailer(c, object)[0] == TRAILER_FREE) {
        panic("%s %p: freed twice", c->name, object);
    }
    if (trailer(c, object)[0] != TRAILER_IN_USE || trailer(c, object)[1] != RED_ZONE) {
        panic("%s %p: written past its end, or not an object", c->name, object);
    }
}
