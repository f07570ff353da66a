// Between the files of the heap.
#pragma once

#include <stdint.h>

#include <vm/heap.h>

constexpr uint32_t SLAB_CACHE_MAX = 96; // numbers, 0 included

struct slab_cache* slab_cache_by_number(uint32_t number);
uint32_t slab_cache_count(void); // numbers in use, 0 included; interrupts off
void slab_get_stats(uint32_t number, struct slab_stats* out);
void slab_drain_all(void);
