// One virtio block device (virtio 1.1, 5.2): from requests of jacinth.block to its queue and back.
//
// Blocks are moved between the device and the pages of the client's VMO, which stays pinned while
// it is attached; nothing is copied. What the device shares with the driver (ring, headers, states,
// rows of segments) lies in one piece of contiguous memory.
//
// Of a VMO that is attached unpinned the pages of a request are pinned while it is with the device.
// A READ of whole pages goes to new pages, in a VMO of the slot's own, which nobody else can see:
// they need not be cleared, and move to the client's VMO when the device has filled them.
//
// All on the loop's thread; no locks. The device is the other party (<virtio/ring.h>).
#pragma once

#include <block/server.h>
#include <virtio/pci.h>
#include <virtio/ring.h>

#include "segments.h"

constexpr uint16_t DISK_DEPTH = 32; // requests with the device at a time
constexpr uint16_t DISK_SEGMENTS =
    129; // of a request's data: 128 pages, from anywhere in the first

// What a request shares with the device.
struct disk_slot {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range; // of a discard
    uint8_t status;
    uint8_t padding[15];
    struct virtq_desc row[DISK_SEGMENTS + 2];
};

struct disk {
    struct block_device block;
    struct virtio_device virtio;
    zx_handle_t bti;
    // With the device:
    struct virtq queue;
    volatile uint16_t* doorbell;
    struct disk_slot* slots;
    uint64_t slots_address; // as the device sees them
    struct block_op* ops[DISK_DEPTH];
    struct disk_pages {
        zx_handle_t fresh; // the slot's own VMO, once it was needed; empty without a request
        zx_handle_t pmt;   // of a request that pins its own
        bool is_fresh;     // these are of `fresh`
    } pages[DISK_DEPTH];
    uint16_t free[DISK_DEPTH];
    uint16_t free_count;
    uint16_t segments_max;
    // How it tells:
    struct async_wait bus; // the bus driver's end
    struct async_task poll;
    zx_handle_t interrupt; // or none: it is asked instead
    struct async_receiver receiver;
    // Whether it tells anything at all:
    zx_duration_t patience; // how long it may say nothing while it has requests; INFINITE: for
                            // ever; the user's
    struct async_task watch;
    uint64_t answers, answers_seen;
    // The device is lost: whoever drives it next resets it. why: nullptr if it is no failure of the
    // device's, but the bus driver has ended.
    void (*lost)(struct disk* disk, const char* why);
};

// Takes over the device: stops it, releases what its driver before left, and starts it anew. The
// channel (jacinth.pci/Device) is gone whatever the outcome.
zx_status_t disk_start(struct disk* disk, struct async_loop* loop, zx_handle_t pci);
