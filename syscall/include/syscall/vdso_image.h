// The vDSO as the kernel carries it: an image of whole pages in its data, made by the build from
// the linked library (tools/syscallgen/vdso_image.py checks the rules it must keep).
//
// At boot, before the first process, vdso_fill() writes the constants; the pages then become a
// read-only VMO, and nobody writes them any more.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct clock_scale;
struct vdso_constants;

struct vdso_layout {
    size_t size;             // of the image; a multiple of the page size
    size_t code_offset;      // the executable segment: [code_offset, code_offset + code_size)
    size_t code_size;        // a multiple of the page size
    size_t constants_offset; // struct vdso_constants, in the read-only segment
};
extern const struct vdso_layout vdso_layout;

extern uint8_t vdso_image[] __attribute__((aligned(4096), visibility("hidden")));

// What the kernel has found out about the machine.
struct vdso_machine {
    const struct clock_scale* clock;
    uint32_t num_cpus;
    uint32_t dcache_line_size;
    uint64_t physmem_bytes;
    uint32_t hw_breakpoints;
    uint32_t hw_watchpoints;
    const char* version; // cut to what fits
};

// With a clock that user mode may not read (clock->trusted is false) a tick is a nanosecond:
// ticks_get_via_kernel answers the monotonic time.
void vdso_constants_make(struct vdso_constants* out, const struct vdso_machine* machine);

// The same, into the image.
void vdso_fill(const struct vdso_machine* machine);
