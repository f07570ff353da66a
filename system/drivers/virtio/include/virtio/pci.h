// A virtio device on the PCI bus (virtio 1.1, 4.1): its registers, features, queues. Legacy devices
// are refused.
//
// What the device says about where its registers are is checked against its BARs. One thread.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

enum : uint64_t {
    VIRTIO_F_INDIRECT_DESC = 1ull << 28,
    VIRTIO_F_VERSION_1 = 1ull << 32,
};
constexpr uint16_t VIRTIO_NO_VECTOR = 0xffff;

// ---- where registers are ----

struct virtio_region {
    uint64_t offset;
    uint32_t length; // 0: there is none
    uint8_t bar;
};

struct virtio_regions {
    struct virtio_region common, notify, device;
    uint32_t notify_multiplier;
};

constexpr uint32_t VIRTIO_CAPABILITY_WORDS = 5;
// Takes what one vendor capability says; the first of each kind counts.
void virtio_regions_add(struct virtio_regions* regions,
                        const uint32_t capability[VIRTIO_CAPABILITY_WORDS]);
// Whether a region of at least `length` bytes lies in a BAR of this size, aligned to `alignment`.
bool virtio_region_fits(const struct virtio_region* region, uint64_t length, uint64_t bar_size,
                        uint32_t alignment);

// ---- the device ----

struct virtio_common; // registers

struct virtio_device {
    zx_handle_t pci; // jacinth.pci/Device; the device's
    struct virtio_regions regions;
    volatile struct virtio_common* common;
    volatile uint8_t* notify;
    const volatile uint8_t* config; // of its kind; `regions.device.length` bytes
    uint64_t bar_size[6];
    zx_vaddr_t bar_address[6]; // 0: not mapped
    uint64_t features;         // that both sides have
};

// The channel is gone whatever the outcome. The device is as it was left.
zx_status_t virtio_open(struct virtio_device* device, zx_handle_t pci);
void virtio_close(struct virtio_device* device);

// Returns once the device has stopped: it uses no memory any more. TIMED_OUT: it does not.
zx_status_t virtio_reset(struct virtio_device* device);
// Agrees on `wanted` as far as the device has it. NOT_SUPPORTED: it does not want less.
zx_status_t virtio_negotiate(struct virtio_device* device, uint64_t wanted);
// Largest size of a queue; 0: there is no such queue.
uint16_t virtio_queue_max(struct virtio_device* device, uint16_t index);
// *doorbell is where `index` is to be written to tell the device.
zx_status_t virtio_queue_enable(struct virtio_device* device, uint16_t index, uint16_t size,
                                uint64_t desc, uint64_t avail, uint64_t used, uint16_t vector,
                                volatile uint16_t** doorbell);
void virtio_start(struct virtio_device* device);
// It has given up, or wants to be reset.
bool virtio_needs_reset(const struct virtio_device* device);

uint8_t virtio_config8(const struct virtio_device* device, uint32_t offset);
uint16_t virtio_config16(const struct virtio_device* device, uint32_t offset);
uint32_t virtio_config32(const struct virtio_device* device, uint32_t offset);
uint64_t virtio_config64(const struct virtio_device* device, uint32_t offset);
