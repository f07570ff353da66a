// `disk storm DISK COUNT`: four clients on one loop with eight lanes each write, read, compare and
// flush, all at once, each lane in its part of the first COUNT blocks. Prints the CRC-32 of what
// these must hold afterwards.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <block/client.h>
#include <lib/compiler.h>
#include <lib/crc32.h>
#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "storm.h"

constexpr uint32_t CLIENTS = 4, LANES = 8, ROUNDS = 150;
constexpr uint64_t LANE_BYTES = 64 << 10; // of a lane's buffer

struct lane {
    struct block_call call;
    struct client* client;
    uint32_t rounds;
    uint64_t first, count;  // its part of the disk
    uint64_t buffer_offset; // in the client's VMO
    uint8_t* buffer;
    uint8_t* model; // what its part holds
    uint64_t random;
};

static struct client {
    struct block_client block;
    struct lane lanes[LANES];
    uint16_t id;
} clients[CLIENTS];

static struct async_loop loop;
static uint32_t running;
static zx_status_t result = ZX_OK;

static uint64_t next_random(uint64_t* state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static uint32_t block_size(const struct lane* l) {
    return l->client->block.info.block_size;
}

static uint8_t* model_at(const struct lane* l) {
    return l->model + (l->call.device_offset - l->first) * block_size(l);
}

static uint8_t* buffer_at(const struct lane* l) {
    return l->buffer + (l->call.vmo_offset * block_size(l) - l->buffer_offset);
}

static void on_done(struct block_call* call, zx_status_t status);

static void next_call(struct lane* l) {
    uint64_t room = LANE_BYTES / block_size(l);
    uint64_t most = room < l->count ? room : l->count;
    uint64_t length = next_random(&l->random) % most + 1;
    uint32_t kind = (uint32_t)(next_random(&l->random) % 16);
    l->call = (struct block_call){.opcode = kind == 0  ? BLOCK_FLUSH
                                            : kind < 8 ? BLOCK_WRITE
                                                       : BLOCK_READ,
                                  .vmoid = l->client->id,
                                  .vmo_offset = l->buffer_offset / block_size(l) +
                                                next_random(&l->random) % (room - length + 1),
                                  .device_offset =
                                      l->first + next_random(&l->random) % (l->count - length + 1),
                                  .length = length,
                                  .handler = on_done};
    uint8_t* buffer = buffer_at(l);
    for (uint64_t i = 0; l->call.opcode == BLOCK_WRITE && i < length * block_size(l); i += 8) {
        uint64_t value = next_random(&l->random);
        memcpy(buffer + i, &value, 8);
    }
    block_start(&l->client->block, &l->call);
    block_kick(&l->client->block);
}

static void on_done(struct block_call* call, zx_status_t status) {
    struct lane* l = container_of(call, struct lane, call);
    uint64_t bytes = call->length * block_size(l);
    if (status == ZX_OK && call->opcode == BLOCK_WRITE) {
        memcpy(model_at(l), buffer_at(l), bytes);
    } else if (status == ZX_OK && call->opcode == BLOCK_READ &&
               memcmp(model_at(l), buffer_at(l), bytes) != 0) {
        status = ZX_ERR_IO_DATA_INTEGRITY;
    }
    if (status != ZX_OK) {
        result = status;
        async_loop_quit(&loop);
    } else if (--l->rounds > 0) {
        next_call(l);
    } else if (--running == 0) {
        async_loop_quit(&loop);
    }
}

static zx_status_t start_client(struct client* c, uint64_t first, uint64_t count) {
    zx_handle_t vmo;
    zx_vaddr_t address;
    zx_status_t status = zx_vmo_create(LANES * LANE_BYTES, 0, &vmo);
    if (status == ZX_OK) {
        status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                             LANES * LANE_BYTES, &address);
    }
    if (status == ZX_OK) {
        status = block_client_attach(&c->block, vmo, &c->id);
    }
    if (status == ZX_OK) {
        status = block_client_watch(&c->block, &loop);
    }
    for (uint32_t i = 0; status == ZX_OK && i < LANES; i++) {
        struct lane* l = &c->lanes[i];
        *l = (struct lane){.client = c,
                           .rounds = ROUNDS,
                           .first = first + i * count / LANES,
                           .count = count / LANES,
                           .buffer_offset = i * LANE_BYTES,
                           .buffer = (uint8_t*)address + i * LANE_BYTES,
                           .random = first + i};
        l->model = malloc(l->count * c->block.info.block_size);
        status = l->model != nullptr ? ZX_OK : ZX_ERR_NO_MEMORY;
    }
    return status;
}

// All parts, as they are on the disk before.
static zx_status_t read_models(struct client* c) {
    for (uint32_t i = 0; i < LANES; i++) {
        struct lane* l = &c->lanes[i];
        uint64_t room = LANE_BYTES / block_size(l);
        for (uint64_t at = 0; at < l->count; at += room) {
            uint64_t n = l->count - at < room ? l->count - at : room;
            zx_status_t status = block_run(&c->block, BLOCK_READ, c->id,
                                           l->buffer_offset / block_size(l), l->first + at, n);
            if (status != ZX_OK) {
                return status;
            }
            memcpy(l->model + at * block_size(l), l->buffer, n * block_size(l));
        }
    }
    return ZX_OK;
}

zx_status_t storm(zx_handle_t (*connect)(void), uint64_t count) {
    zx_status_t status = async_loop_init(&loop);
    for (uint32_t i = 0; status == ZX_OK && i < CLIENTS; i++) {
        status = block_client_open(&clients[i].block, connect());
        if (status == ZX_OK) {
            status = start_client(&clients[i], i * (count / CLIENTS), count / CLIENTS);
        }
        if (status == ZX_OK) {
            status = read_models(&clients[i]);
        }
    }
    for (uint32_t i = 0; status == ZX_OK && i < CLIENTS * LANES; i++) {
        running++;
        next_call(&clients[i / LANES].lanes[i % LANES]);
    }
    if (status == ZX_OK) {
        status = async_loop_run(&loop);
    }
    if (status == ZX_OK && result == ZX_OK) {
        result = block_run(&clients[0].block, BLOCK_FLUSH, 0, 0, 0, 0);
    }
    uint32_t crc = 0;
    for (uint32_t i = 0; status == ZX_OK && i < CLIENTS * LANES; i++) {
        const struct lane* l = &clients[i / LANES].lanes[i % LANES];
        crc = crc32_update(crc, l->model, l->count * block_size(l));
    }
    printf("crc=%08x\n", crc);
    return status == ZX_OK ? result : status;
}
