// From a range of a pinned VMO to what the device is told. Pure.
#pragma once

#include <stdint.h>

#include <virtio/ring.h>
#include <zircon/types.h>

// Pages that lie behind each other become one segment. Returns how many there are; 0: more than
// `capacity`. `pages` has the addresses of all pages of the VMO, and the range lies inside it.
uint16_t segments_make(const zx_paddr_t pages[], uint64_t offset, uint64_t length,
                       bool device_writes, struct virtq_segment out[], uint16_t capacity);
