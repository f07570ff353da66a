// The kernel's random generator: ChaCha20 with fast key erasure, seeded from the boot entropy and
// the CPU's.
#pragma once

#include <stddef.h>

// Before the first draw, once, with at least 32 bytes.
void cprng_seed(const void* entropy, size_t len);
void cprng_add_entropy(const void* entropy, size_t len);
// Any context but NMI; at most a page or so at a time (the pool's lock is held meanwhile).
void cprng_draw(void* out, size_t len);
