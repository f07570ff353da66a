// The block device as the core wants it: sectors, one call at a time. What it moves goes through
// one VMO that stays pinned: contents to be saved in its front, metadata behind. So saving needs no
// memory. Contents are read into another, whose pages are pinned only as long as the device fills
// them, and by several calls at a time.
#include <string.h>

#include <lib/compiler.h>
#include <zircon/process.h>
#include <zircon/syscalls.h>

#include <ext2fs/ext2fs.h>

constexpr uint64_t METADATA_MAX = 128 << 10;
constexpr uint64_t VMO_LEN = EXT2FS_CONTENTS_MAX + METADATA_MAX;
constexpr uint64_t SUPPLY_LEN = EXT2FS_SLOTS * EXT2FS_CONTENTS_MAX;
constexpr uint64_t UUID_OFFSET = 1024 + 104;

static zx_status_t attach(struct ext2fs_disk* d) {
    zx_handle_t channel;
    zx_status_t status = d->connect(d->ctx, &channel);
    if (status != ZX_OK) {
        return status;
    }
    status = block_client_open(&d->client, channel);
    if (status != ZX_OK) {
        return status;
    }
    status = block_client_watch(&d->client, container_of(d, struct ext2fs, disk)->server.loop);
    if (status == ZX_OK) {
        status = block_client_attach(&d->client, d->vmo, &d->vmoid);
    }
    if (status == ZX_OK) {
        status = block_client_attach_as(&d->client, d->supply, JACINTH_BLOCK_VMO_OPTIONS_UNPINNED,
                                        &d->supply_id);
    }
    uint32_t size = d->client.info.block_size;
    if (status == ZX_OK && (size < EXT2_SECTOR || size > 4096 || (size & (size - 1)) != 0)) {
        status = ZX_ERR_NOT_SUPPORTED;
    }
    if (status != ZX_OK) {
        block_client_close(&d->client);
        return status;
    }
    d->sectors_per_block = size / EXT2_SECTOR;
    d->sectors = d->client.info.block_count * d->sectors_per_block;
    d->is_open = true;
    return ZX_OK;
}

zx_status_t ext2fs_disk_open(struct ext2fs_disk* d) {
    zx_vaddr_t at;
    zx_status_t status = zx_vmo_create(VMO_LEN, 0, &d->vmo);
    if (status == ZX_OK) {
        status = zx_vmo_create(SUPPLY_LEN, 0, &d->supply);
    }
    if (status == ZX_OK) {
        status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, d->vmo, 0,
                             VMO_LEN, &at);
    }
    if (status == ZX_OK) {
        d->memory = (uint8_t*)at;
        status = attach(d);
    }
    if (status != ZX_OK) {
        ext2fs_disk_close(d);
    }
    return status;
}

void ext2fs_disk_close(struct ext2fs_disk* d) {
    if (d->is_open) {
        d->is_open = false;
        block_client_close(&d->client);
    }
    if (d->memory != nullptr) {
        (void)zx_vmar_unmap(zx_vmar_root_self(), (zx_vaddr_t)d->memory, VMO_LEN);
        d->memory = nullptr;
    }
    (void)zx_handle_close(d->supply);
    (void)zx_handle_close(d->vmo);
    d->supply = d->vmo = ZX_HANDLE_INVALID;
}

static zx_status_t run(struct ext2fs_disk* d, block_opcode_t opcode, uint64_t first, uint64_t count,
                       uint64_t offset) {
    uint64_t block = (uint64_t)d->sectors_per_block * EXT2_SECTOR;
    return block_run(&d->client, opcode, opcode == BLOCK_FLUSH ? 0 : d->vmoid, offset / block,
                     first / d->sectors_per_block, count / d->sectors_per_block);
}

static zx_status_t read_uuid(struct ext2fs_disk* d, uint8_t* out) {
    uint64_t sectors = 4096 / EXT2_SECTOR;
    zx_status_t status = run(d, BLOCK_READ, 0, sectors, EXT2FS_CONTENTS_MAX);
    if (status == ZX_OK) {
        memcpy(out, d->memory + EXT2FS_CONTENTS_MAX + UUID_OFFSET, EXT2FS_UUID_LEN);
    }
    return status;
}

void ext2fs_disk_remember(struct ext2fs_disk* d) {
    d->is_known = read_uuid(d, d->uuid) == ZX_OK;
}

static zx_status_t reconnect(struct ext2fs_disk* d) {
    uint8_t uuid[EXT2FS_UUID_LEN];
    uint64_t sectors = d->sectors;
    block_client_close(&d->client);
    d->is_open = false;
    zx_status_t status = attach(d);
    if (status == ZX_OK) {
        status = read_uuid(d, uuid);
    }
    bool is_same = status == ZX_OK && d->is_known && d->sectors == sectors &&
                   memcmp(uuid, d->uuid, sizeof(uuid)) == 0;
    if (!is_same) {
        d->is_lost = true;
        if (d->lost != nullptr) {
            d->lost(d->ctx);
        }
    }
    return is_same ? ZX_OK : ZX_ERR_IO;
}

// What is in the metadata part may be what is being written, so it is put back after reconnecting
// (which reads into it).
zx_status_t ext2fs_disk_revive(struct ext2fs_disk* d) {
    static uint8_t kept[4096];
    if (d->is_lost) {
        return ZX_ERR_IO;
    }
    memcpy(kept, d->memory + EXT2FS_CONTENTS_MAX, sizeof(kept));
    zx_status_t status = reconnect(d);
    memcpy(d->memory + EXT2FS_CONTENTS_MAX, kept, sizeof(kept));
    ext2fs_reads_lost(container_of(d, struct ext2fs, disk));
    return status;
}

static zx_status_t run_twice(struct ext2fs_disk* d, block_opcode_t opcode, uint64_t first,
                             uint64_t count, uint64_t offset) {
    if (d->is_lost) {
        return ZX_ERR_IO;
    }
    zx_status_t status = run(d, opcode, first, count, offset);
    if (status == ZX_ERR_PEER_CLOSED || status == ZX_ERR_CANCELED) {
        status = ext2fs_disk_revive(d);
        if (status == ZX_OK) {
            status = run(d, opcode, first, count, offset);
        }
    }
    return status == ZX_OK ? ZX_OK : ZX_ERR_IO;
}

zx_status_t ext2fs_disk_save(struct ext2fs_disk* d, uint64_t first, uint32_t count,
                             uint64_t offset) {
    return run_twice(d, BLOCK_WRITE, first, count, offset);
}

void ext2fs_disk_start(struct ext2fs_disk* d, struct block_call* call, uint64_t first,
                       uint32_t count, uint64_t offset) {
    uint64_t block = (uint64_t)d->sectors_per_block * EXT2_SECTOR;
    call->opcode = BLOCK_READ;
    call->vmoid = d->supply_id;
    call->vmo_offset = offset / block;
    call->device_offset = first / d->sectors_per_block;
    call->length = count / d->sectors_per_block;
    block_start(&d->client, call);
}

// ---- the core's requests: of any length, and not always in blocks of the device ----

static void align(const struct ext2fs_disk* d, uint64_t first, uint32_t count, uint64_t* from,
                  uint64_t* len) {
    uint64_t mask = d->sectors_per_block - 1u;
    *from = first & ~mask;
    *len = ((first + count + mask) & ~mask) - *from;
}

static zx_status_t move_piece(struct ext2fs_disk* d, bool write, uint64_t first, uint32_t count,
                              uint8_t* buffer) {
    uint64_t from, len;
    align(d, first, count, &from, &len);
    uint8_t* memory = d->memory + EXT2FS_CONTENTS_MAX;
    uint8_t* at = memory + (first - from) * EXT2_SECTOR;
    if (!write || len != count) {
        zx_status_t status = run_twice(d, BLOCK_READ, from, len, EXT2FS_CONTENTS_MAX);
        if (status != ZX_OK) {
            return status;
        }
    }
    if (!write) {
        memcpy(buffer, at, (size_t)count * EXT2_SECTOR);
        return ZX_OK;
    }
    memcpy(at, buffer, (size_t)count * EXT2_SECTOR);
    return run_twice(d, BLOCK_WRITE, from, len, EXT2FS_CONTENTS_MAX);
}

static zx_status_t move_all(struct ext2fs_disk* d, bool write, uint64_t first, uint32_t count,
                            uint8_t* buffer) {
    constexpr uint32_t PIECE = (METADATA_MAX - 8192) / EXT2_SECTOR;
    while (count != 0) {
        uint32_t n = count < PIECE ? count : PIECE;
        zx_status_t status = move_piece(d, write, first, n, buffer);
        if (status != ZX_OK) {
            return status;
        }
        first += n;
        count -= n;
        buffer += (size_t)n * EXT2_SECTOR;
    }
    return ZX_OK;
}

zx_status_t ext2fs_disk_read(void* ctx, uint64_t first, uint32_t count, void* buffer) {
    return move_all(ctx, false, first, count, buffer);
}

zx_status_t ext2fs_disk_write(void* ctx, uint64_t first, uint32_t count, const void* buffer) {
    return move_all(ctx, true, first, count, (uint8_t*)buffer);
}

zx_status_t ext2fs_disk_flush(void* ctx) {
    return run_twice(ctx, BLOCK_FLUSH, 0, 0, 0);
}
