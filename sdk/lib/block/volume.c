#include <block/volume.h>

#include <string.h>

#include <block/client.h>
#include <block/gpt.h>
#include <zircon/syscalls.h>

// Header and table of the usual size lie in the first blocks: they are read in one piece. What the
// table's reader wants besides is read by itself.
constexpr uint64_t FRONT_LEN = 20 << 10;
constexpr uint64_t VMO_LEN = FRONT_LEN + GPT_BLOCK_MAX;

struct reader {
    struct block_client* client;
    zx_handle_t vmo;
    uint16_t vmoid;
    uint64_t front; // blocks
};

static zx_status_t read_block(void* ctx, uint64_t block, void* buffer) {
    const struct reader* r = ctx;
    const uint32_t size = r->client->info.block_size;
    uint64_t at = block * size;
    if (block >= r->front) {
        at = FRONT_LEN;
        const zx_status_t status =
            block_run(r->client, BLOCK_READ, r->vmoid, FRONT_LEN / size, block, 1);
        if (status != ZX_OK) {
            return status;
        }
    }
    return zx_vmo_read(r->vmo, buffer, at, size);
}

static zx_status_t read_front(struct reader* r) {
    const struct jacinth_block_info* info = &r->client->info;
    zx_status_t status = block_client_attach(r->client, r->vmo, &r->vmoid);
    const uint64_t blocks = FRONT_LEN / info->block_size;
    if (status == ZX_OK && blocks <= info->block_count) {
        status = block_run(r->client, BLOCK_READ, r->vmoid, 0, 0, blocks);
        r->front = status == ZX_OK ? blocks : 0;
    }
    return status;
}

// [first, first + count) of the device.
static zx_status_t find(struct reader* r, uint64_t* first, uint64_t* count) {
    const struct jacinth_block_info* info = &r->client->info;
    const struct gpt_disk disk = {.read = read_block,
                                  .ctx = r,
                                  .block_size = info->block_size,
                                  .block_count = info->block_count};
    struct gpt_partition partitions[16];
    size_t n;
    *first = 0;
    *count = info->block_count;
    zx_status_t status = gpt_read(&disk, partitions, 16, &n);
    if (status != ZX_OK) {
        return status == ZX_ERR_NOT_FOUND ? ZX_OK : status;
    }
    for (size_t i = 0; i < n; i++) {
        if (memcmp(partitions[i].type, gpt_type_filesystem, sizeof(gpt_type_filesystem)) == 0) {
            *first = partitions[i].first;
            *count = partitions[i].count;
            return ZX_OK;
        }
    }
    return ZX_ERR_NOT_FOUND;
}

static zx_status_t open_range(const struct block_client* c, uint64_t first, uint64_t count,
                              zx_handle_t* out) {
    zx_handle_t ours;
    struct jacinth_block_block_open_range_request request = {.first = first, .count = count};
    zx_status_t status = zx_channel_create(0, &ours, &request.block);
    if (status != ZX_OK) {
        return status;
    }
    alignas(8) uint8_t bytes[128];
    const struct fidl_storage storage = {bytes, sizeof(bytes)};
    status = jacinth_block_block_open_range_call(c->device, ZX_TIME_INFINITE, &request, storage);
    if (status != ZX_OK) {
        (void)zx_handle_close(ours);
        return status;
    }
    *out = ours;
    return ZX_OK;
}

zx_status_t block_volume_open(zx_handle_t device, zx_handle_t* volume) {
    static struct block_client client; // large; one thread at a time opens volumes
    struct reader r = {.client = &client};
    zx_status_t status = block_client_open(&client, device);
    if (status != ZX_OK) {
        return status;
    }
    uint64_t first = 0, count = 0;
    status = zx_vmo_create(VMO_LEN, 0, &r.vmo);
    if (status == ZX_OK) {
        status = client.info.block_size <= GPT_BLOCK_MAX ? read_front(&r) : ZX_ERR_NOT_SUPPORTED;
    }
    if (status == ZX_OK) {
        status = find(&r, &first, &count);
    }
    if (status == ZX_OK) {
        status = open_range(&client, first, count, volume);
    }
    block_client_close(&client);
    (void)zx_handle_close(r.vmo);
    return status;
}
