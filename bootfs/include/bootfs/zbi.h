// Reader for the boot image container (ZBI).
//
// A container is a 32-byte header of type CONTAINER followed by items; an item is a 32-byte header
// {u32 type, length, extra, flags, 0, 0, item magic, crc32} and its payload, padded to eight bytes.
// Every header carries the version flag; without the CRC flag its crc32 field holds a fixed value.
// The offset of a payload counts from the container's start, so that a page-aligned payload can be
// found in the VMO that holds the image.
//
// zbi_open checks the container header and walks all item headers once; the walk checks again.
// Nothing outside [data, data + data_len) is read. No allocation and no library calls.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t zbi_header_len = 32;
constexpr uint32_t zbi_item_magic = 0xb5781729;
constexpr uint32_t zbi_container_magic = 0x868cf7e6;
constexpr uint32_t zbi_no_crc32 = 0x4a87e8d6;
constexpr uint32_t zbi_flag_version = 0x00010000;
constexpr uint32_t zbi_flag_crc32 = 0x00020000;

constexpr uint32_t zbi_type_container = 0x544f4f42;
constexpr uint32_t zbi_type_discard = 0x50494b53;
constexpr uint32_t zbi_type_bootfs = 0x42534642;
constexpr uint32_t zbi_type_ramdisk = 0x4b534452;
constexpr uint32_t zbi_type_cmdline = 0x4c444d43;

typedef enum [[nodiscard]] zbi_error : uint8_t {
    ZBI_OK,
    ZBI_TOO_SHORT,     // the bytes given end before the container does
    ZBI_BAD_CONTAINER, // the first header is not that of a container
    ZBI_BAD_ITEM,      // an item's magic, flags or crc32 field is wrong
    ZBI_BAD_LENGTH,    // an item reaches beyond the container
    ZBI_BAD_CRC,
    ZBI_NOT_FOUND,
} zbi_error_t;

struct zbi {
    const uint8_t* data;
    uint64_t len; // header and items, without what may follow the container
};

struct zbi_item {
    uint32_t type;
    uint32_t extra;
    uint32_t flags;
    uint32_t crc32;
    const uint8_t* payload;
    uint64_t payload_offset; // from the start of the container
    uint32_t payload_len;
};

// The length of the whole container, from its first 32 bytes.
zbi_error_t zbi_total_len(const void* header, size_t header_len, uint64_t* out_len);

zbi_error_t zbi_open(struct zbi* zbi, const void* data, size_t data_len);

// Walks the items: start with *cursor = 0; false at the end.
bool zbi_next(const struct zbi* zbi, uint64_t* cursor, struct zbi_item* out_item);

// The first item of a type.
zbi_error_t zbi_find(const struct zbi* zbi, uint32_t type, struct zbi_item* out_item);

// Compares the item's CRC-32, if it has one, with that of its header (crc32 field 0) and payload.
// The caller brings the function (start value 0, chained), as kernel and user mode each have
// theirs.
typedef uint32_t (*zbi_crc32_fn)(uint32_t crc, const void* data, size_t len);
zbi_error_t zbi_item_check(const struct zbi_item* item, zbi_crc32_fn crc32);

const char* zbi_error_text(zbi_error_t error);
