// Between the files of the heap.
#pragma once

#include <stdint.h>

#include <vm/heap.h>

struct slab_cache* slab_cache_by_number(uint32_t number);
uint32_t slab_cache_count(void); // numbers in use, 0 included; interrupts off
void slab_get_stats(uint32_t number, struct slab_stats* out);
void slab_drain_all(void);
