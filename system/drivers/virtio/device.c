// See <virtio/pci.h>.
#include <string.h>

#include <fidl/jacinth.pci.h>
#include <virtio/pci.h>
#include <zircon/process.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

struct virtio_common { // 4.1.4.3
    uint32_t device_feature_select, device_feature;
    uint32_t driver_feature_select, driver_feature;
    uint16_t config_vector, queue_count;
    uint8_t status, config_generation;
    uint16_t queue_select, queue_size, queue_vector, queue_enable, queue_notify_offset;
    uint32_t queue_desc[2], queue_avail[2], queue_used[2];
};
static_assert(sizeof(struct virtio_common) == 56);

enum : uint8_t { // 2.1
    STATUS_ACKNOWLEDGE = 1,
    STATUS_DRIVER = 2,
    STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8,
    STATUS_NEEDS_RESET = 64,
    STATUS_FAILED = 128,
};

constexpr uint8_t CAP_VENDOR = 0x09;
constexpr zx_duration_t RESET_TIME_MAX = ZX_SEC(2);

// ---- finding registers ----

static zx_status_t read_capability(zx_handle_t pci, uint8_t offset,
                                   uint32_t words[VIRTIO_CAPABILITY_WORDS]) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    for (uint32_t i = 0; i < VIRTIO_CAPABILITY_WORDS; i++) {
        struct jacinth_pci_device_read_config_request request = {
            .offset = (uint16_t)(offset + 4 * i), .width = 4};
        struct jacinth_pci_device_read_config_response* response;
        if (request.offset + 4 > 256) {
            words[i] = 0; // beyond its end
            continue;
        }
        zx_status_t status = jacinth_pci_device_read_config_call(pci, ZX_TIME_INFINITE, &request,
                                                                 storage, &response);
        if (status != ZX_OK) {
            return status;
        }
        words[i] = response->value;
    }
    return ZX_OK;
}

static zx_status_t find_regions(struct virtio_device* d) {
    alignas(8) uint8_t bytes[512];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_device_get_capabilities_response* list;
    zx_status_t status =
        jacinth_pci_device_get_capabilities_call(d->pci, ZX_TIME_INFINITE, storage, &list);
    for (uint64_t i = 0; status == ZX_OK && i < list->capabilities.count; i++) {
        const struct jacinth_pci_capability* c = &list->capabilities.data[i];
        uint32_t words[VIRTIO_CAPABILITY_WORDS];
        if (c->id == CAP_VENDOR) {
            status = read_capability(d->pci, c->offset, words);
            if (status == ZX_OK) {
                virtio_regions_add(&d->regions, words);
            }
        }
    }
    return status;
}

static zx_status_t map_bar(struct virtio_device* d, uint8_t bar) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_device_get_bar_request request = {.index = bar};
    struct jacinth_pci_device_get_bar_response* response;
    if (d->bar_address[bar] != 0) {
        return ZX_OK;
    }
    zx_status_t status =
        jacinth_pci_device_get_bar_call(d->pci, ZX_TIME_INFINITE, &request, storage, &response);
    if (status != ZX_OK) {
        return status;
    }
    d->bar_size[bar] = response->size;
    status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, response->vmo,
                         0, response->size, &d->bar_address[bar]);
    (void)zx_handle_close(response->vmo);
    return status;
}

static zx_status_t map_region(struct virtio_device* d, const struct virtio_region* region,
                              uint64_t length, uint32_t alignment, volatile uint8_t** out) {
    if (region->length == 0) {
        return ZX_ERR_NOT_SUPPORTED; // a legacy device
    }
    zx_status_t status = map_bar(d, region->bar);
    if (status != ZX_OK) {
        return status;
    }
    if (!virtio_region_fits(region, length, d->bar_size[region->bar], alignment)) {
        return ZX_ERR_IO_INVALID;
    }
    *out = (volatile uint8_t*)d->bar_address[region->bar] + region->offset;
    return ZX_OK;
}

zx_status_t virtio_open(struct virtio_device* d, zx_handle_t pci) {
    memset(d, 0, sizeof(*d));
    d->pci = pci;
    volatile uint8_t *common = nullptr, *config = nullptr;
    zx_status_t status = find_regions(d);
    if (status == ZX_OK) {
        status = map_region(d, &d->regions.common, sizeof(struct virtio_common), 4, &common);
    }
    if (status == ZX_OK) {
        status = map_region(d, &d->regions.notify, 2, 2, &d->notify);
    }
    if (status == ZX_OK) {
        status = map_region(d, &d->regions.device, 1, 4, &config);
    }
    d->common = (volatile struct virtio_common*)(volatile void*)common;
    d->config = config;
    if (status != ZX_OK) {
        virtio_close(d);
    }
    return status;
}

void virtio_close(struct virtio_device* d) {
    for (uint32_t i = 0; i < 6; i++) {
        if (d->bar_address[i] != 0) {
            (void)zx_vmar_unmap(zx_vmar_root_self(), d->bar_address[i], d->bar_size[i]);
        }
    }
    (void)zx_handle_close(d->pci);
    memset(d, 0, sizeof(*d));
}

// ---- status and features ----

zx_status_t virtio_reset(struct virtio_device* d) {
    zx_time_t deadline = zx_clock_get_monotonic() + RESET_TIME_MAX;
    d->common->status = 0;
    while (d->common->status != 0) {
        if (zx_clock_get_monotonic() > deadline) {
            return ZX_ERR_TIMED_OUT;
        }
        (void)zx_nanosleep(zx_clock_get_monotonic() + ZX_USEC(100));
    }
    return ZX_OK;
}

zx_status_t virtio_negotiate(struct virtio_device* d, uint64_t wanted) {
    volatile struct virtio_common* c = d->common;
    uint64_t offered = 0;
    c->status = STATUS_ACKNOWLEDGE;
    c->status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    for (uint32_t i = 0; i < 2; i++) {
        c->device_feature_select = i;
        offered |= (uint64_t)c->device_feature << 32 * i;
    }
    d->features = offered & wanted;
    for (uint32_t i = 0; i < 2; i++) {
        c->driver_feature_select = i;
        c->driver_feature = (uint32_t)(d->features >> 32 * i);
    }
    c->status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    bool agreed = (d->features & VIRTIO_F_VERSION_1) != 0 && (c->status & STATUS_FEATURES_OK) != 0;
    if (!agreed) {
        c->status = STATUS_FAILED;
    }
    return agreed ? ZX_OK : ZX_ERR_NOT_SUPPORTED;
}

void virtio_start(struct virtio_device* d) {
    d->common->config_vector = VIRTIO_NO_VECTOR;
    d->common->status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK;
}

bool virtio_needs_reset(const struct virtio_device* d) {
    return (d->common->status & STATUS_NEEDS_RESET) != 0;
}

// ---- queues ----

uint16_t virtio_queue_max(struct virtio_device* d, uint16_t index) {
    if (index >= d->common->queue_count) {
        return 0;
    }
    d->common->queue_select = index;
    return d->common->queue_size;
}

static void set_address(volatile uint32_t at[2], uint64_t address) {
    at[0] = (uint32_t)address;
    at[1] = (uint32_t)(address >> 32);
}

zx_status_t virtio_queue_enable(struct virtio_device* d, uint16_t index, uint16_t size,
                                uint64_t desc, uint64_t avail, uint64_t used, uint16_t vector,
                                volatile uint16_t** doorbell) {
    volatile struct virtio_common* c = d->common;
    c->queue_select = index;
    c->queue_size = size;
    c->queue_vector = vector;
    if (vector != VIRTIO_NO_VECTOR && c->queue_vector != vector) {
        return ZX_ERR_NO_RESOURCES;
    }
    set_address(c->queue_desc, desc);
    set_address(c->queue_avail, avail);
    set_address(c->queue_used, used);
    uint64_t at = (uint64_t)c->queue_notify_offset * d->regions.notify_multiplier;
    if (at % 2 != 0 || at + 2 > d->regions.notify.length) {
        return ZX_ERR_IO_INVALID;
    }
    *doorbell = (volatile uint16_t*)(volatile void*)(d->notify + at);
    c->queue_enable = 1;
    return ZX_OK;
}

// ---- configuration ----

uint8_t virtio_config8(const struct virtio_device* d, uint32_t offset) {
    return offset < d->regions.device.length ? d->config[offset] : 0;
}

uint16_t virtio_config16(const struct virtio_device* d, uint32_t offset) {
    return (uint16_t)(virtio_config8(d, offset) | virtio_config8(d, offset + 1) << 8);
}

// In one piece, as the device may insist on.
uint32_t virtio_config32(const struct virtio_device* d, uint32_t offset) {
    return offset + 4 <= d->regions.device.length
               ? *(const volatile uint32_t*)(const volatile void*)(d->config + offset)
               : 0;
}

// Again if it has changed in between (2.4.1); a device that never rests gets no more than so many
// tries.
uint64_t virtio_config64(const struct virtio_device* d, uint32_t offset) {
    uint64_t value = 0;
    uint8_t before;
    uint32_t tries = 0;
    do {
        before = d->common->config_generation;
        uint64_t low = virtio_config32(d, offset);
        value = low | (uint64_t)virtio_config32(d, offset + 4) << 32;
    } while (d->common->config_generation != before && ++tries < 1000);
    return value;
}
