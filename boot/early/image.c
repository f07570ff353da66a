/*
 * The kernel image: header checks, clearing, relocation.
 *
 * The kernel is linked as PIE with packed relative relocations (RELR) and nothing else; the linker
 * script refuses any other kind. An even RELR entry is an address to relocate, an odd one a bitmap
 * over the 63 words that follow the last address covered. Addresses are link addresses.
 *
 * The caller guarantees that `image` has image_end bytes. Headers from a file are not trusted:
 * every offset is checked here and every relocation is held inside the image. Pure code,
 * host-tested.
 */

#include <early/image.h>

#include <early/memory_map.h>

static bool page_aligned(uint64_t x) {
    return (x & (BOOT_PAGE_BYTES - 1)) == 0;
}

bool image_header_valid(const struct image_header* h) {
    constexpr uint64_t limit = 1ull << 30;
    return h->magic == IMAGE_MAGIC && h->version == IMAGE_HEADER_VERSION &&
           h->header_bytes == sizeof(*h) && page_aligned(h->link_base) && h->link_base < limit &&
           page_aligned(h->text_end) && page_aligned(h->rodata_end) && page_aligned(h->file_end) &&
           page_aligned(h->image_end) && page_aligned(h->stack_guard) &&
           h->header_bytes < h->text_end && h->text_end <= h->rodata_end &&
           h->rodata_end <= h->file_end && h->file_end < h->image_end && h->image_end <= limit &&
           h->stack_guard >= h->file_end && h->stack_guard < h->image_end &&
           h->entry >= h->header_bytes && h->entry < h->text_end && h->relr % 8 == 0 &&
           h->relr_bytes % 8 == 0 && h->relr <= h->file_end &&
           h->relr_bytes <= h->file_end - h->relr;
}

void image_clear_bss(uint8_t* image, const struct image_header* h) {
    volatile uint64_t* word = (volatile uint64_t*)(image + h->file_end);
    for (uint64_t n = (h->image_end - h->file_end) / 8; n != 0; n--) {
        *word++ = 0;
    }
}

// Adds bias to the word at link address `address`, if the file part of the image holds it.
static bool relocate_word(uint8_t* image, const struct image_header* h, uint64_t address,
                          uint64_t bias) {
    uint64_t offset = address - h->link_base; // wraps to something huge when below
    if (offset % 8 != 0 || offset > h->file_end - 8) {
        return false;
    }
    *(uint64_t*)(image + offset) += bias;
    return true;
}

bool image_relocate(uint8_t* image, const struct image_header* h, uint64_t bias) {
    const uint64_t* relr = (const uint64_t*)(image + h->relr);
    uint64_t next = 0; // first word of the next bitmap's reach; 0 until an address was seen
    for (uint64_t i = 0; i < h->relr_bytes / 8; i++) {
        uint64_t entry = relr[i];
        if ((entry & 1) == 0) {
            if (!relocate_word(image, h, entry, bias)) {
                return false;
            }
            next = entry + 8;
            continue;
        }
        if (next == 0) {
            return false;
        }
        uint64_t address = next;
        for (uint64_t bits = entry >> 1; bits != 0; bits >>= 1, address += 8) {
            if ((bits & 1) != 0 && !relocate_word(image, h, address, bias)) {
                return false;
            }
        }
        next += 63 * 8;
    }
    return true;
}
