// Kernel heap: slab caches on the PMM. No static cap. Contents of fresh memory are undefined unless
// the _zero form is used. Any context but NMI; nothing blocks, null means no memory.
//
// Each cache keeps a short list of free objects per CPU (used with interrupts off, without a lock)
// in front of its slabs, which a spinlock guards. Debug builds put a trailer behind every object
// that says whether it is in use (a second free panics), keeps a red zone, and checks that nobody
// wrote to an object after it was freed.
//
// Every allocation site can be made to fail once (alloc_injection_*): tests walk all sites of an
// operation and check that each refusal comes back as NO_MEMORY with nothing leaked.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vm/slab_cache_impl.h>

// Defines a cache for one type, or of one size: SLAB_CACHE(event_cache, struct event);
#define SLAB_CACHE(var, type) SLAB_CACHE_SIZED(var, #type, sizeof(type), alignof(type))
#define SLAB_CACHE_SIZED(var, name_, size_, align_) \
    static struct slab_cache var = SLAB_CACHE_INIT(name_, size_, align_)

[[nodiscard]] void* slab_alloc(struct slab_cache* c);
[[nodiscard]] void* slab_alloc_zero(struct slab_cache* c);
void slab_free(struct slab_cache* c, void* p);

// slab_alloc() and slab_free() with their usual case inline, for the few callers where the call
// itself counts: <vm/slab_fast.h>.

// Any size; above 2 KiB it is whole pages, contiguous in the direct map. Aligned to 16 bytes, to 64
// if the size is a multiple of 64, or to a page. heap_free finds the size by the page.
[[nodiscard]] void* heap_alloc(size_t size);
[[nodiscard]] void* heap_alloc_zero(size_t size);
void heap_free(void* p); // null is fine

struct heap_stats {
    uint64_t bytes_in_use; // of live objects, by their caches' sizes; large blocks in whole pages
    uint64_t pages;
    uint64_t objects;
    uint64_t slack_pages; // see slab_stats
};
void heap_get_stats(struct heap_stats* out); // exact at a quiet moment
// Calls back for each cache in use.
struct slab_stats {
    const char* name;
    uint64_t object_size, objects, pages;
    // Of the pages, those that the objects would not need if they lay side by side. Objects do not
    // move, so this depends on which CPU allocated what in which order, and no two runs agree on
    // it.
    uint64_t slack_pages;
};
void heap_visit_caches(void (*visit)(const struct slab_stats* s, void* arg), void* arg);
// Every CPU's free objects to their slabs, empty slabs back to the PMM. Interrupts on, no spinlock.
void heap_drain(void);

// Failure injection, for tests: the n-th allocation (pages included) from now by the current thread
// fails; 0 only counts. One thread at a time. Disarming returns how many were counted, and in
// *fired whether one was refused.
void alloc_injection_arm(uint64_t nth);
uint64_t alloc_injection_disarm(bool* fired);
