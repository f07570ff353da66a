// Byte ring over a buffer the user supplies.
//
// Positions are 64-bit counts of bytes ever written and read, so they never wrap in practice, full
// and empty differ without a spare byte, and a reader that keeps its own position can tell how much
// it lost. The capacity is a power of two. No locking here: the user serialises access.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ring {
    unsigned char* data;
    size_t cap;           // power of two, immutable after ring_init
    uint64_t write_count; // bytes ever written
    uint64_t read_count;  // bytes ever consumed; write_count - cap <= read_count <= write_count
};

// `cap` must be a power of two and data must have that many bytes.
void ring_init(struct ring* ring, void* data, size_t cap);

static inline size_t ring_used(const struct ring* ring) {
    return (size_t)(ring->write_count - ring->read_count);
}

static inline size_t ring_free(const struct ring* ring) {
    return ring->cap - ring_used(ring);
}

// Write as much as fits; returns the number of bytes taken.
size_t ring_write(struct ring* ring, const void* data, size_t len);

// Writes everything, dropping the oldest bytes as needed; of more than cap only the end is kept.
void ring_overwrite(struct ring* ring, const void* data, size_t len);

// Copies and consumes up to len bytes; returns the number.
size_t ring_read(struct ring* ring, void* data, size_t len);

// Copies without consuming, starting `offset` bytes after the oldest; returns the number.
size_t ring_peek(const struct ring* ring, size_t offset, void* data, size_t len);

// Consumes up to len bytes; returns the number.
size_t ring_skip(struct ring* ring, size_t len);

// The longest piece of the oldest bytes (or of the free space) that is contiguous in memory, for
// copying in place; *len is 0 if there is none. ring_skip or ring_commit then takes it.
const void* ring_readable(const struct ring* ring, size_t* len);
void* ring_writable(struct ring* ring, size_t* len);

// Declares that len bytes, at most what ring_writable reported, have been filled in.
void ring_commit(struct ring* ring, size_t len);
