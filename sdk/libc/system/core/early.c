// See <libc/early.h>.
#include <libc/early.h>

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

constexpr size_t GRAIN = 16;

static struct {
    alignas(GRAIN) unsigned char memory[2048];
    _Atomic size_t used;
} early;

void* early_alloc(size_t size) {
    size_t at = atomic_load_explicit(&early.used, memory_order_relaxed);
    size_t len = (size + GRAIN - 1) & ~(GRAIN - 1);
    do {
        if (size > sizeof(early.memory) || len > sizeof(early.memory) - at) {
            return calloc(1, size);
        }
    } while (!atomic_compare_exchange_weak_explicit(&early.used, &at, at + len,
                                                    memory_order_relaxed, memory_order_relaxed));
    return early.memory + at;
}

void early_free(void* memory) {
    if ((uintptr_t)memory - (uintptr_t)early.memory >= sizeof(early.memory)) {
        free(memory);
    }
}
