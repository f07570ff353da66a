// struct slab_cache, complete so that caches can be defined statically. For vm/heap.h and the heap
// alone; everybody else uses the functions.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#ifdef JX_HOST
typedef struct heap_lock {
    bool held;
} heap_lock_t;
#define HEAP_LOCK_INIT \
    {                  \
    }
#else
#include <locking/spinlock.h>
typedef spinlock_t heap_lock_t;
#define HEAP_LOCK_INIT SPINLOCK_INIT(LOCK_CLASS_SLAB)
#endif

struct page;

struct slab_cache {
    const char* name;         // immutable, as are the next two
    uint32_t size;            // of an object, as its user sees it
    uint32_t align;           // power of two
    _Atomic(uint32_t) number; // 1.. once it is in use; the layout below is set before it, and final
    uint32_t stride;          // from object to object
    uint32_t slab_pages;      // power of two; slabs are aligned to their size
    uint32_t per_slab;
    uint32_t cpu_limit; // free objects that one CPU keeps

    heap_lock_t lock;
    struct page* partial; // under lock, as is the rest: slabs with free objects, at the front
    uint32_t empty;       // of them, slabs without any object in use
    uint64_t slabs;
    uint64_t taken; // objects out of their slabs: in use, or kept by a CPU
};

struct slab_free_object {
    struct slab_free_object* next;
};

// A CPU's free objects of one cache. Its own, with interrupts off.
struct slab_cpu_list {
    struct slab_free_object* head;
    uint32_t count;
    uint32_t refill; // objects that the next refill takes: grows with use, begins anew at a drain
};
constexpr uint32_t SLAB_CACHE_MAX = 96; // numbers, 0 included

#define SLAB_CACHE_INIT(name_, size_, align_) \
    {.name = (name_), .size = (size_), .align = (align_), .lock = HEAP_LOCK_INIT}
