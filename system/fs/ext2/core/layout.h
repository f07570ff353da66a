// What ext2 looks like on disk. Numbers are little-endian, as this machine's are.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <ext2/ext2.h>

constexpr uint64_t SUPERBLOCK_OFFSET = 1024;
constexpr uint16_t EXT2_MAGIC = 0xef53;

struct superblock_raw {
    uint32_t inodes_count, blocks_count, r_blocks_count, free_blocks_count;
    uint32_t free_inodes_count, first_data_block, log_block_size, log_frag_size;
    uint32_t blocks_per_group, frags_per_group, inodes_per_group, mtime;
    uint32_t wtime;
    uint16_t mnt_count, max_mnt_count;
    uint16_t magic, state, errors, minor_rev_level;
    uint32_t lastcheck, checkinterval, creator_os, rev_level;
    uint16_t def_resuid, def_resgid;
    uint32_t first_ino;
    uint16_t inode_size, block_group_nr;
    uint32_t feature_compat, feature_incompat, feature_ro_compat;
    uint8_t uuid[16];
    char volume_name[16];
    uint8_t last_mounted[64];
    uint32_t algorithm_bitmap;
    uint8_t prealloc_blocks, prealloc_dir_blocks;
    uint16_t reserved_gdt_blocks;
    uint8_t journal_uuid[16];
    uint32_t journal_inum, journal_dev, last_orphan;
    uint32_t hash_seed[4];
    uint8_t hash_version, journal_backup_type;
    uint16_t group_size;
    uint32_t mount_options, first_meta_group, made;
    uint32_t journal_blocks[17]; // a copy of the pointers in inode 8, and its size
    uint8_t rest[1024 - 336];
};
static_assert(sizeof(struct superblock_raw) == 1024);
static_assert(offsetof(struct superblock_raw, feature_compat) == 92);
static_assert(offsetof(struct superblock_raw, last_orphan) == 232);
static_assert(offsetof(struct superblock_raw, journal_blocks) == 268);

enum : uint16_t { STATE_VALID = 1, STATE_ERROR = 2 };
enum : uint32_t {
    COMPAT_HAS_JOURNAL = 0x4,
    INCOMPAT_FILETYPE = 0x2,
    INCOMPAT_RECOVER = 0x4,
    RO_COMPAT_SPARSE_SUPER = 0x1,
    RO_COMPAT_LARGE_FILE = 0x2,
};

struct group_raw {
    uint32_t block_bitmap, inode_bitmap, inode_table;
    uint16_t free_blocks_count, free_inodes_count, used_dirs_count, flags;
    uint8_t rest[12];
};
static_assert(sizeof(struct group_raw) == 32);

enum : uint32_t { INO_ROOT = EXT2_INO_ROOT, INO_JOURNAL = 8, INO_FIRST_REV0 = 11 };
enum : uint32_t { DIRECT_BLOCKS = 12, POINTERS = 15, FAST_LINK_MAX = 60 };
enum : uint32_t { FLAG_INDEX = 0x1000 };

enum : uint16_t {
    MODE_TYPE = 0xf000,
    MODE_FIFO = 0x1000,
    MODE_CHARACTER = 0x2000,
    MODE_DIRECTORY = 0x4000,
    MODE_BLOCK = 0x6000,
    MODE_FILE = 0x8000,
    MODE_SYMLINK = 0xa000,
    MODE_SOCKET = 0xc000,
};

// The first 128 bytes are there always, what follows as far as extra_isize says.
struct inode_raw {
    uint16_t mode, uid;
    uint32_t size, atime, ctime, mtime, dtime;
    uint16_t gid, links_count;
    uint32_t blocks, flags, osd1;
    uint32_t block[POINTERS];
    uint32_t generation, file_acl, size_high, faddr;
    uint8_t osd2[12];
    uint16_t extra_isize, checksum_hi;
    uint32_t ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra;
    uint32_t version_hi, projid;
};
static_assert(sizeof(struct inode_raw) == 160);
static_assert(offsetof(struct inode_raw, block) == 40);
static_assert(offsetof(struct inode_raw, extra_isize) == 128);
constexpr uint32_t INODE_SIZE_REV0 = 128;
constexpr uint16_t EXTRA_ISIZE = 32;

struct dirent_raw {
    uint32_t inode;
    uint16_t rec_len;
    uint8_t name_len, type;
    char name[];
};
static_assert(sizeof(struct dirent_raw) == 8);

static inline uint32_t dirent_len(uint32_t name_len) {
    return (8 + name_len + 3) & ~3u;
}

// The head of a block of extended attributes.
struct attributes_raw {
    uint32_t magic, refcount, blocks;
};
constexpr uint32_t ATTRIBUTES_MAGIC = 0xea020000;
