// ext2 as a server of jacinth.io: the core (ext2/ext2.h) over a block device (block/client.h), with
// files in VMOs whose pages come from here. One loop's thread; no locks.
//
// The core's calls of the device are waited for. Contents of files are not: several reads are under
// way at a time (read.c), and whoever does something to a file that is being read says so.
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
constexpr uint64_t EXT2FS_CONTENTS_MAX = 1 << 20; // that are moved at once
constexpr uint32_t EXT2FS_SLOTS = 8;              // reads of contents that are under way
constexpr uint32_t EXT2FS_RUNS = 64;              // places on the disk that one of them has

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
    zx_handle_t vmo;            // for contents to be saved, and behind them for metadata
    uint8_t* memory;
    uint16_t vmoid;
    zx_handle_t supply; // for contents that are read: a slot for each; pages move on from there
    uint16_t supply_id;
};

struct ext2fs_read; // read.c

struct ext2fs_slot {
    struct ext2fs_read* read; // or none
    bool is_used;             // pages may be there
    uint32_t under_way;       // calls
    struct ext2fs_call {
        struct block_call call;
        struct ext2fs_slot* slot;
    } calls[EXT2FS_RUNS];
};

struct ext2fs {
    struct ext2fs_disk disk; // `connect`, `lost`, `ctx` are the user's
    struct io_server server; // `loop`, `ops` and limits, too
    bool read_only;          // wanted
    zx_handle_t utc_clock;   // or ZX_HANDLE_INVALID
    // The library's:
    struct ext2* core;
    zx_handle_t pager;
    struct ext2fs_slot slots[EXT2FS_SLOTS];
    struct list waiting; // reads without a slot, the next one first
    struct async_task read_task;
    struct list dirty; // files that may have something to save
    struct list idle;  // files that nobody uses, the longest unused first
    uint32_t idle_count, node_count;
    uint64_t reserved;    // blocks set aside for dirty pages
    uint64_t dirty_pages; // no more than so many
    uint64_t dirty_max;   // and never more than so many, but for those of one request
    struct async_task by_age;
    uint64_t age_steps;          // pieces that it still saves before it syncs
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
    uint64_t dirty_left; // pages, when it was saved last: behind its end, or all if that failed
    uint64_t next_read;  // where the last one ended
    uint64_t ahead;      // how far it went
    struct list reads;   // of its pages
    bool is_ending;      // until the last packet has come
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

static inline uint64_t ext2fs_page_down(uint64_t at) {
    return at & ~(uint64_t)4095;
}
static inline uint64_t ext2fs_page_up(uint64_t at) {
    return ext2fs_page_down(at + 4095);
}

// disk.c
zx_status_t ext2fs_disk_open(struct ext2fs_disk* disk);
void ext2fs_disk_close(struct ext2fs_disk* disk);
void ext2fs_disk_remember(struct ext2fs_disk* disk); // after a mount: which one it is
// What the core asks for. `ctx` is the disk.
zx_status_t ext2fs_disk_read(void* ctx, uint64_t first, uint32_t count, void* buffer);
zx_status_t ext2fs_disk_write(void* ctx, uint64_t first, uint32_t count, const void* buffer);
zx_status_t ext2fs_disk_flush(void* ctx);
// Contents out of `memory` (sectors, and an offset in bytes).
zx_status_t ext2fs_disk_save(struct ext2fs_disk* disk, uint64_t first, uint32_t count,
                             uint64_t offset);
// The same into `supply`: starts the call, which has its handler. It goes out with block_kick. If
// it ends with PEER_CLOSED, ext2fs_disk_revive.
void ext2fs_disk_start(struct ext2fs_disk* disk, struct block_call* call, uint64_t first,
                       uint32_t count, uint64_t offset);
// The driver is gone: its next instance, if it brings the same disk. Calls that were started are
// forgotten, and whoever had some is told (ext2fs_reads_lost).
zx_status_t ext2fs_disk_revive(struct ext2fs_disk* disk);

// node.c
// Takes the core's reference; the node comes with one.
zx_status_t ext2fs_node_get(struct ext2fs* fs, struct ext2_node* core, struct io_node** out);
void ext2fs_node_release(struct ext2fs_node* n);
void ext2fs_node_settle(struct ext2fs_node* n);  // nobody uses it: keeps it for a while, or not
zx_status_t ext2fs_save_some(struct ext2fs* fs); // a MiB of contents
void ext2fs_changed(struct ext2fs* fs);          // something is to be synced some day
zx_status_t ext2fs_settle(struct ext2fs* fs);    // sync, and the mark of a clean file system

// read.c
void ext2fs_reads_init(struct ext2fs* fs);
void ext2fs_reads_end(struct ext2fs* fs);  // after the disk was closed: nothing is under way
void ext2fs_reads_lost(struct ext2fs* fs); // all that is under way begins anew
// Somebody waits for these pages.
void ext2fs_read_begin(struct ext2fs_node* file, uint64_t offset, uint64_t len);
// What was there of the range is being saved; the file was cut; nobody waits for it any more.
void ext2fs_reads_saved(struct ext2fs_node* file, uint64_t offset, uint64_t len);
void ext2fs_reads_cut(struct ext2fs_node* file, uint64_t size);
void ext2fs_reads_drop(struct ext2fs_node* file);

// file.c
uint64_t ext2fs_file_size(const struct ext2fs_node* file); // as the core knows it
// Whoever waits for pages of the range fails.
void ext2fs_file_fail(struct ext2fs_node* file, uint64_t offset, uint64_t len, zx_status_t status);
zx_status_t ext2fs_file_need(struct ext2fs_node* file); // its VMO
void ext2fs_file_refresh(struct ext2fs_node* file);     // how long it is now
// At most so many bytes, which are taken off the budget: if anything of that is left, all is saved.
zx_status_t ext2fs_file_save(struct ext2fs_node* file, uint64_t* budget);
zx_status_t ext2fs_file_resize(struct ext2fs_node* file, uint64_t length);
// A reference to it, for WRITE, for EXECUTE, or for neither: to look. UNAVAILABLE: see
// io/windows.h.
zx_status_t ext2fs_file_window(struct ext2fs_node* file, jacinth_io_flags_t flags,
                               zx_handle_t* out);
// What somebody still has: wait for its ZX_VMO_ZERO_CHILDREN. ZX_HANDLE_INVALID: nobody has any.
zx_handle_t ext2fs_file_in_use(struct ext2fs_node* file);
void ext2fs_file_trim(struct ext2fs_node* file); // nobody writes: nothing lies behind its end
void ext2fs_file_end(struct ext2fs_node* file);  // it is freed when its last packet has come
