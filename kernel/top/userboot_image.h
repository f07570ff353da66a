// The first program, as the kernel carries it: whole pages in its data and a table of segments that
// the build makes from the linked program (tools/userboot/flatten.py). The kernel parses no ELF.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

struct userboot_segment {
    uint64_t address;           // link-time, page aligned
    size_t image_offset;        // in userboot_image, page aligned
    size_t image_size;          // pages that the image holds
    size_t memory_size;         // pages; what exceeds image_size is zero
    zx_vm_option_t permissions; // ZX_VM_PERM_*
};

constexpr size_t USERBOOT_SEGMENTS_MAX = 8;

struct userboot_layout {
    size_t image_size;
    size_t span;  // link-time addresses lie in [0, span)
    size_t entry; // link-time
    size_t segment_count;
    struct userboot_segment segments[USERBOOT_SEGMENTS_MAX];
};
extern const struct userboot_layout userboot_layout;

extern uint8_t userboot_image[] __attribute__((aligned(4096), visibility("hidden")));
