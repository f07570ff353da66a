// The port's memory: FPU save areas, one per user thread, and the per-CPU blocks, a few for ever.
#include <arch/upcalls.h>

#include <vm/heap.h>

constexpr size_t FPU_AREA_BYTES = 832; // x87, SSE and AVX

SLAB_CACHE_SIZED(fpu_cache, "fpu_area", FPU_AREA_BYTES, 64);

void* arch_upcall_alloc(size_t size) {
    if (size == FPU_AREA_BYTES) {
        return slab_alloc_zero(&fpu_cache);
    }
    // Above 2 KiB it is whole pages; smaller ones are rounded up to that for the alignment.
    return heap_alloc_zero(size > 2048 ? size : 2049);
}

void arch_upcall_free(void* p) {
    heap_free(p);
}
