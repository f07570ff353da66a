#pragma once

#include <stdint.h>

constexpr uint64_t IMAGE_MAGIC = 0x31656761'6d49'6a00u; // emitted by kernel/kernel.ld
constexpr uint32_t IMAGE_HEADER_VERSION = 1;

// The first bytes of the kernel image, written by the linker script. Offsets count from the image's
// start; they ascend in this order, and the four ends are page aligned. The flat image (jacinth.bin
// on an EFI system partition) is the bytes from 0 to file_end.
struct image_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t link_base; // link address of the image's start
    uint64_t text_end;
    uint64_t rodata_end;
    uint64_t file_end;    // end of .data in the file; .bss follows
    uint64_t image_end;   // end of .bss with the boot stack
    uint64_t stack_guard; // the page in .bss that is left unmapped
    uint64_t relr;
    uint64_t relr_bytes;
    uint64_t entry; // called as in kernel/arch/x86/start.S
};

static_assert(sizeof(struct image_header) == 88);

// Are the offsets in order and aligned, so that everything below can rely on them?
[[nodiscard]] bool image_header_valid(const struct image_header* h);

// Zeroes .bss, file_end to image_end of the image that starts at `image`.
void image_clear_bss(uint8_t* image, const struct image_header* h);

// Adds `bias` to every word that the image's RELR table names. False (image unusable) if the table
// is malformed or names anything outside the file part.
[[nodiscard]] bool image_relocate(uint8_t* image, const struct image_header* h, uint64_t bias);
