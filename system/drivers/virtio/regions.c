#include <virtio/pci.h>

// cfg_type of virtio_pci_cap (4.1.4)
enum : uint8_t { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };

void virtio_regions_add(struct virtio_regions* regions,
                        const uint32_t capability[VIRTIO_CAPABILITY_WORDS]) {
    uint8_t size = (uint8_t)(capability[0] >> 16), kind = (uint8_t)(capability[0] >> 24);
    struct virtio_region region = {
        .bar = (uint8_t)capability[1], .offset = capability[2], .length = capability[3]};
    struct virtio_region* place = kind == CAP_COMMON   ? &regions->common
                                  : kind == CAP_NOTIFY ? &regions->notify
                                  : kind == CAP_DEVICE ? &regions->device
                                                       : nullptr;
    // Reserved BAR numbers, and capabilities too short for what they say: to be passed over.
    uint8_t needed = kind == CAP_NOTIFY ? 20 : 16;
    if (place == nullptr || place->length != 0 || region.bar > 5 || size < needed) {
        return;
    }
    *place = region;
    if (kind == CAP_NOTIFY) {
        regions->notify_multiplier = capability[4];
    }
}

bool virtio_region_fits(const struct virtio_region* region, uint64_t length, uint64_t bar_size,
                        uint32_t alignment) {
    return region->length >= length && region->length > 0 && region->offset % alignment == 0 &&
           region->length <= bar_size && region->offset <= bar_size - region->length;
}
