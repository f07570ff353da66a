// Reader for bootfs, the read-only file archive that the boot image carries.
//
// Layout (all integers little-endian): a 16-byte header {magic, directory length, 0, 0}, then the
// directory, then the files. A directory entry is {u32 name length with its NUL (2..256), u32 data
// length, u32 data offset from the start of the image, name}, padded to four bytes. File data
// begins on a page and is padded with zeros to a page, so that a file can be mapped in place.
// Entries may share their data: there are no links, and files with equal contents are stored once.
// Names are paths without a leading slash, with no empty, "." or ".." component.
//
// The reader needs the header and directory in memory (bootfs_head_len tells how much); file data
// is described by offset and never touched, so the image itself may be a VMO that nobody mapped
// whole. bootfs_open checks every entry once, and the walk checks again what it uses: an image that
// is damaged, hostile, or changes under the reader gives an error or a wrong name, never an access
// outside [data, data + data_len).
//
// No allocation, no state besides the struct, no library calls: user mode, kernel and host share
// it.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t bootfs_magic = 0xa56d3ff9;
constexpr uint32_t bootfs_page_len = 4096;
constexpr uint32_t bootfs_header_len = 16;
constexpr uint32_t bootfs_entry_head_len = 12;
constexpr uint32_t bootfs_name_len_max = 255; // without the NUL
constexpr uint32_t bootfs_dir_len_max = 16u << 20;

typedef enum [[nodiscard]] bootfs_error : uint8_t {
    BOOTFS_OK,
    BOOTFS_TOO_SHORT,     // the bytes given do not hold header and directory
    BOOTFS_BAD_MAGIC,     // not a bootfs image
    BOOTFS_BAD_DIRECTORY, // the directory is longer than allowed or ends inside an entry
    BOOTFS_BAD_NAME,      // a name is too long, not terminated or not a clean relative path
    BOOTFS_BAD_RANGE,     // a file is not page aligned or not inside the image
    BOOTFS_NOT_FOUND,
} bootfs_error_t;

struct bootfs {
    const uint8_t* data;
    uint64_t image_len;
    uint32_t dir_len;
};

struct bootfs_file {
    const char* name; // terminated, lies in the directory
    uint32_t name_len;
    uint32_t data_offset; // from the start of the image, page aligned
    uint32_t data_len;
};

// How many bytes of the image bootfs_open needs, from its first 16.
bootfs_error_t bootfs_head_len(const void* header, size_t header_len, uint64_t* out_len);

// `data_len` bytes of the image are in memory; the whole image has `image_len` bytes.
bootfs_error_t bootfs_open(struct bootfs* fs, const void* data, size_t data_len,
                           uint64_t image_len);

// Walks the directory: start with *cursor = 0; false at the end.
bool bootfs_next(const struct bootfs* fs, uint32_t* cursor, struct bootfs_file* out_file);

// Looks up a path that need not be terminated. Of entries with equal names the first one counts.
bootfs_error_t bootfs_find(const struct bootfs* fs, const char* name, size_t name_len,
                           struct bootfs_file* out_file);

const char* bootfs_error_text(bootfs_error_t error);
