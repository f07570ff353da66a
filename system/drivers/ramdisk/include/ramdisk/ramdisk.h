// A disk in memory, for tests: it does what a device may do and no good device does. Requests fail
// by number or place, are late or never come back, and the power fails between two blocks, which
// loses any of the blocks that were not flushed (jacinth.ramdisk/Control says how).
//
// All on the loop's thread; no locks.
#pragma once

#include <block/server.h>
#include <fidl/jacinth.ramdisk.h>

struct ramdisk_fault {
    jacinth_ramdisk_kinds_t kinds;
    uint64_t skip, count; // of FailNth
    uint64_t first;       // of FailRange, with `count`
    zx_status_t status;
};

struct ramdisk {
    struct block_device device;
    // The disk's:
    zx_handle_t contents; // VMO
    zx_handle_t durable;  // a snapshot: what survives if the power fails now
    uint8_t* memory;      // the contents, mapped
    uint64_t size;
    uint64_t counts[BLOCK_OPCODES];
    struct ramdisk_fault nth, range;
    zx_duration_t delay;
    struct list delayed; // carried out
    struct async_task task;
    struct list held; // not answered
    bool holds;       // everything, not carried out
    struct {
        uint64_t first, count;
        bool carry_out;
    } held_reads;
    bool ignores_flushes;
    bool is_off;
    bool cut_is_near;
    uint64_t cut_after; // blocks
    uint64_t cut_seed;
};

// The VMO is the disk's from here on, whatever the outcome; its size is a multiple of the block
// size's.
zx_status_t ramdisk_init(struct ramdisk* disk, struct async_loop* loop, zx_handle_t contents,
                         uint32_t block_size, jacinth_block_flags_t flags);
// What is held or late is not answered any more.
void ramdisk_destroy(struct ramdisk* disk);
// Serves jacinth.ramdisk/Control; the channel is gone whatever the outcome.
zx_status_t ramdisk_control(struct ramdisk* disk, zx_handle_t channel);
