// ext2 as a server of jacinth.io: the core (ext2/ext2.h) over a block device (block/client.h), with
// files in VMOs whose pages come from here. One loop's thread; no locks.
//
// A file's VMO is made when it is first opened, and stays as long as the file is in use and for a
// while after. Pages are read when somebody needs them (with those that follow); before one is
// written to, room for it is set aside, so that saving it cannot fail for want of it. What is dirty
// is saved, and all of it synced, when a client asks, when much is dirty, and by age.
//
// What is given to clients are references to the VMO (streams too are made over one), so that it is
// known when nobody has the file any more, whatever became of the connection.
//
// A device that fails is ZX_ERR_IO for whoever needs it. A device whose driver has died is asked
// for anew; if another disk comes back, or none, all that needs it fails, and `lost` is called.
#pragma once

#include <async/loop.h>
#include <block/client.h>
#include <ext2/ext2.h>
#include <io/server.h>
#include <io/windows.h>
#include <lib/list.h>
#include <zircon/types.h>

constexpr uint32_t EXT2FS_UUID_LEN = 16;

struct ext2fs_disk {
    // A new channel to the device; the first, and after its driver's death.
    zx_status_t (*connect)(void* ctx, zx_handle_t* out);
    void (*lost)(void* ctx); // may be null
    void* ctx;
    // The library's:
    struct block_client client;
    bool is_open, is_lost;
    bool is_known; // by this:
    uint8_t uuid[EXT2FS_UUID_LEN];
    uint64_t sectors;
    uint32_t sectors_per_block; // of the device
    zx_handle_t vmo;            // for contents, and behind them for metadata
    uint8_t* memory;
    uint16_t vmoid;
};

struct ext2fs {
    struct ext2fs_disk disk; // `connect`, `lost`, `ctx` are the user's
    struct io_server server; // `loop`, `ops` and limits, too
    bool read_only;          // wanted
    zx_handle_t utc_clock;   // or ZX_HANDLE_INVALID
    // The library's:
    struct ext2* core;
    zx_handle_t pager;
    zx_handle_t supply; // plain memory, from which pages are moved
    struct list dirty;  // files that may have something to save
    struct list idle;   // files that nobody uses, the longest unused first
    uint32_t idle_count, node_count;
    uint64_t reserved;    // blocks set aside for dirty pages
    uint64_t dirty_pages; // about so many
    uint64_t dirty_max;
    struct async_task by_age;
    struct async_task when_idle; // a while after the last sync: the mark of a clean file system
    char link_text[4096];
};

struct ext2fs_node {
    struct io_node io;
    struct ext2fs* fs;
    struct ext2_node* core; // with a reference; its `user` is this
    struct list_node dirty, idle;
    // FILE, once it was opened for its contents:
    zx_handle_t vmo;
    struct io_windows windows;
    struct async_receiver pages;     // requests for them
    struct async_wait without_users; // only while no connection has it
    uint64_t reserved;
    uint64_t next_read; // where the last one ended
    uint64_t ahead;     // how far it went
    struct list reads;  // that go on: more was asked for than is given at once
    bool is_ending;     // until the last packet has come
};

// Opens the device, makes the pager, mounts. `why` as in ext2_mount.
zx_status_t ext2fs_init(struct ext2fs* fs, char why[EXT2_WHY_MAX]);
// After all connections are gone. Saves everything and unmounts; what it answers is whether that
// went well.
zx_status_t ext2fs_destroy(struct ext2fs* fs);
zx_status_t ext2fs_serve_root(struct ext2fs* fs, zx_handle_t channel, jacinth_io_flags_t rights);
// Everything that was written is where it survives.
zx_status_t ext2fs_sync(struct ext2fs* fs);

extern const struct io_ops ext2fs_ops;

// ---- between the parts ----

static inline struct ext2fs_node* ext2fs_node_of(struct io_node* node) {
    return (struct ext2fs_node*)node;
}
static_assert(offsetof(struct ext2fs_node, io) == 0);

// disk.c
constexpr uint64_t EXT2FS_CONTENTS_MAX = 1 << 20;
zx_status_t ext2fs_disk_open(struct ext2fs_disk* disk);
void ext2fs_disk_close(struct ext2fs_disk* disk);
void ext2fs_disk_remember(struct ext2fs_disk* disk); // after a mount: which one it is
// What the core asks for. `ctx` is the disk.
zx_status_t ext2fs_disk_read(void* ctx, uint64_t first, uint32_t count, void* buffer);
zx_status_t ext2fs_disk_write(void* ctx, uint64_t first, uint32_t count, const void* buffer);
zx_status_t ext2fs_disk_flush(void* ctx);
// Contents, between the device and `memory` (sectors, and an offset in bytes).
zx_status_t ext2fs_disk_move(struct ext2fs_disk* disk, bool write, uint64_t first, uint32_t count,
                             uint64_t offset);

// node.c
// Takes the core's reference; the node comes with one.
zx_status_t ext2fs_node_get(struct ext2fs* fs, struct ext2_node* core, struct io_node** out);
void ext2fs_node_release(struct ext2fs_node* n);
void ext2fs_node_settle(struct ext2fs_node* n); // nobody uses it: keeps it for a while, or not
void ext2fs_changed(struct ext2fs* fs);         // something is to be synced some day
zx_status_t ext2fs_settle(struct ext2fs* fs);   // sync, and the mark of a clean file system

// file.c
zx_status_t ext2fs_file_need(struct ext2fs_node* file); // its VMO
void ext2fs_file_refresh(struct ext2fs_node* file);     // how long it is now
zx_status_t ext2fs_file_save(struct ext2fs_node* file);
zx_status_t ext2fs_file_resize(struct ext2fs_node* file, uint64_t length);
// A reference to it, for WRITE, for EXECUTE, or for neither: to look. UNAVAILABLE: see
// io/windows.h.
zx_status_t ext2fs_file_window(struct ext2fs_node* file, jacinth_io_flags_t flags,
                               zx_handle_t* out);
// What somebody still has: wait for its ZX_VMO_ZERO_CHILDREN. ZX_HANDLE_INVALID: nobody has any.
zx_handle_t ext2fs_file_in_use(struct ext2fs_node* file);
void ext2fs_file_trim(struct ext2fs_node* file); // nobody writes: nothing lies behind its end
void ext2fs_file_end(struct ext2fs_node* file);  // it is freed when its last packet has come
