// Kernel heap: slab caches on the PMM. No static cap. Contents of fresh memory are undefined unless the _zero form is used.
//
// Every allocation site can be made to fail once (alloc_injection_*): tests walk all sites of an operation and check that each refusal comes
// back as NO_MEMORY with nothing leaked.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slab_cache;

// Defines a cache for one type: SLAB_CACHE(event_cache, struct event);
#define SLAB_CACHE(var, type) SLAB_CACHE_SIZED(var, #type, sizeof(type), alignof(type))
#include <vm/slab_cache_impl.h>

[[nodiscard]] void* slab_alloc(struct slab_cache* c);       // null: no memory
[[nodiscard]] void* slab_alloc_zero(struct slab_cache* c);
void slab_free(struct slab_cache* c, void* p);

// Any size; above a page it is whole pages, contiguous in the direct map. heap_free finds the size by the page.
[[nodiscard]] void* heap_alloc(size_t size);
[[nodiscard]] void* heap_alloc_zero(size_t size);
void heap_free(void* p); // null is fine

struct heap_stats { uint64_t bytes_in_use, pages; uint64_t objects; };
void heap_get_stats(struct heap_stats* out);
void heap_drain(void); // empty slabs and per-CPU magazines back to the PMM

// Failure injection: the n-th allocation (pages included) from now by the current thread fails; 0 disarms. Returns how many were counted since arming.
void alloc_injection_arm(uint64_t nth);
uint64_t alloc_injection_disarm(bool* fired);
