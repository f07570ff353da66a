// The constants block of the vDSO: what the kernel knows and every program may read without
// entering it.
//
// It lies in the vDSO's read-only segment. The kernel fills it once, before the first process
// starts, through its own writable mapping of the image; after that nobody writes it, so readers
// need no protocol.
#pragma once

#include <stdint.h>

#include <zircon/compiler.h>

// Both sides are built together; the magic catches an offset that went wrong.
#define VDSO_CONSTANTS_MAGIC ((uint32_t)0x6f73646au)

// User mode can read the counter, and it agrees between CPUs. Without it the vDSO asks the kernel.
#define VDSO_FLAG_TICKS_IN_USER ((uint32_t)1u << 0)

#define VDSO_VERSION_MAX 64

struct vdso_constants {
    uint32_t magic;
    uint32_t flags;

    // Time: ticks = counter + ticks_offset (or what the kernel answers);
    // nanoseconds = (ticks * ns_mult) >> ns_shift, in 128-bit arithmetic, ns_shift <= 63.
    int64_t ticks_offset;
    uint64_t ns_mult;
    uint32_t ns_shift;
    uint32_t reserved0;
    int64_t boot_ticks_offset; // boot ticks - monotonic ticks
    int64_t ticks_per_second;

    // The machine.
    uint32_t num_cpus;
    uint32_t page_size;
    uint32_t dcache_line_size;
    uint32_t reserved1;
    uint64_t physmem_bytes;

    // zx_system_get_features, by kind.
    uint32_t features[5];

    // zx_system_get_version_string.
    uint32_t version_length;
    char version[VDSO_VERSION_MAX];
};
ZX_ABI_SIZE(struct vdso_constants, 160);
