// The vDSO as the kernel carries it: an image of whole pages in its data, made by the build from
// the linked library (tools/syscallgen/vdso_image.py checks the rules it must keep).
//
// At boot, before the first process, the kernel fills in the constants and wraps the pages in a
// read-only VMO; afterwards nobody writes them.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct vdso_layout {
    size_t size;             // of the image; a multiple of the page size
    size_t code_offset;      // the executable segment: [code_offset, code_offset + code_size)
    size_t code_size;        // a multiple of the page size
    size_t constants_offset; // struct vdso_constants, in the read-only segment
};
extern const struct vdso_layout vdso_layout;

extern uint8_t vdso_image[] __attribute__((aligned(4096), visibility("hidden")));
