// What goes through a session's fifo: requests to the device, answers from it, of one size.
//
// Lengths and offsets count blocks, in the VMO as on the device. The device may work on all that
// it was sent at once and in any order: who needs one request before another waits for its answer.
// FLUSH is about the writes and discards that were answered before it was sent.
//
// Group: with BLOCK_IN_GROUP, one answer stands for all requests that name `group`, up to the one
// with BLOCK_GROUP_END: it comes when all of them have ended, with that one's reqid, the first
// status that was not OK, and the number of blocks of those that were. Until then the group takes
// no more (BAD_STATE, answered by itself).
#pragma once

#include <stdint.h>

#include <zircon/types.h>

typedef enum block_opcode : uint8_t {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,
    BLOCK_DISCARD, // the contents are not needed any more, and are anything from then on
} block_opcode_t;
constexpr uint32_t BLOCK_OPCODES = 4;

typedef enum block_request_flags : uint8_t {
    BLOCK_IN_GROUP = 0x1,
    BLOCK_GROUP_END = 0x2,
} block_request_flags_t;

constexpr uint32_t BLOCK_GROUPS = 8;

struct block_request {
    uint32_t reqid;
    uint16_t vmoid; // READ, WRITE; else 0
    uint8_t opcode;
    uint8_t flags;
    uint32_t group;
    uint32_t length;        // not 0; of FLUSH: 0
    uint64_t vmo_offset;    // READ, WRITE; else 0
    uint64_t device_offset; // of FLUSH: 0
};

struct block_response {
    uint32_t reqid;
    zx_status_t status;
    uint32_t group;
    uint32_t blocks; // that were moved, or discarded; of a failed request: 0
    uint64_t reserved[2];
};

constexpr uint32_t BLOCK_ENTRY_SIZE = sizeof(struct block_request);
static_assert(sizeof(struct block_response) == BLOCK_ENTRY_SIZE);
// Entries in either direction, so as many requests of a session can be under way that each answer
// has its room.
constexpr uint32_t BLOCK_FIFO_DEPTH = 4096 / BLOCK_ENTRY_SIZE;
