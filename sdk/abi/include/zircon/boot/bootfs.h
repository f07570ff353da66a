// bootfs: the read-only file system of a boot image.
//
// A 16-byte header, then directory entries (each padded to four bytes), then the files, each
// starting on a page and filled up with zeros to the next. Offsets count from the header. Names
// have no leading slash.
#pragma once

#include <stdint.h>
#include <zircon/compiler.h>

__BEGIN_CDECLS

#define ZBI_BOOTFS_MAGIC        ((uint32_t)0xa56d3ff9u)
#define ZBI_BOOTFS_PAGE_SIZE    ((uint32_t)4096u)
#define ZBI_BOOTFS_MAX_NAME_LEN ((uint32_t)256u) // with the NUL

typedef struct zbi_bootfs_header {
    uint32_t magic;
    uint32_t dirsize; // bytes of directory entries, padding included
    uint32_t reserved0;
    uint32_t reserved1;
} zbi_bootfs_header_t;
ZX_ABI_SIZE(zbi_bootfs_header_t, 16);

__extension__ typedef struct zbi_bootfs_dirent {
    uint32_t name_len; // with the NUL
    uint32_t data_len;
    uint32_t data_off; // a multiple of the page size
    char name[];
} zbi_bootfs_dirent_t;
ZX_ABI_SIZE(zbi_bootfs_dirent_t, 12);

#define ZBI_BOOTFS_PAGE_ALIGN(size) (((size) + ZBI_BOOTFS_PAGE_SIZE - 1) & -ZBI_BOOTFS_PAGE_SIZE)
// Bytes that an entry with this name length takes.
#define ZBI_BOOTFS_DIRENT_SIZE(name_len) ((12u + (name_len) + 3u) & ~3u)

__END_CDECLS
