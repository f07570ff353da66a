// ext2 without a system below it: metadata, names, the map from files to blocks, and the order in
// which all of it reaches the disk (docs/design/ext2.md).
//
// One thread. Operations call the device and return when it has answered; nothing calls back but
// the listing. Contents of files are moved by the caller: ext2_map says where they lie,
// ext2_map_for_write makes room. What the caller writes must have been answered before he calls
// ext2_sync. ext2_read and ext2_write do both with memory, for those who have no pages.
//
// The image is not trusted: IO_DATA_INTEGRITY means that it contradicts itself. IO is the disk's
// failure. Results are written on success only. Nodes that come out carry a reference.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

constexpr uint32_t EXT2_SECTOR = 512;
constexpr size_t EXT2_NAME_MAX = 255;

// Sectors of 512 bytes; the core asks for whole blocks of the file system, but for the superblock.
struct ext2_device {
    void* ctx;
    uint64_t sector_count;
    zx_status_t (*read_blocks)(void* ctx, uint64_t first, uint32_t count, void* buffer);
    zx_status_t (*write_blocks)(void* ctx, uint64_t first, uint32_t count, const void* buffer);
    zx_status_t (*flush)(void* ctx);
    int64_t (*now)(void* ctx); // nanoseconds of UTC
};

struct ext2;

enum ext2_kind : uint8_t {
    EXT2_FILE = 1,
    EXT2_DIRECTORY,
    EXT2_CHARACTER,
    EXT2_BLOCK,
    EXT2_FIFO,
    EXT2_SOCKET,
    EXT2_SYMLINK, // the numbers are those of directory entries
};

constexpr uint32_t EXT2_INO_ROOT = 2;

// The caller's view; the rest is the core's.
struct ext2_node {
    uint32_t ino;
    enum ext2_kind kind;
    void* user; // the caller's, null at first; gone with the last reference
};

struct ext2_name {
    const char* text;
    size_t len;
};

// ---- the file system ----

struct ext2_options {
    bool read_only;
    uint32_t cache_blocks; // 0: a default
};
// `why` may be null; else it says, on failure, what is refused, and on success why it is read-only
// ("": it is not). NOT_SUPPORTED: a feature; IO_DATA_INTEGRITY: no ext2.
constexpr size_t EXT2_WHY_MAX = 96;
zx_status_t ext2_mount(const struct ext2_device* device, const struct ext2_options* options,
                       struct ext2** out, char why[EXT2_WHY_MAX]);
// Syncs, marks the image clean, frees everything, whatever references there are. What it answers is
// whether the image is clean.
zx_status_t ext2_unmount(struct ext2* fs);
// Frees everything and writes nothing.
void ext2_abandon(struct ext2* fs);
// On success everything that was done is where it survives.
zx_status_t ext2_sync(struct ext2* fs);
// If nothing was changed since the last sync: marks the image clean, so that it wants no check if
// it is not unmounted. The mark survives with the next flush. Before the next change reaches the
// disk it is taken back, which costs a small write and a flush.
zx_status_t ext2_mark_clean(struct ext2* fs);
// Whether there is something to sync, and how many blocks of it.
bool ext2_is_dirty(const struct ext2* fs);
bool ext2_is_read_only(const struct ext2* fs);

// Free blocks that the caller counts on for contents; what is not asked for by him leaves them.
void ext2_set_aside(struct ext2* fs, uint64_t blocks);

struct ext2_usage {
    uint64_t blocks, free_blocks, inodes, free_inodes;
    uint32_t block_size;
};
void ext2_query_usage(const struct ext2* fs, struct ext2_usage* out);

// A new one, empty; what was on the device is gone.
struct ext2_format {
    uint32_t block_size; // 0: what fits its size
    uint8_t uuid[16];
};
zx_status_t ext2_format(const struct ext2_device* device, const struct ext2_format* options);

// ---- nodes ----

zx_status_t ext2_root(struct ext2* fs, struct ext2_node** out);
struct ext2_node* ext2_ref(struct ext2_node* node);
void ext2_unref(struct ext2* fs, struct ext2_node* node);

struct ext2_attributes {
    uint32_t mode; // 07777
    uint32_t uid, gid, links, blocks_512;
    uint64_t size;
    int64_t access_ns, modification_ns, change_ns;
};
void ext2_get_attributes(const struct ext2_node* node, struct ext2_attributes* out);
struct ext2_changes {
    bool has_mode, has_access, has_modification;
    uint32_t mode;
    int64_t access_ns, modification_ns;
};
zx_status_t ext2_set_attributes(struct ext2* fs, struct ext2_node* node,
                                const struct ext2_changes* changes);
// Contents were changed: modification and change are now.
void ext2_touch(struct ext2* fs, struct ext2_node* node);

// ---- names ----

zx_status_t ext2_lookup(struct ext2* fs, struct ext2_node* directory, struct ext2_name name,
                        struct ext2_node** out);
// The directory through which this one was reached, with a reference; null for the root and for
// what was removed.
struct ext2_node* ext2_parent(struct ext2_node* directory);
// A file, a directory or, with its target, a symbolic link.
zx_status_t ext2_create(struct ext2* fs, struct ext2_node* directory, struct ext2_name name,
                        enum ext2_kind kind, uint32_t mode, struct ext2_name target,
                        struct ext2_node** out);
zx_status_t ext2_link(struct ext2* fs, struct ext2_node* directory, struct ext2_name name,
                      struct ext2_node* node);
// A directory: NOT_EMPTY.
zx_status_t ext2_unlink(struct ext2* fs, struct ext2_node* directory, struct ext2_name name);
// Replaces what is there if it is of a fitting kind (NOT_FILE, NOT_DIR, NOT_EMPTY). That no
// directory becomes its own ancestor is checked here, too (INVALID_ARGS). NOT_SUPPORTED: a
// directory cannot be moved, as there is no journal and there can be none.
zx_status_t ext2_rename(struct ext2* fs, struct ext2_node* from, struct ext2_name name,
                        struct ext2_node* to, struct ext2_name to_name);
// False: no more. The names stay valid until the next operation on the directory.
typedef bool (*ext2_list_fn)(void* ctx, struct ext2_name name, uint32_t ino, enum ext2_kind kind,
                             uint64_t next_cookie);
zx_status_t ext2_list(struct ext2* fs, struct ext2_node* directory, uint64_t cookie,
                      ext2_list_fn entry, void* ctx);
// `buffer` takes a block (4096 bytes).
zx_status_t ext2_read_link(struct ext2* fs, struct ext2_node* link, char* buffer, size_t* len);

// ---- contents ----

// `count` blocks of the file are at sector `first`, or are a hole.
struct ext2_run {
    uint64_t first;
    uint32_t count; // of blocks; at least 1
    bool is_hole;
    bool is_new; // what is on the disk there is not the file's: all of it has to be written
};
uint32_t ext2_block_size(const struct ext2* fs);
uint64_t ext2_file_max(const struct ext2* fs);
zx_status_t ext2_map(struct ext2* fs, struct ext2_node* file, uint64_t block, uint32_t max,
                     struct ext2_run* out);
zx_status_t ext2_map_for_write(struct ext2* fs, struct ext2_node* file, uint64_t block,
                               uint32_t max, struct ext2_run* out);
// Cuts, or extends by zeros (for which no blocks are taken). FILE_BIG.
zx_status_t ext2_resize(struct ext2* fs, struct ext2_node* file, uint64_t size);

// Reads up to the end of the file; writing extends it.
zx_status_t ext2_read(struct ext2* fs, struct ext2_node* file, uint64_t offset, void* buffer,
                      size_t len, size_t* actual);
zx_status_t ext2_write(struct ext2* fs, struct ext2_node* file, uint64_t offset, const void* buffer,
                       size_t len);
