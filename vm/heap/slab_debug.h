// Debug builds: what stands behind an object, and what its memory looks like while it is free.
//
// The trailer's first word says in use or free, the second never changes. A free object's memory
// is a pattern but for its first word, which links lists. In release builds all of it is nothing.
#pragma once

#include <lib/assert.h>
#include <vm/heap.h>

constexpr uint32_t slab_debug_bytes = kernel_debug ? 16 : 0;

void slab_debug_check_free(const struct slab_cache* c, const void* object, const char* what);
void slab_debug_set_free(const struct slab_cache* c, void* object);
void slab_debug_set_in_use(const struct slab_cache* c, void* object);
void slab_debug_check_in_use(const struct slab_cache* c, const void* object);

// A new object, free.
static inline void slab_debug_make(const struct slab_cache* c, void* object) {
    if (kernel_debug) {
        slab_debug_set_free(c, object);
    }
}
// Handed out.
static inline void slab_debug_take(const struct slab_cache* c, void* object) {
    if (kernel_debug) {
        slab_debug_check_free(c, object, "written after free");
        slab_debug_set_in_use(c, object);
    }
}
// Given back.
static inline void slab_debug_give(const struct slab_cache* c, void* object) {
    if (kernel_debug) {
        slab_debug_check_in_use(c, object);
        slab_debug_set_free(c, object);
    }
}
